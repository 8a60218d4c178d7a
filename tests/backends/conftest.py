from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from PIL import Image

from probe.testing.backends import Sample
from probe.types import Codec
from tests.api.hostile import Script, Wild, answer


@pytest.fixture
def wild() -> Iterator[Callable[..., Wild]]:
    with ExitStack() as stack:

        def start(script: Script, **options: Any) -> Wild:
            return stack.enter_context(closing(Wild(script, **options)))

        yield start


@pytest.fixture
def reply() -> Callable[..., bytes]:
    def make(body: Any = b"", status: str = "200 OK", **headers: str) -> bytes:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return answer(data, status, **headers)

    return make


@pytest.fixture
def sample() -> Callable[..., Sample]:
    def make(image: Image.Image | None = None, codec: Codec | None = None) -> Sample:
        return Sample(image or Image.new("RGB", (32, 24), "gray"), codec or Codec(), [])

    return make
