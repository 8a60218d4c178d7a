"""probe compare --map, over a server that counts; the views from inside are in test_deconv."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from probe import Heatmap
from probe.limits import Limits, Price
from probe.mock import serve
from probe.testing.planted import Planted


@pytest.fixture
def server():
    limits = Limits(
        batch=8, labels=("sfw", "nsfw"), question="nsfw", price=Price(0.25, "EUR", "2026-10")
    )
    with serve(Planted(limits=limits)) as running:
        yield running


@pytest.fixture
def saved(picture):
    """A map that glows in the lower right corner."""
    values = np.zeros((64, 96), np.float32)
    values[40:, 60:] = np.linspace(0.1, 1, 36, dtype=np.float32)
    np.save("corner.npy", values)
    return "corner.npy"


def compared(run, picture, server, *arguments):
    code, out, err = run(
        "compare", picture, "--codec", "png", "--api", server.url, *arguments, "--json"
    )
    return code, json.loads(out), err


def test_what_was_asked_and_paid_is_what_the_server_counted(run, picture, server, saved):
    given = ("--map", "occlude", "--map", saved, "--budget", 32)
    code, found, err = compared(run, picture, server, *given)
    assert code == 0
    assert found["calls"] == server.calls
    assert (found["cost"], found["currency"]) == (server.calls * 0.25, "EUR")
    assert "corner.npy: deletion" in err
    assert f"· {found['calls']} calls, {found['cost']:.4g} EUR" in err
    assert [one["name"] for one in found["maps"]] == ["occlude", "corner.npy"]
    assert found["maps"][0]["deletion"] < found["maps"][1]["deletion"]
    assert found["maps"][0]["insertion"] > found["maps"][1]["insertion"]
    assert np.array_equal(Heatmap.load("planted.compare/b.npz").values, np.load(saved))
    with Image.open("planted.compare/compare.png") as drawn:
        assert drawn.width > 900
    before = server.calls
    code, again, _ = compared(run, picture, server, *given)
    assert (code, again["calls"], server.calls) == (0, 0, before)
    assert again["files"] == found["files"]
    for key in ("rank_correlation", "rank_correlation_of_parts", "label", "reference"):
        assert again[key] == found[key]


def test_a_cap_in_the_middle_loses_nothing(run, picture, server, saved):
    given = ("--map", "occlude", "--map", saved, "--budget", 32)
    code, found, err = compared(run, picture, server, *given, "--max-calls", 50)
    assert code == 5
    assert found["error"]["exit_code"] == 5
    assert "to go on: probe compare planted.png" in err
    assert server.calls == 50
    assert Heatmap.load("planted.compare/a.npz").values.shape == (64, 96)
    code, found, _ = compared(run, picture, server, *given)
    assert code == 0
    assert found["calls"] == server.calls - 50


def test_a_dry_run_sends_nothing(run, picture, server, saved):
    given = ("--map", "occlude", "--map", saved, "--budget", 32, "--dry-run")
    code, found, _ = compared(run, picture, server, *given)
    assert (code, server.calls) == (0, 0)
    assert (found["calls"], found["cost"]) == (112, 28.0)
    assert not Path("planted.compare").exists()


def test_the_page_shows_the_run_and_both_maps(run, picture, server, saved):
    given = ("--map", "occlude", "--map", saved, "--budget", 16, "--report")
    code, found, _ = compared(run, picture, server, *given)
    assert code == 0
    assert found["files"][-1] == "planted.compare/report.html"
    page = Path("planted.compare/report.html").read_text("utf-8")
    assert "Both maps, each on its own scale" in page
    assert "rank alike by" in page
    before = server.calls
    code, found, _ = compared(
        run, picture, server, "--map", saved, "--map", "corner.npy", "--report"
    )
    assert code == 2
    assert "neither map is of one" in found["error"]["message"]
    assert server.calls == before


def test_the_method_and_its_lengths_are_those_asked_for(run, picture, server, saved):
    grid = ("--method", "grid", "--size", "0.5", "--stride", "0.5")
    code, found, _ = compared(run, picture, server, "--map", "occlude", "--map", saved, *grid)
    assert code == 0
    assert found["maps"][0]["answers"] == 7
    code, found, _ = compared(
        run, picture, server, "--map", "occlude", "--map", saved, "--size", "0.5"
    )
    assert code == 2
    assert "belong to grid" in found["error"]["message"]


def test_both_maps_are_of_one_label(run, picture, server, saved):
    for label in ("sfw", "nsfw"):
        run("occlude", picture, "--api", server.url, "--label", label, "--quiet", "--codec", "png")
        Path("planted.probe").rename(label)
    before = server.calls
    code, found, _ = compared(run, picture, server, "--map", "sfw", "--map", "nsfw")
    assert code == 2
    assert "the maps are of 'nsfw' and 'sfw'" in found["error"]["message"]
    code, found, _ = compared(
        run, picture, server, "--map", "sfw", "--map", saved, "--label", "nsfw"
    )
    assert code == 2
    assert "is of 'sfw', not of 'nsfw'" in found["error"]["message"]
    assert server.calls == before
    code, found, _ = compared(run, picture, server, "--map", "sfw", "--map", saved)
    assert code == 0
    assert found["label"] == "sfw"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--map", "occlude"), "twice"),
        (("--map", "occlude", "--map", "a", "--map", "b"), "twice"),
        (("--map", "occlude", "--map", "occlude", "--unit", "share"), "--unit is for two services"),
        (("--map", "occlude", "--map", "occlude", "--api", "skin"), "one --api"),
    ],
)
def test_what_does_not_go_with_maps_is_refused(run, picture, server, given, says):
    code, found, _ = compared(run, picture, server, *given)
    assert code == 2
    assert says in found["error"]["message"]
    assert server.calls == 0


def test_a_flat_map_has_no_order(run, picture, server):
    np.save("flat.npy", np.ones((64, 96), np.float32))
    code, found, _ = compared(run, picture, server, "--map", "flat.npy", "--map", "occlude")
    assert code == 2
    assert "flat" in found["error"]["message"]
