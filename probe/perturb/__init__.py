"""What to change: samplers, fills, and the renderer."""

from probe.perturb.fills import Fill, parse_fill
from probe.perturb.fixed import FixedDesign
from probe.perturb.geometry import canonical, kind, name, pixels, snap
from probe.perturb.grid import grid
from probe.perturb.masks import cells, opacity
from probe.perturb.multiscale import multiscale
from probe.perturb.render import RENDER_VERSION, Renderer
from probe.perturb.windows import windows

__all__ = [
    "RENDER_VERSION",
    "Fill",
    "FixedDesign",
    "Renderer",
    "canonical",
    "cells",
    "grid",
    "kind",
    "multiscale",
    "name",
    "opacity",
    "parse_fill",
    "pixels",
    "snap",
    "windows",
]
