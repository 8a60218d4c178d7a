"""Any mode of pixels -> 8-bit RGB, without the silent damage that a plain `convert` does.

`Image.convert("RGB")` clips 16 bits instead of scaling them, uncovers the colours hidden under
transparent pixels, and reads CMYK and wide-gamut colours without their profile.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from probe.errors import ImageError, UsageError
from probe.text import printable

Colour = tuple[int, int, int]

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_KNOWN = ("RGB", "RGBA", "L", "LA", "CMYK")


def plain(image: Image.Image) -> Image.Image:
    """A copy of the pixels with no metadata of any kind."""
    copy = Image.new(image.mode, image.size)
    copy.paste(image)
    return copy


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (as it is) where there is none that makes sense."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken EXIF says nothing; the pixels are still good
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def upright(image: Image.Image, orientation: int, notes: list[str]) -> Image.Image:
    """The picture turned and mirrored so that it stands as the EXIF orientation says."""
    if orientation not in _UPRIGHT:
        return image
    notes.append(f"The picture was turned upright (EXIF orientation {orientation}).")
    return image.transpose(_UPRIGHT[orientation])


def to_rgb(image: Image.Image, background: Colour, notes: list[str]) -> Image.Image:
    """The decoded picture as RGB in sRGB; what was converted is added to `notes`.

    16-bit grey levels keep their high byte, floats go from 0 to 1, transparency is laid on
    `background`, an embedded colour profile is applied. Raises ImageError for pixels that
    have no one meaning (NaN, levels beyond 16 bits, a mode without a conversion).
    """
    profile = image.info.get("icc_profile")
    if image.mode in _SIXTEEN_BITS:
        image = _sixteen_bits(image, notes)
    elif image.mode == "F":
        image = _floats(image, notes)
    elif image.mode in ("P", "PA"):
        notes.append("The palette's colours were turned into RGB.")
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode in ("1", "YCbCr", "HSV"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode == "RGBa" or (image.mode in ("L", "RGB") and image.has_transparency_data):
        image = image.convert("RGBA")
    if image.mode not in _KNOWN:
        raise ImageError(f"pixels of mode {image.mode} are not supported: save it as RGB")
    if image.mode in ("L", "LA"):
        notes.append("Grey levels were turned into RGB.")
    image = _to_srgb(image, profile, notes)
    if image.mode in ("RGBA", "LA"):
        return _laid_on(image.convert("RGBA"), background, notes)
    return image if image.mode == "RGB" else image.convert("RGB")


def from_array(array: NDArray[Any]) -> Image.Image:
    """An array as a PIL image: (H, W) or (H, W, 1 | 3 | 4) of uint8, uint16, bool or float 0-1.

    Raises UsageError for whatever could be meant in more than one way.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        hint = ""
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            hint = "; channels go last: np.moveaxis(array, 0, -1)"
        raise UsageError(
            "an array is a picture when its shape is (H, W), (H, W, 3) or (H, W, 4), "
            f"not {array.shape}{hint}"
        )
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype.kind == "f":
        array = _scaled(array)
    elif array.dtype.kind == "u" and array.dtype.itemsize == 2:
        array = (array >> 8).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise UsageError(
            f"an array of {array.dtype} could mean several things: "
            "pass uint8 (0 to 255), uint16, bool or float from 0 to 1"
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _scaled(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.size and not np.isfinite(values).all():
        raise UsageError("the picture has pixels that are NaN or infinite")
    if values.size and (values.min() < 0 or values.max() > 1):
        raise UsageError(
            f"floating-point pixels go from 0 to 1, not {values.min():g} to {values.max():g}: "
            "divide by the largest possible value"
        )
    levels: NDArray[np.uint8] = np.rint(values * 255).astype(np.uint8)
    return levels


def _sixteen_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    levels = np.asarray(image)
    if image.mode == "I" and levels.size and (levels.min() < 0 or levels.max() > 65_535):
        raise ImageError(
            f"grey levels from {levels.min()} to {levels.max()} do not fit 16 bits: "
            "save it with 8 or 16 bits a channel"
        )
    notes.append("16 bits a channel were reduced to 8.")
    grey = Image.fromarray((levels >> 8).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        opaque = np.where(levels == transparent, 0, 255).astype(np.uint8)
        grey.putalpha(Image.fromarray(opaque))
    return grey


def _floats(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        grey = Image.fromarray(_scaled(np.asarray(image)))
    except UsageError as error:
        raise ImageError(str(error)) from None
    notes.append("Floating-point levels from 0 to 1 were scaled to 8 bits.")
    return grey


def _to_srgb(image: Image.Image, profile: Any, notes: list[str]) -> Image.Image:
    """Apply an embedded colour profile; alpha is kept. A broken one is ignored."""
    if not isinstance(profile, bytes) or not profile:
        if image.mode == "CMYK":
            notes.append("CMYK without a colour profile was converted by a plain formula.")
        return image
    from PIL import ImageCms

    try:
        embedded = ImageCms.ImageCmsProfile(BytesIO(profile))
        name = printable(ImageCms.getProfileDescription(embedded).strip(), 60) or "unnamed"
        if "srgb" in name.lower():
            return image
        converted = _through(image, embedded)
    except Exception:  # a profile is a program for a parser: whatever it breaks on, go without
        notes.append("The colour profile is broken and was ignored.")
        return image
    notes.append(f"Colours were converted to sRGB from the profile {name}.")
    return converted


def _through(image: Image.Image, profile: Any) -> Image.Image:
    from PIL import ImageCms

    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    opaque = Image.merge(image.mode[:-1], image.split()[:-1]) if alpha else image
    converted = ImageCms.profileToProfile(
        opaque, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    if converted is None:
        raise ValueError("no conversion")
    if alpha:
        converted.putalpha(alpha)
    return converted


def _laid_on(image: Image.Image, background: Colour, notes: list[str]) -> Image.Image:
    base = Image.new("RGBA", image.size, (*background, 255))
    if image.getchannel("A").getextrema() != (255, 255):
        colour = "#{:02x}{:02x}{:02x}".format(*background)
        notes.append(f"Transparent parts were laid on the colour {colour}.")
    return Image.alpha_composite(base, image).convert("RGB")
