from __future__ import annotations

import pytest


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file of this name in an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)

    def call(content, name="scores.csv"):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        return name

    return call
