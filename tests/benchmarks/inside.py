"""Views from inside the network beside the 64-call map from outside.

    python -m tests.benchmarks.inside
    python -m tests.benchmarks.inside --map integrated

The 18 planted pictures and the retina, fed directly (no squeezing, cropping or JPEG) to both.
Needs the extra `inside`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from probe import Prober, from_callable
from probe.inside.network import from_onnx
from probe.inside.views import VIEWS, look
from tests.benchmarks import metrics
from tests.benchmarks.network import Case, Network, cases, retina

COLUMNS = ("deletion", "insertion", "AUROC", "pointing", "seconds")
Maker = Callable[[Case], np.ndarray]


def row(network: Network, chosen: list[Case], make: Maker) -> np.ndarray:
    """(cases, 5); AUROC and pointing are NaN without a mask."""
    found = np.full((len(chosen), 5), np.nan)
    for n, case in enumerate(chosen):
        started = time.perf_counter()
        values = make(case)
        found[n, 4] = time.perf_counter() - started
        found[n, 0] = metrics.deletion(network, case.image, values)
        found[n, 1] = metrics.insertion(network, case.image, values)
        if case.mask is not None:
            found[n, 2] = metrics.auroc(values, case.mask)
            found[n, 3] = metrics.pointing(values, case.mask)
    network.save()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--map", nargs="+", default=["occlude", *VIEWS])
    wanted = parser.parse_args().map
    with Network() as network:
        inside = from_onnx(network.backend)

        def occlude(case: Case) -> np.ndarray:
            prober = Prober(from_callable(network.fresh, labels=["nsfw"]))
            return prober.heatmap(case.image, "nsfw", budget=64).values

        def view(name: str) -> Maker:
            return lambda case: look(inside, case.image, name, "nsfw", fit="squeeze").heatmap.values

        chosen = [*cases(), retina()]
        print(f"| map | {' | '.join(COLUMNS)} | retina: deletion | insertion |")
        print("|---" * 8 + "|")
        for name in wanted:
            found = row(network, chosen, occlude if name == "occlude" else view(name))
            planted = found[:-1].mean(0)
            planted[4] = np.median(found[:, 4])
            cells = [f"{value:.3f}" for value in planted[:4]] + [f"{planted[4]:.1f}"]
            cells += [f"{value:.3f}" for value in found[-1, :2]]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
