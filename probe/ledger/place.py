"""Where a ledger is: a file, or a database of a PostgreSQL server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from probe.errors import LedgerError

_SCHEMES = ("postgresql:", "postgres:")
_SECRETS = ("password", "sslpassword")
_REMEDY = (
    "write postgresql://USER@HOST:PORT/DATABASE, with the password in PGPASSWORD or ~/.pgpass "
    "(in the address, write its special characters as %XX)"
)


@dataclass(frozen=True, slots=True, repr=False)
class Server:
    """A database of a PostgreSQL server; shown as HOST/DATABASE, without user and password."""

    url: URL

    def __str__(self) -> str:
        host = self.url.host or self._asked("host") or os.environ.get("PGHOST") or "localhost"
        name = self.url.database or self._asked("dbname") or os.environ.get("PGDATABASE") or ""
        return f"{host}/{name}"

    def __repr__(self) -> str:
        return f"Server({self})"

    @property
    def mark(self) -> str:
        """Hex digits that tell it from other databases, whatever the password."""
        bare = self.url._replace(password=None).difference_update_query(_SECRETS)
        return sha256(bare.render_as_string().encode()).hexdigest()[:16]

    @property
    def secrets(self) -> list[str]:
        """Passwords that no message may hold."""
        asked = (self.url.password, *map(self._asked, _SECRETS), os.environ.get("PGPASSWORD"))
        return [str(secret) for secret in asked if secret]

    def _asked(self, name: str) -> str:
        value = self.url.query.get(name, "")
        return value if isinstance(value, str) else ",".join(value)


Place = Path | Server


def place_of(given: str | os.PathLike[str] | Server) -> Place:
    """A path, or an address that begins with postgresql://. Raises LedgerError."""
    if isinstance(given, Server):
        return given
    text = os.fspath(given)
    if not text.startswith(_SCHEMES):
        return Path(given)
    if isinstance(given, os.PathLike):
        raise LedgerError(f"the ledger's address is a path, not a string: {_REMEDY}")
    return Server(_parsed(text))


def _parsed(text: str) -> URL:
    """No error of a parser is told, nor chained: it may quote the password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is None or "@" in f"{url.host}{url.database}" or "://" not in text:
        raise LedgerError(f"the ledger's address cannot be read: {_REMEDY}") from None
    return url.set(drivername="postgresql+psycopg")


def default_path() -> Place:
    """$PROBE_LEDGER, else ledger.db in the user's data folder."""
    chosen = os.environ.get("PROBE_LEDGER")
    return place_of(chosen) if chosen else default_file()


def default_file() -> Path:
    from platformdirs import user_data_dir

    return Path(user_data_dir("probe", appauthor=False)) / "ledger.db"
