"""The methods against the peers: same pictures, same black box, calls counted.

    python -m tests.benchmarks.compare                       # every table
    python -m tests.benchmarks.compare --method multiscale   # of the package's methods only this
    python -m tests.benchmarks.compare --degrade --method multiscale     # words, levels, noise
    python -m tests.benchmarks.compare --reporting           # half the cases, and the retina
    python -m tests.benchmarks.compare --cost                # overhead and memory only

The network's answers and the peers' maps are kept in .cache: the first run takes hours, a repeat
minutes. Differences are to the default method at 64 answers, paired over the cases.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from probe import Prober, from_callable
from probe.errors import UsageError
from probe.methods import METHODS
from tests.benchmarks import cost, metrics
from tests.benchmarks import kept as maps
from tests.benchmarks.blackbox import WORSE, BlackBox, Score
from tests.benchmarks.network import Case, Network, cases, more, retina
from tests.benchmarks.peers import PEERS

COLUMNS = ("deletion", "insertion", "AUROC", "pointing")
BETTER = np.array([-1, 1, 1, 1])
DEFAULT = inspect.signature(Prober.heatmap).parameters["method"].default


@dataclass
class Row:
    """table: (cases, seeds, 4), NaN where a case has no mask. calls: (cases, seeds).

    Both are NaN for a case that was left out.
    """

    name: str
    budget: int | str
    ours: bool
    table: np.ndarray = field(repr=False)
    calls: np.ndarray = field(repr=False)

    def of(self, chosen: Sequence[int]) -> Row:
        return Row(self.name, self.budget, self.ours, self.table[chosen], self.calls[chosen])

    @property
    def whole(self) -> bool:
        return not np.isnan(self.calls).any()

    @property
    def means(self) -> np.ndarray:
        return self.table.mean((0, 1))

    def beyond(self, other: Row) -> tuple[np.ndarray, np.ndarray]:
        """Mean difference to the other row and its standard error over the cases."""
        paired = self.table.mean(1) - other.table.mean(1)
        if len(paired) < 2:
            return paired.mean(0), np.full(4, np.nan)
        return paired.mean(0), paired.std(0, ddof=1) / len(paired) ** 0.5


def measure(score: Score, case: Case, values: np.ndarray) -> tuple[float, float, float, float]:
    return (
        metrics.deletion(score, case.image, values),
        metrics.insertion(score, case.image, values),
        np.nan if case.mask is None else metrics.auroc(values, case.mask),
        np.nan if case.mask is None else metrics.pointing(values, case.mask),
    )


def our_row(
    score: Score, chosen: list[Case], name: str, budget: int | str, seeds: int, worse: str
) -> Row | None:
    """None where the method does not take the budget."""
    asked = WORSE[worse](score) if worse else score
    table = np.zeros((len(chosen), seeds, 4))
    calls = np.zeros(table.shape[:2])
    for i, case in enumerate(chosen):
        for seed in range(seeds):
            box = BlackBox(asked)
            prober = Prober(from_callable(box.batch, labels=["nsfw"]))
            try:
                heat = prober.heatmap(case.image, "nsfw", name, budget, seed)
            except UsageError as error:
                print(f"{name} with {budget}: {error}", file=sys.stderr)
                return None
            table[i, seed] = measure(score, case, heat.values)
            calls[i, seed] = box.calls
    return Row(name, budget, True, table, calls)


def peer_row(
    score: Score,
    chosen: list[Case],
    name: str,
    budget: int,
    seeds: int,
    worse: str,
    only_kept: bool,
) -> Row:
    table = np.full((len(chosen), seeds, 4), np.nan)
    calls = np.full(table.shape[:2], np.nan)
    for i, case in enumerate(chosen):
        for seed in range(seeds):
            if only_kept and not maps.path(case, name, budget, seed, worse).exists():
                continue
            kept = maps.peer_map(score, case, name, budget, seed, worse)
            table[i, seed] = measure(score, case, kept.values)
            calls[i, seed] = kept.calls
    return Row(name, budget, False, table, calls)


def rows(
    network: Network, chosen: list[Case], wanted: argparse.Namespace, worse: str = ""
) -> Iterator[Row]:
    """The default at 64 comes first."""
    names = sorted(wanted.method, key=lambda name: name != DEFAULT)
    ours = [(name, budget) for name in names for budget in wanted.budget]
    if DEFAULT in names and not wanted.degrade:
        ours.insert(len(wanted.budget), (DEFAULT, "auto"))
    for name, budget in ours:
        many = name == DEFAULT and not wanted.degrade
        seeds = wanted.seeds if many else wanted.other_seeds
        row = our_row(network, chosen, name, budget, seeds, worse)
        network.save()
        if row is not None:
            yield row
    for name in wanted.peer:
        for budget in PEERS[name].budgets:
            if wanted.degrade and budget not in (0, 256):
                continue
            seeds = wanted.other_seeds if budget <= 256 and PEERS[name].drawn else 1
            yield peer_row(network, chosen, name, budget, seeds, worse, wanted.kept)
            network.save()


def table(done: list[Row], title: str, note: str = "") -> None:
    """Means; in brackets the difference to the first row and its standard error."""
    number = len(done[0].table)
    print(f"\n{title}: {number} case{'s' * (number > 1)}{note}\n")
    print(f"| method | calls | {' | '.join(COLUMNS)} |")
    print("|---" * 6 + "|")
    for row in done:
        cells = []
        for mean, gap, error in zip(row.means, *row.beyond(done[0]), strict=True):
            if np.isnan(mean):
                cells.append("")
            elif row is done[0]:
                cells.append(f"{mean:.3f}")
            else:
                spread = "" if np.isnan(error) else f" ±{error:.3f}"
                cells.append(f"{mean:.3f} ({gap:+.3f}{spread})")
        name = f"**{row.name}**" if row.ours else row.name
        calls = f"{np.median(row.calls):.0f}" + (" (auto)" if row.budget == "auto" else "")
        print(f"| {name} | {calls} | {' | '.join(cells)} |", flush=True)


def verdict(done: list[Row]) -> None:
    """The default against the peer that is best in each column."""
    peers = [row for row in done if not row.ours]
    ours = [row for row in done if row.ours and row.name == DEFAULT]
    if not peers or not ours:
        return
    print("\n| against the best peer | " + " | ".join(COLUMNS) + " |")
    print("|---" * 5 + "|")
    best = [max(peers, key=lambda row: row.means[i] * BETTER[i]) for i in range(4)]
    named = (
        f"{row.name}, {np.median(row.calls):.0f}: {row.means[i]:.3f}" for i, row in enumerate(best)
    )
    print(f"| the best peer | {' | '.join(named)} |")
    for row in ours:
        cells = []
        for i, peer in enumerate(best):
            gaps, errors = row.beyond(peer)
            gain, error = gaps[i] * BETTER[i], errors[i]
            word = "ahead" if gain > 2 * error else "behind" if gain < -2 * error else "level"
            cells.append(f"{word}, {gain:+.3f} ±{error:.3f}")
        print(f"| **{row.name}**, {row.budget} | {' | '.join(cells)} |")
    print("\nA positive gain is better in each column.")


def sets(first: int, further: int) -> dict[str, list[int]]:
    """Indexes of the cases of each table; even ones of each list are the tuning half."""
    new = range(first, first + further)
    return {
        "The reporting half": [*range(1, first, 2), *new[1::2]],
        "The tuning half": [*range(0, first, 2), *new[::2]],
        "The first cases": [*range(first)],
        "The further cases": [*new],
    }


def degraded(network: Network, wanted: argparse.Namespace) -> None:
    """Maps of a worse black box; deletion and insertion are measured on the clean one."""
    chosen = [*cases()[1::2], *more()[1::2]]
    for worse in ("", *WORSE):
        done = []
        for row in rows(network, chosen, wanted, worse):
            if row.whole:
                done.append(row)
            print(f"{worse or 'clean'}: {row.name} {row.budget}", file=sys.stderr, flush=True)
        table(done, worse or "clean", ", the reporting half")


def compared(network: Network, wanted: argparse.Namespace) -> None:
    first, further = cases(), more()
    if wanted.reporting:
        first, further = first[1::2], further[1::2]
    chosen = [*first, *further, retina()]
    done = []
    for row in rows(network, chosen, wanted):
        done.append(row)
        print(row.name, row.budget, file=sys.stderr, flush=True)
    parts = sets(len(first), len(further))
    if wanted.reporting:
        parts = {"The reporting half": [*range(len(first) + len(further))]}
    for title, indexes in parts.items():
        part = [part for row in done if (part := row.of(indexes)).whole]
        table(part, title)
        verdict(part)
    alone = [part for row in done if (part := row.of([len(chosen) - 1])).whole]
    table(alone, "The retina")


def names(known: Iterable[str]) -> dict[str, object]:
    return {"nargs": "*", "choices": [*known], "default": [*known], "metavar": "NAME"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", **names(METHODS), help="the package's; default all")
    parser.add_argument("--peer", **names(PEERS), help="default all")
    parser.add_argument("--budget", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--seeds", type=int, default=4, help="of the default method")
    parser.add_argument("--other-seeds", type=int, default=1, help="of the others, where drawn")
    parser.add_argument(
        "--kept",
        action="store_true",
        help="ask the peers nothing: tables hold those rows that are kept",
    )
    parser.add_argument(
        "--reporting",
        action="store_true",
        help="only the half of the cases that no setting was chosen on, and the retina",
    )
    parser.add_argument("--degrade", action="store_true")
    parser.add_argument("--cost", action="store_true")
    wanted = parser.parse_args()
    if wanted.cost:
        cost.table(wanted.method, wanted.peer)
        return
    with Network() as network:
        if wanted.degrade:
            degraded(network, wanted)
        else:
            compared(network, wanted)
        print(f"\n{network.asked} pictures were new to the network")


if __name__ == "__main__":
    main()
