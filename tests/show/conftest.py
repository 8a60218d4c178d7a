"""Maps and results by hand, without the rest of the package."""

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from probe.heatmap import Heatmap, Planes
from probe.result import Answer, Result
from probe.types import WHOLE, Box, Canvas, Failure, Identity, Perturbation, Scores, Window


def make_heatmap(
    values, label="nsfw", image=None, size=None, seen=WHOLE, stderr=0.0, **about
) -> Heatmap:
    values = np.asarray(values, np.float32)
    stderr = values * 0 + np.asarray(stderr, np.float32)
    height, width = values.shape
    covered = (~np.isnan(values)).astype(np.int32)
    canvas = Canvas(size or (width, height), (width, height), 1, seen)
    settings = {"unit": "score", "reference": 0.655, "calls": 64, "answers": 64} | about
    planes = Planes(values, stderr, 0.655 - values, covered)
    return Heatmap(label=label, canvas=canvas, planes=planes, image=image, **settings)


def grey(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (128, 128, 128))


@dataclass
class LeftHalf:
    """An estimator whose map says: all of it comes from the left half."""

    canvas: Canvas
    label: str
    empty: bool = False

    def update(self, perturbation: Perturbation, scores: Scores) -> None:
        pass

    def heatmap(self) -> Heatmap:
        width, height = self.canvas.send
        values = np.full((height, width), np.nan if self.empty else 0.0, np.float32)
        values[:, : width // 2] += 0.5
        return make_heatmap(values, self.label, size=self.canvas.size)


def make_result(labels=("nsfw", "sfw"), image="grey", empty=False, **changes) -> Result:
    canvas = Canvas((8, 6), (8, 6))
    scores = Scores(dict.fromkeys(labels, 1 / 3))
    answers = [
        Answer(Identity(), scores, "sent"),
        Answer(Identity(repeat=1), scores, "sent"),
        Answer(Identity(full=True), scores, "same"),
        Answer(Box(0.1, 0.2, 0.30000000000000004, 1.0), scores, "ledger"),
        Answer(Window(0.0, 0.0, 0.5, 0.5), Failure("lost", "no\nanswer, =cmd"), "sent"),
    ]
    about = {
        "image": grey(8, 6) if image == "grey" else image,
        "canvas": canvas,
        "label": labels[0],
        "reference": scores,
        "answers": answers,
        "estimator": lambda label: LeftHalf(canvas, label, empty),
        "settings": {"picture": "/home/someone/party.jpg", "method": "grid", "plan": "abc"},
        "backend": "a model",
        "calls": 4,
        "requests": 2,
        "seconds": 1.5,
        "notes": ["Grey levels were turned into RGB."],
    }
    return Result(**(about | changes))


@pytest.fixture
def heatmap():
    return make_heatmap


@pytest.fixture
def result():
    return make_result
