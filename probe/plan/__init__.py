"""Everything that is settled before the first call: one picture, one method, one backend."""

from probe.plan.fitting import Wishes, prepare
from probe.plan.run import Plan, Run, choose_label

__all__ = ["Plan", "Run", "Wishes", "choose_label", "prepare"]
