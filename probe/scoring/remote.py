"""Places that are URLs: whatever fsspec reaches, such as s3://bucket/folder or zip://::a.zip.

Any library may be behind a URL and raise anything: it becomes an error in one line, in which
nothing is said that may be secret.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from io import BufferedReader, RawIOBase
from pathlib import Path
from types import ModuleType
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from probe.api.addresses import check_host
from probe.errors import ImageError, MissingExtra, ProbeError, UsageError
from probe.scoring.places import ENDINGS, Entry, Later, bare, foreign, refused, scheme_of
from probe.source import MAX_BYTES
from probe.text import printable

MAX_DEPTH = 32
"""Folders within folders."""
WEB = ("http", "https")


@dataclass(frozen=True)
class There:
    """A place that fsspec reaches. url: as the user gave it, secrets and all. path: on `disk`,
    fsspec's file system. below: its name, seen from that URL."""

    url: str
    disk: Any
    path: str
    below: str = ""

    @classmethod
    def at(cls, url: str) -> There:
        """Raises UsageError, MissingExtra without fsspec."""
        fsspec = _library()
        if scheme_of(url) not in fsspec.available_protocols():
            raise UsageError(f"{_shown(url)}: there is no protocol {scheme_of(url)}://")
        with _said(f"cannot reach {_shown(url)}", url):
            files, path = fsspec.core.url_to_fs(url)
        return cls(url, files, path)

    @property
    def shown(self) -> str:
        return _shown(self.url) + (f"/{printable(self.below, 300)}" if self.below else "")

    @property
    def scheme(self) -> str:
        return scheme_of(self.url)

    @property
    def ending(self) -> str:
        return Path(self.below or self._parts()[0]).suffix.lower()

    @property
    def stem(self) -> str:
        for number, part in enumerate(self._parts()):
            name = part.rstrip("/").rpartition("/")[2]
            if name:
                whole = not number and self.is_folder()
                return printable(name if whole else Path(name).stem)[:100]
        return "pictures"

    def _parts(self) -> list[str]:
        """The paths of the URL's chain."""
        parts = bare(self.url).split("::")
        return [part.partition("://")[2] if "://" in part else part for part in parts]

    def is_folder(self) -> bool:
        if self.ending in (*ENDINGS, ".csv"):
            return False
        if self.scheme in WEB:
            return self.path.endswith("/")
        with _said(f"cannot read {self.shown}", self.url):
            return bool(self.disk.isdir(self.path))

    def files(self, endings: tuple[str, ...]) -> Iterator[str]:
        return self._below(self.path, "", endings, 0)

    def _below(self, path: str, above: str, endings: tuple[str, ...], depth: int) -> Iterator[str]:
        if depth > MAX_DEPTH:
            raise UsageError(f"{self.shown} has folders more than {MAX_DEPTH} deep: name one below")
        with _said(f"cannot read the folder {self.shown}", self.url):
            found = sorted(
                (_last(one["name"]), one["name"], one.get("type") == "directory")
                for one in self.disk.ls(path, detail=True)
                if one["name"].strip("/") != path.strip("/")
            )
        seen = [one for one in found if one[0] and not one[0].startswith(".")]
        for name, _, is_folder in seen:
            if not is_folder and name.lower().endswith(endings):
                yield f"{above}{name}"
        for name, full, is_folder in seen:
            if is_folder:
                yield from self._below(full, f"{above}{name}/", endings, depth + 1)

    def inside(self, name: str) -> There:
        top = re.split("[?#]", self.path, maxsplit=1)[0] if self.scheme in WEB else self.path
        return replace(self, path=f"{top.rstrip('/')}/{name}" if top else name, below=name)

    def open(self, seeking: bool = False) -> IO[bytes]:
        return self._open(self.path, self.shown, self.url, seeking)

    def entry(self, name: str = "") -> Entry:
        return self._entry(name or bare(self.url), self.path, self.url, ())

    def named(self, cell: str, cells: tuple[str, ...] = ()) -> Entry:
        text, name = cell.strip() if "://" in cell else cell, bare(cell)
        if "://" in text and scheme_of(text) != self.scheme:
            return foreign(cell, cells, self.scheme)
        try:
            with _said(f"{printable(name, 200)} is no name of a picture", self.url, text):
                target = self._target(text)
        except UsageError as error:
            return refused(name, str(error), cells)
        if self.scheme in WEB:
            name = bare(target) if "//" in text else re.split("[?#]", name, maxsplit=1)[0]
        return self._entry(name, target, text, cells)

    def _target(self, text: str) -> str:
        """What the file system calls the picture. Raises UsageError for what must not be read."""
        if self.scheme in WEB:
            target = urljoin(self.path, text)
            host = urlsplit(target).hostname or ""
            if scheme_of(target) != self.scheme:
                raise UsageError("it has another protocol than its list")
            check_host(host, trusted=host == urlsplit(self.path).hostname)
            return target
        if "://" in text:
            return str(self.disk._strip_protocol(text))
        joined = posixpath.join(posixpath.dirname(self.path), text)
        return posixpath.normpath(joined) if "./" in text else joined

    def _entry(self, name: str, path: str, url: str, cells: tuple[str, ...]) -> Entry:
        return Entry(
            name, Later(name, partial(self._fetch, path, printable(name, 300), url)), cells
        )

    def _fetch(self, path: str, shown: str, url: str) -> bytes:
        """The bytes of a picture, not more than are opened of one on this machine."""
        with self._open(path, shown, url) as file:
            claimed = getattr(file.raw, "size", None)
            data = b"" if claimed and claimed > MAX_BYTES else file.read(MAX_BYTES + 1)
        if (claimed or 0) > MAX_BYTES or len(data) > MAX_BYTES:
            raise ImageError(f"{shown} has more than the {MAX_BYTES >> 20} MB opened")
        return data

    def _open(self, path: str, shown: str, url: str, seeking: bool = False) -> BufferedReader:
        how = {"block_size": 0} if self.scheme in WEB and not seeking else {}
        with _said(f"cannot read {shown}", self.url, url):
            file = self.disk.open(path, "rb", **how)
        return BufferedReader(_Guarded(file, shown, (self.url, url)), 1 << 20)


class _Guarded(RawIOBase):
    """A file of some library, whose errors are said. size: what it claims to have, or None."""

    def __init__(self, file: Any, shown: str, urls: tuple[str, ...]) -> None:
        size = getattr(file, "size", None)
        self.size = size if isinstance(size, int) else None
        self._file, self._what, self._urls = file, f"cannot read {shown}", urls

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def readinto(self, buffer: Any) -> int:
        with _said(self._what, *self._urls):
            data = self._file.read(len(buffer))
            buffer[: len(data)] = data
            return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        with _said(self._what, *self._urls):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            super().close()
            with _said(self._what, *self._urls):
                self._file.close()


@contextmanager
def _said(what: str, *urls: str) -> Iterator[None]:
    """Whatever is raised becomes a UsageError; the URLs are those that may hold secrets."""
    try:
        yield
    except ProbeError:
        raise
    except Exception as error:  # any library may be behind a URL
        raise UsageError(f"{what}: {_reason(error, urls)}") from None


def _reason(error: Exception, urls: tuple[str, ...]) -> str:
    """What an error says; only its kind where it might repeat what is secret."""
    for kind, reason in (
        (FileNotFoundError, "there is no such file"),
        (IsADirectoryError, "it is a folder"),
        (PermissionError, "access is denied"),
        (TimeoutError, "it took too long"),
    ):
        if isinstance(error, kind):
            return reason
    said = " ".join(str(error).split())
    hidden = any(bare(url) != url for url in urls)
    if not said or (hidden and not isinstance(error, ImportError)):
        return type(error).__name__
    return printable(re.sub(r"\S+://\S+", lambda found: bare(found[0]), said), 200)


def _library() -> ModuleType:
    try:
        import fsspec
        import fsspec.core
    except ImportError:
        raise MissingExtra("fsspec (to read what a URL names)", "data") from None
    return fsspec  # type: ignore[no-any-return]


def _shown(url: str) -> str:
    return printable(bare(url), 300)


def _last(path: str) -> str:
    return bare(path).rstrip("/").rpartition("/")[2]
