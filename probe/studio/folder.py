"""What the studio keeps, beside the ledger: a folder a run, and the pictures just uploaded.

LEDGER.studio/
  runs/ID/    picture        its bytes as they were uploaded
              request.json   what was asked; never a key
              thumb.webp
              ended.json     how it ended and what it cost; absent while it runs
              map.npy ...    what `Result.save` writes, of a run that has got that far
  uploads/    emptied by the next start
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from secrets import token_hex
from typing import Any

from probe.errors import OutputError, UsageError
from probe.image import Picture, open_image
from probe.result import Result
from probe.show import holding
from probe.show.files import write_file, write_json
from probe.studio.pictures import Missing, Named
from probe.text import printable

SCHEMA = 1
MAX_RECORD = 2**20
ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")


class RunFolder:
    """One run's. Every read of it raises UsageError where it is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    @property
    def saved(self) -> bool:
        """A map of it is there."""
        return (self.path / "run.json").exists()

    @property
    def saved_at(self) -> int:
        """When, in ns; 0 where nothing is saved."""
        return (self.path / "run.json").stat().st_mtime_ns if self.saved else 0

    @property
    def request(self) -> dict[str, Any]:
        found = self._read("request.json")
        if found is None:
            raise UsageError(f"the run {self.id} is damaged: there is no request.json in it")
        return found

    @property
    def ended(self) -> dict[str, Any] | None:
        """How it ended; None while it runs, and where it was cut off."""
        return self._read("ended.json")

    def write(self, name: str, data: bytes) -> None:
        """Raises OutputError."""
        write_file(self.path / name, lambda file: file.write(data))

    def write_json(self, name: str, record: Mapping[str, Any]) -> None:
        """Raises OutputError."""
        write_json(self.path / name, {"schema": SCHEMA, **record}, indent=1)

    def reopen(self) -> None:
        """It runs again; what was saved before stays until there is more."""
        (self.path / "ended.json").unlink(missing_ok=True)

    def delete(self) -> None:
        """Raises OutputError where the disk refuses."""
        try:
            shutil.rmtree(self.path)
        except OSError as error:
            raise OutputError(f"cannot delete the run {self.id}: {error.strerror}") from error

    def picture(self) -> Picture:
        """As uploaded, under the name that it came with."""
        return open_image(Named(self._bytes("picture"), str(self.request["name"])))

    def result(self) -> Result:
        """Raises UsageError where none is saved yet."""
        return Result.load(self.path, self.picture().image)

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise UsageError(
                f"the run {self.id} is damaged: its {name} cannot be read "
                f"({error.strerror or error})"
            ) from error

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        try:
            if path.stat().st_size > MAX_RECORD:
                raise ValueError("too large")
            record = json.loads(path.read_text("utf-8"))
            if record["schema"] != SCHEMA:
                raise ValueError("of another version")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UsageError(f"the run {self.id} is damaged: its {name} cannot be read") from error
        return dict(record)


class Folder:
    """That of a studio, which holds its lock: `held`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / "runs"
        self.uploads = path / "uploads"

    def doorway(self, url: str) -> Path:
        """A file that leads there, for this user alone: who else is on the machine can read what
        a browser is started with."""
        path = self.path / "open.html"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(
            f'<!doctype html><meta http-equiv="refresh" content="0;url={escape(url)}">', "utf-8"
        )
        return path

    def run(self, id: str) -> RunFolder:
        """By its ID, which may be anything; raises Missing where there is none."""
        if not ID.fullmatch(id) or not (self.runs / id).is_dir():
            raise Missing(id)
        return RunFolder(self.runs / id)

    def all(self) -> list[RunFolder]:
        """The newest first."""
        if not self.runs.is_dir():
            return []
        names = sorted((path.name for path in self.runs.iterdir()), reverse=True)
        return [RunFolder(self.runs / name) for name in names if ID.fullmatch(name)]

    def new_run(self, request: Mapping[str, Any], picture: bytes, thumb: bytes) -> RunFolder:
        """Written whole or not at all. Raises OutputError."""
        now = datetime.now(UTC)
        run = RunFolder(self.runs / f"{now:%Y%m%d-%H%M%S}-{token_hex(4)}")
        try:
            run.write("picture", picture)
            run.write("thumb.webp", thumb)
            run.write_json("request.json", {**request, "made": now.isoformat(timespec="seconds")})
        except OutputError:
            shutil.rmtree(run.path, ignore_errors=True)
            raise
        return run


@contextmanager
def held(ledger: Path) -> Iterator[Folder]:
    """The studio's folder beside a ledger, held against other studios.

    Raises OutputError where another one has it, or it cannot be written.
    """
    path = ledger.with_name(f"{ledger.name}.studio")
    shown = printable(str(ledger), 300)

    def taken(number: str) -> str:
        return (
            f"another studio{number} has the ledger {shown}: use its page, or choose another "
            "--ledger"
        )

    folder = Folder(path)
    with _writable(path):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    with holding.held(path, taken):
        with _writable(path):
            folder.runs.mkdir(exist_ok=True)
            shutil.rmtree(folder.uploads, ignore_errors=True)
            folder.uploads.mkdir(exist_ok=True)
        yield folder


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write into {printable(str(path), 300)}: {error.strerror or error}"
        ) from error
