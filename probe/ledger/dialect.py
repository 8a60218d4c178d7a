"""What SQLite and PostgreSQL say differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, TableClause
from sqlalchemy.dialects import postgresql, sqlite

KEYS = {
    "subjects": ("image", "backend", "fill", "width", "height", "codec", "render"),
    "answers": ("subject", "change"),
    "unread": ("subject", "change", "body", "part"),
    "intents": ("subject", "change"),
    "blobs": ("digest",),
    "servers": ("url",),
}
"""By which columns two rows of a table are the same."""

Insert = sqlite.Insert | postgresql.Insert


def is_postgres(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def insert(connection: Connection, table: TableClause) -> Insert:
    return postgresql.insert(table) if is_postgres(connection) else sqlite.insert(table)


def put_in_place(
    connection: Connection, table: TableClause, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows, each in place of the one with the same key, as a new row: with a new number."""
    if not is_postgres(connection):
        connection.execute(sqlite.insert(table).prefix_with("OR REPLACE"), rows)
        return
    statement = postgresql.insert(table)
    keys = KEYS[table.name]
    new: dict[str, Any] = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    if "seq" in table.c:
        new["seq"] = statement.excluded.seq
    if table.name == "intents":
        new["at"] = statement.excluded.at
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=new), rows)


def keep(
    connection: Connection, table: TableClause, rows: Sequence[Mapping[str, Any]], column: str
) -> None:
    """Insert rows; where the key is there, only mend this column if it differs."""
    statement = insert(connection, table)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=KEYS[table.name],
            set_={column: statement.excluded[column]},
            where=table.c[column] != statement.excluded[column],
        ),
        rows,
    )


def number_of_new(connection: Connection, table: TableClause, row: Mapping[str, Any]) -> int:
    """Insert a row that is not there yet; returns the number it got."""
    statement = insert(connection, table).values(row).returning(table.c.id)
    return int(connection.execute(statement).scalar_one())
