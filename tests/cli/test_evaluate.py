from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.evaluate.samples import drawn, table

EXAMPLES = Path(__file__).parents[2] / "examples"
KEYS = """
schema label finding pictures positives negatives prevalence services comparison groups notes
settings left_out mistakes seconds exit_code files
""".split()  # noqa: SIM905


@pytest.fixture
def scores(run, tmp_path):
    truth, values = drawn(300, services=2)
    kinds = np.where(np.arange(300) % 3, "photo", "drawing")
    (tmp_path / "scores.csv").write_text(table(truth, values[0], kind=kinds))
    (tmp_path / "both.csv").write_text(table(truth, values, ("nsfw", "other"), kind=kinds))
    (tmp_path / "theirs.csv").write_text(table(truth, values[1]))
    return "scores.csv"


def test_a_table_is_measured_in_one_command(run, scores):
    code, out, err = run("evaluate", scores, "--bootstrap", 200)
    assert code == 0
    finding, files, following = out.splitlines()
    assert finding.startswith("nsfw: AUC 0.9")
    assert finding.endswith(" are found. 300 pictures.")
    assert files.startswith("figure scores.evaluate/evaluation.png · ")
    assert following.startswith("next: probe evaluate scores.csv --bootstrap 200 --threshold 0.")
    assert all(line.startswith("note: ") for line in err.splitlines())
    with Image.open("scores.evaluate/evaluation.png") as drawn_:
        assert drawn_.width > 2000
    assert run(*following.split()[2:])[0] == 0


def test_two_services_and_groups(run, scores):
    options = ("--against", "theirs.csv", "--group", "kind", "--bootstrap", 100)
    code, out, _ = run("evaluate", scores, *options)
    assert code == 0
    assert out.startswith("nsfw: scores AUC 0.")
    assert "; theirs AUC 0." in out
    assert "scores is ahead by " in out
    with open("scores.evaluate/groups.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows] == ["drawing", "photo"]
    assert float(rows[0]["auc_low"]) <= float(rows[0]["auc"]) <= float(rows[0]["auc_high"])
    with open("scores.evaluate/evaluation.json") as file:
        record = json.load(file)
    assert record["settings"]["tables"] == ["scores.csv", "theirs.csv"]
    assert record["settings"]["command"].startswith(
        "probe evaluate scores.csv --against theirs.csv"
    )
    os.mkdir("private")
    os.rename("theirs.csv", "private/theirs.csv")
    run("evaluate", scores, "--against", "private/theirs.csv", "--out", "new", "--bootstrap", 100)
    assert "private" not in Path("new/evaluation.json").read_text()
    _, out, _ = run("evaluate", "both.csv", "--against", "other", "--bootstrap", 100)
    assert out.startswith("nsfw: nsfw AUC 0.")


def test_programs_get_one_object(run, scores):
    code, out, err = run("evaluate", scores, "--json", "--fpr", 0.05, "--bootstrap", 100)
    found = json.loads(out)
    assert code == found["exit_code"] == 0
    assert set(found) == set(KEYS)
    assert (found["schema"], found["pictures"], found["left_out"]) == (1, 300, [])
    assert found["settings"]["fpr"] == [0.05]
    assert all(os.path.exists(path) for path in found["files"])
    assert [os.path.basename(path) for path in found["files"]] == [
        "evaluation.png",
        "curves.csv",
        "evaluation.json",
    ]
    assert "next: " in err
    code, again, err = run("evaluate", scores, "--json", "--fpr", 0.05, "--bootstrap", 100, "-q")
    assert err == ""
    assert json.loads(again)["services"] == found["services"]
    with open("scores.evaluate/evaluation.json") as file:
        assert json.load(file)["services"] == found["services"]


def test_another_question_gets_a_folder_of_its_own_and_the_same_one_does_not(run, scores):
    for options, folder in (((), "scores"), (("--seed", 1), "scores-2"), ((), "scores")):
        _, out, _ = run("evaluate", scores, "--bootstrap", 100, *options)
        assert f"figure {folder}.evaluate/evaluation.png" in out
    with open(scores, "a") as file:
        file.write("new.jpg,0.5,sfw,photo\n")
    _, out, _ = run("evaluate", scores, "--bootstrap", 100)
    assert "figure scores-3.evaluate/evaluation.png" in out
    code, _, err = run("evaluate", scores, "--out", "scores.evaluate")
    assert code == 2
    assert "holds the results of another run" in err


def test_files_of_groups_do_not_outlive_them(run, scores):
    options = ("--bootstrap", 100, "--out", "here", "--force")
    run("evaluate", scores, "--group", "kind", *options)
    assert os.path.exists("here/groups.csv")
    run("evaluate", scores, *options)
    assert not os.path.exists("here/groups.csv")


def test_rows_that_are_left_out_are_counted(run, tmp_path):
    rows = "a,,0.9,nsfw\nb,,0.1,sfw\nc,timeout,,sfw\nd,,,sfw\ne,,0.4,\na,,0.9,nsfw\nf,,0.3,sfw\n"
    (tmp_path / "x.csv").write_text("picture,failure,nsfw,truth\n" + rows)
    code, out, err = run("evaluate", "x.csv")
    assert code == 0
    assert (
        "3 pictures; left out: 1 without a truth, 1 without a score because it failed, "
        "1 without a score, 1 again of a picture that came before."
    ) in out
    assert "note: Only 1 positive picture: the intervals are rough." in err
    with open("x.evaluate/evaluation.json") as file:
        record = json.load(file)
    assert record["left_out"][1] == {
        "reason": "failed",
        "rows": 1,
        "examples": [{"row": 4, "picture": "c"}],
    }


def test_the_worst_mistake_at_hand_is_what_to_look_at_next(run):
    code, out, _ = run("evaluate", EXAMPLES / "scores.csv", "--bootstrap", 100)
    assert code == 0
    picture = EXAMPLES / "retina.jpg"
    assert out.splitlines()[-1] == f"next: probe occlude {picture} --label nsfw"
    assert "397 pictures; left out: 3 without a score because it failed." in out


def test_columns_may_be_called_anything(run, tmp_path):
    head = 'picture,"--json","=cmd|\' /C calc\'!A0",\x1b[31mkind\n'
    rows = "".join(f"{n},{n % 7 / 7:.2f},{n % 2},=g{n % 3}\n" for n in range(60))
    (tmp_path / "x.csv").write_text(head + rows)
    code, out, _ = run(
        *("evaluate", "x.csv", "--label=--json", "--truth", "=cmd|' /C calc'!A0"),
        *("--group", "\x1b[31mkind", "--bootstrap", 100),
    )
    assert code == 0
    assert out.startswith("--json: AUC 0.")
    assert "\x1b" not in out
    text = Path("x.evaluate/groups.csv").read_text()
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == ["'=g0", "'=g1", "'=g2"]


def test_a_label_that_a_spreadsheet_would_run_is_inert_in_files(run, tmp_path):
    truth, values = drawn(50)
    (tmp_path / "x.csv").write_text(table(truth, values, ("=HYPERLINK(1)",)))
    run("evaluate", "x.csv", "--positive", "nsfw", "--bootstrap", 100)
    lines = Path("x.evaluate/curves.csv").read_text().splitlines()
    assert lines[0] == "service,threshold,tp,fp,recall,fpr,precision"
    assert all(line.startswith("'=HYPERLINK(1),") for line in lines[1:])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.csv"], "no file nowhere.csv"),
        (["scores.csv", "--truth", "thruth"], "Did you mean 'truth'?"),
        (["scores.csv", "--positive", "x"], "'nsfw' ("),
        (
            ["both.csv"],
            "2 columns that may be scores (nsfw, other): choose one, as by --label nsfw",
        ),
        (["scores.csv", "--against", "nobody.csv"], "has no column 'nobody.csv'"),
        (["scores.csv", "--fpr", "0"], "--fpr"),
        (["scores.csv", "--bootstrap", "3"], "--bootstrap"),
        (["scores.csv", "--threshold", "2"], "--threshold"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run, scores, arguments, says):
    code, out, err = run("evaluate", *arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("probe: ")
    assert says in line
    assert not os.path.exists("scores.evaluate")


def test_errors_are_objects_for_programs(run, tmp_path):
    (tmp_path / "x.csv").write_text("")
    code, out, _ = run("evaluate", "x.csv", "--json")
    assert code == 2
    assert json.loads(out)["error"]["exit_code"] == 2


def test_a_missing_extra_is_one_line(run, scores, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    code, _, err = run("evaluate", scores)
    assert code == 2
    assert err == (
        "probe: scikit-learn (to evaluate scores) is not installed: "
        "pip install 'image-api-probe[evaluate]'\n"
    )
    assert not os.path.exists("scores.evaluate")


def test_a_folder_that_cannot_be_written(run, scores, tmp_path):
    (tmp_path / "taken").write_text("a file")
    code, _, err = run("evaluate", scores, "--out", "taken")
    assert code == 7
    assert "cannot write into taken" in err
