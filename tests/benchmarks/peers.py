"""Other people's black-box methods, through their own published interfaces.

`pip install torch==2.13.0` and then `pip install '.[bench]'`. Settings are the libraries' defaults
unless said; every method gets the picture as uint8 and the black box alone.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.blackbox import BlackBox

Values = NDArray[np.floating]
Pixels = NDArray[np.uint8]
Explain = Callable[[BlackBox, Pixels, int, int], Values]
"""(box, (H, W, 3) picture, budget, seed) -> (H, W) map; positive speaks for the label."""

BUDGETS = (64, 256, 1024)


@dataclass(frozen=True)
class Peer:
    """explain: the method. budgets: 0 stands for the number of calls that a fixed design takes.
    drawn: whether the seed matters."""

    explain: Explain
    budgets: tuple[int, ...] = BUDGETS
    drawn: bool = True
    settings: str = ""


def _tensor(pixels: Pixels) -> Any:
    import torch

    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]


def _forward(box: BlackBox) -> Callable[[Any], Any]:
    import torch

    return lambda batch: torch.from_numpy(box.scores(batch.permute(0, 2, 3, 1).numpy()))


def _mean(pixels: Pixels) -> Any:
    import torch

    levels = np.rint(pixels.mean((0, 1))).astype(np.float32)
    return torch.from_numpy(levels)[None, :, None, None].expand(1, 3, *pixels.shape[:2])


def captum_occlusion(
    box: BlackBox, pixels: Pixels, _: int, seed: int, *, window: int, stride: int
) -> Values:
    from captum.attr import Occlusion

    window, stride = (round(size * len(pixels) / 224) for size in (window, stride))
    map_ = Occlusion(_forward(box)).attribute(
        _tensor(pixels),
        sliding_window_shapes=(3, window, window),
        strides=(3, stride, stride),
        baselines=_mean(pixels),
    )
    return map_[0].mean(0).numpy()


def captum_kernelshap(box: BlackBox, pixels: Pixels, budget: int, seed: int) -> Values:
    import torch
    from captum.attr import KernelShap
    from skimage.segmentation import slic

    torch.manual_seed(seed)
    segments = torch.from_numpy(slic(pixels, n_segments=50, start_label=0))[None, None]
    map_ = KernelShap(_forward(box)).attribute(
        _tensor(pixels), baselines=_mean(pixels), feature_mask=segments, n_samples=budget
    )
    return map_[0].mean(0).numpy()


def _classifier(box: BlackBox) -> Any:
    from smqtk_classifier.interfaces.classify_image import ClassifyImage

    class Classifier(ClassifyImage):  # type: ignore[misc]
        def get_labels(self) -> list[str]:
            return ["nsfw"]

        def classify_images(self, img_iter: Any) -> Iterator[dict[str, float]]:
            for image in img_iter:
                yield {"nsfw": float(box.scores(image[None])[0])}

        def get_config(self) -> dict[str, Any]:
            return {}

    return Classifier()


def xaitk_window(box: BlackBox, pixels: Pixels, _: int, seed: int) -> Values:
    from xaitk_saliency.impls.gen_image_classifier_blackbox_sal.slidingwindow import (
        SlidingWindowStack,
    )

    window, stride = (round(size * len(pixels) / 224) for size in (50, 20))
    method = SlidingWindowStack((window, window), (stride, stride))
    return method(pixels, _classifier(box))[0]


def xaitk_rise(box: BlackBox, pixels: Pixels, budget: int, seed: int) -> Values:
    from xaitk_saliency.impls.gen_image_classifier_blackbox_sal.rise import RISEStack

    return RISEStack(budget - 1, 8, 0.5, seed=seed)(pixels, _classifier(box))[0]


def lime(box: BlackBox, pixels: Pixels, budget: int, seed: int) -> Values:
    from lime.lime_image import LimeImageExplainer

    with contextlib.redirect_stderr(io.StringIO()):
        found = LimeImageExplainer(random_state=seed).explain_instance(
            pixels,
            lambda batch: np.stack([1 - (p := box.scores(batch)), p], 1),
            labels=(1,),
            top_labels=None,
            num_samples=budget,
        )
    weights = dict(found.local_exp[1])
    return np.vectorize(weights.__getitem__, otypes=[float])(found.segments)


def shap_partition(box: BlackBox, pixels: Pixels, budget: int, seed: int, *, masker: str) -> Values:
    import shap

    explainer = shap.Explainer(
        lambda batch: box.scores(batch)[:, None], shap.maskers.Image(masker, pixels.shape)
    )
    with contextlib.redirect_stderr(io.StringIO()):
        values = explainer(pixels[None], max_evals=budget, batch_size=50, silent=True).values
    return values[0, ..., 0].sum(-1)


PEERS = {
    "Captum Occlusion 64/32": Peer(
        partial(captum_occlusion, window=64, stride=32), (0,), False, "baseline: mean colour"
    ),
    "Captum Occlusion 48/16": Peer(
        partial(captum_occlusion, window=48, stride=16), (0,), False, "baseline: mean colour"
    ),
    "Captum Occlusion 32/8": Peer(
        partial(captum_occlusion, window=32, stride=8), (0,), False, "baseline: mean colour"
    ),
    "XAITK window 50/20": Peer(
        xaitk_window, (0,), False, "SlidingWindowStack, its default size and fill (black)"
    ),
    "XAITK RISE": Peer(
        xaitk_rise, settings="RISEStack, 8 x 8 cells, p1 0.5, debiased (default), black"
    ),
    "Captum KernelShap": Peer(
        captum_kernelshap, settings="SLIC, 50 segments asked for; baseline: mean colour"
    ),
    "LIME": Peer(lime, settings="default: quickshift segments, each one's mean colour"),
    "SHAP partition, blur": Peer(
        partial(shap_partition, masker="blur(128,128)"),
        drawn=False,
        settings="maskers.Image('blur(128,128)'), summed over the channels",
    ),
    "SHAP partition, inpainting": Peer(
        partial(shap_partition, masker="inpaint_telea"),
        drawn=False,
        settings="maskers.Image('inpaint_telea'), summed over the channels",
    ),
}
