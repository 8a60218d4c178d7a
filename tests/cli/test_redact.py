"""probe redact: what a person and a program get."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from probe.mock import serve
from probe.testing.planted import Planted

KEYS = """
schema picture backend label found already threshold direction reference score scores boxes area
tried calls answers requests cost currency failures seconds notes exit_code files
""".split()  # noqa: SIM905


@pytest.fixture
def server():
    with serve(Planted()) as running:
        yield running


@pytest.fixture
def redact(run, picture, server):
    def call(*arguments):
        return run("redact", picture, "--api", server.url, "--codec", "png", *arguments)

    return call


def test_it_says_what_to_cover_where_the_picture_is_and_what_it_cost(redact, server):
    code, out, _ = redact("--below", 0.4)
    assert code == 0
    found, files, following = out.splitlines()
    assert found.startswith("Covering ")
    assert " of the picture (box " in found
    assert "brings nsfw from 0.95 to 0." in found
    assert "(verified: 0." in found
    assert files.startswith("picture planted.redacted.png · ")
    assert following.startswith("next: probe occlude planted.redacted.png --api ")
    paid = server.calls
    _, out, _ = redact("--below", 0.4)
    assert " · 0 calls, " in out
    assert server.calls == paid


def test_the_object_for_programs_has_stable_keys(redact, picture):
    code, out, _ = redact("--json")
    found = json.loads(out)
    assert set(found) == set(KEYS)
    assert (found["found"], found["schema"], found["exit_code"]) == (True, 1, code == 1)
    assert found["score"] < found["threshold"] == 0.5
    x0, y0, x1, y1 = found["boxes"][0]
    with Image.open(found["files"][0]) as after, Image.open(picture) as before:
        changed = (np.asarray(after) != np.asarray(before)).any(2)
    assert found["area"] == pytest.approx(
        sum((box[2] - box[0]) * (box[3] - box[1]) for box in found["boxes"]) / (96 * 64)
    )
    assert changed[y0:y1, x0:x1].mean() > 0.9
    assert changed.mean() <= found["area"]
    assert {row["stage"] for row in found["tried"]} == {"map", "search", "final"}


def test_that_no_cover_does_it_is_an_answer(redact):
    code, out, _ = redact("--below", 0.01)
    assert code == 0
    assert out.startswith("No cover was found that brings nsfw from 0.95 below 0.01; the closest")
    assert not os.path.exists("planted.redacted.png")
    code, out, _ = redact("--below", 0.01, "--json")
    assert (code, json.loads(out)["found"], json.loads(out)["files"]) == (0, False, [])


def test_a_picture_that_passes_costs_one_call_and_writes_nothing(redact, server):
    code, out, _ = redact("--below", 0.96)
    assert code == 0
    assert out.startswith("nsfw is 0.95, below 0.96 as it is: nothing has to be covered.")
    assert server.calls == 1
    assert not os.path.exists("planted.redacted.png")


def test_a_score_is_raised_with_above(redact):
    code, out, _ = redact("--label", "sfw", "--above", 0.5)
    assert code == 0
    assert "brings sfw from 0.05 to 0." in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--below", 1.2), "below must be between 0 and 1, not 1.2"),
        (("--below", "nan"), "below must be between 0 and 1, not nan"),
        (("--above", -1), "above must be between 0 and 1"),
        (("--below", 0.5, "--above", 0.5), "not both"),
        (("--budget", 2), "the budget is 2"),
        (("--label", "nfsw"), "no label 'nfsw'. Did you mean 'nsfw'?"),
        (("--out", "x.gif"), "give a name that ends in .png or .jpg"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(redact, server, arguments, said):
    code, _, err = redact(*arguments)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert server.calls <= 1


def test_a_dry_run_says_the_most_it_can_cost_and_sends_nothing(redact, server):
    code, out, _ = redact("--dry-run")
    assert code == 0
    assert out.startswith("at most 128 calls")
    _, out, _ = redact("--dry-run", "--json")
    assert json.loads(out)["calls"] == 128
    assert server.calls == 0


def test_another_file_is_not_written_over(redact, server):
    with open("there.png", "w") as file:
        file.write("mine")
    code, _, err = redact("--out", "there.png")
    assert code == 2
    assert "--force" in err
    assert server.calls == 0
    assert redact("--out", "there.png", "--force")[0] == 0
    with Image.open("there.png") as saved:
        assert saved.size == (96, 64)


def test_the_name_of_the_file_asks_for_a_jpeg(redact):
    assert redact("--out", "x.jpg")[0] == 0
    with Image.open("x.jpg") as saved:
        assert saved.format == "JPEG"


def test_a_cap_stops_it_with_the_command_that_goes_on(redact, server):
    code, _, err = redact("--max-calls", 70)
    assert code == 5
    assert "to go on: probe redact planted.png" in err
    assert redact()[0] == 0
    assert server.calls < 140


def test_scores_written_down_beforehand_will_not_do(run, picture):
    code, _, err = run("redact", picture, "--scores", "x.csv")
    assert code == 2
    assert "redact asks as it learns" in err
