from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from probe.limits import Limits, Price
from probe.mock import serve
from probe.testing.planted import Planted, planted_picture
from probe.types import Failure

KEYS = """
schema label reference budget deletion insertion curves control pointing auroc verdict answers calls
requests cost currency failures seconds notes picture backend exit_code files
""".split()  # noqa: SIM905


@pytest.fixture
def server():
    with serve(Planted()) as running:
        yield running


@pytest.fixture
def api(server):
    return ("--api", server.url, "--codec", "png")


@pytest.fixture
def mask(tmp_path):
    marked = np.zeros((64, 96), np.uint8)
    marked[16:40, 24:48] = 255
    Image.fromarray(marked).save(tmp_path / "mask.png")
    return "mask.png"


def test_a_map_is_made_and_judged_in_one_command(run, picture, server, api):
    code, out, _ = run("judge", picture, *api)
    assert code == 0
    verdict, files, following = out.splitlines()
    assert verdict.startswith("The map beats all 4 copies of itself in other places, by ")
    assert "(nsfw: deletion 0." in verdict
    assert files.startswith("curves planted.judge/curves.png · 103 calls, ")
    assert following == f"next: probe redact planted.png --api {server.url} --codec png"
    assert server.calls == 103
    with Image.open("planted.judge/curves.png") as drawn:
        assert drawn.width > 1000
    _, out, _ = run("judge", picture, *api)
    assert "curves planted.judge/curves.png · 0 calls, " in out
    assert server.calls == 103


def test_the_map_of_a_run_is_judged_by_forty_calls(run, picture, server, api, mask):
    run("occlude", picture, *api)
    made = "planted.probe"
    code, out, _ = run("judge", picture, "--map", made, "--mask", mask, *api, "--json")
    found = json.loads(out)
    assert code == found["exit_code"] == 0
    assert set(found) == set(KEYS)
    assert (found["schema"], found["label"], found["calls"], found["answers"]) == (
        1,
        "nsfw",
        39,
        40,
    )
    assert found["reference"] == pytest.approx({"nsfw": 0.95, "sfw": 0.05})
    assert found["deletion"] < 0.5 < found["insertion"]
    assert found["auroc"] > 0.9
    assert found["pointing"] == 1
    assert found["control"]["beaten"] == found["control"]["count"] == 4
    assert all(os.path.exists(path) for path in found["files"])
    with open("planted.judge/judge.json") as file:
        record = json.load(file)
    assert {key: record[key] for key in ("deletion", "curves")} == {
        key: found[key] for key in ("deletion", "curves")
    }
    assert record["settings"]["picture"] == "planted.png"


@pytest.mark.parametrize("name", ["planted.probe/map.npz", "planted.probe/map.npy", "bare.npy"])
def test_a_map_may_be_a_file(run, picture, api, name):
    run("occlude", picture, *api)
    np.save("bare.npy", np.load("planted.probe/map.npy").astype(float))
    code, out, _ = run("judge", picture, "--map", name, *api)
    assert code == 0
    assert "nsfw: deletion" in out


def test_a_reversed_map_is_found_out_and_a_better_one_asked_for(run, picture, api, server):
    run("occlude", picture, *api)
    np.save("reversed.npy", -np.load("planted.probe/map.npy"))
    code, out, _ = run("judge", picture, "--map", "reversed.npy", *api)
    assert code == 0
    assert "The map is not told from chance" in out
    assert f"next: probe occlude planted.png --budget 128 --api {server.url}" in out
    code, out, _ = run(
        "judge", picture, "--map", "planted.probe", "--control", "reversed.npy", *api
    )
    assert out.startswith("The map beats the other map, by ")


def test_a_dry_run_sends_nothing_and_knows_what_is_paid(run, picture, server, api):
    code, out, _ = run("judge", picture, *api, "--dry-run")
    assert (code, out.strip()) == (0, f"at most 103 calls · to {server.url.split('/')[2]}")
    run("occlude", picture, *api)
    asked = server.calls
    _, out, _ = run("judge", picture, *api, "--dry-run", "--json")
    about = json.loads(out)
    assert (about["schema"], about["calls"], about["files"]) == (1, 39, [])
    assert server.calls == asked
    assert not os.path.exists("planted.judge")
    run("judge", picture, *api)
    assert server.calls == asked + 39
    _, out, _ = run("judge", picture, *api, "--dry-run")
    assert out.startswith("at most 0 calls")


def test_the_price_is_said_and_kept_to(run, picture):
    limits = Limits(
        batch=8,
        formats=("png",),
        labels=("sfw", "nsfw"),
        question="nsfw",
        deterministic=True,
        price=Price(0.01, "USD", "2026-10"),
    )
    with serve(Planted(limits=limits)) as server:
        api = ("--api", server.url, "--codec", "png")
        _, out, _ = run("judge", picture, *api, "--dry-run")
        assert "at most 103 calls" in out
        assert "1.03 USD (price as of 2026-10)" in out
        code, _, err = run("judge", picture, *api, "--max-calls", 70)
        assert code == 5
        assert "to go on: probe judge planted.png" in err
        code, out, _ = run("judge", picture, *api)
        assert code == 0
        assert "33 calls, 0.33 USD" in out
        assert server.calls == 103


def test_another_judgement_gets_a_folder_of_its_own(run, picture, api):
    run("judge", picture, *api)
    _, out, _ = run("judge", picture, *api, "--budget", 30)
    assert "curves planted-2.judge/curves.png" in out
    code, _, err = run("judge", picture, *api, "--budget", 31, "--out", "planted.judge")
    assert code == 2
    assert "holds the results of another run" in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--budget", 12], "the budget is 12: judging a map needs at least 13 answers"),
        (["--budget", 12, "--map", "planted.probe"], "at least 13 answers"),
        (["--map", "nowhere"], "no map nowhere: give the folder of a run"),
        (["--map", "planted.png"], "is not a map saved by probe"),
        (["--map", "text.npy"], "no array of numbers"),
        (["--map", "huge.npy"], "no array of numbers"),
        (["--map", "flat.npy"], "the map is flat, 0 everywhere"),
        (["--map", "small.npy"], "a picture of 5 x 4 px, this one has 96 x 64"),
        (["--map", "other.probe"], "other.probe/map.npz is of another picture"),
        (["--map", "planted.probe", "--label", "sfw"], "is of 'nsfw', not of 'sfw'"),
        (["--map", "planted.probe", "--method", "grid"], "leave one of them out"),
        (["--mask", "small.png"], "the mask is 5 x 4 px, the picture 96 x 64"),
        (["--mask", "none.png"], "No such"),
        (["--scores", "scores.csv"], "judge asks as it learns"),
        (["--label", "nsfv"], "Did you mean 'nsfw'?"),
    ],
)
def test_what_cannot_be_judged_is_said_in_one_line_before_anything_is_sent(
    run, picture, api, server, options, says
):
    run("occlude", picture, *api)
    planted_picture((96, 64), (0, 0, 24, 24)).save("other.png")
    run("occlude", "other.png", *api)
    with open("text.npy", "w") as file:
        file.write("no array")
    with open("huge.npy", "wb") as file:
        about = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
        np.lib.format.write_array_header_1_0(file, about)
    np.save("flat.npy", np.zeros((64, 96)))
    np.save("small.npy", np.eye(4, 5))
    Image.fromarray(np.eye(4, 5, dtype=np.uint8) * 255).save("small.png")
    asked = server.calls
    code, out, err = run("judge", picture, *api, *options)
    assert code == 2
    assert [line for line in err.splitlines() if line.startswith("probe: ")] == err.splitlines()
    assert says.lower() in err.lower()
    assert (out, server.calls) == ("", asked)


def test_a_budget_that_is_too_small_is_said_before_the_map_is_paid(run, picture, server, api):
    code, _, err = run("judge", picture, *api, "--budget", 12)
    assert code == 2
    assert "at least 13 answers" in err
    assert server.calls == 0


def test_a_score_that_never_moves_has_no_order_to_judge(run, picture):
    with serve(Planted(floor=0.5)) as server:
        code, _, err = run("judge", picture, "--api", server.url, "--codec", "png")
    assert code == 2
    assert "the map is flat, 0 everywhere: there is no order to judge" in err


class Picky(Planted):
    """Will not score pictures with nothing red left."""

    def answer(self, image):
        scores = super().answer(image)
        return Failure("refused", "nothing red") if scores["nsfw"] == self.floor else scores


def test_holes_are_counted_and_end_in_code_3(run, picture):
    with serve(Picky()) as server:
        code, out, err = run("judge", picture, "--api", server.url, "--codec", "png")
    assert code == 3
    assert "changed pictures got no score, holes in the curves" in err
    assert " · 0 failures" not in out
