"""A local network from the inside: a backend that also lends its module to the views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from probe.backends.onnx import Activation, Onnx, scores_of
from probe.backends.preprocessing import Preprocessing
from probe.errors import LabelError, UsageError, nearest
from probe.inside.graph import Graph, read_graph
from probe.limits import Limits
from probe.text import printable
from probe.types import Codec, Failure, Scores, Variant

Tensor = Any
AGREE = 1e-3
"""Scores that differ by more are not of the same network."""


class WhiteBox:
    """An image classifier in torch, one picture in and one row of logits out.

    module: any torch module; what it gives are logits, `activation` turns them into scores.
    labels, question, preprocessing: as of `probe.backends.onnx.Onnx`.
    layers: name -> module of each step, in order; by default the leaves of the module.
    identity: of the weights, for the ledger; None keeps answers in memory only.
    """

    def __init__(
        self,
        module: Any,
        *,
        labels: Sequence[str],
        preprocessing: Preprocessing,
        activation: Activation = "none",
        question: str | None = None,
        layers: Mapping[str, Any] | None = None,
        identity: str | None = None,
    ) -> None:
        if question is not None and question not in labels:
            raise UsageError(f"question {question!r} is not one of the labels {tuple(labels)}")
        self.module = module.eval().requires_grad_(False)
        self.labels = tuple(labels)
        self.preprocessing = preprocessing
        self.activation = activation
        self.identity = identity
        self.question = question
        self.modules = dict(layers) if layers is not None else _leaves(module)

    def __repr__(self) -> str:
        return f"WhiteBox({type(self.module).__name__}, labels={self.labels!r})"

    @property
    def limits(self) -> Limits:
        return Limits(
            batch=32,
            formats=("pixels",),
            labels=self.labels,
            question=self.question,
            seen=self.preprocessing.seen,
            deterministic=True,
        )

    def score(self, variants: Sequence[Variant], codec: Codec) -> list[Scores | Failure]:
        """One picture at a time, as the black-box backend does."""
        return [self.score_of(self.input(variant.pixels())) for variant in variants]

    def score_of(self, x: Tensor) -> Scores | Failure:
        """The scores of one picture as the network takes it."""
        with torch.no_grad():
            logits = self.module(x)[0].double().numpy()
        return scores_of(logits, self.activation, self.labels)

    def input(self, image: Any) -> Tensor:
        """The RGB picture as the network takes it: float32 (1, 3, h, w) or (1, h, w, 3)."""
        return torch.from_numpy(self.preprocessing(image))

    def pixels(self, signal: Tensor) -> NDArray[np.float32]:
        """What lies in the network's input, (1, 3, h, w) or (1, h, w, 3), as (h, w, 3) RGB."""
        values: NDArray[np.float32] = signal.detach()[0].numpy()
        if self.preprocessing.layout == "NCHW":
            values = values.transpose(1, 2, 0)
        return values[:, :, ::-1] if self.preprocessing.channels == "BGR" else values

    @cached_property
    def layers(self) -> dict[str, tuple[int, int, int]]:
        """The layers that keep a place for what they see: name -> channels, rows, columns."""
        found: dict[str, tuple[int, int, int]] = {}
        hooks = [
            module.register_forward_hook(
                lambda module, given, out, name=name: found.update(_shape(name, out))
            )
            for name, module in self.modules.items()
        ]
        try:
            width, height = self.preprocessing.size
            with torch.no_grad():
                logits = self.module(self.input(Image.new("RGB", (width, height))))
        finally:
            for hook in hooks:
                hook.remove()
        if logits.dim() != 2 or logits.shape[1] != len(self.labels):
            raise UsageError(
                f"the network gives {tuple(logits.shape)} for one picture, "
                f"but {len(self.labels)} labels are stated"
            )
        return found

    def layer(self, name: str | None) -> str:
        """A layer with a place by its name, the last one by default; raises UsageError."""
        if not self.layers:
            raise UsageError(
                "the network has no spatial layer: all it computes is without a place. Take "
                "a view that needs none, as integrated or smoothgrad, or probe occlude"
            )
        if name is None:
            return list(self.layers)[-1]
        if name not in self.layers:
            shown = ", ".join(printable(one, 60) for one in list(self.layers)[-6:])
            raise UsageError(
                f"no layer {printable(name, 60)!r}.{nearest(name, self.layers)} The last of "
                f"{len(self.layers)}: {shown} (--layers lists all)"
            )
        return name

    def index(self, label: str | None) -> int:
        """Of a label among the outputs, of the question by default; raises LabelError."""
        label = label or self.question
        if label is None:
            raise LabelError(f"which label? The network has: {', '.join(self.labels[:20])}")
        if label not in self.labels:
            shown = ", ".join(printable(known, 60) for known in self.labels[:20])
            raise LabelError(
                f"no label {printable(label, 60)!r}.{nearest(label, self.labels)} "
                f"The network offers: {shown}"
            )
        return self.labels.index(label)

    def check(self, declared: Mapping[str, float], x: Tensor) -> float:
        """The largest difference to the scores that are stated of a picture.

        Raises UsageError where it is above a thousandth: what is seen inside would be of
        another network.
        """
        scores = self.score_of(x)
        if isinstance(scores, Failure):
            raise UsageError(scores.message)
        gaps = {
            label: abs(scores[label] - declared[label]) for label in scores if label in declared
        }
        if not gaps:
            raise UsageError("the declared scores share no label with the network")
        worst = max(gaps, key=lambda label: gaps[label])
        if not gaps[worst] <= AGREE:
            raise UsageError(
                f"the network scores {scores[worst]:.4g} for {printable(worst, 60)!r} inside, but "
                f"{declared[worst]:.4g} is declared: another network, preprocessing or activation"
            )
        return gaps[worst]


def from_onnx(backend: Onnx) -> WhiteBox:
    """The network of a black-box backend from the inside, with the same preprocessing.

    Raises UsageError for operators that are not known.
    """
    content = backend.content()
    own = backend.activation != "none"
    graph: Graph = read_graph(content, str(backend.path), keep_final=own)
    return WhiteBox(
        graph,
        labels=backend.labels,
        preprocessing=backend.preprocessing,
        activation=backend.activation if own else graph.final,
        question=backend.limits.question,
        layers=dict(zip(graph.names, graph.steps, strict=True)),
        identity=f"inside {backend.identity}",
    )


def odds(logits: Tensor, target: int) -> Tensor:
    """The logit of the target beyond those of all others together, of one row."""
    others = torch.cat([logits[:target], logits[target + 1 :]])
    return logits[target] - others.logsumexp(0) if len(others) else logits[target]


def _leaves(module: Any) -> dict[str, Any]:
    return {name: one for name, one in module.named_modules() if name and not [*one.children()]}


def _shape(name: str, out: Any) -> dict[str, tuple[int, int, int]]:
    """Channels, rows and columns of a layer's maps, nothing where it has no places."""
    if not isinstance(out, torch.Tensor) or out.dim() != 4 or not out.is_floating_point():
        return {}
    _, channels, rows, columns = out.shape
    return {name: (channels, rows, columns)} if rows > 1 and columns > 1 else {}
