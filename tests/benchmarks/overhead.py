"""What the package itself costs an answer, beside encoding the picture, and how much memory.

    python -m tests.benchmarks.overhead [--side 224 512 1000] [--calls 512] [--repeats 3]

A backend that answers at once takes batches of 32 JPEGs (quality 90, 4:4:4) and one commit is
made a batch, in a ledger on disk. Ratio: the seconds of the run to those of Pillow's JPEG
encoding of the same pixels, rendered beforehand, in this process and in turn with the run.
"""

from __future__ import annotations

import argparse
import gc
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from probe import Heatmap, Prober
from probe.estimate import CoveringMean
from probe.image import Picture
from probe.ledger import Ledger, Question
from probe.limits import Limits
from probe.methods import METHODS
from probe.perturb import RENDER_VERSION, Renderer, canonical, parse_fill, snap
from probe.types import Canvas, Codec, Failure, Identity, Perturbation, Scene, Scores, Variant
from tests.benchmarks.network import cases

JPEG = Codec("jpeg", 90)
BATCH = 32


class AtOnce:
    """Encodes what it is sent, as a service's client does, and answers without looking."""

    identity = "answers at once"
    limits = Limits(batch=BATCH, formats=("jpeg",), labels=("nsfw",), deterministic=True)

    def score(self, variants: Sequence[Variant], codec: Codec) -> list[Scores | Failure]:
        return [Scores({"nsfw": len(variant.encode(codec)) % 997 / 997}) for variant in variants]


def picture(side: int) -> Image.Image:
    """A square mosaic of the benchmark's pictures: as much detail as photographs have."""
    mosaic = Image.new("RGB", (side, side))
    tiles = [case.image for case in cases()]
    for n in range((side // 224 + 1) ** 2):
        row, column = divmod(n, side // 224 + 1)
        mosaic.paste(tiles[n % len(tiles)], (224 * column, 224 * row))
    return mosaic


def run(image: Image.Image, calls: int, folder: str) -> Heatmap:
    with Ledger(Path(folder) / f"{time.monotonic_ns()}.sqlite") as ledger:
        prober = Prober(AtOnce(), side=max(image.size), codec=JPEG, ledger=ledger)
        return prober.heatmap(image, budget=calls)


def encode_all(images: Sequence[Image.Image]) -> None:
    for image in images:
        image.save(BytesIO(), "JPEG", quality=90, subsampling=0)


def seconds(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def ratio(side: int, calls: int, repeats: int) -> tuple[float, float, float]:
    """Milliseconds an answer of the run and of encoding alone, and the median ratio."""
    image = picture(side)
    canvas = Canvas(image.size, image.size, JPEG.grid)
    render = Renderer(image, canvas, parse_fill("mean"))
    boxes = METHODS["multiscale"].plan(Scene(canvas), calls).ask(calls)
    sample = [render.render(box) for box in boxes[: min(calls, 128)]]
    runs, encodings = [], []
    with tempfile.TemporaryDirectory() as folder:
        run(image, 2, folder)
        for _ in range(repeats):
            encodings.append(seconds(lambda: encode_all(sample)) / len(sample))
            runs.append(seconds(lambda: run(image, calls, folder)) / calls)
    ratios = [ours / theirs for ours, theirs in zip(runs, encodings, strict=True)]
    return 1e3 * min(runs), 1e3 * min(encodings), statistics.median(ratios)


def parts(side: int, calls: int) -> dict[str, float]:
    """Milliseconds an answer of each part by itself, one after the other."""
    image = picture(side)
    canvas = Canvas(image.size, image.size, JPEG.grid)
    render = Renderer(image, canvas, parse_fill("mean"))
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object], answers: int = calls) -> None:
        spent[name] = 1e3 * seconds(work) / answers

    boxes = list(METHODS["multiscale"].plan(Scene(canvas), calls).ask(calls))
    timed("plan", lambda: METHODS["multiscale"].plan(Scene(canvas), calls).ask(calls))
    found: list[Perturbation] = []
    timed("snap", lambda: found.extend(snap(box, canvas) for box in boxes))
    digest = Picture(image, (), "").digest
    questions: list[Question] = []

    def ask() -> None:
        for box in found:
            change = canonical(box, canvas)
            facts = (digest, change, "mean", canvas.send, str(JPEG), RENDER_VERSION, "at once")
            questions.append(Question(*facts))

    timed("key", ask)
    timed("changes", lambda: [render.changes(box) for box in found])
    few = found[:128]
    timed("render", lambda: [render.render(box) and None for box in few], len(few))
    images = [render.render(box) for box in few]
    timed("encode", lambda: encode_all(images), len(few))
    answer = Scores({"nsfw": 0.5})
    pairs = [(question, answer) for question in questions]
    batches = [slice(n, n + BATCH) for n in range(0, calls, BATCH)]
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "l.sqlite") as ledger:
        ledger.lookup(questions[:1])
        timed("look up", lambda: [ledger.lookup(questions[batch]) for batch in batches])
        timed("store", lambda: [ledger.exchange(pairs[batch]) for batch in batches])
    estimator = CoveringMean(canvas, "nsfw", shrink=True, weight="area")
    estimator.update(Identity(), answer)
    timed("estimate", lambda: [estimator.update(box, answer) for box in found])
    spent["snapshot, each"] = 1e3 * seconds(estimator.heatmap)
    return spent


def peak(side: int, calls: int) -> float:
    """Peak resident memory of a run by itself, in MB (Linux)."""
    command = [sys.executable, "-m", "tests.benchmarks.overhead", "--memory", str(side), str(calls)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, nargs="+", default=[224, 512, 1000])
    parser.add_argument("--calls", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        side, calls = arguments.memory
        with tempfile.TemporaryDirectory() as folder:
            run(picture(side), calls, folder)
        status = Path("/proc/self/status").read_text()
        print(float(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024)
        return
    print("| side | run, ms an answer | encoding alone | ratio |\n|---|---|---|---|")
    for side in arguments.side:
        ours, theirs, times = ratio(side, arguments.calls, arguments.repeats)
        print(f"| {side} | {ours:.2f} | {theirs:.2f} | {times:.2f} |", flush=True)
    print("\nMilliseconds an answer, each part by itself:")
    for side in arguments.side:
        spent = parts(side, arguments.calls)
        print(f"{side} px: " + ", ".join(f"{name} {ms:.3f}" for name, ms in spent.items()))
    print("\nPeak resident memory:")
    for side in arguments.side:
        few, many = peak(side, 64), peak(side, 4096)
        print(f"{side} px: {few:.0f} MB at 64 calls, {many:.0f} MB at 4,096", flush=True)


if __name__ == "__main__":
    main()
