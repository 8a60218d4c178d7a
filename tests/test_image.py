import io
import os
import struct
import subprocess
import sys
import textwrap
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from probe.errors import ImageError, UsageError
from probe.image import MAX_PIXELS, Picture, decode, encode, open_image, scale
from probe.types import Codec

T = Image.Transpose
STORED_AS = {  # how the sensor wrote an upright picture that carries this EXIF orientation
    1: None,
    2: T.FLIP_LEFT_RIGHT,
    3: T.ROTATE_180,
    4: T.FLIP_TOP_BOTTOM,
    5: T.TRANSPOSE,
    6: T.ROTATE_90,
    7: T.TRANSVERSE,
    8: T.ROTATE_270,
}


def picture(width: int = 24, height: int = 16) -> Image.Image:
    """Smooth, and different under every turn and mirror."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = x * 255 // max(1, width - 1), y * 255 // max(1, height - 1)
    return Image.fromarray(np.dstack([red, green, (red + green) // 2]).astype(np.uint8))


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def pixels(opened: Picture) -> np.ndarray:
    return np.asarray(opened.image).astype(int)


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *chunks: bytes) -> bytes:
    """A PNG by hand; `rows` is the compressed body."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    extra = b"".join(chunk(body[:4], body[4:]) for body in chunks)
    signature = b"\x89PNG\r\n\x1a\n"
    parts = [signature, chunk(b"IHDR", header), extra, chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"".join(parts)


def bomb(side: int = 20_000) -> bytes:
    """A small file that promises side x side pixels, really packed, one bit each."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    body = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return png(side, side, 1, 0, body)


# --- formats -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG", {"quality": 95, "subsampling": 0}, 16),
        ("AVIF", {"quality": 95}, 24),
    ],
)
def test_each_listed_format_gives_the_pixels_that_were_saved(format, options, tolerance):
    opened = open_image(saved(picture(), format, **options))
    assert opened.image.mode == "RGB"
    assert opened.notes == ()
    assert np.abs(pixels(opened) - np.asarray(picture()).astype(int)).max() <= tolerance


def test_heic_opens_with_the_extra():
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture(64, 64)).save(buffer, quality=90)
    opened = open_image(buffer.getvalue())
    assert opened.image.size == (64, 64)
    assert np.abs(pixels(opened) - np.asarray(picture(64, 64)).astype(int)).mean() < 12


def test_heic_without_the_extra_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    head = struct.pack(">I", 24) + b"ftypmif1" + bytes(4) + b"mif1heic"
    with pytest.raises(ImageError, match=r"pip install 'image-api-probe\[heif\]'"):
        open_image(head + bytes(100))


@pytest.mark.parametrize(
    "head", [b"%PDF-1.7", b"%!PS-Adobe-3.0 EPSF", b"8BPS\0\1", b"SIMPLE  =", b"\xd7\xcd\xc6\x9a"]
)
def test_formats_off_the_list_are_refused_by_name(head):
    with pytest.raises(ImageError, match="is not a picture that can be opened: it holds"):
        open_image(head + bytes(500))


def test_formats_off_the_list_are_refused_even_when_pillow_could_read_them():
    for format in ("PPM", "ICO", "TGA", "PCX", "EPS"):
        with pytest.raises(ImageError, match="not a picture that can be opened"):
            open_image(saved(picture(), format))


def test_all_sources_of_one_picture_have_one_digest(tmp_path, monkeypatch):
    data = saved(picture(), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    behind = io.BytesIO(data)
    behind.seek(0, io.SEEK_END)

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.inner = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, into) -> int:
            return self.inner.readinto(into)

    with path.open("rb") as file:
        sources = [
            str(path),
            path,
            data,
            bytearray(data),
            memoryview(data),
            behind,
            file,
            Pipe(),
            picture(),
            np.asarray(picture()),
            "-",
        ]
        digests = {open_image(source).digest for source in sources}
    assert len(digests) == 1
    assert open_image(path).name == "a.png"
    assert open_image(data).name == ""


def test_the_digest_knows_the_shape_and_every_pixel():
    grey = Image.new("RGB", (4, 6))
    assert open_image(grey).digest != open_image(Image.new("RGB", (6, 4))).digest
    for at in ((0, 0), (3, 5)):
        changed = grey.copy()
        changed.putpixel(at, (0, 0, 1))
        assert open_image(changed).digest != open_image(grey).digest
    tall = Image.new("RGB", (1, 700))
    changed = tall.copy()
    changed.putpixel((0, 699), (1, 0, 0))
    assert open_image(changed).digest != open_image(tall).digest


def test_extreme_shapes_open():
    for size in ((1, 1), (2, 3), (1, 5000), (5000, 1)):
        assert open_image(saved(picture(*size), "PNG")).image.size == size


# --- what is no picture --------------------------------------------------------------------


def test_a_missing_file_a_directory_and_no_permission_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match=r"cannot open the picture .*absent.jpg: No such file"):
        open_image(tmp_path / "absent.jpg")
    with pytest.raises(UsageError, match="Is a directory"):
        open_image(tmp_path)
    with pytest.raises(UsageError, match="null"):
        open_image("a\0b.jpg")
    with pytest.raises(UsageError, match="File name too long"):
        open_image("x" * 5000)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_a_usage_error(tmp_path):
    path = tmp_path / "locked.jpg"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(UsageError, match="Permission denied"):
        open_image(path)


def test_an_unreadable_file_is_a_usage_error(monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(UsageError, match=r"locked.jpg: Permission denied"):
        open_image("locked.jpg")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>" * 3, "it holds text"),
        (b"just some words, no picture at all\n" * 9, "it holds text"),
        (bytes(300), "not a picture that can be opened"),
        (b"\xff\xd8\xff", "damaged or cut short"),
        (b"\x89PNG\r\n\x1a\n", "damaged or cut short"),
    ],
)
def test_what_is_no_picture_is_an_image_error_that_names_the_file(tmp_path, content, message):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"photo\.jpg.*{message}"):
        open_image(path)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "GIF"])
def test_truncated_files_are_refused_not_filled_with_grey(format):
    data = saved(picture(200, 200), format)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    with pytest.raises(ImageError):
        open_image(data[: len(data) // 2])


def test_a_bomb_is_refused_by_its_header_with_size_and_bound():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match=r"20,000 x 20,000 pixels, more than the 50,000,000"):
            open_image(bomb())
        with pytest.raises(ImageError, match="10,000 x 10,000"):  # Pillow only warns of this one
            open_image(png(10_000, 10_000, 1, 0, b""))


def test_a_bomb_costs_no_memory(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb())
    assert path.stat().st_size < 60_000
    webp = tmp_path / "bomb.webp"
    webp.write_bytes(animated_webp(12_000, 12_000))
    script = """
        import resource, sys
        from probe.errors import ImageError
        from probe.image import open_image
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path in sys.argv[1:]:
            try:
                open_image(path)
            except ImageError as error:
                assert "more than the 50,000,000" in str(error), error
            else:
                raise SystemExit("opened")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), path, webp],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 20_000  # kB


def animated_webp(width: int, height: int) -> bytes:
    """A WebP animation whose canvas is width x height and whose only frame is 1 x 1."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    def three(number: int) -> bytes:
        return struct.pack("<I", number)[:3]

    frame = saved(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    head = chunk(b"VP8X", bytes([2, 0, 0, 0]) + three(width - 1) + three(height - 1))
    place = three(0) * 2 + three(0) * 2 + three(100) + b"\0"
    body = b"WEBP" + head + chunk(b"ANIM", bytes(6)) + chunk(b"ANMF", place + frame)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_the_bound_holds_for_pil_images_and_arrays_and_can_be_moved():
    with pytest.raises(ImageError, match="more than the 10"):
        open_image(Image.new("RGB", (4, 3)), max_pixels=10)
    with pytest.raises(ImageError, match="more than the 10"):
        open_image(np.zeros((4, 3), np.uint8), max_pixels=10)
    assert open_image(Image.new("RGB", (4, 3)), max_pixels=12).image.size == (4, 3)
    assert MAX_PIXELS == 50_000_000


@pytest.mark.parametrize("stdin", [b"", None])
def test_nothing_on_stdin_is_a_usage_error(monkeypatch, stdin):
    stream = None if stdin is None else io.TextIOWrapper(io.BytesIO(stdin))
    monkeypatch.setattr("sys.stdin", stream)
    with pytest.raises(UsageError, match=r"stdin.*name a file"):
        open_image("-")


def test_a_terminal_on_stdin_is_a_usage_error(monkeypatch):
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(io.BytesIO(b"typed")))
    with pytest.raises(UsageError, match=r"stdin.*name a file"):
        open_image("-")


def test_a_file_opened_as_text_is_a_usage_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("x")
    with path.open() as file, pytest.raises(UsageError, match="binary mode"):
        open_image(file)


def test_other_objects_are_usage_errors():
    for source in (None, 5, [[1, 2], [3, 4]]):
        with pytest.raises(UsageError, match="a picture is a path"):
            open_image(source)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\nb.png", r"a\nb.png"), ("\x1b[31m.png", r"\x1b[31m.png"), ("-x.png", "-x.png")],
)
def test_strange_names_work_and_are_printed_escaped(tmp_path, name, shown):
    (tmp_path / name).write_bytes(saved(picture(), "PNG"))
    assert open_image(tmp_path / name).name == shown
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        open_image(tmp_path / name)
    assert shown in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_names_that_are_not_utf_8_work(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    try:
        Path(os.fsdecode(path)).write_bytes(saved(picture(), "PNG"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    opened = open_image(os.fsdecode(path))
    assert opened.name == r"caf\udce9.png"
    opened.name.encode("utf-8")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_damaged_files_never_crash(format, data):
    whole = bytearray(saved(picture(9, 7), format))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(whole)))
    try:
        mode = open_image(bytes(whole[:end]), max_pixels=100_000).image.mode
    except ImageError:
        mode = "RGB"
    assert mode == "RGB"


# --- conversions ---------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_exif_orientation_is_applied_once(format, orientation):
    upright = picture(24, 16)
    turn = STORED_AS[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    if format == "JPEG":
        options = {"quality": 95, "subsampling": 0}
    opened = open_image(saved(stored, format, exif=exif.tobytes(), **options))
    assert opened.image.size == (24, 16)
    off = np.abs(pixels(opened) - np.asarray(upright).astype(int)).max()
    assert off <= (16 if format == "JPEG" else 0)
    again = open_image(opened.image)
    assert again.digest == opened.digest


def test_orientation_of_a_pil_image_is_applied_and_the_image_left_alone():
    exif = Image.Exif()
    exif[0x0112] = 6
    given_image = Image.open(io.BytesIO(saved(picture(24, 16), "PNG", exif=exif.tobytes())))
    opened = open_image(given_image)
    assert opened.image.size == (16, 24)
    assert given_image.size == (24, 16)
    assert given_image.getexif()[0x0112] == 6


def test_broken_exif_is_no_reason_to_refuse_a_picture():
    data = saved(picture(), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff nonsense")
    assert np.array_equal(pixels(open_image(data)), np.asarray(picture()))


def test_sixteen_bits_are_scaled_not_clipped():
    levels = np.array([[0, 255, 256, 16_384, 65_535]], np.uint16)
    for format in ("PNG", "TIFF"):
        opened = open_image(saved(Image.fromarray(levels), format))
        assert pixels(opened)[0, :, 0].tolist() == [0, 0, 1, 64, 255]
        assert any("16 bits" in note for note in opened.notes)


def test_sixteen_bit_colour_and_transparency_are_scaled():
    row = b"\0" + struct.pack(">6H", 16_384, 0, 65_535, 256, 65_280, 128)
    opened = open_image(png(2, 1, 16, 2, zlib.compress(row)))
    assert pixels(opened).tolist() == [[[64, 0, 255], [1, 255, 0]]]
    row = b"\0" + struct.pack(">3H", 16_384, 16_385, 500)
    data = png(3, 1, 16, 0, zlib.compress(row), b"tRNS" + struct.pack(">H", 16_385))
    opened = open_image(data, background=(9, 8, 7))
    assert pixels(opened).tolist() == [[[64] * 3, [9, 8, 7], [1] * 3]]


def test_thirty_two_bit_levels_beyond_sixteen_are_refused():
    levels = np.array([[70_000, 1]], np.int32)
    with pytest.raises(ImageError, match="do not fit 16 bits"):
        open_image(saved(Image.fromarray(levels), "TIFF"))
    opened = open_image(saved(Image.fromarray(levels // 2), "TIFF"))
    assert pixels(opened)[0, :, 0].tolist() == [35_000 >> 8, 0]


def test_floating_point_pictures_go_from_zero_to_one():
    levels = np.array([[0.0, 0.5, 1.0]], np.float32)
    opened = open_image(saved(Image.fromarray(levels), "TIFF"))
    assert pixels(opened)[0, :, 0].tolist() == [0, 128, 255]
    for bad in (np.nan, np.inf, 2.0):
        levels[0, 1] = bad
        with pytest.raises(ImageError, match=r"NaN or infinite|from 0 to 1"):
            open_image(Image.fromarray(levels))


def test_hidden_colours_under_alpha_stay_hidden():
    secret = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    secret.putpixel((1, 0), (200, 100, 0, 128))
    opened = open_image(saved(secret, "PNG"))
    assert pixels(opened)[0, 0].tolist() == [255, 255, 255]
    assert np.abs(pixels(opened)[0, 1] - [227, 177, 127]).max() <= 1
    assert any("#ffffff" in note for note in opened.notes)
    dark = open_image(saved(secret, "WEBP", lossless=True, exact=True), background=(0, 0, 40))
    assert pixels(dark)[0, 0].tolist() == [0, 0, 40]


def test_an_opaque_alpha_channel_needs_no_note():
    opened = open_image(saved(Image.new("RGBA", (3, 3), (1, 2, 3, 255)), "PNG"))
    assert opened.notes == ()
    assert pixels(opened)[0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("mode", ["LA", "La", "RGBa", "PA"])
def test_other_modes_with_alpha_are_composited(mode):
    image = Image.new("RGBA", (2, 2), (255, 0, 0, 0)).convert("RGBa" if mode == "RGBa" else "LA")
    if mode == "PA":
        image = Image.new("P", (2, 2))
        image.putalpha(0)
        assert image.mode == "PA"
    elif mode == "La":
        image = image.convert("La")
    assert pixels(open_image(image, background=(0, 255, 0)))[0, 0].tolist() == [0, 255, 0]


def test_palette_transparency_is_composited():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    for format in ("PNG", "GIF"):
        opened = open_image(saved(image, format, transparency=0), background=(0, 255, 0))
        assert pixels(opened)[0].tolist() == [[0, 255, 0], [0, 0, 255]]
        assert any("palette" in note for note in opened.notes)


def test_transparent_colour_of_an_rgb_png_is_composited():
    image = Image.new("RGB", (2, 1), (7, 7, 7))
    image.putpixel((1, 0), (9, 9, 9))
    opened = open_image(saved(image, "PNG", transparency=(7, 7, 7)))
    assert pixels(opened)[0].tolist() == [[255] * 3, [9] * 3]


def test_grey_and_one_bit_pictures_become_rgb_with_a_note():
    for mode in ("L", "1"):
        opened = open_image(saved(Image.new(mode, (2, 2), 1), "PNG"))
        assert pixels(opened)[0, 0].tolist() == ([1] * 3 if mode == "L" else [255] * 3)
        assert opened.notes == ("Grey levels were turned into RGB.",)


def test_adobe_cmyk_is_not_a_negative():
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    opened = open_image(saved(ink, "JPEG", quality=95))
    assert np.abs(pixels(opened)[8, 8] - [255, 0, 0]).max() < 10
    assert any("CMYK" in note for note in opened.notes)


def cmyk_profile() -> bytes:
    """A printer whose cyan ink is red: a look-up table from CMYK to Lab, two points an axis."""

    def padded(body: bytes) -> bytes:
        return body + bytes(-len(body) % 4)

    ramp = bytes(range(256))
    white, red, black = bytes([255, 128, 128]), bytes([136, 208, 195]), bytes([0, 128, 128])
    corners = [white if n == 0 else red if n == 8 else black for n in range(16)]
    identity = struct.pack(">9i", *(65_536 if n % 4 == 0 else 0 for n in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity
    table += ramp * 4 + b"".join(corners) + ramp * 3
    text = b"text" + bytes(4) + b"none\0"
    name = b"desc" + bytes(4) + struct.pack(">I", 8) + b"Red ink\0" + bytes(78)
    point = b"XYZ " + bytes(4) + struct.pack(">3i", 63_190, 65_536, 54_061)
    tags = {b"desc": name, b"cprt": text, b"wtpt": point, b"A2B0": table}
    index, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        index += tag + struct.pack(">II", at + len(body), len(content))
        body += padded(content)
    rest = struct.pack(">I", len(tags)) + index + body
    head = struct.pack(">I4sI", 128 + len(rest), bytes(4), 0x02400000) + b"prtrCMYKLab "
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63_190, 65_536, 54_061)
    return head.ljust(128, b"\0") + rest


def test_cmyk_goes_to_srgb_by_its_profile():
    ink = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    opened = open_image(saved(ink, "TIFF", icc_profile=cmyk_profile()))
    red, green, blue = pixels(opened)[8, 8]
    assert (red > 200, green < 60, blue < 60) == (True, True, True)
    assert any("from the profile Red ink" in note for note in opened.notes)


def swapped_profile() -> bytes:
    """sRGB with red and green exchanged, and another name."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for old, new in ((b"rXYZ", b"-XYZ"), (b"gXYZ", b"rXYZ"), (b"-XYZ", b"gXYZ")):
        srgb = srgb.replace(old, new, 1)
    return srgb.replace("sRGB".encode("utf-16-be"), "tRGB".encode("utf-16-be"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_an_embedded_profile_is_converted_to_srgb(mode):
    image = Image.new("RGB", (4, 4), (255, 0, 0)).convert(mode)
    opened = open_image(saved(image, "PNG", icc_profile=swapped_profile()))
    assert np.abs(pixels(opened)[0, 0] - [0, 255, 0]).max() <= 3
    assert any("to sRGB from the profile" in note for note in opened.notes)


def test_alpha_survives_the_conversion_of_colours():
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (255, 0, 0, 255))
    opened = open_image(saved(image, "PNG", icc_profile=swapped_profile()), background=(1, 2, 3))
    assert pixels(opened)[0, 0].tolist() == [1, 2, 3]
    assert pixels(opened)[0, 1, 1] > 250


def test_an_srgb_profile_changes_no_pixel():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    opened = open_image(saved(picture(), "PNG", icc_profile=srgb))
    assert np.array_equal(pixels(opened), np.asarray(picture()))
    assert opened.notes == ()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize("profile", [b"not a profile", b"cmyk", b"\0" * 200])
def test_a_broken_or_foreign_profile_is_ignored_with_a_note(mode, profile):
    profile = cmyk_profile() if profile == b"cmyk" else profile
    plain, image = picture().convert(mode), picture().convert(mode)
    opened = open_image(saved(image, "PNG", icc_profile=profile))
    assert np.array_equal(pixels(opened), np.asarray(plain.convert("RGB")))
    assert any("broken" in note for note in opened.notes)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_give_one_frame_and_say_so(format):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = saved(frames[0], format, save_all=True, append_images=frames[1:], **options)
    first, last = open_image(data), open_image(data, frame=2)
    assert pixels(first)[0, 0].tolist() == [255, 0, 0]
    assert pixels(last)[0, 0].tolist() == [0, 0, 255]
    assert any("frame 0 of several" in note for note in first.notes)
    assert any("frame 2 of several" in note for note in last.notes)
    with pytest.raises(UsageError, match="3 frame"):
        open_image(data, frame=3)
    with pytest.raises(UsageError, match="counted from 0"):
        open_image(data, frame=-1)


def test_a_frame_of_what_is_no_file_is_a_usage_error():
    for source in (picture(), np.asarray(picture())):
        with pytest.raises(UsageError, match="from a file only"):
            open_image(source, frame=1)


def test_what_pillow_warns_of_becomes_a_note():
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\xff\xff\0\0\xff\xff\0\0\0\0\0\0"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = open_image(saved(picture(), "PNG", exif=exif))
    assert opened.notes == ("Pillow: Tag data larger than file. Skipping tag 271",)


# --- arrays --------------------------------------------------------------------------------

shapes = st.tuples(st.integers(1, 6), st.integers(1, 6))


@given(hnp.arrays(np.uint8, shapes.map(lambda shape: (*shape, 3))))
def test_uint8_arrays_are_taken_as_they_are(array):
    assert np.array_equal(pixels(open_image(array)), array)
    assert np.array_equal(pixels(open_image(array[::-1, ::-1])), array[::-1, ::-1])


@given(hnp.arrays(np.dtype(">u2"), shapes))
def test_uint16_arrays_keep_their_high_byte(array):
    assert np.array_equal(pixels(open_image(array))[:, :, 1], array >> 8)
    assert np.array_equal(pixels(open_image(array.astype("<u2")))[:, :, 1], array >> 8)


@given(hnp.arrays(np.float64, shapes, elements=st.floats(0, 1)))
def test_float_arrays_go_from_zero_to_one(array):
    assert np.abs(pixels(open_image(array))[:, :, 0] / 255 - array).max() <= 0.5 / 255 + 1e-9


def test_bool_arrays_are_black_and_white():
    assert pixels(open_image(np.array([[True, False]])))[0, :, 2].tolist() == [255, 0]


def test_arrays_with_one_or_four_channels():
    assert open_image(np.zeros((2, 3, 1), np.uint8)).image.size == (3, 2)
    clear = np.zeros((2, 3, 4), np.uint8)
    assert pixels(open_image(clear, background=(5, 6, 7)))[0, 0].tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((2, 2), np.nan), "NaN"),
        (np.full((2, 2), 255.0), "from 0 to 1"),
        (np.full((2, 2), -0.1), "from 0 to 1"),
        (np.zeros((2, 2), np.int64), "could mean several things"),
        (np.zeros((2, 2), np.int16), "could mean several things"),
        (np.zeros((2, 2), complex), "could mean several things"),
        (np.zeros((3, 20, 20), np.uint8), "channels go last"),
        (np.zeros((20, 20, 2), np.uint8), "shape"),
        (np.zeros((1, 20, 20, 3), np.uint8), "shape"),
        (np.zeros(5, np.uint8), "shape"),
    ],
)
def test_arrays_that_could_mean_several_things_are_refused(array, message):
    with pytest.raises(ValueError, match=message) as caught:
        open_image(array)
    assert isinstance(caught.value, UsageError)


def test_empty_pictures_are_refused():
    for source in (np.zeros((0, 4), np.uint8), Image.new("RGB", (0, 4))):
        with pytest.raises(ImageError, match="no pixels"):
            open_image(source)


# --- scaling, encoding, decoding -----------------------------------------------------------


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
@settings(deadline=None)
def test_scaling_bounds_the_longest_side_and_never_enlarges(width, height, longest):
    image = Image.new("RGB", (width, height))
    small = scale(image, longest)
    if max(width, height) <= longest:
        assert small is image
    else:
        assert max(small.size) == longest
        factor = longest / max(width, height)
        assert abs(min(small.size) - max(1, min(width, height) * factor)) <= 0.5


def test_scaling_to_nothing_is_a_usage_error():
    with pytest.raises(UsageError, match="at least 1"):
        scale(picture(), 0)


@given(hnp.arrays(np.uint8, shapes.map(lambda shape: (*shape, 3))))
def test_png_keeps_every_pixel(array):
    image = Image.fromarray(array)
    assert np.array_equal(np.asarray(decode(encode(image, Codec("png")))), array)


def test_jpeg_is_four_four_four_at_the_asked_quality():
    data = encode(picture(), Codec("jpeg", 90))
    assert data == saved(picture(), "JPEG", quality=90, subsampling=0)
    with Image.open(io.BytesIO(data)) as opened:
        assert [layer[1:3] for layer in opened.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
    assert len(encode(picture(), Codec("jpeg", 30))) < len(data)


def laden() -> dict[str, bytes]:
    """The picture with an author, a place, a comment and a thumbnail's worth of secrets."""
    exif = Image.Exif()
    exif[0x013B] = "SECRET author"
    exif.get_ifd(0x8825)[1] = "N"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "SECRET comment")
    text.add_itxt("XML:com.adobe.xmp", "SECRET place")
    data = exif.tobytes()
    dpi = (96, 96)
    return {
        "JPEG": saved(picture(), "JPEG", exif=data, comment=b"SECRET", dpi=dpi, xmp=b"SECRET"),
        "PNG": saved(picture(), "PNG", exif=data, pnginfo=text, dpi=dpi),
        "WEBP": saved(picture(), "WEBP", exif=data, xmp=b"SECRET"),
        "TIFF": saved(picture(), "TIFF", exif=data, description="SECRET"),
        "AVIF": saved(picture(), "AVIF", exif=data, xmp=b"SECRET"),
        "GIF": saved(picture(), "GIF", comment=b"SECRET"),
    }


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF"])
@pytest.mark.parametrize("codec", [Codec("jpeg"), Codec("png")])
def test_no_metadata_survives(format, codec):
    data = laden()[format]
    assert b"SECRET" in data
    opened = open_image(data).image
    assert opened.info == {}
    assert len(opened.getexif()) == 0
    bare = saved(Image.fromarray(np.asarray(opened)), "JPEG", quality=90, subsampling=0)
    sent = encode(opened, codec)
    assert b"SECRET" not in sent
    assert b"Exif" not in sent
    if codec.format == "jpeg":
        assert sent == bare


def test_encoding_drops_metadata_of_any_image():
    image = picture()
    image.info.update(comment=b"SECRET", icc_profile=b"SECRET" * 40, transparency=(0, 0, 0))
    for codec in (Codec("jpeg"), Codec("png")):
        assert b"SECRET" not in encode(image, codec)
    assert decode(encode(image, Codec("png"))).getpixel((0, 0)) == (0, 0, 0)
    assert image.info["comment"] == b"SECRET"


def test_what_cannot_be_encoded_is_a_usage_error():
    with pytest.raises(UsageError, match="nothing to encode"):
        encode(picture(), Codec("pixels"))
    with pytest.raises(UsageError, match="only RGB"):
        encode(Image.new("L", (2, 2)), Codec("png"))
    with pytest.raises(UsageError, match="65,500"):
        encode(Image.new("RGB", (65_501, 1)), Codec("jpeg"))


def test_decoding_is_bounded():
    with pytest.raises(ImageError, match="more than the 10"):
        decode(saved(picture(), "PNG"), max_pixels=10)
    with pytest.raises(ImageError):
        decode(b"nonsense")


def progressive(scans_more=0, behind=b""):
    """A JPEG whose last scan is there so many times more."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 30)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans_more + data[-2:] + behind


def test_a_jpeg_that_draws_itself_again_and_again_is_refused_before_it_is_decoded():
    assert open_image(progressive(20)).image.size == (64, 48)
    assert open_image(progressive(behind=b"\xff\xda\x00\x02" * 1000)).image.size == (64, 48)
    with pytest.raises(ImageError, match="more than 100 times"):
        open_image(progressive(200))
