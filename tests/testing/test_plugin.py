"""The pytest plugin, in other people's tests."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from tomllib import loads

import pytest

pytest_plugins = ["pytester"]

for name in ("backends.http", "ledger.database", "mock", "prober"):
    import_module(f"probe.{name}")  # pytester forgets modules, compiled ones load only once

UPLOAD = """
    import io, os, requests
    from PIL import Image

    def upload(url, box=None):
        image = Image.effect_noise((200, 160), 90).convert("RGB") if box is None else LAST[0].copy()
        if box: image.paste((255, 0, 255), box)
        LAST[:] = LAST[:1] or [image]
        file = io.BytesIO(); image.save(file, "JPEG", quality=95)
        data = {"media": file.getvalue()}
        reply = requests.post(url + "/api/v2/task/sync", files=data, timeout=20)
        if reply.status_code != 200: return reply.status_code
        classes = reply.json()["status"][0]["response"]["output"][0]["classes"]
        return {one["class"]: one["score"] for one in classes}["general_nsfw"]

    LAST = []
"""


@pytest.fixture
def passes(pytester, monkeypatch):
    """passes(code): these tests pass where nothing but the plugin is loaded."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(code, count=1):
        indented = "\n".join("    " + line for line in code.strip("\n").splitlines())
        pytester.makepyfile(UPLOAD + "\n" + indented)
        result = pytester.runpytest("-p", "probe.testing.plugin", "-q", "-W", "error")
        result.assert_outcomes(passed=count)

    return run


def test_an_upload_is_held_by_the_planted_region(passes):
    passes("""
def test_upload(tagging_server):
    tagging_server.plant(label="nsfw", box=(.2, .2, .5, .5))
    assert upload(tagging_server.url) > 0.9
    assert upload(tagging_server.url, (100, 100, 160, 160)) > 0.85
    assert upload(tagging_server.url, (40, 32, 100, 80)) < 0.1
    assert (tagging_server.requests, tagging_server.calls) == (3, 3)
""")


def test_each_test_has_a_server_of_its_own_that_says_yes_until_told_otherwise(passes):
    passes(
        """
def test_one(tagging_server):
    assert upload(tagging_server.url) > 0.9
    assert tagging_server.calls == 1

def test_two(tagging_server):
    assert tagging_server.calls == 0
    assert upload(tagging_server.url) > 0.9
""",
        2,
    )


def test_planting_again_keeps_the_labels_and_makes_all_pictures_new(passes):
    passes("""
def test_labels(tagging_server):
    tagging_server.plant("nsfw", (0, 0, .5, .5))
    assert upload(tagging_server.url) > 0.9
    assert upload(tagging_server.url, (0, 0, 100, 80)) < 0.1
    tagging_server.plant("dog", (.5, .5, 1, 1))
    assert upload(tagging_server.url, (0, 0, 100, 80)) > 0.9
    labels = requests.get(tagging_server.url, timeout=20).json()["labels"]
    assert labels == ["nsfw", "dog", "sfw"]
""")


def test_weather_comes_and_goes_and_is_counted(passes):
    passes("""
def test_weather(tagging_server):
    tagging_server.faults("503=1")
    assert upload(tagging_server.url) == 503
    assert tagging_server.faulted == {"503": 1}
    tagging_server.faults({"429": 1, "in_a_row": 2}, seed=3)
    assert [upload(tagging_server.url, (0, 0, 1, 1)) for _ in range(2)] == [429, 429]
    tagging_server.faults()
    assert upload(tagging_server.url) > 0.9
""")


def test_the_environment_points_every_client_there(passes):
    passes("""
def test_environment(tagging_server, monkeypatch):
    from probe import service
    given = tagging_server.environment
    assert given["OPENAI_BASE_URL"] == tagging_server.url + "/v1"
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert tagging_server.url.removeprefix("http://") == service("hive").limits.host
""")


def test_what_probe_asks_in_a_test_stays_out_of_the_users_ledger(passes, monkeypatch, tmp_path):
    monkeypatch.setenv("PROBE_LEDGER", str(tmp_path / "mine.db"))
    passes("""
def test_ledger(tagging_server):
    from PIL import Image
    from probe import Prober
    Prober(tagging_server.url).probe(Image.new("RGB", (40, 30)), budget=8)
""")
    assert not (tmp_path / "mine.db").exists()


def test_the_plugin_is_light():
    heavy = "numpy PIL requests scipy click sqlalchemy"
    code = f"import probe.testing.plugin, sys; print(set({heavy.split()!r}) & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_the_package_says_that_it_has_a_plugin():
    project = loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    named = project["project"]["entry-points"]["pytest11"]
    assert named == {"probe": "probe.testing.plugin"}
    found = {one.value for one in entry_points(group="pytest11") if one.name == "probe"}
    assert found <= {"probe.testing.plugin"}
