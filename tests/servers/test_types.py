"""The mock's answers of the Open Inference Protocol, read by MLServer's own type."""

from __future__ import annotations

import json
import subprocess

import pytest
import requests

from probe import mock
from probe.api import request
from probe.api.profile import catalogue
from probe.api.profile.settings import Settings
from probe.image import encode
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec

READ = """
import sys
from mlserver.types import InferenceErrorResponse, InferenceResponse
for line in sys.stdin:
    kind = InferenceErrorResponse if '"error"' in line else InferenceResponse
    print(kind.model_validate_json(line).model_dump_json())
"""


@pytest.mark.parametrize("name", ["oip-json", "triton-binary"])
def test_mlservers_own_types_read_the_mocks_answers(installed, name):
    png = encode(planted_picture(), Codec("png"))
    with mock.serve(Planted()) as server:
        environ = {"OIP_BASE": server.url, "TRITON_BASE": server.url}
        said = []
        for model, status in (("nsfw", 200), ("nope", 404)):
            profile = catalogue.load(name, {"model": model})
            sent = request.render(profile, Settings(profile, environ), [png, png], "image/png")
            reply = requests.post(sent.url, sent.body, headers=dict(sent.headers), timeout=30)
            assert reply.status_code == status
            said.append(reply.text)
    command = [installed("mlserver") / "bin/python", "-c", READ]
    done = subprocess.run(command, input="\n".join(said), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer, error = map(json.loads, done.stdout.splitlines())
    assert answer["outputs"][0]["shape"] == [2, 2]
    assert answer["outputs"][0]["data"] == pytest.approx([0.05, 0.95, 0.05, 0.95])
    assert "nope" in error["error"]
