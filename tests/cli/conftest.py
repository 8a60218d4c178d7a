from __future__ import annotations

import pytest

from probe.cli import main
from probe.testing.planted import planted_picture


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run a command in-process in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return exit.value.code, out, err

    return call


@pytest.fixture
def picture(tmp_path):
    planted_picture().save(tmp_path / "planted.png")
    return "planted.png"
