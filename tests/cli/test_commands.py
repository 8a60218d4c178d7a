"""What each command gives a person (words, files) and a program (one object)."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from probe import Heatmap
from probe.limits import Limits, Price
from probe.mock import serve
from probe.testing.planted import Planted, planted_picture


@pytest.fixture
def server():
    with serve(Planted()) as running:
        yield running


KEYS = """
schema label reference calls answers requests cost failures seconds files method backend picture
strongest noise complete exit_code notes currency throttled
""".split()  # noqa: SIM905


def test_occlude_says_what_was_found_where_the_files_are_and_what_it_cost(run, picture, server):
    code, out, _ = run("occlude", picture, "--api", server.url, "--codec", "png")
    assert code == 0
    found, files, following = out.splitlines()
    assert found.startswith("nsfw 0.95. Covering the box ")
    assert "brings it to 0.05" in found
    assert files.startswith("map planted.probe/overlay.png · 64 calls, ")
    following, _, url = following.partition(" --api ")
    assert following == "next: probe variants planted.png --method multiscale"
    assert url == f"{server.url} --codec png"
    files = [name for name in os.listdir("planted.probe") if not name.startswith(".")]
    assert sorted(files) == [
        "answers.json",
        "map.npy",
        "map.npz",
        "overlay.png",
        "run.json",
        "scores.csv",
    ]
    _, out, _ = run("occlude", picture, "--api", server.url, "--codec", "png")
    assert " · 0 calls, " in out
    assert server.calls == 64


def test_the_object_for_programs_has_stable_keys(run, picture, server):
    code, out, _ = run("occlude", picture, "--api", server.url, "--codec", "png", "--json")
    found = json.loads(out)
    assert set(found) == set(KEYS)
    assert (found["schema"], found["label"], found["calls"], found["answers"]) == (
        1,
        "nsfw",
        64,
        64,
    )
    assert found["reference"] == pytest.approx({"nsfw": 0.95, "sfw": 0.05})
    assert found["strongest"]["score"] == pytest.approx(0.05)
    assert found["exit_code"] == code == 0
    heat = Heatmap.load("planted.probe/map.npz", Image.open(picture))
    np.testing.assert_array_equal(heat.values, np.load("planted.probe/map.npy"))
    assert heat.overlay().size == (96, 64)
    assert all(os.path.exists(path) for path in found["files"])


def test_several_pictures_give_an_object_each(run, picture, tmp_path):
    planted_picture((64, 96)).save(tmp_path / "other.png")
    code, out, _ = run("occlude", picture, "other.png", "--api", "skin", "--budget", 6, "--json")
    assert [json.loads(line)["picture"] for line in out.splitlines()] == [
        "planted.png",
        "other.png",
    ]
    assert code == 0


def test_the_same_picture_twice_is_bought_once(run, picture, server):
    _, out, _ = run("occlude", picture, picture, "--api", server.url, "--budget", 6, "--json")
    assert [json.loads(line)["calls"] for line in out.splitlines()] == [6, 0]


def test_crop_maps_the_windows(run, picture, server):
    code, out, _ = run("crop", picture, "--api", server.url, "--codec", "png", "--size", "0.5")
    assert code == 0
    assert "The window " in out
    assert "planted.windows.probe/overlay.png" in out
    heat = Heatmap.load("planted.windows.probe/map.npz")
    assert heat.kind == "score"
    assert np.nanmax(heat.values[16:40, 24:48]) > np.nanmax(heat.values[:, 72:])


def test_a_plan_sends_nothing_and_draws_the_sheet(run, picture, server):
    for arguments in (["plan"], ["occlude", "--dry-run"]):
        code, out, _ = run(*arguments, picture, "--api", server.url)
        assert code == 0
        assert out.startswith("64 calls in 9 requests · about ")
        assert f"to {server.url.removeprefix('http://')}" in out
    assert server.calls == 0
    assert not os.path.exists("planted.probe")
    with Image.open("planted.plan.png") as sheet:
        assert min(sheet.size) > 300
    code, out, _ = run("plan", picture, "--api", server.url, "--json")
    assert json.loads(out)["calls"] == 64


def test_variants_shows_what_both_experiments_sent_at_no_further_cost(run, picture, server):
    api = ["--api", server.url, "--codec", "png"]
    run("occlude", picture, *api)
    run("crop", picture, *api)
    before = server.calls
    code, _, _ = run("variants", picture, *api)
    assert (code, server.calls) == (0, before)
    with Image.open("planted.variants.png") as sheet:
        assert sheet.height > 600


def test_written_variants_scored_by_hand_give_the_map_of_the_service(run, picture, server):
    grid = ["--method", "grid", "--size", "0.5", "--stride", "0.25", "--budget", "10"]
    code, out, _ = run("variants", picture, *grid, "--write", "hand")
    assert code == 0
    following = out.splitlines()[-1]
    assert following.startswith("next: probe occlude planted.png --method grid")
    planted = Planted()
    with open("hand/scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        with Image.open(f"hand/{row['file']}") as image:
            row["nsfw"] = repr(planted.answer(image)["nsfw"])
    with open("hand/scores.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    code, out, _ = run(*following.split()[2:], "--out", "a")
    assert code == 0
    code, _, err = run(*following.split()[2:], "--fill", "black")
    assert (code, "--fill mean" in err) == (2, True)
    code, _, err = run("occlude", picture, "--scores", "hand/scores.csv")
    assert (code, "no row for this plan" in err) == (2, True)
    planted_picture((90, 60)).save("other.png")
    code, _, err = run("occlude", "other.png", *following.split()[4:])
    assert (code, "another picture" in err) == (2, True)
    run("occlude", picture, *grid, "--api", server.url, "--codec", "png", "--out", "b")
    np.testing.assert_array_equal(np.load("a/map.npy"), np.load("b/map.npy"))
    code, _, err = run("variants", picture, *grid, "--write", "hand")
    assert code == 2
    assert "--force" in err
    code, out, _ = run("occlude", picture, *grid, "--scores", "b/scores.csv", "--out", "c")
    np.testing.assert_array_equal(np.load("a/map.npy"), np.load("c/map.npy"))


def test_a_half_filled_table_is_a_map_with_holes(run, picture, tmp_path):
    grid = ["--method", "grid", "--size", "0.5", "--stride", "0.5", "--budget", "5"]
    run("variants", picture, *grid, "--write", "hand")
    table = tmp_path / "hand" / "scores.csv"
    command = ["occlude", picture, *grid, "--scores", "hand/scores.csv"]
    code, _, err = run(*command)
    assert (code, "picture as it is" in err) == (2, True)
    lines = table.read_text().splitlines()
    filled = [lines[0], *(line + "0.5" for line in lines[1:4]), *lines[4:]]
    table.write_text("\n".join(filled))
    code, out, err = run(*command)
    assert code == 3
    assert "2 failures" in out
    assert "2 variants got no score" in err
    assert np.isnan(np.load("planted.grid.probe/map.npy")).any()


def test_a_cap_draws_what_is_known_and_says_how_to_go_on(run, picture, server):
    command = ["occlude", picture, "--api", server.url, "--codec", "png"]
    code, out, err = run(*command, "--max-calls", 20)
    assert code == 5
    assert "to go on: probe occlude planted.png" in err
    assert "map planted.probe/overlay.png · 20 calls" in out
    code, out, _ = run(*command)
    assert code == 0
    assert "44 calls" in out
    assert server.calls == 64


def test_offline_answers_from_the_ledger_or_not(run, picture):
    with serve(Planted()) as server:
        command = ["occlude", picture, "--api", server.url, "--codec", "png", "--budget"]
        run(*command, 10)
    code, out, _ = run(*command, 10, "--offline", "--json")
    assert (code, json.loads(out)["calls"]) == (0, 0)
    code, _, err = run(*command, 11, "--offline", "--out", "x")
    assert code == 7
    assert "offline" in err


def test_a_dear_run_wants_a_word(run, picture):
    limits = Limits(
        batch=100,
        labels=("sfw", "nsfw"),
        question="nsfw",
        deterministic=True,
        price=Price(0.01, "USD"),
    )
    with serve(Planted(limits=limits)) as server:
        command = ["occlude", picture, "--api", server.url, "--budget", 600, "--codec", "png"]
        code, _, err = run(*command)
        assert code == 2
        assert "6 USD" in err
        assert "--yes" in err
        assert server.calls == 0
        code, out, _ = run(*command, "--yes")
        assert code == 0
        assert "600 calls, 6 USD" in out


def test_quiet_is_quiet(run, picture):
    code, out, err = run("occlude", picture, "--api", "skin", "--budget", 6, "--quiet")
    assert (code, out, err) == (0, "", "")


def command(*arguments: str, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "probe", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path, picture):
    process = command("occlude", picture, "--api", "skin", "--json", cwd=tmp_path)
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 0
    assert errors == ""


def test_without_utf_8_nothing_breaks(tmp_path, picture):
    environment = os.environ | {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    process = command(
        "occlude", picture, "--api", "skin", "--budget", "6", cwd=tmp_path, env=environment
    )
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert b"map planted.probe/overlay.png" in out


def test_serve_serves_until_it_is_stopped(tmp_path, picture):
    process = command("serve", "skin", "--port", "0", cwd=tmp_path)
    said = process.stdout.readline().decode()
    assert said.startswith("serving skin at http://127.0.0.1:")
    url = said.split()[3]
    client = command("occlude", picture, "--api", url, "--budget", "6", cwd=tmp_path)
    _, err = client.communicate()
    assert client.returncode == 0, err
    process.terminate()
    process.communicate()
    assert process.returncode == 0
