"""Does an audit find what was planted, and claim nothing where nothing is?

    python -m tests.benchmarks.audit [--runs 60] [--pictures 120] [--nothing] [--network] [--memory]

Pictures are cut out of packaged ones and a red mark, a texture or a corner logo is planted in about
a third of them; the known-answer target's score drops by 0.5 where it is covered. Then the same
with nothing planted: once with noise alone, once with a place of each picture's own that its score
hangs on, so that there is evidence, but nothing that pictures share. A false claim is a run of
these with any claim. With --network: a shape that the default network itself takes for nsfw is
planted, and what is true is measured by covering every one of them, and controls.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from probe import Prober, from_callable
from probe.audit import Audit, Item, Wishes, audit
from probe.audit.effects import control, covers, trial
from probe.evaluate.interval import wilson
from tests.audit.pictures import Target, cutouts, dataset, numbered, whole
from tests.benchmarks.scoring import make, peak

WISHES = Wishes(pictures=40, budget=48, places=24)


def audited(kind: str | None, pictures: int, seed: int, restless: bool = False) -> Audit:
    images, has, truth = dataset(kind, pictures, seed)
    if restless:
        images = [numbered(image, n) for n, image in enumerate(images)]
    target = Target(
        whole(images, has) if kind else 0, seed=seed, restless=images if restless else ()
    )
    prober = Prober(from_callable(target, labels=["nsfw"]), repeats=0)
    items = [
        Item(f"{n}.png", image, bool(one))
        for n, (image, one) in enumerate(zip(images, truth, strict=True))
    ]
    return audit(prober, items, Wishes(**{**vars_of(WISHES), "seed": seed}))


def vars_of(wishes: Wishes) -> dict[str, int]:
    return {name: getattr(wishes, name) for name in ("pictures", "budget", "places")}


def planted(runs: int, pictures: int) -> None:
    for kind in ("mark", "texture", "logo"):
        first = held = extra = 0
        drops, calls, started = [], [], time.perf_counter()
        for seed in range(runs):
            found = audited(kind, pictures, seed)
            calls.append(found.calls)
            extra += max(0, len(found.claims) - 1)
            if found.claims:
                drop = found.claims[0].effect.drop
                drops.append(drop.value)
                first += abs(drop.value - 0.5) < 0.15
                held += drop.low <= 0.5 <= drop.high
        seconds = (time.perf_counter() - started) / runs
        print(
            f"{kind}: named first in {first} of {runs}, interval holds the true 0.5 in {held}, "
            f"mean {np.mean(drops):.3f}, other claims {extra}; {np.mean(calls):.0f} calls, "
            f"{seconds:.1f} s each",
            flush=True,
        )


def nothing(runs: int, pictures: int) -> None:
    for name, restless in (("noise alone", False), ("places of each picture's own", True)):
        found = [audited(None, pictures, 1000 + seed, restless) for seed in range(runs)]
        wrong = sum(bool(one.claims) for one in found)
        tested = [sum(f.effect is not None for f in one.features) for one in found]
        rate = wilson(wrong, runs).percent()
        print(
            f"nothing planted, {name}: a claim in {wrong} of {runs} runs, {rate}; "
            f"{np.mean(tested):.1f} features tested a run",
            flush=True,
        )


def shape() -> Image.Image:
    """Two rounded forms in the colour of skin."""
    rows, columns = np.mgrid[:120, :120]
    round_ = [
        np.sqrt(np.clip(1 - ((columns - x) / 30) ** 2 - ((rows - 60) / 45) ** 2, 0, 1))
        for x in (32, 88)
    ]
    light = 0.55 + 0.45 * np.maximum(*round_)[..., None]
    return Image.fromarray((np.array((225, 165, 135)) * light).clip(0, 255).astype(np.uint8))


def network(pictures: int) -> None:
    rng = np.random.default_rng(0)
    items, boxes = [], {}
    for n, image in enumerate(cutouts(pictures, 11, 256)):
        if rng.random() < 0.35:
            side = int(0.45 * image.width)
            x = int(rng.integers(16, image.width - side - 16))
            y = int(rng.integers(12, max(13, image.height - side - 12)))
            image.paste(shape().resize((side, side)), (x, y))
            width, height = image.size
            boxes[n] = (x / width, y / height, (x + side) / width, min(1, (y + side) / height))
        items.append(Item(f"{n}.png", image, n in boxes))
    with TemporaryDirectory() as folder:
        prober = Prober("local", ledger=Path(folder) / "ledger.db", repeats=0)
        found = audit(prober, items, Wishes(threshold=0.2))
        for one in found.features:
            drop = one.effect.drop.said() if one.effect else "not tested"
            print(f"{one.number}. {one.look.words}: {drop}, claimed: {one.claimed}")
        first = found.features[0]
        having = [t.index for t in first.effect.trials if t.index in boxes]
        print(f"the first stands in the shape in {len(having)} of {len(first.effect.trials)} tests")
        drops = []
        for n in having:
            other = control(boxes[n], (0.0, 0.0, 1.0, 1.0), rng)
            if other is not None:
                result = prober.probe(items[n].source, "nsfw", covers(boxes[n], other), budget=3)
                drops.append(trial(n, "", result, boxes[n], other).drop)
        print(f"covering exactly the shapes of these tests: {np.mean(drops):.3f}")


def memory(pictures: int) -> None:
    """The most that an audit holds; run it for several numbers of pictures."""
    with TemporaryDirectory() as folder:
        paths = make(Path(folder), pictures)
        score = from_callable(
            lambda images: [{"nsfw": np.asarray(image)[0, 0, 0] / 255} for image in images],
            labels=["nsfw"],
            identity="corner 1",
        )
        prober = Prober(score, repeats=0, ledger=Path(folder) / "ledger.db")
        before, stages = peak(), {}
        audit(
            prober,
            [Item(path.name, path) for path in paths],
            Wishes(pictures=20, budget=17, looked=100, places=8),
            watch=lambda stage, done, total: stages.update({stage: peak()}),
        )
    held = ", ".join(f"{stage} {most:.0f}" for stage, most in stages.items())
    print(f"{pictures} pictures: {before:.0f} MB before; at most, after {held} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--pictures", type=int, default=120)
    parser.add_argument("--nothing", action="store_true", help="plant nothing, and no more")
    parser.add_argument("--network", action="store_true")
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    if given.network:
        network(given.pictures)
    elif given.memory:
        memory(given.pictures)
    elif given.nothing:
        nothing(given.runs, given.pictures)
    else:
        nothing(given.runs, given.pictures)
        planted(max(1, given.runs // 6), given.pictures)


if __name__ == "__main__":
    main()
