"""Requests a second of Dask workers against a service's rate, with one pace for all of them.

    python -m tests.benchmarks.cluster [--workers 4] [--rate 20] [--pictures 64] [--latency 0.2]

The server is that of `walltime`: it admits so many requests in any second and counts those it
turned away. Pictures are scored, then probed side by side, as `probe audit` does. Throughput:
requests / (rate x seconds); a rate of 0 is none, to see what the machine can do.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

from probe import Prober
from probe.audit import Alone, Workers
from probe.audit.many import side_by_side
from probe.ledger import Ledger
from probe.result import Result
from tests.benchmarks.scoring import make
from tests.benchmarks.walltime import Setting, counts, served


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rate", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--budget", type=int, default=33)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--latency", type=float, default=0.2)
    given = parser.parse_args()
    setting = Setting(given.latency, given.batch, 16, given.rate)
    with tempfile.TemporaryDirectory() as name, served(setting) as url:
        paths = make(Path(name), given.pictures)
        crew = Workers(given.workers, threads=4) if given.workers else Alone()
        with Ledger(Path(name) / "ledger.db") as ledger:
            prober = Prober(url, ledger=ledger, repeats=0, through=crew.through)
            with crew if isinstance(crew, Workers) else Ledger(None):
                started = time.perf_counter()
                scored = sum(row.source == "sent" for row in prober.scoring(paths))
                seconds = time.perf_counter() - started
                say("scored", scored, counts(url), 0, seconds, given.rate)
                before, started = counts(url)[0], time.perf_counter()
                work = partial(prober.probe, label=None, budget=given.budget)
                results = [r for _, r in side_by_side(work, paths, 16) if isinstance(r, Result)]
                answers = sum(result.calls for result in results)
                say(
                    "probed",
                    answers,
                    counts(url),
                    before,
                    time.perf_counter() - started,
                    given.rate,
                )


def say(
    stage: str, calls: int, seen: tuple[int, int], before: int, seconds: float, rate: int
) -> None:
    requests, refused = seen[0] - before, seen[1]
    share = f", {requests / seconds / rate:.0%} of the rate" if rate else ""
    print(
        f"{stage}: {calls} calls in {requests} requests, {refused} turned away, {seconds:.1f} s, "
        f"{requests / seconds:.1f} requests/s, {calls / seconds:.0f} calls/s{share}"
    )


if __name__ == "__main__":
    main()
