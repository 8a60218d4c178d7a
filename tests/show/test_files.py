import builtins
import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from probe.errors import OutputError
from probe.heatmap import Heatmap
from probe.result import Answer
from probe.show import mark_folder, open_folder, save_run, save_sheet
from probe.types import Box, Identity, Scores

NAMES = ["overlay.png", "map.npy", "map.npz", "scores.csv", "answers.json", "run.json"]


def rows(folder):
    with (folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_six_files_that_read_back(result, tmp_path):
    run = result()
    paths = save_run(run, tmp_path / "new" / "out")
    folder = tmp_path / "new" / "out"
    assert [path.name for path in paths] == NAMES
    assert sorted(os.listdir(folder)) == sorted(NAMES)
    values = np.load(folder / "map.npy", allow_pickle=False)
    assert values.dtype == np.float32
    assert np.array_equal(values, run.heatmap().values)
    assert np.array_equal(Heatmap.load(folder / "map.npz").values, values)
    with Image.open(folder / "overlay.png") as figure:
        assert figure.mode == "RGB"
        assert figure.info == {}


def test_the_table_says_what_was_asked_and_what_came(result, tmp_path):
    save_run(result(), tmp_path)
    table = rows(tmp_path)
    assert [row["kind"] for row in table] == ["identity", "repeat", "full", "box", "window"]
    assert [row["source"] for row in table] == ["sent", "sent", "same", "ledger", "sent"]
    assert [row["index"] for row in table] == list("01234")
    assert float(table[3]["x1"]) == 0.30000000000000004
    assert float(table[3]["nsfw"]) == 1 / 3
    assert table[0]["x0"] == ""
    assert table[4]["nsfw"] == table[4]["sfw"] == ""
    assert table[4]["failure"] == r"lost: no\nanswer, =cmd"


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)
@given(
    scores=st.lists(finite, min_size=1, max_size=5),
    labels=st.lists(st.text("ab,;\"' é", min_size=1), min_size=1, max_size=4, unique=True),
)
def test_every_number_of_the_table_reads_back_exactly(result, tmp_path, scores, labels):
    answers = [
        Answer(Box(0.1, 0.2, 0.3, 1.0), Scores(dict.fromkeys(labels, score)), "sent")
        for score in scores
    ]
    first = answers[0].outcome
    run = result(answers=answers, reference=first, label=labels[0], image=None)
    save_run(run, tmp_path)
    for row, score in zip(rows(tmp_path), scores, strict=True):
        assert [float(row[label]) for label in labels] == [score] * len(labels)


def test_labels_and_failures_cannot_run_in_a_spreadsheet(result, tmp_path):
    labels = ("=1+1", "+x", "-x", "@SUM(A1)", "\tx", "\rx", "plain", "a\nb")
    save_run(result(labels=labels), tmp_path)
    text = (tmp_path / "scores.csv").read_text("utf-8")
    heading, *body = csv.reader(io.StringIO(text))
    assert heading[-8:] == ["'=1+1", "'+x", "'-x", "'@SUM(A1)", r"\tx", r"\rx", "plain", r"a\nb"]
    for cell in (cell for row in body for cell in row):
        assert not cell.startswith(("=", "+", "@", "\t", "\r"))
    assert body[0][-1] == repr(1 / 3)


def test_a_service_of_ever_new_labels_does_not_blow_up_the_table(result, tmp_path):
    first = Scores({"nsfw": 0.5})
    answers = [Answer(Identity(), first, "sent")]
    answers += [
        Answer(Box(0, 0, 1, 1), Scores({f"{n} {m}": 0.1 for m in range(400)}), "sent")
        for n in range(9)
    ]
    save_run(result(answers=answers, reference=first), tmp_path)
    assert len(rows(tmp_path)[0]) == 8 + 1000
    many = Scores({f"label {n}": 0.1 for n in range(1500)})
    one = [Answer(Identity(), many, "sent")]
    save_run(result(answers=one, reference=many, label="label 0"), tmp_path)
    assert len(rows(tmp_path)[0]) == 8 + 1500


def test_negative_scores_stay_numbers(result, tmp_path):
    scores = Scores({"nsfw": -1.5e-30})
    save_run(result(answers=[Answer(Identity(), scores, "sent")], reference=scores), tmp_path)
    assert rows(tmp_path)[0]["nsfw"] == "-1.5e-30"


def test_a_label_named_like_a_column_gets_its_own(result, tmp_path):
    save_run(result(labels=("kind", "nsfw")), tmp_path)
    assert rows(tmp_path)[0]["kind"] == "identity"
    assert float(rows(tmp_path)[0]["kind (label)"]) == 1 / 3


def test_the_record_holds_what_is_needed_to_repeat(result, tmp_path):
    run = result()
    save_run(run, tmp_path)
    record = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert record["schema"] == 1
    assert record["settings"] == {"picture": "party.jpg", "method": "grid", "plan": "abc"}
    assert record["canvas"] == {"size": [8, 6], "send": [8, 6], "grid": 1, "seen": [0, 0, 1, 1]}
    assert record["reference"] == dict(run.reference)
    assert record["failures"] == [{"index": 4, "kind": "lost", "message": "no\nanswer, =cmd"}]
    expected = {"label": "nsfw", "backend": "a model", "calls": 4, "requests": 2, "answers": 5}
    assert {key: record[key] for key in expected} == expected
    assert record["notes"] == list(run.notes)
    assert set(record["versions"]) == {"probe", "pillow", "numpy"}
    assert all(record["versions"].values())


def test_no_file_tells_where_the_picture_lay(result, tmp_path):
    save_run(result(), tmp_path)
    for name in NAMES:
        content = (tmp_path / name).read_bytes()
        assert b"/home" not in content
        assert os.fsencode(tmp_path) not in content


def test_control_characters_of_a_server_stay_escaped_in_every_text(result, tmp_path):
    save_run(result(labels=("\x1b[2J", "\u202eevil")), tmp_path)
    for name in ("scores.csv", "run.json"):
        text = (tmp_path / name).read_text("utf-8")
        assert "\x1b" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"image": None}, "the picture is not at hand"), ({"empty": True}, "the map is empty")],
)
def test_without_picture_or_values_there_is_no_figure_but_a_note(result, tmp_path, changes, why):
    paths = save_run(result(**changes), tmp_path)
    assert [path.name for path in paths] == NAMES[1:]
    record = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert record["notes"][-1] == f"No overlay.png: {why}."


def test_a_folder_that_is_a_file_is_an_output_error(result, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match=r"cannot write .*out/overlay\.png: "):
        save_run(result(), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("operation", ["open", "replace"])
@pytest.mark.parametrize("nth", range(1, 8))
def test_a_full_disk_at_any_file_loses_nothing_and_leaves_no_debris(
    result, tmp_path, monkeypatch, operation, nth
):
    for name in NAMES:
        (tmp_path / name).write_bytes(b"of an earlier run")
    count = 0

    def failing(real):
        def call(*arguments, **options):
            nonlocal count
            if "part" in str(arguments[0]):
                count += 1
                if count == nth:
                    raise OSError(28, "No space left on device")
            return real(*arguments, **options)

        return call

    owner = builtins if operation == "open" else os
    monkeypatch.setattr(owner, operation, failing(getattr(owner, operation)))
    message = ""
    try:
        save_run(result(), tmp_path)
    except OutputError as error:
        message = str(error)
    monkeypatch.undo()
    assert bool(message) == (count >= nth)
    if message:
        assert message.endswith("No space left on device")
        assert any(f"{name}:" in message for name in NAMES)
        assert (tmp_path / "run.json").read_bytes() == b"of an earlier run"
    assert sorted(os.listdir(tmp_path)) == sorted(NAMES)
    assert all((tmp_path / name).stat().st_size for name in NAMES)


def test_a_disk_that_fills_while_writing_leaves_what_was_there(tmp_path):
    class Filling(Image.Image):
        def save(self, file, *arguments: object, **options: object) -> None:
            file.write(b"half")
            raise OSError(28, "No space left on device")

    (tmp_path / "plan.png").write_text("before")
    with pytest.raises(OutputError, match=r"plan\.png: No space left"):
        save_sheet(Filling(), tmp_path / "plan.png")
    assert os.listdir(tmp_path) == ["plan.png"]
    assert (tmp_path / "plan.png").read_text() == "before"


def test_ctrl_c_while_writing_leaves_no_debris(tmp_path):
    class Interrupting(Image.Image):
        def save(self, *arguments: object, **options: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_sheet(Interrupting(), tmp_path / "plan.png")
    assert os.listdir(tmp_path) == []


def test_a_link_in_the_folder_is_replaced_not_followed(result, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").symlink_to(victim)
    save_run(result(), out)
    assert victim.read_text() == "precious"
    assert not (out / "run.json").is_symlink()


def test_the_plan_of_a_folder_is_read_back(result, tmp_path):
    assert open_folder(tmp_path) is None
    save_run(result(), tmp_path)
    assert open_folder(tmp_path) == "abc"
    for junk in ("{", "[]", '{"settings": 5}', "[" * 100_000):
        (tmp_path / "run.json").write_text(junk)
        assert open_folder(tmp_path) == ""


def test_a_folder_whose_writing_broke_off_is_gone_on_with(result, tmp_path):
    mark_folder(tmp_path, "abc")
    assert open_folder(tmp_path) is None
    save_run(result(), tmp_path)
    mark_folder(tmp_path, "def")
    assert open_folder(tmp_path) == "abc"
    (tmp_path / "run.json").unlink()
    assert open_folder(tmp_path) == "def"


def test_a_sheet_is_written_where_it_was_asked(tmp_path):
    path = save_sheet(Image.new("RGB", (3, 2)), tmp_path / "a" / "plan.png")
    assert path == tmp_path / "a" / "plan.png"
    with Image.open(Path(path)) as image:
        assert image.size == (3, 2)
