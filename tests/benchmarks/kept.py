"""Maps of the peers, kept between runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.blackbox import WORSE, BlackBox, Score
from tests.benchmarks.network import CACHE, Case
from tests.benchmarks.peers import PEERS, Values

MAPS = CACHE / "maps"


@dataclass(frozen=True)
class Kept:
    """values: (H, W). calls: pictures that the black box was asked about."""

    values: Values
    calls: int


def path(case: Case, name: str, budget: int, seed: int, worse: str = "") -> Path:
    """The file's name holds what was asked, picture and settings included."""
    pixels = np.asarray(case.image)
    asked = (name, PEERS[name].settings, budget, seed, worse, pixels.tobytes())
    return MAPS / f"{case.name}-{hashlib.sha256(repr(asked).encode()).hexdigest()[:24]}.npz"


def peer_map(score: Score, case: Case, name: str, budget: int, seed: int, worse: str = "") -> Kept:
    """Asked for once."""
    kept = path(case, name, budget, seed, worse)
    if not kept.exists():
        box = BlackBox(WORSE[worse](score) if worse else score)
        values = PEERS[name].explain(box, np.asarray(case.image), budget, seed)
        MAPS.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(".tmp.npz")
        np.savez_compressed(unfinished, values=values.astype(np.float32), calls=box.calls)
        unfinished.rename(kept)
    with np.load(kept) as file:
        return Kept(file["values"], int(file["calls"]))
