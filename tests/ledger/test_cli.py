import json
import shutil

import pytest
from click.testing import CliRunner

from probe.cli.ledger import ledger
from probe.errors import LedgerError, UsageError
from probe.ledger import Ledger, stats
from probe.types import Scores


@pytest.fixture
def run(path):
    def run(*words, **options):
        words = [str(word) for word in words]
        return CliRunner().invoke(ledger, words, env={"PROBE_LEDGER": str(path)}, **options)

    return run


def test_stats_for_people_and_for_programs(run, filled, path):
    text = run("stats").stdout
    assert "20 answers about 2 pictures" in text
    assert "one.example" in text
    told = json.loads(run("stats", "--json").stdout)
    assert told["schema"] == 1
    assert (told["answers"], told["pictures"]) == (20, 2)
    assert told["hosts"] == {"one.example": 10, "two.example": 10}


def test_a_ledger_in_use_says_that_a_copy_of_its_file_lacks_the_last_answers(
    run, filled, path, ask, tmp_path, monkeypatch
):
    monkeypatch.setattr("time.time_ns", lambda: 1_700_000_000 * 10**9)
    with Ledger(path) as one:
        one.exchange([(ask(50), Scores({"a": 1.0}))])
        text = run("stats").stdout
        assert "21 answers" in text
        assert "ledger.db-wal" in text
        assert "`probe ledger export`" in text
        assert json.loads(run("stats", "--json").stdout)["log"] > 0
        shutil.copy(path, tmp_path / "copy.db")
    whole, copy = run("stats").stdout, run("stats", "--ledger", tmp_path / "copy.db").stdout
    assert "21 answers" in whole
    assert "to 2023-11-14 22:13 UTC" in whole
    assert "20 answers" in copy
    assert "2023" not in copy
    for text in (whole, copy):
        assert "-wal" not in text
    assert run("verify", "--ledger", tmp_path / "copy.db").exit_code == 0


def test_names_from_outside_are_printed_safely(run, path, ask):
    with Ledger(path) as one:
        one.exchange([(ask(0, backend="\x1b[2Jx"), Scores({"a": 1.0}))], host="\x1b]0;host")
    text = run("stats").stdout
    assert "\x1b" not in text
    assert r"\x1b[2Jx" in text


def test_the_option_is_stronger_than_the_environment(run, filled, tmp_path):
    result = run("stats", "--ledger", tmp_path / "none.db")
    assert isinstance(result.exception, LedgerError)
    assert "none.db" in str(result.exception)


def test_verify(run, filled, path):
    result = run("verify")
    assert result.exit_code == 0
    assert "20 answers are good, 0 damaged" in result.stdout
    path.write_bytes(path.read_bytes().replace(b"two.example", b"TWO.example"))
    result = run("verify", "--json")
    told = json.loads(result.stdout)
    assert (told["ok"], told["answers"], told["damaged"]) == (False, 10, 10)
    assert isinstance(result.exception, LedgerError)
    assert "probe ledger recover" in str(result.exception)


def test_export_to_stdout_and_to_a_new_file(run, filled, tmp_path):
    assert len(run("export").stdout.splitlines()) == 20
    out = tmp_path / "out.csv"
    result = run("export", "--format", "csv", "-o", out)
    assert "20 answers exported" in result.stderr
    assert len(out.read_text().splitlines()) == 41
    result = run("export", "-o", out)
    assert "name a new file" in str(result.exception)
    assert result.exception.exit_code == 7


def test_recover(run, filled, tmp_path):
    result = run("recover", tmp_path / "new.db")
    assert "20 answers copied, 0 could not be read" in result.stdout
    assert stats(tmp_path / "new.db").answers == 20


@pytest.mark.parametrize(
    "words", [("prune", "--backend", "onnx:abc"), ("erase", "--host", "one.example")]
)
def test_nothing_is_destroyed_without_a_yes(run, filled, path, words):
    result = run(*words)
    assert isinstance(result.exception, UsageError)
    assert "--yes" in str(result.exception)
    assert stats(path).answers == 20
    assert run(*words, "--yes").exit_code == 0
    assert stats(path).answers < 20


@pytest.mark.parametrize(("reply", "left"), [("n\n", 20), ("y\n", 10)])
def test_on_a_terminal_it_asks(run, filled, path, monkeypatch, reply, left):
    monkeypatch.setattr("probe.cli.ledger._somebody_there", lambda: True)
    run("erase", "--host", "one.example", input=reply)
    assert stats(path).answers == left


def test_prune_by_age(run, filled, path):
    assert "0 answers removed" in run("prune", "--older-than", "1", "--yes").stdout
    assert "20 answers removed" in run("prune", "--older-than", "0", "--yes").stdout


@pytest.mark.parametrize("words", [(), ("--digest", "a", "--host", "b")])
def test_erase_must_be_told_one_thing(run, filled, words):
    assert isinstance(run("erase", "--yes", *words).exception, UsageError)


def test_erase_by_the_pictures_file(run, path, ask, tmp_path):
    from PIL import Image

    from probe.image import open_image

    Image.new("RGB", (9, 7), "teal").save(tmp_path / "me.png")
    digest = open_image(tmp_path / "me.png").digest
    with Ledger(path) as one:
        one.exchange([(ask(0, image=digest), Scores({"a": 1.0})), (ask(0), Scores({"a": 1.0}))])
    assert "1 answers removed" in run("erase", "--picture", tmp_path / "me.png", "--yes").stdout
    assert stats(path).pictures == 1
    assert digest.encode() not in path.read_bytes()
