"""Contract suites for backends and samplers, and a tagging server as a pytest fixture.

The suites test a stranger's own in a few lines; the plugin (`probe.testing.plugin`) is found by
pytest by itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probe.testing.backends import check_backend
    from probe.testing.samplers import check_sampler

_HOME = {"check_backend": "probe.testing.backends", "check_sampler": "probe.testing.samplers"}

__all__ = ["check_backend", "check_sampler"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'probe.testing' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
