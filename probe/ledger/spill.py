"""Answers that could not be stored wait in a file of their own, as lines of JSON."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from glob import escape
from hashlib import sha256
from pathlib import Path

from probe.ledger import rows
from probe.ledger.opening import Store
from probe.ledger.record import Record, from_line, to_line


def spill(path: Path, records: Sequence[Record]) -> Path | None:
    """Write them next to the ledger, else to the temp folder; None when neither takes them."""
    for folder, prefix in _places(path):
        with suppress(OSError):
            handle, draft = tempfile.mkstemp(".part", prefix, folder)
            try:
                with open(handle, "w", encoding="utf-8") as file:
                    file.writelines(f"{to_line(record)}\n" for record in records)
                    file.flush()
                    os.fsync(file.fileno())
                return Path(draft).rename(Path(draft).with_suffix(".jsonl"))
            except OSError:
                os.unlink(draft)
    return None


def take_up(database: Store) -> None:
    """Store what was spilled for this ledger and remove the files."""
    if database.path is None:
        return
    with database.reading():
        pass
    for file in list(_waiting(database.path)):
        records = []
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
                records.append(from_line(line))
        with database.writing() as connection:
            rows.put(connection, records, {})
        file.unlink(missing_ok=True)


def _waiting(path: Path) -> Iterator[Path]:
    """Spilled files that this user wrote: the temp folder is open to all."""
    for folder, prefix in _places(path):
        for file in sorted(folder.glob(f"{escape(prefix)}*.jsonl")):
            found = file.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_uid == _owner(path):
                yield file


def _owner(path: Path) -> int:
    """A server's ledger has no file: it is this user's."""
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return os.getuid() if hasattr(os, "getuid") else 0


def _places(path: Path) -> list[tuple[Path, str]]:
    """Folder and beginning of the name of what is spilled for a ledger."""
    places = [(path.parent, f".{path.name}.unsaved-")]
    with suppress(OSError):  # no usable temp folder
        mark = sha256(os.fsencode(path)).hexdigest()[:16]
        places.append((Path(tempfile.gettempdir()), f"probe-{mark}-unsaved-"))
    return places
