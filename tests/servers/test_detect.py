"""`probe providers detect`, given no more than where a server listens."""

from __future__ import annotations

import subprocess
import sys

import pytest

CONTRACTS = {
    "mlserver": "oip-json",
    "triton": "triton-binary",
    "openmoderate": "openmoderate",
    "nudenet": "nudenet-fastdeploy",
    "nsfwjs": "nsfwjs-express",
    "nsfwpy": "nsfwpy",
    "litserve": "detected",
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_contract_is_found_and_its_profile_works(name, request, retina, tmp_path, occlude):
    url = request.getfixturevalue(name)
    command = [sys.executable, "-m", "probe", "providers", "detect", url, str(retina)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f'name = "{CONTRACTS[name]}"' in done.stdout.splitlines()
    written = tmp_path / "detected.toml"
    written.write_text(done.stdout)
    status, said = occlude("--api", written, "--budget", "8", DETECTED_BASE=url)
    assert status == 0, said
    assert said["failures"] == 0
    assert said["answers"] == 8
