"""Transactions on a PostgreSQL server: durable, one writer at a time, readers beside.

Writers hold an advisory lock of the database until they commit, so that the first answer stays
whoever asks at once. A connection that was lost is made anew by the next use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError, ProgrammingError, SQLAlchemyError

from probe.errors import LedgerError, MissingExtra
from probe.ledger import forks
from probe.ledger.errors import ELSEWHERE, explain_server, mapped_server, state_of
from probe.ledger.place import Server, default_file
from probe.ledger.schema import APPLICATION, Migration
from probe.ledger.server_schema import MIGRATIONS, TABLES, migrate, version_on_server

_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""libpq's; the address may say otherwise. Seconds, the last one milliseconds."""

_SETTINGS = (
    "SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '30s'; "
    "SET LOCAL idle_in_transaction_session_timeout = '60s'; "
    f"SELECT pg_advisory_xact_lock({APPLICATION})"
)
_THERE = (
    "SELECT relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace "
    f"WHERE nspname = ANY (current_schemas(false)) AND relname IN {TABLES}"
)
"""In one snapshot: to_regclass may see a part of what another client is making."""
_UNDEFINED_COLUMN = "42703"

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"


class ServerDatabase(forks.Forkable):
    """One connection to one database, safe to use from several threads.

    Nothing is touched before the first `reading` or `writing`. With `create=False` missing
    tables are an error.
    """

    whole = True

    def __init__(
        self, server: Server, *, create: bool = True, migrations: Sequence[Migration] = MIGRATIONS
    ) -> None:
        if find_spec("psycopg") is None:
            raise MissingExtra("psycopg", "postgres")
        super().__init__()
        self.server = server
        self.path = default_file().with_name(f"postgres-{server.mark}")
        self.create = create
        self.migrations = migrations
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._refusal: str | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that sees one state of the database."""
        with self._transaction(_READ) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is on the server's disk when the block ends, or nothing."""
        with self._transaction(_WRITE) as connection:
            if self._refusal:
                raise LedgerError(self._refusal)
            connection.exec_driver_sql(_SETTINGS)
            yield connection

    def compact(self) -> None:
        """Make the room of deleted rows free; the server's log and backups may still hold them."""
        with self.guard, mapped_server(self.server):
            connection = self._connected()
            try:
                for name in TABLES:
                    connection.exec_driver_sql(f"VACUUM {name}")
            except BaseException:
                self._give_up()
                raise

    def size(self) -> tuple[int, int]:
        """Bytes on the server's disk, indexes among them; and 0, as there is no log beside."""
        tables = ", ".join(f"('{name}')" for name in TABLES)
        with self.reading() as connection:
            total = connection.exec_driver_sql(
                f"SELECT sum(pg_total_relation_size(n::regclass)) FROM (VALUES {tables}) AS t(n)"
            ).scalar_one()
        self.close()
        return int(total), 0

    def close(self, *, for_good: bool = False) -> None:
        """End the connection."""
        with self.guard:
            self._give_up()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with self.guard, mapped_server(self.server):
            connection = self._begun(begin)
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise

    def _begun(self, begin: str) -> Connection:
        """An idle connection may have been lost meanwhile: nothing was sent, so ask once more."""
        fresh = self._connection is None
        connection = self._connected()
        try:
            connection.exec_driver_sql(begin)
        except DBAPIError:
            self._give_up()
            if fresh:
                raise
            connection = self._connected()
            connection.exec_driver_sql(begin)
        except BaseException:
            self._give_up()
            raise
        return connection

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._open()
            forks.live.add(self)
        return self._connection

    def _open(self) -> Connection:
        if self._engine is None:
            url = self.server.url
            asked = {name: value for name, value in _PATIENCE.items() if name not in url.query}
            try:
                self._engine = create_engine(
                    url,
                    poolclass=NullPool,
                    isolation_level="AUTOCOMMIT",
                    hide_parameters=True,
                    use_native_hstore=False,
                    connect_args={**asked, "prepare_threshold": None},
                )
            except ImportError as error:  # psycopg without its library
                raise MissingExtra("psycopg", "postgres") from error
        connection = self._reached(self._engine)
        try:
            self._judge(connection)
        except BaseException:
            _end(connection)
            raise
        return connection

    def _reached(self, engine: Engine) -> Connection:
        """The driver's frames hold the password, so that its error is told, but not chained."""
        try:
            return engine.connect()
        except SQLAlchemyError as error:
            told = explain_server(self.server, error)
        raise LedgerError(told)

    def _judge(self, connection: Connection) -> None:
        """Whether it is a ledger and may be written; it is made where there is none yet."""
        self._refusal = None
        version = self._version(connection)
        if version < len(self.migrations) and (version or self.create):
            with _making(connection):
                migrate(connection, self.migrations, self._version(connection))
            version = len(self.migrations)
        if not version:
            raise LedgerError(f"there is no ledger in {self.server}: {ELSEWHERE}")
        if version > len(self.migrations):
            self._refusal = (
                f"the ledger {self.server} has schema {version}, this probe writes "
                f"{len(self.migrations)}: `pip install -U image-api-probe`, or {ELSEWHERE}"
            )
        elif not _writable(connection):
            self._refusal = (
                f"the ledger {self.server} is read-only for this user: have its owner GRANT "
                "SELECT, INSERT, UPDATE, DELETE on its tables (a standby cannot be written at "
                f"all), or {ELSEWHERE}"
            )

    def _version(self, connection: Connection) -> int:
        """0 where no table of a ledger is. Raises LedgerError for another program's tables."""
        there = set(connection.exec_driver_sql(_THERE).scalars())
        if not there:
            return 0
        version = None
        if "probe_ledger" in there:
            try:
                version = version_on_server(connection)
            except ProgrammingError as error:
                if state_of(error) != _UNDEFINED_COLUMN:
                    raise
        if version is None:
            raise LedgerError(
                f"the database {self.server} is another program's, it has a table "
                f"{min(there)!r}; it is left as it is: {ELSEWHERE}"
            )
        return version

    def _roll_back(self, connection: Connection) -> None:
        """An error here must not hide the one that led to it."""
        try:
            connection.exec_driver_sql("ROLLBACK")
        except BaseException as error:
            self._give_up()
            if not isinstance(error, Exception):
                raise

    def _give_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            _end(connection)


@contextmanager
def _making(connection: Connection) -> Iterator[None]:
    connection.exec_driver_sql(_WRITE)
    connection.exec_driver_sql(_SETTINGS)
    try:
        yield
    except BaseException:
        with suppress(Exception):
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _writable(connection: Connection) -> bool:
    rights = ", ".join(
        f"has_table_privilege('{name}', '{right}')"
        for name in TABLES
        if name != "probe_ledger"
        for right in ("INSERT", "UPDATE", "DELETE")
    )
    found = connection.exec_driver_sql(
        f"SELECT NOT current_setting('transaction_read_only')::bool AND "
        f"NOT pg_is_in_recovery() AND (SELECT bool_and(b) FROM unnest(ARRAY[{rights}]) AS t(b))"
    )
    return bool(found.scalar_one())


def _end(connection: Connection) -> None:
    """What cannot be said goodbye to is dropped."""
    with suppress(Exception):
        connection.close()
        return
    with suppress(Exception):
        connection.invalidate()
        connection.close()
