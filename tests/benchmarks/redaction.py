"""Redactions against exhaustive search: how small a cover is found, and with how many calls.

    python -m tests.benchmarks.redaction                     # planted pictures, and known answers
    python -m tests.benchmarks.redaction --set more          # the other planted pictures
    python -m tests.benchmarks.redaction --option STEPS=8 --boxes 1    # on the very same grid

Exhaustive: every box on a grid of 8 x 8 cells, 1,296 of them; for known answers every pair of
boxes, too. The redaction's own grid is finer, so that it can find smaller ones. Answers of the
network are kept in .cache; a repeat takes a minute.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageStat

from probe import Prober, from_callable, redact
from probe.decide import search, search_field, search_moves
from tests.benchmarks.network import Case, Network, cases, more, retina

SIDE = 8
SHARES = (0.5, 0.3, 0.15)
"""Thresholds: shares of the unchanged picture's score."""
Box = tuple[int, int, int, int]


@cache
def boxes() -> list[Box]:
    """All on the grid, in cells."""
    spans = [(a, b) for a in range(SIDE) for b in range(a + 1, SIDE + 1)]
    return [(x0, y0, x1, y1) for y0, y1 in spans for x0, x1 in spans]


@dataclass
class Row:
    """areas: found and exhaustive, as shares of the picture; 1 where none was found."""

    name: str
    found: float
    best: float
    calls: int
    rounds: int
    seconds: float
    verified: bool


class Counted:
    """A function of pictures with its calls, and how often it was called."""

    def __init__(self, score: Callable[[Image.Image], float]) -> None:
        self.score = score
        self.calls = self.batches = 0

    def __call__(self, images: list[Image.Image]) -> list[dict[str, float]]:
        self.calls += len(images)
        self.batches += 1
        return [{"nsfw": self.score(image)} for image in images]


def run(
    name: str,
    image: Image.Image,
    score: Callable[[Image.Image], float],
    below: float,
    best: float,
    seed: int,
    boxes: int,
    true: Callable[[Image.Image], float] | None = None,
) -> Row:
    """One redaction; the calls and rounds are those beside the map's."""
    counted, noisy = Counted(score), true is not None
    backend = from_callable(counted, ["nsfw"], batch=1000, deterministic=not noisy)
    prober = Prober(backend)
    prober.probe(image, "nsfw", seed=seed)
    counted.calls = counted.batches = 0
    started = perf_counter()
    found = redact(prober, image, "nsfw", below=below, seed=seed, boxes=boxes, max_area=1.0)
    seconds = perf_counter() - started
    area = found.area if found.found else 1.0
    assert area is not None
    verified = found.image is None or (true or score)(found.image) < below
    return Row(name, area, best, counted.calls, counted.batches, seconds, verified)


def on_network(network: Network, chosen: Sequence[Case], seeds: int, most: int) -> Iterator[Row]:
    areas = np.array([(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes()]) / SIDE**2
    for case in chosen:
        mean = tuple(round(level) for level in ImageStat.Stat(case.image).mean)
        scores = []
        for box in boxes():
            covered = case.image.copy()
            x0, y0, x1, y1 = (edge * case.image.width // SIDE for edge in box)
            covered.paste(mean, (x0, y0, x1, y1))
            scores.append(network(covered))
        network.save()
        reference = network(case.image)
        for share in SHARES:
            passing = areas[np.array(scores) < share * reference]
            best = float(passing.min()) if len(passing) else 1.0
            for seed in range(seeds):
                name = f"{case.name} under {share:g}"
                yield run(name, case.image, network, share * reference, best, seed, most)
        network.save()


@dataclass(frozen=True)
class Known:
    """patches: in pixels of 256 x 256. score: of how much of each patch is to be seen, (n,)."""

    name: str
    patches: Sequence[Box]
    score: Callable[[NDArray[np.float64]], float]
    below: float = 0.5


def largest(shown: NDArray[np.float64]) -> float:
    return float(0.05 + 0.9 * shown.max())


def mean(shown: NDArray[np.float64]) -> float:
    return float(0.05 + 0.9 * shown.mean())


def saturated(shown: NDArray[np.float64]) -> float:
    """Nearly as high with a third of the patch as with all of it."""
    return float(1 / (1 + np.exp(-12 * (shown.mean() - 0.25))))


ONE, CORNER, TINY = (80, 100, 160, 160), (0, 192, 64, 256), (120, 40, 144, 64)
LEFT, RIGHT, UP = (20, 90, 80, 150), (170, 110, 230, 170), (110, 10, 160, 60)
KNOWN = (
    Known("one patch, half of it", [ONE], mean),
    Known("one patch, nearly all of it", [ONE], mean, 0.1),
    Known("one patch, saturated", [ONE], saturated),
    Known("in the corner", [CORNER], mean, 0.1),
    Known("1 % of the picture", [TINY], mean, 0.2),
    Known("half the picture", [(32, 32, 224, 208)], mean, 0.3),
    Known("two patches that add up", [LEFT, RIGHT], mean, 0.2),
    Known("two patches, each enough alone", [LEFT, RIGHT], largest),
    Known("two patches, each enough, all of it", [LEFT, RIGHT], largest, 0.15),
    Known("three patches, each enough alone", [LEFT, RIGHT, UP], largest),
)


def on_known(seeds: int, noise: float, most: int) -> Iterator[Row]:
    for known in KNOWN:
        pixels = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
        image = Image.fromarray(pixels)
        best = _exhaustive(known)
        for seed in range(seeds):
            scorer = _scorer(known, image, np.random.default_rng(seed), noise)
            true = _scorer(known, image, np.random.default_rng(seed), 0.0) if noise else None
            yield run(known.name, image, scorer, known.below, best, seed, most, true)


def _scorer(
    known: Known, image: Image.Image, rng: np.random.Generator, noise: float
) -> Callable[[Image.Image], float]:
    original = np.asarray(image)

    def score(shown: Image.Image) -> float:
        same = (np.asarray(shown) == original).all(2)
        parts = np.array([same[y0:y1, x0:x1].mean() for x0, y0, x1, y1 in known.patches])
        return float(np.clip(known.score(parts) + noise * rng.normal(), 0, 1))

    return score


def _exhaustive(known: Known) -> float:
    """The smallest area of one box, or of two, that gets under the threshold."""
    cell = 256 // SIDE
    hidden = np.zeros((len(boxes()), len(known.patches)))
    for i, box in enumerate(boxes()):
        for j, patch in enumerate(known.patches):
            width, height = (
                max(0, min(box[k + 2] * cell, patch[k + 2]) - max(box[k] * cell, patch[k]))
                for k in (0, 1)
            )
            hidden[i, j] = width * height / ((patch[2] - patch[0]) * (patch[3] - patch[1]))
    areas = [(x1 - x0) * (y1 - y0) / SIDE**2 for x0, y0, x1, y1 in boxes()]
    useful = [i for i in range(len(areas)) if hidden[i].any()]
    least = 1.0
    useful.sort(key=areas.__getitem__)
    for i, j in combinations_with_replacement(useful, 2):
        area, both = areas[i] + areas[j], hidden[i] + hidden[j]
        if i == j:
            area, both = areas[i], hidden[i]
        elif area >= least or _overlap(boxes()[i], boxes()[j]):
            continue
        if area < least and known.score(1 - both) < known.below:
            least = area
    return least


def _overlap(one: Box, other: Box) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


def table(rows: Sequence[Row]) -> None:
    print("| target | found | exhaustive | ratio | calls | rounds | s |")
    print("|---" * 7 + "|")
    for name in dict.fromkeys(row.name for row in rows):
        print(line(name, [row for row in rows if row.name == name]))


def line(name: str, rows: Sequence[Row]) -> str:
    found, best = (np.array([getattr(row, key) for row in rows]) for key in ("found", "best"))
    calls, rounds, seconds = (
        np.median([getattr(row, key) for row in rows]) for key in ("calls", "rounds", "seconds")
    )
    ratio = np.exp(np.log(found / best).mean())
    return (
        f"| {name} | {found.mean():.3f} | {best.mean():.3f} | {ratio:.2f} | {calls:.0f} |"
        f" {rounds:.0f} | {seconds:.1f} |"
    )


def summary(name: str, rows: Sequence[Row]) -> None:
    ratios = np.array([row.found / row.best for row in rows])
    print(
        f"{line(name, rows)}\n{len(rows)} redactions: not larger than the exhaustive one in "
        f"{np.mean(ratios <= 1 + 1e-9):.0%}, at most 1.5 times in {np.mean(ratios <= 1.5):.0%}, "
        f"worst {ratios.max():.2f}; the finished picture passes in "
        f"{np.mean([row.verified for row in rows]):.0%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=("cases", "more", "known"), action="append")
    parser.add_argument("--half", type=int, choices=(0, 1), help="every other picture only")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--noise", type=float, default=0.0, help="added to known answers")
    parser.add_argument("--boxes", type=int, default=3, help="of a cover, at most")
    parser.add_argument("--option", nargs="+", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    for pair in arguments.option:
        name, value = pair.split("=", 1)
        (module,) = (one for one in (search, search_field, search_moves) if hasattr(one, name))
        setattr(module, name, ast.literal_eval(value))
    sets = arguments.set or ["cases", "known"]
    with Network() as network:
        for name in sets:
            if name == "known":
                rows = list(on_known(arguments.seeds, arguments.noise, arguments.boxes))
            else:
                chosen = [*cases(), retina()] if name == "cases" else more()
                half = chosen if arguments.half is None else chosen[arguments.half :: 2]
                rows = list(on_network(network, half, arguments.seeds, arguments.boxes))
            table(rows)
            for share in SHARES:
                some = [row for row in rows if row.name.endswith(f"under {share:g}")]
                if some:
                    summary(f"all under {share:g}", some)
            summary("all", rows)


if __name__ == "__main__":
    main()
