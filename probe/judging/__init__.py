"""How far a model bears a map out, by few calls."""

from probe.judging.control import Control
from probe.judging.curve import Curve
from probe.judging.judgement import Judgement
from probe.judging.judging import judge, prepare

__all__ = ["Control", "Curve", "Judgement", "judge", "prepare"]
