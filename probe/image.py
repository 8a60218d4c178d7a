"""Open a picture safely, make it upright RGB, scale, encode and decode it.

Nothing else in the package decodes or encodes. What comes out of here is a plain 8-bit RGB
picture without metadata, whatever went in; what had to be converted is said in `Picture.notes`.
"""

from __future__ import annotations

import os
import struct
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from typing import IO, Any
from zlib import Z_RLE

import numpy as np
from PIL import (  # each of these registers its format in Image.OPEN
    AvifImagePlugin,  # noqa: F401
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from probe.convert import Colour, from_array, orientation, plain, to_rgb, upright
from probe.errors import ImageError, UsageError
from probe.scans import check_scans
from probe.source import open_file, open_stdin, seekable
from probe.text import printable
from probe.types import Codec

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
MAX_PIXELS = 50_000_000
MAX_JPEG_SIDE = 65_500

_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
_KNOWN_OTHERS = {
    b"%PDF": "a PDF",
    b"8BPS": "a Photoshop file",
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"SIMPLE": "a FITS file",
    b"\xd7\xcd\xc6\x9a": "a Windows metafile",
    b"<svg": "an SVG drawing",
    b"\x00\x00\x00\x0cJXL": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
}
_warnings_lock = threading.Lock()


@dataclass(frozen=True, eq=False)
class Picture:
    """The user's picture after opening.

    image   upright RGB, 8 bit, without metadata.
    notes   sentences for people: what was converted on the way in.
    name    base name of the file, control characters spelled out; "" where there was none.
    """

    image: Image.Image
    notes: tuple[str, ...] = ()
    name: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the size and the RGB bytes: equal pixels, equal digest."""
        width, height = self.image.size
        digest = sha256(f"RGB {width} {height}\n".encode())
        for top in range(0, height, 256):
            strip = self.image.crop((0, top, width, min(top + 256, height)))
            digest.update(strip.tobytes())
        return digest.hexdigest()


def open_image(
    source: Any,
    *,
    background: Colour = (255, 255, 255),
    frame: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """Open a picture and make it upright RGB, 8 bit.

    source       a path, bytes, a binary file object, a PIL image, "-" (standard input), or an
                 array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16 (high byte
                 taken), bool, or float from 0 to 1.
    background   the colour (R, G, B) that transparent parts are laid on.
    frame        which frame of an animation, or page of a TIFF, counted from 0.
    max_pixels   a picture of more is refused before anything of it is decoded.

    JPEG, PNG, WebP, GIF, TIFF, BMP and AVIF are opened, HEIC with the extra `heif`. The EXIF
    orientation is applied, embedded colour profiles are converted to sRGB, CMYK too.

    Raises UsageError when there is nothing to open (no such file, an array that could mean
    several things), ImageError when what is there is no picture or too large.
    """
    if frame < 0:
        raise UsageError(f"frame {frame}: frames are counted from 0")
    settings = (background, frame, max_pixels)
    if isinstance(source, Image.Image):
        return _finish(_still(source, frame), "the image", background, 0, max_pixels)
    if isinstance(source, np.ndarray) or hasattr(source, "__array__"):
        array = np.asarray(source)
        if array.ndim >= 2:
            _check_size((array.shape[1], array.shape[0]), "the array", max_pixels)
        image = _still(from_array(array), frame)
        return _finish(image, "the array", background, 0, max_pixels)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_file(BytesIO(source), "the picture", "", *settings)
    if isinstance(source, str) and source == "-":
        return _from_file(open_stdin(), "the picture on stdin", "", *settings)
    if hasattr(source, "read"):
        name = getattr(source, "name", "")
        base = os.path.basename(name) if isinstance(name, str) else ""
        return _from_file(seekable(source), base or "the picture", base, *settings)
    if not isinstance(source, (str, os.PathLike)):
        raise UsageError(
            "a picture is a path, bytes, a binary file object, a PIL image or an array, "
            f"not {type(source).__name__}"
        )
    path = os.fsdecode(source)
    with open_file(path) as file:
        return _from_file(seekable(file), path, os.path.basename(path), *settings)


def scaled_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Width and height with the longest side at most `longest` pixels, never enlarged."""
    if longest < 1:
        raise UsageError(f"the longest side must be at least 1 pixel, not {longest}")
    factor = longest / max(size)
    return (
        size if factor >= 1 else (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))
    )


def scale(image: Image.Image, longest: int) -> Image.Image:
    """The picture at `scaled_size`, by one Lanczos resampling; the same object if it fits."""
    size = scaled_size(image.size, longest)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def encode(image: Image.Image, codec: Codec) -> bytes:
    """The RGB picture as a file without metadata: JPEG 4:4:4, or PNG packed for speed."""
    if image.mode != "RGB":
        raise UsageError(f"only RGB pictures are encoded, not {image.mode}")
    if image.info:
        image = plain(image)
    if codec.format == "jpeg":
        if max(image.size) > MAX_JPEG_SIDE:
            raise UsageError(
                f"a JPEG has at most {MAX_JPEG_SIDE:,} pixels a side, not {max(image.size):,}: "
                "send it smaller, or as PNG"
            )
        with _scratch() as file:
            image.save(file, "JPEG", quality=codec.quality, subsampling=0)
            file.seek(0)
            return file.read()
    if codec.format == "png":
        buffer = BytesIO()
        image.save(buffer, "PNG", compress_level=1, compress_type=Z_RLE)
        return buffer.getvalue()
    raise UsageError(f"the codec {codec.format!r} sends pixels as they are: nothing to encode")


def _scratch() -> IO[bytes]:
    """A file in memory. Where the system knows it as a file, Pillow's JPEG encoder lets other
    threads run meanwhile."""
    try:
        return os.fdopen(os.memfd_create("probe"), "w+b")
    except (AttributeError, OSError):
        return BytesIO()


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """A received picture as upright RGB, under the same bounds as `open_image`."""
    return open_image(data, max_pixels=max_pixels).image


def _still(image: Image.Image, frame: int) -> Image.Image:
    if frame:
        raise UsageError(f"frame {frame} can be chosen from a file only: seek the image yourself")
    return image


def _from_file(
    file: IO[bytes], what: str, name: str, background: Colour, frame: int, max_pixels: int
) -> Picture:
    what = printable(what, 300)
    with _warnings_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = _header(file, what)
        picture = _finish(image, what, background, frame, max_pixels, printable(name))
    remarks = dict.fromkeys(f"Pillow: {printable(str(w.message), 200)}" for w in caught)
    return replace(picture, notes=(*picture.notes, *remarks))


def _header(file: IO[bytes], what: str) -> Image.Image:
    """Find the format and read the header, as Image.open does, for the listed formats alone.

    Image.open itself would warn of, or refuse, large pictures by a bound of its own.
    """
    head = file.read(64)
    if not head:
        raise ImageError(f"{what} is empty")
    if head[4:8] == b"ftyp" and _HEIC_BRANDS & {head[i : i + 4] for i in range(8, len(head), 4)}:
        openers: list[Any] = [_heif(what)]
    else:
        entries = [Image.OPEN[name] for name in FORMATS if name in Image.OPEN]
        openers = [opener for opener, accepts in entries if not accepts or accepts(head) is True]
    if head.startswith(b"\xff\xd8"):
        check_scans(file, what)
    for opener in openers:
        file.seek(0)
        try:
            return opener(file, "")  # type: ignore[no-any-return]
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
        except Exception as error:  # a parser fed with anything may raise anything
            raise ImageError(f"{what} cannot be read: {printable(str(error), 200)}") from error
    if openers:
        raise ImageError(f"{what} is damaged or cut short: its header cannot be read")
    kind = next((kind for magic, kind in _KNOWN_OTHERS.items() if head.startswith(magic)), "")
    if not kind and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        kind = "text"
    found = f"it holds {kind}. " if kind else ""
    raise ImageError(
        f"{what} is not a picture that can be opened: {found}"
        "JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF and HEIC are"
    )


def _heif(what: str) -> Any:
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise ImageError(
            f"{what} is HEIC; to open it: pip install 'image-api-probe[heif]'"
        ) from None
    return HeifImageFile


def _check_size(size: Sequence[int], what: str, max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"{what} has no pixels ({width} x {height})")
    if width * height > max_pixels:
        raise ImageError(
            f"{what} has {width:,} x {height:,} pixels, more than the {max_pixels:,} that are "
            "opened: make it smaller first"
        )


def _finish(
    image: Image.Image, what: str, background: Colour, frame: int, max_pixels: int, name: str = ""
) -> Picture:
    """Decode, turn upright, convert to RGB and drop everything but the pixels."""
    notes: list[str] = []
    _check_size(image.size, what, max_pixels)
    try:
        _seek(image, what, frame, notes)
        image.load()
        rgb = upright(to_rgb(image, background, notes), orientation(image), notes)
        return Picture(plain(rgb), tuple(notes), name)
    except ImageError as error:
        raise ImageError(f"{what}: {error}") from None
    except UsageError:
        raise
    except Exception as error:  # a decoder fed with anything may raise anything
        reason = printable(str(error), 200) or type(error).__name__
        raise ImageError(f"{what} is damaged or cut short: {reason}") from error


def _seek(image: Image.Image, what: str, frame: int, notes: list[str]) -> None:
    if frame:
        frames = getattr(image, "n_frames", 1)
        if frame >= frames:
            raise UsageError(f"{what} has {frames} frame(s), counted from 0: no frame {frame}")
        image.seek(frame)
    if getattr(image, "is_animated", False) and image.format != "MPO":
        notes.append(f"Only frame {image.tell()} of several was used.")
