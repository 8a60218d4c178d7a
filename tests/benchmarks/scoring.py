"""Pictures a second of `probe score` against a service's rate, and what memory it takes.

    python -m tests.benchmarks.scoring [--pictures 2000] [--batch 8] [--rate 40] [--latency 0.2]

The server is that of `walltime`: it answers so many seconds after a request has arrived, admits so
many requests in any second and counts those it turned away. The pictures are JPEG files of 320 x
240 px, each another. Limit: requests / rate.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from probe import Prober
from tests.benchmarks.walltime import Setting, counts, served


def make(folder: Path, number: int) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = []
    for n in range(number):
        small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        paths.append(folder / f"{n:06}.jpg")
        small.resize((320, 240), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return paths


def peak() -> float:
    """MB this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=int, default=40)
    parser.add_argument("--latency", type=float, default=0.2)
    given = parser.parse_args()
    setting = Setting(given.latency, given.batch, 16, given.rate)
    with tempfile.TemporaryDirectory() as name, served(setting) as url:
        paths = make(Path(name), given.pictures)
        before, started = peak(), time.perf_counter()
        scoring = Prober(url, ledger=Path(name) / "ledger.db").scoring(paths)
        answered = sum(row.source == "sent" for row in scoring)
        seconds = time.perf_counter() - started
        _, refused = counts(url)
        requests = scoring.tally.requests
        limit = requests / given.rate
        print(
            f"{answered} pictures in {requests} requests, {refused} turned away: {seconds:.1f} s, "
            f"{answered / seconds:.0f} pictures/s, {limit / seconds:.0%} of the rate; memory "
            f"{before:.0f} MB before, {peak():.0f} MB at most"
        )
        started = time.perf_counter()
        again = Prober(url, ledger=Path(name) / "ledger.db").scoring(paths)
        known = sum(row.source == "ledger" for row in again)
        seconds = time.perf_counter() - started
        print(f"again: {known} from the ledger, {again.tally.calls} calls, {seconds:.1f} s")


if __name__ == "__main__":
    main()
