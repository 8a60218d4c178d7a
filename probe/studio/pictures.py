"""Pictures that came over the wire, and those that are shown on the page."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from probe.image import Picture, open_image
from probe.report.packing import small, webp
from probe.show.files import write_file
from probe.text import printable

MAX_BYTES = 50 * 2**20
KEPT = 12
"""So many uploads at most wait for a run; the oldest is forgotten first."""
THUMB = 240
SHOWN = 1024
QUALITY = 80


class Missing(LookupError):
    """What is asked for is not there, or not any more."""


class Named(BytesIO):
    """Bytes of a file that had this name."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name.replace("\\", "/").rsplit("/", 1)[-1][:200]


@dataclass(frozen=True)
class Upload:
    """A picture that waits for a run. name: printable. path: its bytes."""

    id: str
    name: str
    path: Path
    size: tuple[int, int]
    digest: str
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """For the page."""
        notes = [printable(note, 300) for note in self.notes]
        return {
            "id": self.id,
            "name": printable(self.name, 120),
            "size": list(self.size),
            "notes": notes,
        }

    def open(self) -> Picture:
        """Raises Missing where its file was taken away."""
        try:
            return open_image(Named(self.path.read_bytes(), self.name))
        except FileNotFoundError as error:
            raise Missing(self.id) from error


class Uploads:
    """The pictures that wait, by the digest of their bytes and name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: OrderedDict[str, Upload] = OrderedDict()
        self._opened: tuple[str, Picture] | None = None
        self._lock = Lock()

    def add(self, data: bytes, name: str) -> Upload:
        """Raises ImageError for what is no picture, OutputError when the disk refuses."""
        picture = open_image(Named(data, name))
        id = sha256(sha256(data).digest() + name.encode("utf-8", "replace")).hexdigest()[:32]
        path = self._folder / id
        write_file(path, lambda file: file.write(data))
        shown = picture.name or "picture"
        upload = Upload(id, shown, path, picture.image.size, picture.digest, picture.notes)
        with self._lock:
            self._known[id] = upload
            self._known.move_to_end(id)
            self._opened = id, picture
            while len(self._known) > KEPT:
                _, oldest = self._known.popitem(last=False)
                oldest.path.unlink(missing_ok=True)
        return upload

    def get(self, id: str) -> tuple[Upload, Picture]:
        """Raises Missing. The picture used last is kept open."""
        with self._lock:
            if id not in self._known:
                raise Missing(id)
            upload, opened = self._known[id], self._opened
        if opened is not None and opened[0] == id:
            return upload, opened[1]
        picture = upload.open()
        with self._lock:
            self._opened = id, picture
        return upload, picture


def shown(image: Image.Image, side: int = SHOWN) -> bytes:
    """As WebP for the page."""
    return webp(small(image, side), QUALITY)
