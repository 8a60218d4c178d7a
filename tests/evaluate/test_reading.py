"""Files from outside: what is read right, and what is refused in one line."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from probe.errors import UsageError
from probe.evaluate import read_sample
from probe.evaluate import reading as reading_module
from probe.evaluate.cells import EMPTY, OK, UNREADABLE, numbers
from tests.evaluate.samples import drawn, table

PLAIN = "picture,nsfw,truth\na,0.9,1\nb,0.2,0\nc,0.6,1\n"


def scores_of(name, **options):
    return read_sample(name, **options).scores[0].tolist()


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\n\n"),
        PLAIN.replace(",", ";").replace("0.", "0,"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace("0.9", '" 0.9 "'),
        PLAIN.replace("picture", "picture ").replace("nsfw", " nsfw"),
        PLAIN.replace("a,", '"a, ""b""\nc",'),
        PLAIN.replace("\n", ",,\n"),
        PLAIN.encode() + "ü,0.6,\n".encode("latin-1"),
    ],
    ids=[
        *("plain", "no end", "CRLF", "CR", "BOM", "blank lines", "semicolons", "tabs", "quoted"),
        *("spaces in the header", "line ends in cells", "columns without a name", "latin-1 name"),
    ],
)
def test_tables_as_programs_write_them(write, content):
    found = read_sample(write(content))
    assert found.label == "nsfw"
    assert found.scores[0].tolist() == [0.9, 0.2, 0.6]
    assert found.truth.tolist() == [True, False, True]
    assert found.rows.tolist() == [2, 3, 4]


COLUMNS = {
    "float64": pa.array([0.9, 0.2, 0.6]),
    "float32": pa.array([0.9, 0.2, 0.6], pa.float32()),
    "float16": pa.array(np.array([0.9, 0.2, 0.6], np.float16)),
    "decimal": pa.array([0.9, 0.2, 0.6]).cast(pa.decimal128(5, 3)),
    "text": pa.array(["0.9", "0.2", "0.6"]),
    "dictionary": pa.array(["0.9", "0.2", "0.6"]).dictionary_encode(),
    "large text": pa.array(["0.9", "0.2", "0.6"], pa.large_string()),
}
TRUTHS = {
    "bool": pa.array([True, False, True]),
    "int": pa.array([1, 0, 1]),
    "float": pa.array([1.0, 0.0, 1.0]),
    "text": pa.array(["nsfw", "sfw", "nsfw"]),
    "dictionary": pa.array(["nsfw", "sfw", "nsfw"]).dictionary_encode(),
}


@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("column", COLUMNS)
def test_parquet_of_any_type(write, column, truth):
    name = write(b"", "scores.parquet")
    names = pa.array([b"\xff", b"b", b"c"]) if truth == "int" else pa.array([7, 8, 9])
    pq.write_table(
        pa.table({"nsfw": COLUMNS[column], "truth": TRUTHS[truth], "picture": names}), name
    )
    found = read_sample(name, labels=["nsfw"])
    np.testing.assert_allclose(found.scores[0], [0.9, 0.2, 0.6], atol=1e-3)
    assert found.truth.tolist() == [True, False, True]
    assert found.rows.tolist() == [1, 2, 3]
    assert found.picture(0) == ("\\udcff" if truth == "int" else "7")


def test_both_formats_say_the_same(write):
    truth, scores = drawn(70_000, digits=16)
    one = read_sample(write(table(truth, scores)))
    name = write(b"", "scores.parquet")
    pq.write_table(pa.table({"nsfw": scores, "truth": truth}), name)
    other = read_sample(name)
    for sample in (one, other):
        np.testing.assert_array_equal(sample.scores[0], scores)
        np.testing.assert_array_equal(sample.truth, truth)
    assert one.picture(69_999) == "69999.jpg"
    assert other.picture(3) == ""


def test_line_ends_in_cells_may_fall_where_a_block_ends(write):
    truth, scores = drawn(60_000)
    lines = table(truth, scores).splitlines()
    filler = '"' + 50 * "x\n" + '"'
    name = write("\n".join([f"{lines[0]},comment", *(f"{row},{filler}" for row in lines[1:]), ""]))
    np.testing.assert_array_equal(read_sample(name).scores[0], scores)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        *[(cell, OK) for cell in ("0.5", ".5", "+0.5", " 5e-1 ", "0", "1", "5E-1")],
        *[(cell, EMPTY) for cell in ("", "  ", "nan", "NaN", "NA", "null", "None", "n/a")],
        *[
            (cell, UNREADABLE)
            for cell in ("error", "0,5", "inf", "-Infinity", "1_0", "0x1", "1e999")
        ],
    ],
)
def test_what_a_cell_says(cell, kind):
    for beside in ("0.25", "words"):  # with and without a cell that takes the slow way
        values, kinds = numbers(pa.array([beside.encode(), cell.encode(), None]), comma=False)
        assert kinds.tolist() == [OK if beside == "0.25" else UNREADABLE, kind, EMPTY]
        assert np.isnan(values[2])
        assert np.isfinite(values[1]) == (kind == OK)
    assert numbers(pa.array([b"0,5"]), comma=True)[0].tolist() == [0.5]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", ["scores.csv is empty"]),
        ("picture,nsfw,truth\n", ["has no rows below its header"]),
        ("\n\n", ["no names of columns"]),
        (PLAIN.replace("truth", "nsfw"), ["two columns of the name 'nsfw'"]),
        (PLAIN.replace("b,0.2,0", "b,0.2"), ["row 3: 2 cells under 3 names: mend it"]),
        (PLAIN.replace("b,0.2,0", "b,0.2,0,5"), ["row 3: 4 cells under 3 names"]),
        (
            PLAIN.replace("b,", '"b,'),
            ["row 3: 1 cell under", "quotation mark that is never closed"],
        ),
        (PLAIN.replace("c,0.6,1\n", 'c,0.6,"1\n'), ["quotation mark is never closed, in row 4"]),
        (PLAIN.replace("b,", "b" * 20_000_000 + ","), ["a row is longer than 4 MiB"]),
        (PLAIN.replace("b,", "b" * 5_000 + ","), ["column picture", "a cell of 5,000 bytes"]),
        (PLAIN.encode("utf-16"), ["is text in UTF-16: save it as CSV in UTF-8"]),
        (PLAIN.replace("picture", "Bildgröße").encode("latin-1"), ["header", "not in UTF-8"]),
        (b"PK\x03\x04" + b"x" * 90, ["an Excel or ZIP file: save it as CSV"]),
        (b"\x1f\x8b" + b"x" * 90, ["is compressed"]),
        (b"a\x00b,c\n1,2\n", ["is no text"]),
        (b"PAR1" + b"x" * 90, ["a damaged Parquet file"]),
        (PLAIN.replace("0.2", "1.2"), ["column nsfw, row 3: the score 1.2 is not in 0..1"]),
        (PLAIN.replace("0.2", "-3"), ["row 3: the score -3 is not in 0..1 (1 such row)"]),
        (PLAIN.replace("0.", "9"), ["no column of scores", "--label"]),
        (
            PLAIN.replace("truth", "trouth"),
            ["no column 'truth'. Did you mean 'trouth'?", "--truth"],
        ),
        (PLAIN.replace("truth", "\x1b[2J"), ["\\x1b[2J"]),
        (PLAIN.replace(",1\n", ",yes\n").replace(",0\n", ",eh\n"), ["'eh' (1 row)"]),
        (PLAIN.replace(",0\n", ",1\n"), ["of 3 usable rows of scores.csv all are for the label"]),
        (PLAIN.replace(",1\n", ",0\n"), ["are against the label"]),
        (PLAIN.replace(",1\n", ",\n"), ["of 1 usable row of"]),
        (PLAIN.replace(",1\n", ",\n").replace(",0\n", ",\n"), ["no row with a truth and a score"]),
        ("picture,truth\na,1\nb,0\n", ["no column of scores"]),
        ("picture,a,b,truth\nx,.1,.2,1\ny,.3,.4,0\n", ["2 columns that may be scores (a, b)"]),
        (",".join(map(str, range(10_001))) + "\n", ["more than 10,000 columns"]),
        (
            "picture,nsfw,truth\n" + "".join(f"{n},0.5,{n}\n" for n in range(1200)),
            ["column truth: more than 1,000 different words"],
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(write, content, says):
    name = write(content)
    with pytest.raises(UsageError) as error:
        read_sample(name)
    line = str(error.value)
    for words in says:
        assert words in line
    assert line.isprintable()
    assert "\n" not in line
    assert len(line) < 500


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"labels": ["nswf"]}, "no column 'nswf'. Did you mean 'nsfw'?"),
        ({"labels": ["nsfw", "b"]}, "--label is given too often"),
        ({"group": "kind"}, "has no column 'kind'."),
        (
            {"against": "other"},
            "has no column 'other'. It has picture, nsfw, truth: name one by --a",
        ),
        ({"labels": ["nsfw"], "against": "nsfw"}, "that is the column it is held against"),
    ],
)
def test_options_that_do_not_fit_name_the_remedy(write, options, says):
    name = write(PLAIN)
    with pytest.raises(UsageError) as error:
        read_sample(name, **options)
    assert says in str(error.value)


def test_no_file_and_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no file nowhere\.csv"):
        read_sample("nowhere.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=r"folder\.csv is a folder"):
        read_sample("folder.csv")


def test_a_group_of_too_many_words_is_refused(write):
    rows = "".join(f"{n},0.5,{n % 2}\n" for n in range(200))
    name = write(f"picture,nsfw,truth\n{rows}")
    with pytest.raises(
        UsageError, match="column picture: more than 100 different words; name a column"
    ):
        read_sample(name, labels=["nsfw"], group="picture")


@pytest.mark.parametrize("column", ["nsfw", "truth", "picture"])
def test_lists_in_parquet_are_refused(write, column):
    name = write(b"", "x.parquet")
    columns = {"nsfw": pa.array([0.1, 0.2]), "truth": pa.array([1, 0]), "picture": pa.array([1, 2])}
    pq.write_table(pa.table({**columns, column: pa.array([[0.1], [0.2]])}), name)
    with pytest.raises(UsageError) as error:
        read_sample(name, labels=["nsfw"])
    assert f"column {column}, rows from 1: it holds list<" in str(error.value)


def test_a_parquet_file_that_unpacks_to_gigabytes_is_refused(write):
    name = write(b"", "bomb.parquet")
    cells = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), ["x" * 100_000])
    pq.write_table(
        pa.table({"picture": cells, "nsfw": [0.5] * 200_000, "truth": [1] * 200_000}), name
    )
    with pytest.raises(UsageError, match="a cell of 100,000 bytes"):
        read_sample(name)


def test_too_many_rows_are_refused(write, monkeypatch):
    monkeypatch.setattr(reading_module, "MAX_ROWS", 2)
    with pytest.raises(UsageError, match="more than 2 rows"):
        read_sample(write(PLAIN))
    name = write(b"", "x.parquet")
    pq.write_table(pa.table({"nsfw": [0.1] * 3, "truth": [0] * 3}), name)
    with pytest.raises(UsageError, match="more than 2 rows"):
        read_sample(name)


def test_damaged_parquet_never_ends_in_anything_else(write, tmp_path):
    truth, scores = drawn(300)
    name = write(b"", "x.parquet")
    names = [f"{n}.jpg" for n in range(300)]
    pq.write_table(pa.table({"picture": names, "nsfw": scores, "truth": truth}), name)
    whole, chance, lines = (tmp_path / name).read_bytes(), random.Random(0), []
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(3):
            data[chance.randrange(len(data))] = chance.randrange(256)
        write(bytes(data), name)
        try:
            read_sample(name, labels=["nsfw"])
        except UsageError as error:
            lines.append(str(error))
    assert len(lines) > 50
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize("reason", ["csv", "parquet"])
def test_random_bytes_never_end_in_anything_else(write, reason):
    chance = random.Random(1)
    for _ in range(100):
        size = chance.randrange(1, 400)
        data = bytes(chance.choice(b'abc,;"\n\r\t0.1\xff\x00') for _ in range(size))
        name = write(data, f"x.{reason}")
        with pytest.raises(UsageError):
            read_sample(name)
