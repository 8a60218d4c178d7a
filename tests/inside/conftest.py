"""Views from inside a network need the extra `inside`.

Without it these tests are skipped, unless PROBE_ALL_INSTALLED is set: then they fail. They are
slow for what they import.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MISSING = [name for name in ("torch", "captum", "onnx") if find_spec(name) is None]
collect_ignore_glob = ["test_*.py"] if MISSING and not os.environ.get("PROBE_ALL_INSTALLED") else []


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def nsfw():
    """The default network from the inside."""
    from probe.backends.local import local
    from probe.inside.network import from_onnx

    return from_onnx(local())
