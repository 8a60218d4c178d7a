"""What an inner layer of the default network sees in each cell of a picture."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import MissingExtra

if TYPE_CHECKING:
    from PIL import Image

    from probe.backends.onnx import Onnx

LAYER = "Relu_21:0"
"""The last layer of open_nsfw with 28 x 28 cells, 256 channels each."""
CELLS = 28
CHANNELS = 256


class InnerLayer:
    """The activations of LAYER for a whole picture, squeezed to the size the network takes.

    network: open_nsfw. threads: of onnxruntime, default the cores of this process. It is read at
    the first use; raises MissingExtra without `onnx`, UsageError for another network.
    """

    def __init__(self, network: Onnx, threads: int | None = None) -> None:
        self._network = network
        self._threads = threads
        self._preprocessing = replace(network.preprocessing, resize=None, jpeg=None)
        self._lock = Lock()
        self._session: Any = None

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """float32 (28, 28, 256), from 0."""
        with self._lock:
            if self._session is None:
                self._session = self._network.session(self._reaching(), self._threads)
        name = self._session.get_inputs()[0].name
        (found,) = self._session.run([LAYER], {name: self._preprocessing(image)})
        layer: NDArray[np.float32] = found[0].transpose(1, 2, 0)
        return layer

    def _reaching(self) -> bytes:
        """The network with the layer as an output."""
        try:
            import onnx
        except ImportError as error:
            raise MissingExtra("onnx", "audit") from error
        model = onnx.load_from_string(self._network.content())
        model.graph.output.append(onnx.ValueInfoProto(name=LAYER))
        made: bytes = model.SerializeToString()
        return made
