"""Scores to maps: online sums."""

from probe.estimate.covering import CoveringMean

__all__ = ["CoveringMean"]
