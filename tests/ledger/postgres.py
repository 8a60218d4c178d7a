"""A PostgreSQL server of the tests' own: a new one in a temporary folder, on a loopback port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SAY = "no PostgreSQL server programs: apt-get install postgresql"
SETTINGS = "-c fsync=off -c unix_socket_directories='' -c listen_addresses=127.0.0.1"
"""A server that is killed keeps what it gave to the system, fsync or not; recovery is faster."""


def binaries() -> Path | None:
    """The folder of the newest installed version's programs."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    newest = max(found, key=lambda path: float(path.parts[-3]), default=None)
    there = newest or shutil.which("initdb")
    return Path(there).parent if there else None


class Cluster:
    """user `owner` with the password `PASSWORD`; every test may make databases of its own."""

    PASSWORD = "s3cret%/@word"

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        self._as = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self._as:
            shutil.chown(folder, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        secret = folder / "secret"
        secret.write_text(self.PASSWORD)
        secret.chmod(0o644)
        self.data = folder / "data"
        self._run(
            "initdb", "-U", "owner", "--pwfile", secret, "-A", "scram-sha-256", "-E", "UTF8", "-N"
        )
        self.start()

    def start(self) -> None:
        options = f"{SETTINGS} -p {self.port}"
        self._run("pg_ctl", "-w", "-t", "180", "-l", self.folder / "log", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-m", mode, "stop")

    def url(self, name: str, user: str = "owner", password: str = PASSWORD) -> str:
        from urllib.parse import quote

        return f"postgresql://{user}:{quote(password, '')}@127.0.0.1:{self.port}/{name}"

    def sql(self, statement: str, name: str = "postgres") -> list[tuple]:
        import psycopg

        with psycopg.connect(self.url(name), autocommit=True) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def _run(self, program: str, *words: object) -> None:
        command = [*self._as, self.programs / program, "-D", self.data, *words]
        subprocess.run(
            list(map(str, command)),
            check=True,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Skips where there are no programs, unless PROBE_ALL_INSTALLED is set: then it fails."""
    programs = binaries()
    if programs is None:
        if os.environ.get("PROBE_ALL_INSTALLED"):
            pytest.fail(SAY)
        pytest.skip(SAY)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        started = Cluster(programs, Path(folder))
        try:
            yield started
        finally:
            started.stop()
