"""The quality that the default method is held to, on the planted cases of the benchmark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_sixty_four_answers_find_the_planted_evidence():
    command = "-m tests.benchmarks.planted --method multiscale --budget 64 --seeds 4"
    run = subprocess.run(
        [sys.executable, *command.split()], cwd=ROOT, capture_output=True, text=True, check=True
    )
    row = next(line for line in run.stdout.splitlines() if line.startswith("| multiscale"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    auroc, inside = float(cells[4]), [int(number) for number in cells[6].split(",")]
    assert len(inside) == 4
    assert auroc >= 0.90
    assert sum(inside) / len(inside) >= 16
