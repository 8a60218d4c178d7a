"""From a class or a layer back to the pixels: what each view computes.

Deconvolution network: Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks",
ECCV 2014; guided: Springenberg et al., "Striving for Simplicity", ICLR 2015 workshop; integrated:
Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017; SmoothGrad: Smilkov et
al., 2017; Grad-CAM: Selvaraju et al., ICCV 2017; LayerCAM: Jiang et al., IEEE TIP 2021.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from captum.attr import (
    Deconvolution,
    GuidedBackprop,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    NoiseTunnel,
    Saliency,
)
from torch import nn

from probe.errors import UsageError
from probe.inside.network import WhiteBox

Tensor = Any
GAP = 0.01
"""Integrated gradients that miss the whole by more than this share of it take more steps."""
STEPS = (32, 64, 128, 256, 512)


class Upto(nn.Module):
    """The network up to a layer: gives that layer's maps instead of the logits."""

    def __init__(self, network: WhiteBox, layer: str) -> None:
        super().__init__()
        self.module = network.module
        self.layer = network.modules[layer]

    def forward(self, x: Tensor) -> Tensor:
        with _watched(self.layer) as seen:
            self.module(x)
        return seen[0]


@contextmanager
def _watched(module: Any) -> Iterator[list[Tensor]]:
    seen: list[Tensor] = []
    hook = module.register_forward_hook(lambda module, given, out: seen.append(out))
    try:
        yield seen
    finally:
        hook.remove()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without captum's notes on the hooks and gradients that it sets and removes itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def gradient(network: WhiteBox, x: Tensor, target: int) -> Tensor:
    with _quiet():
        return Saliency(network.module).attribute(_leaf(x), target, abs=False)


def deconvnet(network: WhiteBox, x: Tensor, target: int) -> Tensor:
    """The logit of a class, back through unpooling by switches, rectifiers that pass only what is
    positive of the signal, and the transposed filters."""
    return _rectified(Deconvolution, network, network.module, x, target)


def guided(network: WhiteBox, x: Tensor, target: int) -> Tensor:
    """The same, and only through what was positive on the way up, too."""
    return _rectified(GuidedBackprop, network, network.module, x, target)


def feature(
    network: WhiteBox, x: Tensor, layer: str, unit: tuple[int, int, int], view: str = "deconvnet"
) -> Tensor:
    """One activation of a layer, its map, row and column, alone back to the pixels."""
    kind = {"deconvnet": Deconvolution, "guided": GuidedBackprop}[view]
    return _rectified(kind, network, Upto(network, layer), x, unit)


def strongest(
    network: WhiteBox, x: Tensor, layer: str, maps: int
) -> list[tuple[tuple[int, int, int], float]]:
    """The strongest activation of each of the layer's maps with the strongest ones, and its
    value; those that are not positive are left out."""
    with torch.no_grad():
        seen = Upto(network, layer)(x)[0]
    channels, _, columns = seen.shape
    peaks, places = seen.reshape(channels, -1).max(1)
    order = torch.argsort(peaks, descending=True, stable=True)[:maps].tolist()
    return [
        ((n, int(places[n]) // columns, int(places[n]) % columns), float(peaks[n]))
        for n in order
        if peaks[n] > 0
    ]


def _rectified(kind: Any, network: WhiteBox, module: Any, x: Tensor, target: Any) -> Tensor:
    if not any(isinstance(one, nn.ReLU) for one in network.module.modules()):
        raise UsageError(
            "the network has no ReLU as a module of its own, so there is nothing that a "
            "deconvolution network or guided backpropagation would do: take integrated"
        )
    with _quiet():
        return kind(module).attribute(_leaf(x), target)


def integrated(
    network: WhiteBox, x: Tensor, target: int, baseline: Tensor
) -> tuple[Tensor, float, int]:
    """What each value adds to the logit on the straight way from the baseline; by how large a
    share of the difference the sum misses it, and the number of steps it took."""
    method = IntegratedGradients(network.module)
    with torch.no_grad():
        whole = float((network.module(x) - network.module(baseline))[0, target])
    for steps in STEPS:
        with _quiet():
            found = method.attribute(
                _leaf(x), baseline, target, n_steps=steps, internal_batch_size=8
            )
        gap = abs(float(found.detach().double().sum()) - whole) / max(abs(whole), 1e-9)
        if gap <= GAP:
            break
    return found, gap, steps


def smoothgrad(
    network: WhiteBox, x: Tensor, target: int, seed: int = 0, samples: int = 32, noise: float = 0.15
) -> Tensor:
    """The mean gradient of noisy copies; noise: its deviation as a share of the input's range."""
    spread = noise * float(x.max() - x.min())
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(seed)
        return NoiseTunnel(Saliency(network.module)).attribute(
            _leaf(x),
            nt_type="smoothgrad",
            nt_samples=samples,
            nt_samples_batch_size=8,
            stdevs=spread,
            target=target,
            abs=False,
        )


def gradcam(network: WhiteBox, x: Tensor, target: int, layer: str) -> Tensor:
    """(h, w) of the layer's places, enlarged linearly to the network's pixels."""
    with _quiet():
        cam = LayerGradCam(network.module, network.modules[layer]).attribute(
            _leaf(x), target, relu_attributions=True
        )
    return _enlarged(network, cam)


def layercam(network: WhiteBox, x: Tensor, target: int, layer: str) -> Tensor:
    """Each activation weighted by its own positive gradient; captum has none."""
    with _watched(network.modules[layer]) as seen:
        logit = network.module(_leaf(x))[0, target]
    (activation,) = seen
    (slope,) = torch.autograd.grad(logit, activation)
    cam = (slope.clamp(min=0) * activation).sum(1, keepdim=True).clamp(min=0)
    return _enlarged(network, cam)


def _enlarged(network: WhiteBox, cam: Tensor) -> Tensor:
    sides: Sequence[int] = network.preprocessing.size[::-1]
    with _quiet():
        return LayerAttribution.interpolate(cam, tuple(sides), "bilinear")[0, 0].detach()


def _leaf(x: Tensor) -> Tensor:
    return x.detach().clone().requires_grad_()
