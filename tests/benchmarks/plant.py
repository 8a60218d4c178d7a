"""Further pictures with planted evidence, made again from packaged pictures.

    python -m tests.benchmarks.plant            # writes cases/more.json and its pictures
    python -m tests.benchmarks.plant --search   # how the crops in `cases/crops.json` were chosen

A wish says only background, shapes, sizes and places. The search draws crops at random and takes
the first whose picture scores at least 0.2 and five times what the background does, each patch by
itself at least three times, whose score falls to a third or less when the whole mask turns into
the mean colour, and when seven of the ninths of each patch lower it: no map is looked at.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageStat

from tests.benchmarks.network import HERE, Network

SIDE = 224
FOLDER = HERE / "cases"
SOURCES = ("hopper", "hopper", "astronaut", "retina")
"""What patches are cropped from; the one portrait twice as often."""
DRAWS, CLIMB = 80, 150
"""Crops drawn at random for a patch, and changes of the best that the search tries."""
RESTARTS = 6
Shown = NDArray[np.bool_]


@dataclass(frozen=True)
class Patch:
    """A shape (box, ellipse, triangle or blob) within x0, y0, x1, y1."""

    shape: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Wish:
    name: str
    background: str
    note: str
    patches: tuple[Patch, ...]


def wish(name: str, background: str, note: str, *patches: tuple[str, int, int, int, int]) -> Wish:
    return Wish(name, background, note, tuple(Patch(p[0], p[1:]) for p in patches))


WISHES = (
    wish("wall-tiny", "wall", "1 %", ("box", 160, 60, 184, 82)),
    wish("bricks-round", "bricks", "tiny, round", ("ellipse", 52, 102, 88, 134)),
    wish("checks-ellipse", "checks", "an ellipse", ("ellipse", 60, 20, 130, 74)),
    wish("text-corner", "text", "in the corner", ("box", 160, 158, 224, 224)),
    wish("crater-triangle", "crater", "a triangle", ("triangle", 30, 70, 130, 180)),
    wish("dots-blob", "dots", "a blob", ("blob", 20, 30, 120, 140)),
    wish("lawn-right", "lawn", "at the border", ("box", 134, 20, 224, 138)),
    wish("hubble-half", "hubble", "half of the picture", ("box", 112, 0, 224, 224)),
    wish("rocket-blob", "rocket", "large blob", ("blob", 10, 20, 170, 210)),
    wish("table-large", "table", "large ellipse", ("ellipse", 30, 8, 206, 178)),
    wish("checks-two", "checks", "two tiny", ("box", 40, 150, 76, 186), ("box", 164, 44, 200, 80)),
    wish("sky-two", "sky", "two sizes", ("ellipse", 150, 20, 200, 70), ("box", 30, 110, 120, 200)),
    wish(
        "moon-three",
        "moon",
        "three",
        ("box", 20, 30, 68, 78),
        ("box", 150, 60, 198, 108),
        ("box", 84, 150, 132, 198),
    ),
    wish(
        "words-three",
        "words",
        "three shapes",
        ("triangle", 16, 16, 86, 86),
        ("ellipse", 140, 50, 205, 108),
        ("blob", 50, 130, 122, 200),
    ),
    wish("noise-corner", "noise", "in the corner", ("box", 176, 0, 224, 44)),
    wish("cell-strip", "cell", "a strip along the border", ("box", 0, 0, 224, 44)),
    wish("vessels-ellipse", "vessels", "a large ellipse", ("ellipse", 84, 60, 216, 164)),
    wish("coffee-two", "coffee", "two large", ("box", 4, 8, 92, 92), ("box", 118, 122, 216, 214)),
)

BACKGROUNDS = {
    "wall": ("brick.png", (0, 0, 512, 512)),
    "bricks": ("brick.png", (0, 0, 300, 300)),
    "sky": ("camera.png", (300, 0, 512, 150)),
    "lawn": ("camera.png", (200, 380, 500, 512)),
    "text": ("text.png", (0, 0, 170, 170)),
    "words": ("text.png", (200, 0, 372, 172)),
    "crater": ("moon.png", (250, 250, 512, 512)),
    "hubble": ("hubble_deep_field.jpg", (0, 0, 300, 300)),
    "rocket": ("rocket.jpg", (200, 100, 427, 427)),
    "table": ("coffee.png", (0, 250, 200, 400)),
    "moon": ("moon.png", (0, 0, 200, 200)),
    "cell": ("cell.png", (0, 300, 300, 600)),
    "vessels": ("microaneurysms.png", (0, 0, 102, 102)),
    "coffee": ("coffee.png", (420, 250, 600, 400)),
}
"""Crops of scikit-image's pictures; noise, checks and dots are drawn."""

CUT_FROM = {"hopper": "grace_hopper.jpg", "astronaut": "astronaut.png", "retina": "retina.jpg"}


@cache
def picture(file: str) -> Image.Image:
    """A picture of scikit-image or matplotlib, RGB."""
    from matplotlib import cbook
    from skimage import data

    if file == "grace_hopper.jpg":
        with cbook.get_sample_data(file) as sample:
            return Image.open(sample).convert("RGB")
    return Image.open(Path(data.__file__).parent / file).convert("RGB")


@cache
def background(name: str) -> Image.Image:
    if name in BACKGROUNDS:
        file, crop = BACKGROUNDS[name]
        return picture(file).crop(crop).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    y, x = np.mgrid[:SIDE, :SIDE]
    dark, light, share = {
        "noise": ((90, 90, 90), (150, 150, 150), np.random.default_rng(1).random((SIDE, SIDE))),
        "checks": ((70, 80, 100), (130, 140, 160), (x // 16 + y // 16) % 2),
        "dots": ((60, 70, 90), (180, 180, 190), np.sin(x / 6) * np.sin(y / 6) > 0.3),
    }[name]
    share = share[..., None]
    return Image.fromarray((np.array(dark) * (1 - share) + np.array(light) * share).astype("u1"))


def region(patch: Patch) -> Shown:
    """bool (224, 224): where the patch is seen."""
    x0, y0, x1, y1 = patch.box
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    u, v = 2 * (x - x0) / (x1 - x0) - 1, 2 * (y - y0) / (y1 - y0) - 1
    inside = (abs(u) < 1) & (abs(v) < 1)
    if patch.shape == "ellipse":
        return inside & (u**2 + v**2 < 1)
    if patch.shape == "triangle":
        return inside & (abs(u) < (v + 1) / 2)
    if patch.shape == "blob":
        angle = np.arctan2(v, u)
        radius = 0.78 + 0.13 * np.sin(2 * angle + 0.7) + 0.09 * np.sin(5 * angle)
        return inside & (np.hypot(u, v) < radius)
    return inside


def paste(image: Image.Image, patch: Patch, source: str, crop: tuple[int, ...]) -> Image.Image:
    x0, y0, x1, y1 = patch.box
    piece = (
        picture(CUT_FROM[source]).crop(crop).resize((x1 - x0, y1 - y0), Image.Resampling.LANCZOS)
    )
    layer = image.copy()
    layer.paste(piece, (x0, y0))
    mask = Image.fromarray(region(patch).astype(np.uint8) * 255)
    return Image.composite(layer, image, mask)


def planted(what: Wish, crops: list[list[object]]) -> Image.Image:
    image = background(what.background)
    for patch, (source, crop) in zip(what.patches, crops, strict=True):
        image = paste(image, patch, source, tuple(crop))
    return image


def covered(image: Image.Image, where: Shown) -> Image.Image:
    pixels = np.array(image)
    pixels[where] = np.round(ImageStat.Stat(image).mean)
    return Image.fromarray(pixels)


def good(network: Network, what: Wish, patch: Patch, image: Image.Image) -> bool:
    """Whether the patch by itself is what the network scores."""
    without = network(background(what.background))
    score = network(image)
    if score < max(0.2 / len(what.patches), 5 * without):
        return False
    where = region(patch)
    if network(covered(image, where)) > score / 3:
        return False
    x0, y0, x1, y1 = patch.box
    y, x = np.mgrid[:SIDE, :SIDE]
    ninth = 3 * ((y - y0) * 3 // (y1 - y0)) + (x - x0) * 3 // (x1 - x0)
    parts = [part for part in (where & (ninth == i) for i in range(9)) if part.any()]
    return sum(network(covered(image, part)) < 0.97 * score for part in parts) > 0.7 * len(parts)


def draw(rng: np.random.Generator, patch: Patch) -> tuple[str, list[int]]:
    """A crop of about the patch's aspect."""
    source = SOURCES[rng.integers(len(SOURCES))]
    width, height = picture(CUT_FROM[source]).size
    x0, y0, x1, y1 = patch.box
    most = min(width / (x1 - x0), height / (y1 - y0))
    scale = min(most, most * rng.uniform(0.08, 0.6))
    w, h = int(scale * (x1 - x0)), int(scale * (y1 - y0))
    left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    return source, [left, top, left + w, top + h]


def moved(rng: np.random.Generator, source: str, crop: list[int]) -> list[int]:
    """The crop with each side moved a little."""
    width, height = picture(CUT_FROM[source]).size
    w, h = crop[2] - crop[0], crop[3] - crop[1]
    x0, y0, x1, y1 = np.array(crop) + np.round(rng.normal(0, 0.12, 4) * (w, h, w, h)).astype(int)
    x0, y0 = max(0, int(x0)), max(0, int(y0))
    return [x0, y0, min(width, max(x0 + 8, int(x1))), min(height, max(y0 + 8, int(y1)))]


def search(network: Network, what: Wish) -> list[list[object]] | None:
    rng = np.random.default_rng(list(what.name.encode()))
    crops = [find(network, what, patch, rng) for patch in what.patches]
    return None if None in crops else crops


def find(
    network: Network, what: Wish, patch: Patch, rng: np.random.Generator
) -> list[object] | None:
    base, best = background(what.background), 0.0
    for _ in range(RESTARTS):
        found, top = None, 0.0
        for trial in range(DRAWS + CLIMB):
            if trial < DRAWS:
                source, crop = draw(rng, patch)
            else:
                source, crop = found[0], moved(rng, *found)
            image = paste(base, patch, source, tuple(crop))
            score = network(image)
            if score > top:
                top, found = score, (source, crop)
                if good(network, what, patch, image):
                    return [source, crop]
        best = max(best, top)
    print("  none", what.name, patch, round(best, 3), flush=True)
    return None


def write(network: Network) -> None:
    """The pictures, their masks and more.json."""
    crops = json.loads((FOLDER / "crops.json").read_text())
    entries = []
    for what in WISHES:
        image = planted(what, crops[what.name])
        mask = np.any([region(patch) for patch in what.patches], 0)
        image.save(FOLDER / f"{what.name}.png", optimize=True)
        Image.fromarray(mask).save(FOLDER / f"{what.name}.mask.png", optimize=True)
        alone = [
            network(paste(background(what.background), patch, source, tuple(crop)))
            for patch, (source, crop) in zip(what.patches, crops[what.name], strict=True)
        ]
        each = f"; alone {', '.join(f'{score:.2f}' for score in alone)}" if alone[1:] else ""
        entries.append(
            {
                "name": what.name,
                "image": f"{what.name}.png",
                "mask": f"{what.name}.mask.png",
                "boxes": [list(patch.box) for patch in what.patches],
                "area": round(float(mask.mean()), 3),
                "nsfw": round(network(image), 3),
                "nsfw_without": round(network(background(what.background)), 4),
                "note": what.note + each,
            }
        )
    (FOLDER / "more.json").write_text(json.dumps(entries, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--search", action="store_true")
    with Network() as network:
        if parser.parse_args().search:
            found = {}
            for what in WISHES:
                found[what.name] = search(network, what)
                if found[what.name] is None:
                    raise SystemExit(f"no crop was found for {what.name}")
                print(what.name, found[what.name], flush=True)
            lines = (f" {json.dumps(name)}: {json.dumps(crops)}" for name, crops in found.items())
            (FOLDER / "crops.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
        write(network)


if __name__ == "__main__":
    main()
