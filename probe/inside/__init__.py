"""Inside a local network: the same scores as from outside, and views of what they come from.

Needs the extra `inside` (torch, captum, onnx); `require` says so before anything else is imported.
"""

from __future__ import annotations

from importlib.util import find_spec

from probe.errors import MissingExtra


def missing() -> str | None:
    """A part that the modules of this room import and that is not installed."""
    return next((name for name in ("torch", "captum", "onnx") if find_spec(name) is None), None)


def require() -> None:
    """Raise MissingExtra where a part is missing."""
    if name := missing():
        raise MissingExtra(f"{name} (to look into a network)", "inside")
