"""Maps of planted evidence: deletion, insertion, AUROC and pointing of the methods.

    python -m tests.benchmarks.planted [--budget 64 ...] [--method NAME ...] [--seeds 4]
                                       [--half 0|1] [--option KEY=VALUE ...]

Answers of the network are kept in .cache beside this file; a repeat takes seconds.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from probe import Heatmap, Prober, from_callable
from probe.methods import METHODS
from tests.benchmarks import metrics
from tests.benchmarks.network import CACHE, Case, Network, cases

COLUMNS = ("deletion", "insertion", "AUROC", "pointing")
PLAIN = "plain"
"""Row name of the same answers' plain covering mean, without shrinkage."""


@dataclass
class Row:
    """One method at one budget; table is (cases, seeds, 4), one seed where nothing is drawn."""

    name: str
    answers: int
    table: np.ndarray = field(repr=False)

    def line(self, first: Row) -> str:
        means = self.table.mean((0, 1))
        paired = (self.table.mean(1) - first.table.mean(1)).std(0, ddof=1) / len(self.table) ** 0.5
        cells = (
            f"{mean:.3f}" + (f" ±{error:.3f}" if self is not first else "")
            for mean, error in zip(means, paired, strict=True)
        )
        inside = ", ".join(str(int(n)) for n in (self.table[..., 3] > 0.5).sum(0))
        per_seed = ", ".join(f"{value:.3f}" for value in self.table[..., 2].mean(0))
        return f"| {self.name} | {self.answers} | {' | '.join(cells)} | {inside} | {per_seed} |"


def maps(
    prober: Prober, case: Case, method: str, budget: int, seed: int, options: dict[str, object]
) -> tuple[Heatmap, np.ndarray]:
    """The map and what a row ranks by: its values, or the plain mean's drop."""
    name = method.removeprefix(PLAIN + " ")
    heat = prober.heatmap(case.image, "nsfw", name, budget, seed, **options)
    return heat, heat.values if name == method else heat.reference - heat.mean_score


def rows(
    network: Network,
    chosen: list[Case],
    methods: list[str],
    budgets: list[int],
    seeds: int,
    options: dict[str, object],
) -> Iterator[Row]:
    for budget in budgets:
        for method in methods:
            fixed = method in ("grid", "windows")
            table = np.zeros((len(chosen), 1 if fixed else seeds, 4))
            given = options if len(methods) == 1 else {}
            for i, case in enumerate(chosen):
                prober = Prober(from_callable(network.batch, labels=["nsfw"]))
                for seed in range(table.shape[1]):
                    heat, values = maps(prober, case, method, budget, seed, given)
                    table[i, seed] = (
                        metrics.deletion(network, case.image, values),
                        metrics.insertion(network, case.image, values),
                        metrics.auroc(values, case.mask),
                        metrics.pointing(values, case.mask),
                    )
            network.save()
            yield Row(method, heat.answers, table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["multiscale", "plain multiscale", "grid", "windows"]
    parser.add_argument("--budget", type=int, nargs="+", default=[64])
    parser.add_argument("--method", nargs="+", default=names)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--half", type=int, choices=(0, 1), help="every other case only")
    parser.add_argument("--option", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true", help="also write .cache/planted.json")
    arguments = parser.parse_args()
    for name in arguments.method:
        if name.removeprefix(PLAIN + " ") not in METHODS:
            parser.error(f"no method {name!r}; there are {', '.join(METHODS)}")
    options = dict(pair.split("=", 1) for pair in arguments.option)
    values = {name: ast.literal_eval(value) for name, value in options.items()}
    chosen = cases()[arguments.half :: 2] if arguments.half is not None else cases()
    print(f"{len(chosen)} cases; ± is the standard error of the paired difference to the first row")
    print(f"| method | answers | {' | '.join(COLUMNS)} | inside, each seed | AUROC, each seed |")
    print("|---" * 8 + "|")
    done: list[Row] = []
    with Network() as network:
        run = rows(network, chosen, arguments.method, arguments.budget, arguments.seeds, values)
        for row in run:
            done.append(row)
            print(row.line(done[0]), flush=True)
        print(f"{network.asked} pictures were new to the network")
    if arguments.json:
        record = {f"{row.name} {row.answers}": row.table.tolist() for row in done}
        (CACHE / "planted.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main()
