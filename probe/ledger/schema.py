"""The tables, and the migrations that make them: named functions in a list, applied in order.

A ledger's schema version is how many of them it has had. Each runs once, in one transaction
together with the new version number, so that a crash leaves either version and nothing between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, column, table

APPLICATION = 0x50524F42
"""Marks the file as a ledger (PRAGMA application_id)."""

Migration = Callable[[Connection], None]

subjects = table(
    "subjects",
    *map(column, ("id", "image", "backend", "fill", "width", "height", "codec", "render")),
)
answers = table(
    "answers",
    *map(
        column,
        ("seq", "subject", "change", "labels", "scores", "body", "host", "at", "checksum"),
    ),
)
blobs = table("blobs", *map(column, ("digest", "data")))
intents = table("intents", *map(column, ("subject", "change", "host")))
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


MIGRATIONS: Sequence[Migration] = (create_answers, create_servers)


def version_of(connection: Connection) -> int:
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
