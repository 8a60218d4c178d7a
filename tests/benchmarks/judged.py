"""How far few calls judge a map as many do, and whether a map out of place is found out.

    python -m tests.benchmarks.judged [--budget 20 40 ...] [--method NAME]

Answers of the network are kept in .cache beside this file; a repeat takes seconds.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from PIL import Image

from probe import Heatmap, Prober, from_callable, judge
from probe.judging import Judgement
from probe.judging.control import LUCK
from probe.judging.ranking import moved
from probe.methods import DEFAULT, METHODS
from tests.benchmarks.network import Network, cases, more, retina

WHOLE = 145
"""A budget at which both curves have all 33 steps."""
KINDS = ("deletion", "insertion")


@dataclass
class Case:
    """A picture, its map, the map in another place, and the judgement by all steps."""

    prober: Prober
    image: Image.Image
    heat: Heatmap
    misplaced: np.ndarray
    whole: Judgement


def prepared(network: Network, method: str) -> list[Case]:
    found = []
    for number, case in enumerate([*cases(), *more(), retina()]):
        prober = Prober(from_callable(network.batch, labels=["nsfw"]))
        heat = prober.heatmap(case.image, "nsfw", method)
        (misplaced,) = moved(heat.values.astype(float), 1, 1000 + number)
        whole = judge(prober, case.image, heat, WHOLE)
        found.append(Case(prober, case.image, heat, misplaced, whole))
    return found


def row(chosen: list[Case], budget: int) -> str:
    right = [judge(case.prober, case.image, case.heat, budget) for case in chosen]
    wrong = [
        judge(case.prober, case.image, case.misplaced, budget, label="nsfw") for case in chosen
    ]
    cells = [str(budget)]
    for kind in KINDS:
        errors = np.array(
            [
                one.curves[kind].area - case.whole.curves[kind].area
                for one, case in zip(right, chosen, strict=True)
            ]
        )
        stated = np.array([one.curves[kind].stderr for one in right])
        cells += [
            f"{np.sqrt((errors**2).mean()):.3f}",
            f"{errors.mean():+.3f}",
            f"{(np.abs(errors) <= 2 * stated + 1e-9).mean():.0%}",
        ]
    maps = 1 + len(right[0].control.gains)
    cells += [
        str(maps - 1),
        f"{np.mean([bool(one.control.ahead) for one in right]):.0%}",
        f"{np.mean([bool(one.control.ahead) for one in wrong]):.0%}",
        f"{max(1, int(LUCK * maps)) / maps:.0%}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=int, nargs="+", default=[13, 20, 30, 40, 60, 80, 145])
    parser.add_argument("--method", choices=METHODS, default=DEFAULT)
    arguments = parser.parse_args()
    print(
        "| budget | deletion: rms error | mean error | within 2 stderr | insertion: rms error "
        "| mean error | within 2 stderr | copies | maps ahead | misplaced maps ahead | by luck |"
    )
    print("|---" * 11 + "|")
    with Network() as network:
        chosen = prepared(network, arguments.method)
        for budget in arguments.budget:
            print(row(chosen, budget), flush=True)
        print(f"{len(chosen)} pictures; {network.asked} were new to the network")


if __name__ == "__main__":
    main()
