"""Does the true map lie within two standard errors? On targets with known answers.

    python -m tests.benchmarks.calibration [--seeds 40] [--plot calibration.png]

The true map is the covering mean of the same design with 65,536 answers: of so many seeds together,
since sizes depend on the number of an answer. Printed: the share of
pixels and seeds whose true value lies within two standard errors, and the same at the maximum
of each map, where the luckiest pixel has been picked; it should be about .95.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from functools import cache

import numpy as np

from probe.heatmap import Heatmap
from probe.methods import METHODS
from probe.types import Box, Canvas, Identity, Region, Scene, Scores

Target = Callable[[Box, np.random.Generator], float]
REFERENCE = 0.9


def hidden(box: Box, region: Region) -> float:
    """The share of the region that the box covers."""
    width = min(region[2], box.x1) - max(region[0], box.x0)
    height = min(region[3], box.y1) - max(region[1], box.y0)
    area = (region[2] - region[0]) * (region[3] - region[1])
    return max(width, 0.0) * max(height, 0.0) / area


ONE, OTHER, HALF, TINY = (
    (0.3, 0.4, 0.5, 0.7),
    (0.6, 0.1, 0.8, 0.3),
    (0, 0, 0.5, 1),
    (0.4, 0.5, 0.5, 0.6),
)
TARGETS: Mapping[str, Target] = {
    "a box": lambda box, rng: 0.9 - 0.9 * hidden(box, ONE),
    "half of it is enough": lambda box, rng: 0.9 - 0.9 * min(1, 2 * hidden(box, ONE)),
    "two, each enough": lambda box, rng: 0.9 - 0.9 * min(hidden(box, ONE), hidden(box, OTHER)),
    "two that add up": lambda box, rng: 0.9 - 0.45 * (hidden(box, ONE) + hidden(box, OTHER)),
    "half the picture": lambda box, rng: 0.9 - 0.9 * hidden(box, HALF) ** 2,
    "tiny, all or nothing": lambda box, rng: 0.1 if hidden(box, TINY) > 0.5 else 0.9,
    "in the corner": lambda box, rng: 0.9 - 0.9 * hidden(box, (0, 0.8, 0.2, 1)),
    "a box, noise .05": lambda box, rng: 0.9 - 0.9 * hidden(box, ONE) + rng.normal(0, 0.05),
    "noise .05 alone": lambda box, rng: 0.9 + rng.normal(0, 0.05),
}


def heatmap(canvas: Canvas, target: Target, answers: int, seeds: Iterable[int]) -> Heatmap:
    """The default method's map after so many answers a seed, the reference among them."""
    method = METHODS["multiscale"]
    estimator = method.estimator(canvas, "x")
    estimator.update(Identity(), Scores({"x": REFERENCE}))
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for box in method.plan(Scene(canvas), answers - 1, seed).ask(answers):
            assert isinstance(box, Box)
            estimator.update(box, Scores({"x": target(box, rng)}))
    return estimator.heatmap()


@cache
def truth(canvas: Canvas, target: Target, answers: int, total: int) -> np.ndarray:
    """Of maps of so many answers, together so many."""
    return heatmap(canvas, target, answers, range(10**6, 10**6 + total // answers)).values


def within(
    canvas: Canvas, target: Target, answers: int, seed: int, true: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per pixel: is the truth within two standard errors, the map, how many errors it is off."""
    heat = heatmap(canvas, target, answers, [seed])
    off = np.abs(heat.values - truth(canvas, target, answers, true))
    return off <= 2 * heat.stderr + 1e-9, heat.values, off / np.maximum(heat.stderr, 1e-12)


def coverage(canvas: Canvas, name: str, answers: int, seeds: int, truth: int = 65536) -> float:
    found = [within(canvas, TARGETS[name], answers, seed, truth)[0] for seed in range(seeds)]
    return float(np.mean(found))


def plot(canvas: Canvas, answers: int, seeds: int, path: str) -> None:
    """Stated against found: how often the truth lies within k standard errors."""
    from math import erf

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    errors = np.linspace(0, 3, 61)
    for name, target in TARGETS.items():
        off = np.array([within(canvas, target, answers, s, 65536)[2] for s in range(seeds)])
        axes.plot(errors, [(off <= k + 1e-9).mean() for k in errors], label=name, linewidth=1)
    axes.plot(errors, [erf(k / 2**0.5) for k in errors], "k--", label="normal")
    axes.set_xlabel("standard errors")
    axes.set_ylabel("share of pixels and seeds within")
    axes.set_title(f"Calibration of the standard error, {answers} answers")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--answers", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--plot", metavar="FILE")
    arguments = parser.parse_args()
    canvas = Canvas((48, 48), (48, 48))
    heads = [f"{n} answers | at the maximum" for n in arguments.answers]
    print(f"| target | {' | '.join(heads)} |")
    print("|---" * (1 + 2 * len(heads)) + "|")
    table = []
    for name, target in TARGETS.items():
        row = []
        for answers in arguments.answers:
            found = [within(canvas, target, answers, s, 65536) for s in range(arguments.seeds)]
            top = np.mean([inside.flat[np.nanargmax(values)] for inside, values, _ in found])
            row += [float(np.mean([inside for inside, _, _ in found])), float(top)]
        table.append(row)
        print(f"| {name} | {' | '.join(f'{x:.2f}' for x in row)} |", flush=True)
    print(f"| mean | {' | '.join(f'{x:.2f}' for x in np.mean(table, 0))} |")
    if arguments.plot:
        plot(canvas, 64, arguments.seeds, arguments.plot)


if __name__ == "__main__":
    main()
