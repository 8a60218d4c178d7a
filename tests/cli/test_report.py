"""Pages of runs: from their folders, and along with the commands that probe."""

from __future__ import annotations

import json
import os
import shutil
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from probe import Heatmap
from probe.mock import serve
from probe.report import page
from probe.show import load_run
from probe.testing.planted import Planted
from tests.report.reader import Elements, data_of


@pytest.fixture
def server():
    with serve(Planted()) as running:
        yield running


@pytest.fixture
def planted(run, picture, server):
    """A finished run in planted.probe, and the options that repeat it."""
    options = ("--api", server.url, "--codec", "png", "--budget", 24)
    assert run("occlude", picture, *options)[0] == 0
    return options


def text_of(path):
    return Path(path).read_text("utf-8")


def pixels_of(file):
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"), float)


def words(text):
    return " ".join(text.split())


def test_a_run_becomes_a_page_without_a_call(run, picture, server, planted):
    calls = server.calls
    code, out, err = run("report", "planted.probe")
    assert (code, out, err) == (0, "page planted.probe/report.html\n", "")
    assert server.calls == calls
    data = data_of(text_of("planted.probe/report.html"))["runs"][0]
    assert len(data["variants"]) == 24
    assert data["picture"]
    assert all(one["picture"] for one in data["variants"])


def test_the_page_says_what_repeats_the_run_and_repeating_it_costs_nothing(run, server, planted):
    run("report", "planted.probe")
    text = text_of("planted.probe/report.html")
    command = f"probe occlude planted.png --api {server.url} --codec png --budget 24"
    assert command in text
    calls = server.calls
    assert run(*command.split()[1:])[0] == 0
    assert server.calls == calls


def test_the_page_names_no_folder_of_this_machine(run, server, tmp_path, picture):
    deep = tmp_path / "private" / "of somebody"
    deep.mkdir(parents=True)
    shutil.move(picture, deep / picture)
    code, _, _ = run(
        *("occlude", deep / picture, "--api", server.url, "--budget", 8, "--report"),
        *("--ledger", deep / "own.db", "--out", deep / "out"),
    )
    assert code == 0
    for name in ("report.html", "run.json", "answers.json"):
        assert "private" not in text_of(deep / "out" / name)
    assert "probe occlude planted.png" in text_of(deep / "out" / "report.html")


def test_of_files_that_a_command_reads_the_page_says_the_names_alone(
    run, server, tmp_path, picture
):
    (tmp_path / "private").mkdir()
    mask = tmp_path / "private" / "mask.png"
    with Image.open(picture) as image:
        whole = Image.new("L", image.size)
        whole.paste(255, (0, 0, 20, 20))
        whole.save(mask)
    options = ("--api", server.url, "--codec", "png", "--budget", 24, "--map-budget", 24)
    assert run("judge", picture, *options, "--mask", mask, "--report")[0] == 0
    text = text_of("planted.judge/report.html")
    assert "--mask mask.png" in text
    assert "private" not in text


def test_with_report_the_commands_write_the_page_that_the_folder_gives(run, picture, server):
    options = ("--api", server.url, "--report", "--json")
    for command, folder in (("occlude", "planted.probe"), ("crop", "planted.windows.probe")):
        _, out, _ = run(command, picture, *options)
        assert json.loads(out)["files"][-1] == f"{folder}/report.html"
        assert data_of(text_of(f"{folder}/report.html")) == data_of(page(load_run(Path(folder))))


def test_a_dry_run_writes_no_page(run, picture, server):
    run("occlude", picture, "--api", server.url, "--dry-run", "--report")
    assert not [name for name in os.listdir() if name.endswith((".html", ".probe"))]


def test_a_judgement_is_shown_with_its_map(run, picture, server, planted):
    options = ("--api", server.url, "--codec", "png")
    code, _, _ = run(
        "judge", picture, "--map", "planted.probe", "--budget", 24, *options, "--report"
    )
    assert code == 0
    for path in ("planted.judge/report.html", "planted.probe/report.html"):
        if "probe" in path:
            run("report", "planted.probe")
        drawn = [at for tag, at in Elements(text_of(path)).found if tag == "svg"]
        names = [at["aria-label"].split()[0] for at in drawn]
        assert names == ["deletion", "insertion"]
    run("report", "planted.probe", "--judged", "planted.judge", "--out", "again.html")
    assert "Was the map right?" in text_of("again.html")


def test_the_map_that_judge_made_itself_has_a_page(run, picture, server):
    options = ("--api", server.url, "--codec", "png", "--budget", 24, "--map-budget", 24)
    for _ in range(2):
        assert run("judge", picture, *options, "--report")[0] == 0
        text = text_of("planted.judge/report.html")
        assert len(data_of(text)["runs"][0]["variants"]) == 24
        assert "Was the map right?" in text
        Path("planted.judge/report.html").unlink()


def test_a_judgement_of_another_map_is_not_shown(run, picture, server, planted):
    options = ("--api", server.url, "--codec", "png")
    np.save("other.npy", np.eye(*np.load("planted.probe/map.npy").shape, dtype=np.float32))
    run("judge", picture, "--map", "other.npy", "--budget", 24, *options)
    run("report", "planted.probe")
    assert "Was the map right?" not in text_of("planted.probe/report.html")
    code, _, err = run("report", "planted.probe", "--judged", "planted.judge")
    assert code == 2
    assert "is of another map" in err
    code, _, err = run("report", "planted.probe", "--judged", "planted.probe")
    assert code == 2
    assert "holds no judgement" in err
    code, _, err = run("judge", picture, "--map", "other.npy", *options, "--report")
    assert code == 2
    assert "--report shows a run" in err


def test_two_services_two_methods_and_a_cover_have_pages(run, picture, server):
    other = ("--api", server.url, "--api", "skin")
    assert run("compare", picture, *other, "--budget", 12, "--label", "nsfw", "--report")[0] == 0
    heads = [one["head"] for one in data_of(text_of("planted.compare/report.html"))["runs"]]
    assert heads == [server.url, "skin"]
    assert run("variants", picture, "--api", server.url, "--report")[0] == 0
    heads = [one["head"] for one in data_of(text_of("planted.variants.html"))["runs"]]
    assert heads == ["multiscale", "windows"]
    assert run("redact", picture, "--api", server.url, "--codec", "png", "--report")[0] == 0
    images = [at for tag, at in Elements(text_of("planted.redacted.html")).found if tag == "img"]
    covered = next(at["src"] for at in images if at["alt"] == "The picture, covered")
    shown = pixels_of(BytesIO(b64decode(covered.partition(",")[2])))
    assert np.abs(shown - pixels_of("planted.redacted.png")).mean() < 5
    calls = server.calls
    assert run("redact", picture, "--api", server.url, "--codec", "png", "--report")[0] == 0
    assert server.calls == calls


def test_runs_stand_side_by_side_where_they_are_of_one_picture(run, picture, server, planted):
    run("crop", picture, "--api", server.url, "-q")
    code, out, _ = run("report", "planted.probe", "planted.windows.probe")
    assert (code, out) == (0, "page report.html\n")
    heads = [one["head"] for one in data_of(text_of("report.html"))["runs"]]
    assert heads == ["planted.probe", "planted.windows.probe"]
    Image.new("RGB", (64, 64)).save("other.png")
    run("occlude", "other.png", "--api", server.url, "--budget", 8, "-q")
    code, _, err = run("report", "planted.probe", "other.probe", "--out", "both.html")
    assert code == 2
    assert "over different pictures" in err
    assert not Path("both.html").exists()


def test_a_moved_picture_is_missed_and_can_be_given(run, picture, server, planted):
    os.makedirs("elsewhere")
    shutil.move(picture, "elsewhere/renamed.png")
    code, _, err = run("report", "planted.probe")
    assert code == 0
    assert "note: the picture is not at hand: give it by --picture" in err
    assert data_of(text_of("planted.probe/report.html"))["runs"][0]["picture"] is None
    code, _, err = run("report", "planted.probe", "--picture", "elsewhere/renamed.png")
    assert (code, err) == (0, "")
    assert data_of(text_of("planted.probe/report.html"))["runs"][0]["picture"]
    Image.new("RGB", (9, 9)).save("wrong.png")
    code, _, err = run("report", "planted.probe", "--picture", "wrong.png")
    assert code == 2
    assert "is of another picture" in err


def test_nothing_is_written_over_but_the_runs_own_page(run, planted):
    os.makedirs("folder")
    code, _, err = run("report", "planted.probe", "--out", "folder")
    assert code == 2
    assert words(err) == "probe: folder is a folder: name the file, as folder/report.html"
    Path("mine.html").write_text("mine")
    code, _, err = run("report", "planted.probe", "--out", "mine.html")
    assert code == 2
    assert text_of("mine.html") == "mine"
    assert "--force" in err
    assert run("report", "planted.probe", "--out", "mine.html", "--force")[0] == 0
    assert run("report", "planted.probe")[0] == run("report", "planted.probe")[0] == 0
    code, _, err = run("report", "planted.probe", "--out", "mine.html/x.html")
    assert code == 7


def test_another_runs_page_does_not_stay_beside_a_new_map(run, picture, server, planted):
    run("report", "planted.probe")
    run("occlude", picture, "--api", server.url, "--budget", 8, "--out", "planted.probe", "--force")
    assert not Path("planted.probe/report.html").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "answers.json").unlink(), "holds no answers.json"),
        (lambda folder: (folder / "run.json").unlink(), "there is no run.json in it"),
        (lambda folder: (folder / "run.json").write_text("{"), "run.json is damaged"),
        (lambda folder: (folder / "answers.json").write_text('{"schema":1}'), "is damaged"),
        (shutil.rmtree, "no folder planted.probe"),
    ],
)
def test_a_damaged_run_is_one_line_and_no_page(run, planted, damage, said):
    damage(Path("planted.probe"))
    code, out, err = run("report", "planted.probe")
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not Path("planted.probe/report.html").exists()


def test_a_stopped_run_has_a_page_too(run, picture, server):
    code, _, _ = run(
        "occlude", picture, "--api", server.url, "--codec", "png", "--max-calls", 12, "--report"
    )
    assert code == 5
    text = text_of("planted.probe/report.html")
    assert "no: it was stopped" in text
    assert len(data_of(text)["runs"][0]["variants"]) == 12
    loaded = load_run(Path("planted.probe"))
    assert not loaded.complete
    assert (
        loaded.heatmap().values.tobytes() == Heatmap.load("planted.probe/map.npz").values.tobytes()
    )


def test_a_run_of_a_picture_in_another_folder_finds_it(run, picture, server):
    os.makedirs("pictures")
    shutil.move(picture, f"pictures/{picture}")
    code, out, _ = run(
        "occlude", f"pictures/{picture}", "--api", server.url, "--budget", 8, "--report"
    )
    assert code == 0
    assert "page planted.probe/report.html" in out.splitlines()
    code, _, err = run("report", "planted.probe")
    assert (code, err) == (0, "")
    assert data_of(text_of("planted.probe/report.html"))["runs"][0]["picture"]
    assert "pictures" not in text_of("planted.probe/report.html")
