"""The tables, and the migrations that make them: named functions in a list, applied in order.

A ledger's schema version is how many of them it has had. Each runs once, in one transaction
together with the new version number, so that a crash leaves either version and nothing between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, column, table

from probe.ledger.dialect import is_postgres

APPLICATION = 0x50524F42
"""Marks the file as a ledger (PRAGMA application_id)."""

Migration = Callable[[Connection], None]

subjects = table(
    "subjects",
    *map(column, ("id", "image", "backend", "fill", "width", "height", "codec", "render")),
)
_ORIGIN = ("body", "host", "at", "reading", "part", "parts", "checksum")
answers = table("answers", *map(column, ("seq", "subject", "change", "labels", "scores", *_ORIGIN)))
unread = table("unread", *map(column, ("seq", "subject", "change", *_ORIGIN)))
blobs = table("blobs", *map(column, ("digest", "data")))
intents = table("intents", *map(column, ("subject", "change", "host", "who", "at")))
"""`at` is on a server alone."""
servers = table("servers", *map(column, ("url", "description", "at")))


def create_answers(connection: Connection) -> None:
    """Answers, who was asked about what, and bodies and label lists by their SHA-256."""
    for statement in (
        """CREATE TABLE subjects (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            image TEXT NOT NULL, backend TEXT NOT NULL, fill TEXT NOT NULL,
            width INTEGER NOT NULL, height INTEGER NOT NULL,
            codec TEXT NOT NULL, render INTEGER NOT NULL,
            UNIQUE (image, backend, fill, width, height, codec, render))""",
        """CREATE TABLE answers (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            subject INTEGER NOT NULL, change TEXT NOT NULL,
            labels BLOB NOT NULL, scores BLOB NOT NULL, body BLOB,
            host TEXT, at INTEGER NOT NULL, checksum BLOB NOT NULL,
            UNIQUE (subject, change))""",
        "CREATE TABLE blobs (digest BLOB PRIMARY KEY, data BLOB NOT NULL)",
        """CREATE TABLE intents (
            subject INTEGER NOT NULL, change TEXT NOT NULL, host TEXT,
            UNIQUE (subject, change))""",
    ):
        connection.exec_driver_sql(statement)


def create_servers(connection: Connection) -> None:
    """The last description that a server gave of itself, for runs without a network."""
    connection.exec_driver_sql(
        "CREATE TABLE servers (url TEXT PRIMARY KEY, description TEXT NOT NULL, "
        "at INTEGER NOT NULL)"
    )


def create_readings(connection: Connection) -> None:
    """By which reading an answer was made of its body, bodies that no reading could make an
    answer of yet, and which process notes what it sends."""
    for statement in (
        "ALTER TABLE answers ADD COLUMN reading TEXT",
        "ALTER TABLE answers ADD COLUMN part INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE answers ADD COLUMN parts INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE intents ADD COLUMN who TEXT",
        """CREATE TABLE unread (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            subject INTEGER NOT NULL, change TEXT NOT NULL, body BLOB NOT NULL,
            host TEXT, at INTEGER NOT NULL, reading TEXT,
            part INTEGER NOT NULL, parts INTEGER NOT NULL, checksum BLOB NOT NULL,
            UNIQUE (subject, change, body, part))""",
    ):
        connection.exec_driver_sql(statement)


MIGRATIONS: Sequence[Migration] = (create_answers, create_servers, create_readings)

_AS_NEW = (
    (2, "servers", "SELECT NULL AS url, NULL AS description, NULL AS at WHERE 0"),
    (3, "answers", "SELECT *, NULL AS reading, 0 AS part, 1 AS parts FROM main.answers"),
    (3, "intents", "SELECT *, NULL AS who FROM main.intents"),
    (
        3,
        "unread",
        "SELECT seq, subject, change, body, host, at, NULL AS reading, 0 AS part, 1 AS parts, "
        "checksum FROM main.answers WHERE 0",
    ),
)


def version_of(connection: Connection) -> int:
    if is_postgres(connection):
        from probe.ledger.server_schema import version_on_server

        return version_on_server(connection) or 0
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def migrate(connection: Connection, migrations: Sequence[Migration]) -> None:
    """Bring the database up to the newest version; the caller holds the ledger's lock."""
    for number, migration in enumerate(migrations, 1):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            if version_of(connection) < number:
                migration(connection)
                connection.exec_driver_sql(f"PRAGMA user_version = {number}")
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise


def look_new(connection: Connection) -> None:
    """Let an old ledger that may only be read look like a new one to this connection."""
    version = version_of(connection)
    for since, name, query in _AS_NEW:
        if version < since:
            connection.exec_driver_sql(f"CREATE TEMP VIEW {name} AS {query}")
