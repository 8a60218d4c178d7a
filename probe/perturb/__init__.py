"""What to change: samplers, fills, and the renderer."""

from probe.perturb.adaptive import adaptive
from probe.perturb.fills import Fill, parse_fill
from probe.perturb.fixed import FixedDesign
from probe.perturb.geometry import canonical, kind, name, pixels, snap
from probe.perturb.grid import grid
from probe.perturb.keep import cover_and_keep, keep
from probe.perturb.kernelshap import kernelshap
from probe.perturb.lime import lime
from probe.perturb.masks import cells, opacity
from probe.perturb.multiscale import multiscale
from probe.perturb.render import RENDER_VERSION, Renderer
from probe.perturb.rise import rise
from probe.perturb.windows import windows

__all__ = [
    "RENDER_VERSION",
    "Fill",
    "FixedDesign",
    "Renderer",
    "adaptive",
    "canonical",
    "cells",
    "cover_and_keep",
    "grid",
    "keep",
    "kernelshap",
    "kind",
    "lime",
    "multiscale",
    "name",
    "opacity",
    "parse_fill",
    "pixels",
    "rise",
    "snap",
    "windows",
]
