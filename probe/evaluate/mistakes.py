"""The pictures that a threshold gets most wrong: the ones to look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from probe.evaluate.sample import Sample

MOST = 10


def worst(sample: Sample, threshold: float) -> dict[str, list[dict[str, Any]]]:
    """Of the first service: `false_positives`, negatives at or above the threshold, the highest
    first, and `misses`, positives below it, the lowest first; MOST of each at most, each with
    `row`, `picture` and `score`."""
    scores = sample.scores[0]
    wrong = np.flatnonzero(~sample.truth & (scores >= threshold))
    missed = np.flatnonzero(sample.truth & (scores < threshold))
    highest = wrong[np.argsort(-scores[wrong], kind="stable")[:MOST]]
    lowest = missed[np.argsort(scores[missed], kind="stable")[:MOST]]
    found = {"false_positives": highest, "misses": lowest}
    return {
        kind: [
            {
                "row": int(sample.rows[place]),
                "picture": sample.picture(int(place)),
                "score": float(scores[place]),
            }
            for place in places
        ]
        for kind, places in found.items()
    }
