"""Maps of the peers, kept between runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

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


def peer_map(score: Score, case: Case, name: str, budget: int, seed: int, worse: str = "") -> Kept:
    """Asked for once; the file's name holds what was asked, picture and settings included."""
    peer = PEERS[name]
    pixels = np.asarray(case.image)
    asked = (name, peer.settings, budget, seed, worse, pixels.tobytes())
    path = MAPS / f"{case.name}-{hashlib.sha256(repr(asked).encode()).hexdigest()[:24]}.npz"
    if not path.exists():
        box = BlackBox(WORSE[worse](score) if worse else score)
        values = peer.explain(box, pixels, budget, seed).astype(np.float32)
        MAPS.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".tmp.npz")
        np.savez_compressed(unfinished, values=values, calls=box.calls)
        unfinished.rename(path)
    with np.load(path) as file:
        return Kept(file["values"], int(file["calls"]))
