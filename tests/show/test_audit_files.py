"""The tables of an audit."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest

from probe.errors import LimitReached, OutputError
from probe.show.audit_files import save_audit
from probe.text import printable
from tests.audit.made import AWAY, BOX, NOTHING, made_audit, made_feature
from tests.runs import HOSTILE

TABLES = ("features", "places", "collect")
FILES = {*(f"{name}.{end}" for name in TABLES for end in ("csv", "parquet")), "audit.json"}


def several():
    return made_audit(
        made_feature(),
        made_feature(2, drops=NOTHING, words="blue, top left"),
        made_feature(3, drops=[0.1], within=(0, 0), words="grey, the centre"),
    )


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def as_text(value):
    return "" if value is None else str(value)


@pytest.mark.parametrize("audit", [several(), made_audit()], ids=["several", "empty"])
def test_csv_and_parquet_hold_the_same(tmp_path, audit):
    written = save_audit(audit, tmp_path / "x", {})
    assert {path.name for path in written} == FILES
    assert {path.name for path in (tmp_path / "x").iterdir()} == FILES
    for name in TABLES:
        head, *rows = rows_of(tmp_path / "x" / f"{name}.csv")
        table = pq.read_table(tmp_path / "x" / f"{name}.parquet")
        assert table.column_names == head
        assert [list(map(as_text, row.values())) for row in table.to_pylist()] == rows


def test_numbers_are_those_that_were_found(tmp_path):
    audit = several()
    save_audit(audit, tmp_path, {"plan": "abc"})
    features = pq.read_table(tmp_path / "features.parquet").to_pylist()
    for row, one in zip(features, audit.features, strict=True):
        assert (row["feature"], row["look"], row["claimed"]) == (
            one.number,
            one.look.words,
            one.claimed,
        )
        assert row["drop"] == (one.effect and one.effect.drop.value)
        assert row["drop_low"] == (one.effect and one.effect.drop.low)
        assert row["p_holm"] == (one.effect and one.effect.adjusted)
        assert row["tests"] == (len(one.effect.trials) if one.effect else 0)
        assert (row["without"], row["within_high"]) == (one.without.value, one.within.high)
        assert row["missing_per_1000"] == one.missing
    places = pq.read_table(tmp_path / "places.parquet").to_pylist()
    of_first = [row for row in places if row["feature"] == 1]
    assert [row["kind"] for row in of_first] == ["evidence"] * 2 + ["test"] * 8
    seen, test = of_first[0], of_first[2]
    assert tuple(seen[edge] for edge in ("x0", "y0", "x1", "y1")) == BOX
    assert (seen["evidence"], seen["chosen"], seen["drop"]) == (0.5, "high score", None)
    assert tuple(test[f"control_{edge}"] for edge in ("x0", "y0", "x1", "y1")) == AWAY
    assert test["control_covered"] - test["covered"] == pytest.approx(test["drop"])
    (wanted,) = pq.read_table(tmp_path / "collect.parquet").to_pylist()
    assert (wanted["rank"], wanted["feature"], wanted["per_1000"]) == (1, 1, pytest.approx(400))
    assert (wanted["example"], wanted["have"]) == ("party.jpg", "party.jpg")
    found = json.loads((tmp_path / "audit.json").read_text())
    assert found["schema"] == 1
    assert found["settings"] == {"plan": "abc"}
    assert (found["claims"], found["wanted"], found["stopped"]) == (1, [1], None)
    assert found["features"][0]["drop"] == audit.features[0].effect.drop.as_dict()
    assert found["features"][2]["drop"] is None
    first = audit.features[0].effect
    assert (found["features"][0]["p"], found["features"][0]["p_holm"]) == (first.p, first.adjusted)
    assert first.p < first.adjusted
    assert found["features"][0]["exemplars"][0]["box"] == list(BOX)
    assert found["truths"] == {"without": 60, "within": 40}


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_formulas_in_names_are_text(tmp_path, name):
    save_audit(made_audit(made_feature(name=name)), tmp_path, {})
    for table in TABLES:
        for row in rows_of(tmp_path / f"{table}.csv")[1:]:
            for cell in row:
                assert not cell.startswith(("=", "+", "@", "\t"))
                assert not cell.startswith("-") or float(cell) < 0
    places = rows_of(tmp_path / "places.csv")
    assert {row[2].lstrip("'") for row in places[1:]} == {printable(name)}


@pytest.mark.parametrize("name", [*HOSTILE, 'a\nb,"c"\r', "\udcff"])
def test_hostile_names_are_whole_and_cannot_act(tmp_path, name):
    audit = made_audit(made_feature(name=name), failures=[(name, name)], failed=1, label=name)
    audit.stopped = LimitReached(name)
    save_audit(audit, tmp_path, {})
    rows = rows_of(tmp_path / "places.csv")
    assert {len(row) for row in rows} == {17}
    assert {row[2] for row in rows[1:]} == {printable(name)}
    table = pq.read_table(tmp_path / "places.parquet")
    assert set(table.column("picture").to_pylist()) == {printable(name)}
    found = json.loads((tmp_path / "audit.json").read_text())
    assert found["failures"] == [{"picture": printable(name), "why": printable(name)}]
    assert found["features"][0]["have"][0]["picture"] == printable(name)


def test_json_has_no_numbers_that_are_none(tmp_path):
    save_audit(several(), tmp_path, {})

    def refuse(word):
        raise AssertionError(word)

    json.loads((tmp_path / "audit.json").read_text(), parse_constant=refuse)


def test_what_was_there_is_written_over_wholly(tmp_path):
    save_audit(several(), tmp_path, {})
    save_audit(made_audit(), tmp_path, {})
    for name in TABLES:
        assert len(rows_of(tmp_path / f"{name}.csv")) == 1
        assert pq.read_table(tmp_path / f"{name}.parquet").num_rows == 0
    assert json.loads((tmp_path / "audit.json").read_text())["features"] == []
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_a_disk_that_refuses_is_said(tmp_path):
    (tmp_path / "x").write_text("a file")
    with pytest.raises(OutputError):
        save_audit(several(), tmp_path / "x", {})
