"""The table of scores of many pictures, as CSV and as Parquet."""

from __future__ import annotations

import csv
import errno
import sys

import pyarrow.parquet as pq
import pytest

from probe.errors import MissingExtra, OutputError
from probe.scoring import Scored
from probe.show import scores as module
from probe.show.scores import ScoresTable, is_scores
from probe.types import Failure, Scores

TEXTS = ("=1+1", "a\x1b[31m\n", "\udcff", "-5", "")


@pytest.fixture
def table():
    """Seven rows under own columns `note` and `nsfw`; a label comes with the fourth."""
    with ScoresTable(["note", "nsfw"]) as table:
        for number in range(7):
            scores = {"nsfw": number / 10} | ({"new": 0.5} if number > 2 else {})
            outcome = Failure("refused", "no\nmore") if number == 6 else Scores(scores)
            scored = Scored(number, f"d{number}", (1, 1), outcome, "sent")
            table.add(f"{number}.png", scored, [TEXTS[number % 5], "x"])
        yield table


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_parquet_has_what_csv_has(table, tmp_path, monkeypatch, rows):
    monkeypatch.setattr(module, "ROWS", rows)
    table.save(tmp_path / "x.csv")
    table.save(tmp_path / "x.parquet")
    assert pq.read_metadata(tmp_path / "x.parquet").num_row_groups == -(-7 // rows)
    found = pq.read_table(tmp_path / "x.parquet")
    heads = ["picture", "digest", "failure", "note", "list nsfw", "nsfw", "new"]
    assert found.column_names == heads
    with open(tmp_path / "x.csv", newline="", encoding="utf-8") as file:
        for here, there in zip(csv.DictReader(file), found.to_pylist(), strict=True):
            assert list(here.values())[:3] == list(there.values())[:3]
            for name in ("nsfw", "new"):
                assert here[name] == ("" if there[name] is None else repr(there[name]))
    assert found["note"].to_pylist()[:5] == ["=1+1", "a\\x1b[31m\\n", "\\udcff", "-5", ""]
    assert found["failure"].to_pylist()[6] == "refused: no\\nmore"


def test_long_texts_make_small_row_groups(table, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHARACTERS", 10)
    table.save(tmp_path / "x.parquet")
    assert pq.read_metadata(tmp_path / "x.parquet").num_row_groups > 3


def test_no_rows_make_a_table(tmp_path):
    for name in ("x.csv", "x.parquet"):
        with ScoresTable() as table:
            assert is_scores(table.save(tmp_path / name))
    assert pq.read_table(tmp_path / "x.parquet").column_names == ["picture", "digest", "failure"]


def test_a_full_disk_leaves_what_was_there(table, tmp_path, monkeypatch):
    path = table.save(tmp_path / "x.parquet")
    before = path.read_bytes()

    def full(self, file):
        class Full:
            closed = False

            def write(self, data):
                raise OSError(errno.ENOSPC, "No space left on device")

            def flush(self):
                pass

            def tell(self):
                return 0

            def close(self):
                self.closed = True

        written(self, Full())

    written = ScoresTable._write_parquet
    monkeypatch.setattr(ScoresTable, "_write_parquet", full)
    with pytest.raises(OutputError, match=r"cannot write .*No space left"):
        table.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".part"] == []


def test_what_is_not_installed_is_said(table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    table.save(tmp_path / "x.csv")
    with pytest.raises(MissingExtra, match=r"\[evaluate\]"):
        table.save(tmp_path / "x.parquet")
