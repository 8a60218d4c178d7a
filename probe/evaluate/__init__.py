"""How good scores are over a data set. scikit-learn and pyarrow are imported when used."""

from probe.evaluate.evaluation import Evaluation, evaluate
from probe.evaluate.sample import Sample, read_sample

__all__ = ["Evaluation", "Sample", "evaluate", "read_sample"]
