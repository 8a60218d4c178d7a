"""Where pictures and lists lie: what every place can do, and the places on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Protocol

from probe.errors import UsageError
from probe.text import printable

ENDINGS = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif"),
    *(".heic", ".heif"),
)
"""How the names of pictures end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a listing.

    name: as it is listed, without what is secret in a URL. source: what `open_image` opens.
    cells: of the listing's other columns. path: where it lies on this machine, if it does.
    """

    name: str
    source: Any
    cells: tuple[str, ...] = ()
    path: str | None = None


class Place(Protocol):
    """A folder, a list or a picture.

    shown: its name for people, printable and without what is secret. stem: for a file about it.
    ending: of its name, in small letters.
    """

    @property
    def shown(self) -> str: ...

    @property
    def stem(self) -> str: ...

    @property
    def ending(self) -> str: ...

    def is_folder(self) -> bool: ...

    def files(self, endings: tuple[str, ...]) -> Iterator[str]:
        """Of a folder: what lies in it and below, by name, folder by folder. Links to folders and
        hidden files are left out. Raises UsageError."""
        ...

    def inside(self, name: str) -> Place:
        """Of a folder: one of its files."""
        ...

    def open(self, seeking: bool = False) -> IO[bytes]:
        """The file, for reading; seeking: not only from its start to its end. It raises
        UsageError, now and when it is read."""
        ...

    def entry(self, name: str = "") -> Entry:
        """It as a picture, by its full name where none is given."""
        ...

    def named(self, cell: str, cells: tuple[str, ...] = ()) -> Entry:
        """The picture that this list names: by a path beside it, or a URL of its own protocol.
        A list is not trusted to reach anything else."""
        ...


class Here:
    """A place on this machine."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.shown = printable(path, 300)
        self.ending = Path(path).suffix.lower()

    @property
    def stem(self) -> str:
        place = Path(self._path).resolve()
        return place.stem if place.is_file() else place.name

    def is_folder(self) -> bool:
        return os.path.isdir(self._path)

    def files(self, endings: tuple[str, ...]) -> Iterator[str]:
        for folder, folders, files in os.walk(self._path, onerror=_refuse):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                if name.lower().endswith(endings) and not name.startswith("."):
                    yield os.path.relpath(os.path.join(folder, name), self._path)

    def inside(self, name: str) -> Here:
        return Here(os.path.join(self._path, name))

    def open(self, seeking: bool = False) -> IO[bytes]:
        try:
            return open(self._path, "rb")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot read the list {self.shown}: {reason}") from error

    def entry(self, name: str = "") -> Entry:
        return Entry(name or self._path, self._path, path=self._path)

    def named(self, cell: str, cells: tuple[str, ...] = ()) -> Entry:
        target = cell
        if "://" in cell:
            if scheme_of(cell) != "file":
                return foreign(cell, cells, "file")
            target = cell.partition("://")[2]
        path = os.path.join(os.path.dirname(self._path) or ".", target)
        return Entry(bare(cell), path, cells, path)


class Later:
    """A picture whose bytes are fetched when it is opened. name: of the file, for messages.

    fetch: gives them; raises UsageError or ImageError.
    """

    def __init__(self, name: str, fetch: Callable[[], bytes]) -> None:
        self.name = name
        self._fetch = fetch

    def read(self, size: int = -1) -> bytes:
        return self._fetch()


class Held(BytesIO):
    """A picture that is at hand, with a name for messages."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self.name = name


def refused(name: str, why: str, cells: tuple[str, ...] = ()) -> Entry:
    """A picture that is not opened, which is said in its turn."""

    def fetch() -> bytes:
        raise UsageError(why)

    return Entry(name, Later(name, fetch), cells)


def foreign(cell: str, cells: tuple[str, ...], own: str) -> Entry:
    """A picture of another protocol than that of its list."""
    name = bare(cell)
    shown = printable(name, 200)
    why = f"{shown} is not fetched: a list may name files beside it and {own}:// URLs alone"
    return refused(name, why, cells)


def scheme_of(text: str) -> str:
    """The protocol of a URL, or of the first of a chain of them, in small letters; "" of a path."""
    found = re.match(r"\s*([A-Za-z][A-Za-z0-9+.-]*)(?:://|::)", text)
    return found[1].lower() if found and "://" in text else ""


def bare(text: str) -> str:
    """A URL, or several in a chain, without user, password, query and fragment; a path as it is.

    In doubt (an @ behind a colon) more is left out, never less.
    """
    return "::".join(map(_bare, text.split("::"))) if "://" in text else text


def _bare(part: str) -> str:
    scheme, sign, rest = part.partition("://")
    if not sign:
        return part
    rest = re.sub(r"^(?:[^/?#@:]*:.*@|[^/?#]*@)", "", rest, flags=re.DOTALL)
    return f"{scheme}://{re.split('[?#]', rest, maxsplit=1)[0]}"


def _refuse(error: OSError) -> None:
    shown = printable(str(error.filename), 300)
    raise UsageError(f"cannot read the folder {shown}: {error.strerror}") from error
