"""How far a model bears a map out, by few calls."""

from probe.judging.control import Control
from probe.judging.curve import Curve
from probe.judging.judgement import Judgement
from probe.judging.judging import as_map, judge, prepare, read_mask
from probe.judging.task import check_budget

__all__ = [
    "Control",
    "Curve",
    "Judgement",
    "as_map",
    "check_budget",
    "judge",
    "prepare",
    "read_mask",
]
