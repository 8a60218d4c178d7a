"""probe shows why a picture got its tags: occlusion and crop maps of any tagging service.

from probe import Prober
heat = Prober("local").heatmap("retina.jpg")
heat.overlay().save("why.png")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probe.backends import from_callable
    from probe.backends.names import service
    from probe.decide.compare import compare
    from probe.decide.redact import redact
    from probe.errors import Interrupted, ProbeError
    from probe.heatmap import Heatmap
    from probe.judging import judge
    from probe.plan import Plan
    from probe.prober import Prober
    from probe.result import Result
    from probe.types import Box, Failure, Identity, Scores, Window

__version__ = "0.1.0"

_HOME = {
    "Box": "probe.types",
    "Failure": "probe.types",
    "Heatmap": "probe.heatmap",
    "Identity": "probe.types",
    "Interrupted": "probe.errors",
    "Plan": "probe.plan",
    "ProbeError": "probe.errors",
    "Prober": "probe.prober",
    "Result": "probe.result",
    "Scores": "probe.types",
    "Window": "probe.types",
    "compare": "probe.decide.compare",
    "from_callable": "probe.backends",
    "redact": "probe.decide.redact",
    "judge": "probe.judging",
    "service": "probe.backends.names",
}

__all__ = [
    "Box",
    "Failure",
    "Heatmap",
    "Identity",
    "Interrupted",
    "Plan",
    "ProbeError",
    "Prober",
    "Result",
    "Scores",
    "Window",
    "compare",
    "from_callable",
    "judge",
    "redact",
    "service",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'probe' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
