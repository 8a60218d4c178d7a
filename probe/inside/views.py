"""The table of views, and what one view of one picture gives: a map and a signed picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from probe.errors import UsageError, nearest
from probe.heatmap import Heatmap, Planes
from probe.inside import signals
from probe.inside.extremal import AREAS, extremal
from probe.inside.frame import Fit, Frame, frame, mean_colour
from probe.inside.network import WhiteBox
from probe.types import Failure

Tensor = Any
DEFAULT = "deconvnet"
MAPS = 9
"""So many of a layer's strongest feature maps are shown."""


@dataclass(frozen=True)
class View:
    """A way back from the network to the pixels.

    layered: it takes a layer; otherwise `layer` is refused. signed: its values say for and
    against, else only how strongly. find: called with a Sight.
    """

    name: str
    summary: str
    find: Callable[[Sight], Found]
    layered: bool = False
    signed: bool = False


@dataclass(frozen=True)
class Sight:
    """What a view looks at: the network's input of one picture, and the output it asks of."""

    network: WhiteBox
    frame: Frame
    x: Tensor
    target: int
    layer: str | None
    seed: int

    @property
    def baseline(self) -> Tensor:
        """The picture in nothing but its mean colour."""
        flat = Image.new("RGB", self.frame.image.size, mean_colour(self.frame.image))
        return self.network.input(flat)


@dataclass(frozen=True)
class Found:
    """plane: (h, w) of the network's pixels. signal: the signed picture, (h, w, 3) RGB, for views
    that have one. parts: such pictures of single feature maps, with their names."""

    plane: NDArray[Any]
    signal: NDArray[Any] | None = None
    parts: list[tuple[str, NDArray[Any]]] = field(default_factory=list)
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Sighting:
    """One view of one picture.

    heatmap   values as shares of the strongest one; what the network does not see is NaN.
    signal    float32 (h, w, 3) RGB at the map's own resolution, signed, in logits a level of the
              pixel (integrated: logits); None for views that have no picture.
    parts     the same for single feature maps of a layer, with their names.
    scores    of the padded or squeezed picture, label -> score.
    about     the view's own facts, among them `strongest`, the value that shares are of.
    """

    view: str
    heatmap: Heatmap
    signal: NDArray[np.float32] | None
    parts: list[tuple[str, NDArray[np.float32]]]
    scores: Mapping[str, float]
    about: Mapping[str, Any]
    seconds: float
    frame: Frame


def look(
    network: WhiteBox,
    picture: Image.Image,
    view: str = DEFAULT,
    label: str | None = None,
    *,
    layer: str | None = None,
    fit: Fit = "pad",
    seed: int = 0,
) -> Sighting:
    """One view of an upright RGB picture.

    layer: of the views that take one; deconvnet and guided show its strongest feature maps
    instead of the label. Raises UsageError for names that are not there.
    """
    chosen = view_named(view)
    target = network.index(label)
    if layer is not None and not chosen.layered:
        raise UsageError(f"{view} looks at no layer: leave --layer out")
    if layer is not None or chosen.name in ("gradcam", "layercam"):
        layer = network.layer(layer)
    laid = frame(picture, network.preprocessing, fit)
    x = network.input(laid.image)
    scores = network.score_of(x)
    if isinstance(scores, Failure):
        raise UsageError(scores.message)
    started = perf_counter()
    found = chosen.find(Sight(network, laid, x, target, layer, seed))
    seconds = perf_counter() - started
    plane = laid.back(found.plane)
    known = np.isfinite(plane)
    most = float(np.abs(plane[known]).max()) if known.any() else 0.0
    values = plane / np.float32(most) if most > 0 else plane
    nothing = np.where(known, np.float32(0), np.float32(np.nan))
    heatmap = Heatmap(
        label=network.labels[target],
        unit="of strongest",
        reference=scores[network.labels[target]],
        canvas=laid.canvas,
        planes=Planes(values, nothing, np.full_like(plane, np.nan), known.astype(np.int32)),
        image=picture,
    )
    return Sighting(
        view,
        heatmap,
        None if found.signal is None else laid.back(found.signal),
        [(name, laid.back(part)) for name, part in found.parts],
        dict(scores),
        {"layer": layer, "strongest": most, **found.about},
        seconds,
        laid,
    )


def view_named(name: str) -> View:
    if name not in VIEWS:
        raise UsageError(f"no view {name!r}.{nearest(name, VIEWS)} There are: {', '.join(VIEWS)}")
    return VIEWS[name]


def _of_levels(sight: Sight, signal: Tensor) -> NDArray[np.float32]:
    """A gradient by the network's input as one by the levels 0 to 255 of the pixels, RGB."""
    made = sight.network.preprocessing
    std = np.array(made.std[:: -1 if made.channels == "BGR" else 1], np.float32)
    return sight.network.pixels(signal) * np.float32(made.scale) / std


def _strength(signal: NDArray[Any]) -> NDArray[Any]:
    """Euclidean over the channels: how strongly, not in which direction."""
    strength: NDArray[Any] = np.linalg.norm(signal, axis=2)
    return strength


def _backward(sight: Sight, view: str) -> Found:
    way = {"deconvnet": signals.deconvnet, "guided": signals.guided}[view]
    if sight.layer is None:
        signal = _of_levels(sight, way(sight.network, sight.x, sight.target))
        return Found(_strength(signal), signal)
    units = signals.strongest(sight.network, sight.x, sight.layer, MAPS)
    if not units:
        raise UsageError(f"no map of the layer {sight.layer!r} is active in this picture")
    parts, maps = [], []
    for (channel, row, column), value in units:
        unit = channel, row, column
        back = signals.feature(sight.network, sight.x, sight.layer, unit, view)
        parts.append((f"map {channel}: {value:.3g}", _of_levels(sight, back)))
        maps.append({"map": channel, "row": row, "column": column, "activation": value})
    signal = np.sum([part for _, part in parts], axis=0)
    return Found(_strength(signal), signal, parts, {"maps": maps})


def _gradient(sight: Sight) -> Found:
    signal = _of_levels(sight, signals.gradient(sight.network, sight.x, sight.target))
    return Found(_strength(signal), signal)


def _smoothgrad(sight: Sight) -> Found:
    signal = signals.smoothgrad(sight.network, sight.x, sight.target, sight.seed)
    levels = _of_levels(sight, signal)
    return Found(_strength(levels), levels)


def _integrated(sight: Sight) -> Found:
    found, gap, steps = signals.integrated(sight.network, sight.x, sight.target, sight.baseline)
    signal = sight.network.pixels(found)
    about = {"steps": steps, "completeness_gap": gap, "sum": float(signal.sum(dtype=np.float64))}
    return Found(signal.sum(2), signal, about=about)


def _cam(sight: Sight, view: str) -> Found:
    assert sight.layer is not None
    way = {"gradcam": signals.gradcam, "layercam": signals.layercam}[view]
    return Found(way(sight.network, sight.x, sight.target, sight.layer).numpy())


def _extremal(sight: Sight) -> Found:
    found = extremal(sight.network, sight.x, sight.target, sight.frame.cut, sight.seed)
    label = sight.network.labels[sight.target]

    def scores(inputs: list[Tensor]) -> list[float | None]:
        outcomes = [sight.network.score_of(x) for x in inputs]
        return [None if isinstance(one, Failure) else one[label] for one in outcomes]

    about = {"areas": AREAS, "kept": scores(found.kept), "covered": scores(found.covered)}
    return Found(found.masks.mean(0).numpy(), about=about)


VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        View(
            "deconvnet",
            "deconvolution network: the class, or a layer's strongest maps, back to pixels",
            lambda sight: _backward(sight, "deconvnet"),
            layered=True,
        ),
        View(
            "guided",
            "guided backpropagation: the same, only through what was active",
            lambda sight: _backward(sight, "guided"),
            layered=True,
        ),
        View(
            "integrated",
            "integrated gradients from the mean colour: they add up to the logit",
            _integrated,
            signed=True,
        ),
        View("gradient", "the plain gradient of the logit", _gradient),
        View("smoothgrad", "the mean gradient of 32 noisy copies", _smoothgrad),
        View(
            "gradcam",
            "a layer's maps weighted by their mean gradient",
            lambda sight: _cam(sight, "gradcam"),
            layered=True,
        ),
        View(
            "layercam",
            "a layer's maps weighted by each place's own gradient",
            lambda sight: _cam(sight, "layercam"),
            layered=True,
        ),
        View(
            "extremal",
            "extremal perturbation: the parts, of four sizes, that alone say the most",
            _extremal,
        ),
    )
}
