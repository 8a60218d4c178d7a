"""probe audit, as people and programs meet it."""

from __future__ import annotations

import csv
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from probe.limits import Limits, Price
from probe.mock import serve
from probe.testing.planted import Planted
from tests.audit.pictures import cutouts, planted

NUMBER = 24
LIMITS = Limits(
    batch=8, labels=("sfw", "nsfw"), question="nsfw", price=Price(0.5, "EUR", "2026-10")
)
SMALL = ("--pictures", 8, "--budget-per-image", 16, "--tests", 6, "--workers", 0)
TABLES = ("features.csv", "places.csv", "collect.csv", "scores.csv")
FILES = {
    *TABLES,
    *("features.parquet", "places.parquet", "collect.parquet", "audit.json", "report.html"),
}


@pytest.fixture
def server():
    with serve(Planted(red=448, limits=LIMITS)) as running:
        yield running


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Pictures, a red disc in every other one, and a list that says so, but for one."""
    place = tmp_path_factory.mktemp("drawn")
    (place / "photos").mkdir()
    rng = np.random.default_rng(0)
    rows = ["picture,truth,other"]
    for n, image in enumerate(cutouts(NUMBER, side=96)):
        if n % 2:
            image = planted(image, "mark", rng, 0.25)
        image.save(place / "photos" / f"{n:02}.png")
        rows.append(f"photos/{n:02}.png,{'' if n == 4 else n % 2},{'maybe' if n else 'no'}")
    (place / "list.csv").write_text("\n".join(rows) + "\n")
    return place


@pytest.fixture
def audit(run, drawn, server, tmp_path):
    """Runs it in a folder with the pictures; SMALL and the server are given."""
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)

    def call(*words, small=SMALL):
        return run("audit", *words, "--codec", "png", "--api", server.url, *small)

    return call


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(folder, names=TABLES):
    return {name: (Path(folder) / name).read_text() for name in names}


def folders():
    return sorted(path.name for path in Path().iterdir() if path.suffix == ".audit")


@pytest.mark.slow
def test_a_list_becomes_a_page_and_tables_and_again_costs_nothing(audit, server):
    code, out, err = audit("list.csv", "--dry-run")
    assert (code, server.calls, folders()) == (0, 0, [])
    assert out.startswith("at most ")
    assert "EUR" in out
    code, out, _ = audit("list.csv", "--dry-run", "--json")
    most = json.loads(out)
    assert most == {
        "schema": 1,
        "pictures": NUMBER,
        "calls": NUMBER + 8 * 15 + 2 * 8 * 6,
        "cost": most["calls"] * 0.5,
        "files": [],
    }
    code, out, err = audit("list.csv")
    assert code == 0, err
    assert NUMBER + 8 < server.calls <= most["calls"]
    assert {path.name for path in Path("list.audit").iterdir() if path.suffix[1:] in
            ("csv", "parquet", "json", "html")} == FILES  # fmt: skip
    said, page = out.splitlines()
    assert "nsfw hangs on red, " in said
    assert page.startswith(f"page list.audit/report.html · {server.calls} calls, ")
    assert f"{server.calls * 0.5:.4g} EUR" in page
    assert "note: Only 8 pictures were probed" in err
    assert "scoring" in err
    assert said in Path("list.audit/report.html").read_text()
    rows = table("list.audit/scores.csv")
    assert [row["picture"] for row in rows] == [f"photos/{n:02}.png" for n in range(NUMBER)]
    assert [row["truth"] for row in rows][:6] == ["0", "1", "0", "1", "", "1"]
    assert all((float(row["nsfw"]) > 0.5) == bool(n % 2) for n, row in enumerate(rows))
    before, asked = contents("list.audit"), server.calls
    code, out, err = audit("list.csv", "--json")
    assert (code, server.calls) == (0, asked)
    assert contents("list.audit") == before
    found = json.loads(out)
    assert (found["schema"], found["exit_code"], found["calls"]) == (1, 0, 0)
    assert (found["pictures"], found["scored"], found["probed"]) == (NUMBER, NUMBER, 8)
    assert found["truths"] == {"without": 11, "within": 12}
    assert found["claims"] >= 1
    assert {Path(name).name for name in found["files"]} == FILES - {"scores.csv"}
    assert found["finding"] == said
    assert said in err
    code, out, err = audit("list.csv", "--offline", "-q")
    assert (code, server.calls, err, out.splitlines()) == (0, asked, "", [])
    assert contents("list.audit") == before
    record = json.loads(Path("list.audit/audit.json").read_text())
    assert record["settings"]["command"].startswith("probe audit list.csv ")
    assert "--tests 6" in record["settings"]["command"]


@pytest.mark.slow
def test_a_cap_writes_the_report_and_the_same_command_goes_on(audit, server):
    code, _, err = audit("list.csv", "--max-calls", 60)
    assert (code, server.calls) == (5, 60)
    assert "the cap of 60 calls" in err
    assert "note: It ended early" in err
    assert err.splitlines()[-1].startswith("probe: the cap of 60 calls")
    assert {path.name for path in Path("list.audit").iterdir()} >= FILES
    assert "It ended early" in Path("list.audit/report.html").read_text()
    assert audit("list.csv")[0] == 0
    asked = server.calls
    assert audit("list.csv", "--out", "again")[0] == 0
    assert server.calls == asked
    assert contents("again") == contents("list.audit")
    assert folders() == ["list.audit"]


def test_a_cap_within_the_scores_writes_those_that_are_known(audit, server):
    code, _, _ = audit("list.csv", "--max-calls", 10)
    assert (code, server.calls) == (5, 10)
    assert len(table("list.audit/scores.csv")) == 10
    assert Path("list.audit/report.html").exists()


@pytest.mark.slow
def test_a_changed_picture_is_asked_anew_and_the_others_are_not(audit, server):
    assert audit("list.csv")[0] == 0
    asked = server.calls
    tested = {row["picture"] for row in table("list.audit/places.csv") if row["kind"] == "test"}
    changed = sorted(tested)[0]
    image = Image.open(changed).convert("RGB")
    image.putpixel((0, 0), (1, 2, 3))
    image.save(changed)
    code, _, err = audit("list.csv")
    assert code == 0, err
    features = len(table("list.audit/features.csv"))
    assert 2 <= server.calls - asked <= 1 + 2 * features
    asked = server.calls
    assert audit("list.csv")[0] == 0
    assert server.calls == asked


def test_equal_pictures_are_bought_once_and_said(audit, server):
    for n in range(1, 7, 2):
        shutil.copy(f"photos/{n:02}.png", f"photos/again{n}.png")
    code, out, err = audit("photos", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["pictures"], found["scored"], found["repeated"]) == (27, 27, 3)
    assert found["calls"] == server.calls
    assert "note: 3 pictures equal others, and count once." in err
    assert found["truths"] == {"without": 0, "within": 0}
    assert folders() == ["photos.audit"]
    rows = {row["picture"]: row for row in table("photos.audit/scores.csv")}
    assert rows["again1.png"]["digest"] == rows["01.png"]["digest"]
    tested = [row["picture"] for row in table("photos.audit/places.csv")]
    assert tested
    assert not any(name.startswith("again") for name in tested), "the first of them counts"


def test_what_is_no_picture_is_listed_and_the_rest_is_done(audit, server):
    Path("photos/broken.jpg").write_text("hello")
    code, out, err = audit("photos", "--json")
    found = json.loads(out)
    assert (code, found["exit_code"], found["failed"]) == (3, 3, 1)
    assert "note: 1 picture could not be used." in err
    failures = json.loads(Path("photos.audit/audit.json").read_text())["failures"]
    assert [one["picture"] for one in failures] == ["broken.jpg"]
    assert "is not a picture" in failures[0]["why"]
    assert "broken.jpg" in Path("photos.audit/report.html").read_text()
    assert table("photos.audit/scores.csv")[-1]["failure"].startswith("invalid: ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("empty",), "no pictures in empty"),
        (("list.csv", "--truth", "wrong"), "no column 'wrong' says what is true; the list has: "),
        (("list.csv", "--truth", "other"), "maybe"),
        (("photos", "--positive", "x"), "no column 'truth' says what is true"),
        (("photos", "--scores", "x.csv"), "scores that are written down tell of no cover"),
        (("photos", "--label", "nsfv"), "Did you mean 'nsfw'"),
        (("photos", "--scheduler", "tcp://127.0.0.1:9"), "--workers is for this machine"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent_or_written(audit, server, words, says):
    Path("empty").mkdir()
    code, out, err = audit(*words)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert (out, server.calls, folders()) == ("", 0, [])


def test_pictures_of_which_none_can_be_opened_are_said_with_the_reason(audit, server):
    code, _, err = audit("nowhere.png", "-q")
    assert (code, server.calls) == (2, 0)
    assert err.startswith("probe: none of the pictures got a score: nowhere.png: ")


@pytest.mark.parametrize(
    "words", [("--pictures", 0), ("--tests", 4), ("--budget-per-image", 11), ("--threshold", 2)]
)
def test_numbers_that_make_no_audit_are_refused(audit, server, words):
    code, _, err = audit("photos", *words, small=())
    assert (code, server.calls) == (2, 0)
    assert words[0] in err


def test_the_truth_in_words_is_explained(audit, server):
    code, out, err = audit("list.csv", "--truth", "other", "--positive", "maybe", "--json")
    assert code == 0, err
    assert json.loads(out)["truths"] == {"without": 1, "within": NUMBER - 1}


def test_the_folder_of_another_audit_is_not_written_over(audit, server):
    few = ("photos/00.png", "photos/01.png", "photos/02.png", "photos/03.png")
    assert audit(*few)[0] == 0
    assert folders() == ["pictures.audit"]
    assert audit(*few, "--seed", 1)[0] == 0
    assert folders() == ["pictures-2.audit", "pictures.audit"]
    assert audit(*few, "--out", "mine")[0] == 0
    before, asked = contents("mine"), server.calls
    code, _, err = audit(*few[:3], "--out", "mine")
    assert (code, server.calls) == (2, asked)
    assert "mine holds the results of another run" in err
    assert contents("mine") == before
    assert audit(*few[:3], "--out", "mine", "--force")[0] == 0
    assert len(table("mine/scores.csv")) == 3
    assert audit(*few[:3], "--out", "mine")[0] == 0


def test_the_threshold_and_the_label_are_those_that_were_given(audit, server):
    few = [f"photos/{n:02}.png" for n in range(8)]
    code, out, err = audit(*few, "--label", "sfw", "--threshold", "0.04", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["label"], found["flagged"]) == ("sfw", 8)
    assert "score below and above 0.04" in err or "below and above 0.04 are compared" in err
    settings = json.loads(Path("pictures.audit/audit.json").read_text())["settings"]
    assert (settings["threshold"], settings["label"], settings["seed"]) == (0.04, "sfw", 0)


def test_the_help_names_what_can_be_said(run):
    code, out, _ = run("audit", "--help")
    assert code == 0
    for word in ("--truth", "--budget-per-image", "--workers", "--scheduler", "--dry-run"):
        assert word in out


def test_other_runs_of_the_process_are_warned_as_before(audit):
    logger = logging.getLogger("probe.loop.table")
    level = logger.level
    audit("photos", "-q")
    assert logger.level == level
