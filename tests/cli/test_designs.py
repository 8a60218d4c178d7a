"""Methods and their options on the command line, and the sentence about what was found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from probe.mock import serve
from probe.testing.planted import Planted

PLANTED = (24, 16, 48, 40)


@pytest.fixture
def server():
    with serve(Planted()) as running:
        yield running


@pytest.fixture
def occlude(run, picture, server):
    """Run `probe occlude` on the planted picture: (exit code, stdout, stderr)."""

    def call(method, *arguments):
        return run(
            *("occlude", picture, "--api", server.url, "--codec", "png", "--method", method),
            *arguments,
        )

    return call


def box(sentence):
    return [int(n) for n in re.search(r"(\d+),(\d+)-(\d+),(\d+) px", sentence).groups()]


@pytest.mark.parametrize("method", ["rise", "lime", "kernelshap"])
def test_a_map_of_masks_names_its_strongest_spot_and_what_it_adds(occlude, method):
    code, out, _ = occlude(method, "--budget", 128)
    assert code == 0
    found = out.splitlines()[0]
    assert found.startswith("nsfw 0.95. The map's strongest spot is ")
    assert "Covering" not in found
    x0, y0, x1, y1 = box(found)
    assert x0 < 40
    assert y0 < 32
    assert x1 > 32
    assert y1 > 24
    value, error = map(float, re.search(r"adds up to (\S+) ± (\S+)\.$", found).groups())
    values = np.load(f"planted.{method}.probe/map.npy")
    assert value == pytest.approx(np.nanmax(values), rel=0.06)
    assert value > 2 * error
    again = occlude(method, "--budget", 128)[1]
    assert " · 0 calls, " in again


def test_a_map_of_masks_without_a_spot_says_so(run, picture, tmp_path):
    with serve(Planted(red=10**9)) as flat:
        code, out, _ = run(
            *("occlude", picture, "--api", flat.url, "--method", "rise", "--budget", 16)
        )
    assert code == 0
    assert out.splitlines()[0] == "nsfw 0.05. No part of the map stands out of its errors."


def test_keeps_are_said_as_what_they_show(occlude):
    found = occlude("keep")[1].splitlines()[0]
    assert re.match(r"nsfw 0.95. The region \S+ px \(\d+% of the picture\) with all else", found)
    assert "cover " not in found
    x0, y0, x1, y1 = box(found)
    assert x0 < 36 < x1
    assert y0 < 28 < y1


def test_covers_and_keeps_are_both_said_and_the_empty_picture_is_neither(occlude):
    found = occlude("cover+keep")[1].splitlines()[0]
    assert re.search(r"Covering the box \S+ px \(\d\d?% of the picture\) brings it to ", found)
    assert re.search(r"The region \S+ px \(\d+% of the picture\) with all else covered ", found)
    record = json.loads(occlude("cover+keep", "--json")[1])
    assert record["strongest"]["area"] < 1


def test_options_reach_the_method_as_numbers(occlude):
    settings = {}
    for method, given in (
        ("rise", ("cells=4", "shown=0.4")),
        ("multiscale", ("sides=.1,0.5",)),
        ("grid", ("size=48", "stride=0.5")),
        ("lime", ("segments=9", "compactness=30")),
    ):
        options = [word for one in given for word in ("--option", one)]
        assert occlude(method, *options)[0] == 0
        name = "planted" if method == "multiscale" else f"planted.{method}"
        record = json.loads(Path(f"{name}.probe/run.json").read_text())
        settings[method] = record["settings"]["options"]
    assert settings["rise"] == {"cells": 4, "shown": 0.4}
    assert settings["multiscale"]["sides"] == [0.1, 0.5]
    assert settings["grid"] == {"size": 48, "stride": 0.5}
    assert settings["lime"] == {"segments": 9, "compactness": 30}


def test_the_hint_repeats_the_options(occlude):
    following = occlude("rise", "--option", "cells=4", "--option", "shown=0.4")[1].splitlines()[-1]
    assert "--method rise" in following
    assert "--option cells=4 --option shown=0.4" in following


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("lime", ["segment=3"], r"no option 'segment'. Did you mean 'segments'\? lime has:"),
        ("rise", ["cells=4.5"], "'cells=4.5': cells takes a whole number, as 8"),
        ("rise", ["shown=often"], "shown takes a number, as 0.5"),
        ("multiscale", ["sides=a,b"], "sides takes numbers with a comma between, as 0.12,0.75"),
        ("lime", ["segments=few"], "segments takes a number"),
        ("rise", ["cells"], "--option 'cells' is not KEY=VALUE"),
        ("rise", ["=4"], "is not KEY=VALUE"),
        ("rise", ["cells=4", "cells=5"], "--option 'cells=5' is given twice"),
        ("rise", ["cells=0"], "cells must be a whole number from 1 to 32"),
        ("kernelshap", ["segments=60"], "superpixels need .* answers .* or take at most"),
        ("multiscale", ["sides=.5"], "sides"),
        ("lime", ["segments=2.5"], "segments"),
        ("rise", ["cells=\x1b[31m"], r"cells takes a whole number"),
    ],
)
def test_options_that_cannot_be_used_are_refused_before_a_call(
    occlude, server, method, options, message
):
    words = [word for one in options for word in ("--option", one)]
    code, out, err = occlude(method, *words)
    assert code == 2
    assert out == ""
    assert re.search(message, err)
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err
    assert server.calls == 0
