"""Real servers, which nobody of this project wrote, with real weights, on loopback.

`tests/servers/install.sh DIR` installs them; PROBE_SERVERS=DIR tells the tests where. A server
that is not installed skips its tests, unless PROBE_ALL_INSTALLED is set: then it fails them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from probe import Prober
from probe.backends import resolve
from probe.backends.local import local
from probe.image import decode, open_image
from probe.providers.asking import Desk
from probe.providers.examine import examine
from probe.types import Box
from tests.servers.running import SERVERS

HERE = Path(__file__).parent
RETINA = HERE.parents[1] / "examples/retina.jpg"


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


def folder_of(name):
    folder = Path(os.environ.get("PROBE_SERVERS", "nowhere")).resolve() / name
    if not (folder / "installed").is_file():
        say = f"{name} is not installed: tests/servers/install.sh DIR, then PROBE_SERVERS=DIR"
        if os.environ.get("PROBE_ALL_INSTALLED"):
            pytest.fail(say)
        pytest.skip(say)
    return folder


def fixture_of(name, installed, **options):
    @pytest.fixture(scope="module", name=name)
    def url(tmp_path_factory):
        scratch = tmp_path_factory.mktemp(name)
        with SERVERS[installed](folder_of(installed), scratch, **options) as url:
            yield url

    return url


mlserver = fixture_of("mlserver", "mlserver")
litserve = fixture_of("litserve", "litserve")
openmoderate = fixture_of("openmoderate", "openmoderate")
keeping_borders = fixture_of("keeping_borders", "openmoderate", borders="keep")
triton = fixture_of("triton", "triton")
nsfwpy = fixture_of("nsfwpy", "nsfwpy")
nsfwjs = fixture_of("nsfwjs", "nsfwjs")
nudenet = fixture_of("nudenet", "nudenet")


@pytest.fixture(scope="session")
def installed():
    """installed(name): the folder; skips, or fails, where it is not."""
    return folder_of


@pytest.fixture(scope="session")
def retina():
    return RETINA


@dataclass(frozen=True)
class Encoded:
    data: bytes

    def pixels(self):
        return decode(self.data)


class Twin:
    """open_nsfw in this process, which sees what a service of these limits gets to see."""

    identity = "twin"

    def __init__(self, limits):
        two = {"labels": ("sfw", "nsfw"), "question": "nsfw"}
        self.limits = replace(limits, host=None, rate=(), price=None, **two)
        self._network = local()

    def score(self, variants, codec):
        return self._network.score([Encoded(v.encode(codec)) for v in variants], codec)


@pytest.fixture
def same_map(tmp_path):
    """same_map(backend, codec, within): its map of the retina is that of its twin; the Result."""

    def check(backend, codec, within, **options):
        prober = Prober(backend, codec=codec, ledger=tmp_path / "service.db")
        there = prober.probe(RETINA, "nsfw", **options)
        twin = Prober(Twin(prober.backend.limits), codec=codec, ledger=tmp_path / "twin.db")
        here = twin.probe(RETINA, "nsfw", **options)
        asked = [answer.perturbation for answer in there.answers]
        assert asked == [answer.perturbation for answer in here.answers]
        assert not there.failures
        assert there.reference["nsfw"] == pytest.approx(here.reference["nsfw"], abs=within)
        ours, theirs = here.heatmap().values, there.heatmap().values
        assert np.ptp(ours[np.isfinite(ours)]) > 0.1
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=2 * within)
        return there

    return check


@dataclass(frozen=True)
class Spoilt:
    """A backend to which the variant of one perturbation is sent as junk."""

    backend: object
    junk: object

    @property
    def identity(self):
        return self.backend.identity

    @property
    def limits(self):
        return self.backend.limits

    def score(self, variants, codec):
        sent = [Junk(v.perturbation) if v.perturbation == self.junk else v for v in variants]
        return self.backend.score(sent, codec)


@dataclass(frozen=True)
class Junk:
    perturbation: object

    def encode(self, codec):
        return b"this is no picture"


@pytest.fixture
def one_bad_picture(tmp_path):
    """one_bad_picture(backend, within): it is the only hole; returns the Result.

    All other answers are those of a run without it.
    """

    def check(backend, within, picture=RETINA, label="nsfw"):
        ask = {"label": label, "budget": 24}
        prober = Prober(backend, ledger=tmp_path / "sound.db")
        sound = prober.probe(picture, **ask)
        changes = [a.perturbation for a in sound.answers if isinstance(a.perturbation, Box)]
        spoilt = Spoilt(prober.backend, changes[5])
        there = Prober(spoilt, ledger=tmp_path / "spoilt.db").probe(picture, **ask)
        assert [answer.perturbation for answer in there.failures] == [changes[5]]
        for mine, theirs in zip(sound.answers, there.answers, strict=True):
            assert mine.perturbation == theirs.perturbation
            if theirs not in there.failures:
                assert dict(theirs.outcome) == pytest.approx(dict(mine.outcome), abs=within)
        return there

    return check


@pytest.fixture
def occlude(tmp_path):
    """occlude(*arguments): exit status and the JSON object of `probe occlude retina.jpg`."""

    def run(*arguments, **environ):
        command = [sys.executable, "-m", "probe", "occlude", RETINA, *arguments]
        command += ["--json", "--quiet", "--out", tmp_path / "out"]
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            timeout=300,
            env=os.environ | {"PROBE_LEDGER": str(tmp_path / "cli.db")} | environ,
        )
        return done.returncode, json.loads(done.stdout)

    return run


@pytest.fixture
def findings():
    """findings(backend): check -> Finding, by the retina."""

    def look(backend, trims=None):
        service = resolve(backend)
        picture = open_image(RETINA).image
        return {
            one.check: one for one in examine(Desk(service), service.limits, picture, (), trims)
        }

    return look
