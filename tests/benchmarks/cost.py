"""What a method costs beside the calls: each in a process of its own.

python -m tests.benchmarks.cost NAME BUDGET SIDE      # one line of JSON
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from probe import Prober, from_callable
from tests.benchmarks.blackbox import BlackBox
from tests.benchmarks.network import retina
from tests.benchmarks.peers import PEERS

BUDGET = 64
SIDES = (224, 1000)
REPEATS = {224: 3, 1000: 1}


def _middle(image: Image.Image) -> float:
    return image.getpixel((image.width // 2, image.height // 2))[0] / 255


def once(name: str, image: Image.Image, budget: int) -> tuple[float, int]:
    """Processor milliseconds a call, beside the black box, and the calls.

    Not wall time, which other work on the machine changes.
    """
    box = BlackBox(_middle, time.process_time)
    started = time.process_time()
    if name in PEERS:
        PEERS[name].explain(box, np.asarray(image), budget, 0)
    else:
        prober = Prober(from_callable(box.batch, labels=["nsfw"]), side=max(image.size))
        prober.heatmap(image, "nsfw", name, budget)
    seconds = time.process_time() - started - box.seconds
    return 1000 * seconds / box.calls, box.calls


def measured(name: str, budget: int, side: int) -> dict[str, float]:
    """The first run at 224 px loads what is loaded once and is not counted; best of the others."""
    once(name, retina().image, budget)
    image = retina().image.resize((side, side))
    runs = [once(name, image, budget) for _ in range(REPEATS.get(side, 1))]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ms": min(runs)[0], "calls": runs[0][1], "MB": peak}


def in_a_process(name: str, budget: int, side: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.cost", name, str(budget), str(side)]
    root = Path(__file__).parents[2]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}  # more of them wait by spinning
    done = subprocess.run(command, cwd=root, env=alone, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(methods: Iterable[str], peers: Iterable[str]) -> None:
    print("\n| method | calls |" + "".join(f" {s} px: ms a call | peak MB |" for s in SIDES))
    print("|---" * (2 + 2 * len(SIDES)) + "|")
    for name in (*methods, *peers):
        budget = BUDGET if name not in PEERS or BUDGET in PEERS[name].budgets else 0
        found = [in_a_process(name, budget, side) for side in SIDES]
        cells = "".join(f" {f['ms']:.2f} | {f['MB']:.0f} |" for f in found)
        print(f"| {name} | {found[0]['calls']} |{cells}", flush=True)


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
