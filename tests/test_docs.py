"""Every command and every Python block of the README and of docs/ runs as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INSTALLS = [line for line in README.splitlines() if line.startswith("pip install")]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(page: Path) -> list[str]:
    return [
        line.split("&&")[-1].strip()
        for block in blocks("sh", page.read_text("utf-8"))
        for line in block.splitlines()
        if "pytest" not in line
    ]


INSIDE = find_spec("torch") is not None or "PROBE_ALL_INSTALLED" in os.environ
"""Whether to run what needs the extra `inside`."""


def needs_inside(command: str) -> bool:
    return command.startswith("probe deconv") or "--map" in command


COMMANDS = [command for page in PAGES for command in commands(page)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the examples, and an environment with a ledger of its own."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples", folder / "examples")
    scripts = str(Path(sys.executable).parent)
    environment = os.environ | {
        "PROBE_LEDGER": str(folder / "ledger.db"),
        "BROWSER": "true",
        "PATH": scripts + os.pathsep + os.environ["PATH"],
    }
    return folder, environment


@pytest.mark.slow
def test_every_command_of_the_docs_runs_in_its_order(place):
    folder, environment = place
    servers = []
    try:
        for command in COMMANDS:
            if needs_inside(command) and not INSIDE:
                continue
            if command.startswith(("probe serve", "probe studio")):
                server = subprocess.Popen(
                    command.split(), cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
                )
                servers.append(server)
                assert " at http://127.0.0.1:" in server.stdout.readline()
                continue
            done = subprocess.run(
                command, shell=True, cwd=folder, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{command}\n{done.stderr}"
    finally:
        for server in servers:
            server.terminate()
            server.wait()
            server.stdout.close()
    assert len(COMMANDS) >= 10
    runs = ("retina.probe", "retina.grid.probe", "retina.windows.probe", "served.probe")
    for run in (*runs, "clarifai.probe", "by-name.probe", "hf.probe", "found.probe"):
        with Image.open(folder / run / "overlay.png") as drawn:
            assert drawn.width > 400


@pytest.mark.slow
@pytest.mark.parametrize(
    "code", [code for page in PAGES for code in blocks("python", page.read_text("utf-8"))]
)
def test_every_python_block_runs(place, code):
    if "probe.inside" in code and not INSIDE:
        pytest.skip("the extra inside is not installed")
    folder, environment = place
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_every_example_runs(place, name):
    folder, environment = place
    done = subprocess.run(
        [sys.executable, f"examples/{name}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (folder / done.stdout.split()[-1]).exists()


def test_the_facts_of_another_network_are_read(tmp_path):
    from probe.backends import resolve

    (tmp_path / "net.onnx").write_bytes(b"weights")
    (tmp_path / "net.toml").write_text(blocks("toml")[0])
    assert resolve(tmp_path / "net.onnx").labels == ("cat", "dog")


def test_the_two_set_up_commands_are_what_ci_runs():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert len(INSTALLS) == 2
    for command in INSTALLS:
        assert f'"{command}"' in script


def test_every_command_is_in_the_readme():
    from probe.cli import COMMANDS as NAMES

    for name in NAMES:
        assert f"probe {name}" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_the_docs_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
