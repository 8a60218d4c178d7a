"""How long `probe evaluate` takes over many rows, in how much memory, and whether its numbers are
scikit-learn's.

    python -m tests.benchmarks.evaluate [--rows 428271] [--repeats 3]

The table has scores of two services with four digits (so with ties), digests of 64 letters and
three groups. Each command is a process of its own: seconds are its wall time and its own processor
time, from start to end, the least of the repeats; memory is the largest resident set.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet
from scipy.special import expit
from sklearn import metrics

COMMANDS = {
    "one service, CSV": ("scores.csv",),
    "one service, Parquet": ("scores.parquet",),
    "by group": ("scores.csv", "--group", "kind"),
    "two services, a column each": ("scores.csv", "--against", "other"),
    "two services, a file each": ("scores.csv", "--against", "scores.parquet"),
    "two services and groups": ("scores.csv", "--against", "other", "--group", "kind"),
}


def table(rows: int) -> tuple[pa.Table, NDArray[np.bool_], NDArray[np.float64]]:
    """The table, the truth and the first service's scores."""
    random = np.random.default_rng(0)
    truth = random.random(rows) < 0.3
    odds = 1.5 * (random.normal(size=rows) + 2.2 * truth - 1.2)
    scores = np.round(expit(odds), 4)
    columns = {
        "picture": [f"pictures/{n // 1000:04d}/{n:07d}.jpg" for n in range(rows)],
        "digest": [sha256(str(n).encode()).hexdigest() for n in range(rows)],
        "failure": [""] * rows,
        "nsfw": scores,
        "other": np.round(expit(0.8 * (odds + random.normal(size=rows))), 4),
        "truth": np.where(truth, "nsfw", "sfw"),
        "kind": random.choice(["photo", "drawing", "screenshot"], rows, p=[0.6, 0.3, 0.1]),
    }
    return pa.table(columns), truth, scores


def run(arguments: tuple[str, ...], folder: str) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and the peak in MB of one command."""
    given = ("--label", "nsfw", "--out", "out", "--force", "--quiet")
    command = [sys.executable, "-m", "probe", "evaluate", *arguments, *given]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def differences(
    folder: str, truth: NDArray[np.bool_], scores: NDArray[np.float64]
) -> dict[str, float]:
    """How far the numbers are from scikit-learn's."""
    record = json.loads((Path(folder) / "out" / "evaluation.json").read_text())["services"][0]
    return {
        "AUC": record["auc"]["value"] - metrics.roc_auc_score(truth, scores),
        "average precision": record["average_precision"]["value"]
        - metrics.average_precision_score(truth, scores),
        "Brier": record["brier"]["value"] - metrics.brier_score_loss(truth, scores),
        "F1": record["at_threshold"]["f1"]["value"] - metrics.f1_score(truth, scores >= 0.5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=428_271)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made, truth, scores = table(given.rows)
        csv.write_csv(made, f"{folder}/scores.csv", csv.WriteOptions(quoting_style="none"))
        parquet.write_table(made, f"{folder}/scores.parquet")
        print(f"{given.rows:,} rows, {os.path.getsize(f'{folder}/scores.csv') / 1e6:.0f} MB as CSV")
        for name, arguments in COMMANDS.items():
            found = [run(arguments, folder) for _ in range(given.repeats)]
            walls, owns, peaks = zip(*found, strict=True)
            wall, own, peak = min(walls), min(owns), max(peaks)
            print(f"{name}: {wall:.1f} s, of which {own:.1f} s computing; {peak:.0f} MB")
            if name == "one service, CSV":
                gaps = differences(folder, truth, scores)
                print(", ".join(f"{what} {gap:+.1e}" for what, gap in gaps.items()))


if __name__ == "__main__":
    main()
