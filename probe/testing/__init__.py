"""Contract suites for backends and samplers: a stranger's own is tested in a few lines."""

from probe.testing.backends import check_backend
from probe.testing.samplers import check_sampler

__all__ = ["check_backend", "check_sampler"]
