"""The one loop: ask -> look up -> send -> store -> tell."""

from probe.loop.asking import checks, phases
from probe.loop.loop import Loop, Renderer

__all__ = ["Loop", "Renderer", "checks", "phases"]
