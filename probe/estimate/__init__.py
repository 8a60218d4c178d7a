"""Scores to maps: online sums, and linear models of what is shown."""

from probe.estimate.coarse_to_fine import CoarseToFine
from probe.estimate.covering import CoveringMean
from probe.estimate.keeping import CoverAndKeep, KeepingMean
from probe.estimate.masked import Contrast
from probe.estimate.regression import Regression

__all__ = ["CoarseToFine", "Contrast", "CoverAndKeep", "CoveringMean", "KeepingMean", "Regression"]
