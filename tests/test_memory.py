"""Only the variants in flight exist: memory does not grow with the number of calls."""

from __future__ import annotations

import subprocess
import sys

import pytest

CHILD = """
import resource, sys
import numpy as np
from PIL import Image
from probe import Prober, Scores
from probe.limits import Limits
from probe.types import (Codec)

class Instant:
    identity = "instant"
    limits = Limits(batch=int(sys.argv[3]), formats=("jpeg",), labels=("x",), deterministic=True)
    def score(self, variants, codec):
        return [Scores({"x": len(variant.encode(codec)) / 1e6}, raw=b"x" * 2700)
                for variant in variants]

side, calls = int(sys.argv[1]), int(sys.argv[2])
noise = np.random.default_rng(0).integers(0, 256, (side // 8, side // 8, 3)).astype("u1")
picture = Image.fromarray(noise).resize((side, side))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
prober = Prober(Instant(), side=side, ledger=sys.argv[4], codec=Codec("jpeg", 50))
for snapshot in prober.stream(picture, budget=calls):
    pass
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) / 1024)
"""


def grown(ledger, side: int, calls: int, batch: int) -> float:
    """Megabytes by which a run's peak exceeds what the picture and the imports take."""
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(side), str(calls), str(batch), str(ledger)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(run.stdout)


@pytest.mark.slow
def test_five_thousand_calls_take_as_much_memory_as_three_hundred(tmp_path):
    few = grown(tmp_path / "a.db", 224, 300, 32)
    many = grown(tmp_path / "b.db", 224, 5000, 32)
    assert many - few < 10


@pytest.mark.slow
def test_large_variants_do_not_pile_up(tmp_path):
    assert grown(tmp_path / "a.db", 2000, 200, 8) < 200
