"""The one loop: ask -> look up -> send -> store -> tell."""

from probe.loop.asking import checks, phases
from probe.loop.loop import Loop

__all__ = ["Loop", "checks", "phases"]
