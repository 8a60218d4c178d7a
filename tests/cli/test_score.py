"""probe score, as people and programs meet it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from probe.limits import Limits, Price
from probe.mock import serve
from probe.testing.planted import RED, Planted

LIMITS = Limits(
    batch=4, labels=("sfw", "nsfw"), question="nsfw", price=Price(0.5, "EUR", "2026-10")
)


@pytest.fixture
def server():
    with serve(Planted(limits=LIMITS)) as running:
        yield running


@pytest.fixture
def folder(tmp_path):
    """Ten pictures, the third twice, in two folders, with a text that pretends to be one."""
    place = tmp_path / "photos"
    (place / "more").mkdir(parents=True)
    for number in range(9):
        picture = Image.new("RGB", (40, 30), (90, 100, 110))
        picture.paste(RED, (0, 0, 40, 3 * number))
        picture.save(place / f"{number}.png")
        if number == 3:
            picture.save(place / "more" / "again.PNG")
    (place / "broken.jpg").write_text("hello")
    (place / "notes.txt").write_text("no picture")
    (place / ".hidden.png").write_text("no picture")
    return "photos"


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_folder_becomes_a_table(run, folder, server):
    code, out, err = run("score", folder, "--codec", "png", "--api", server.url)
    assert code == 3
    rows = table("photos.scores.csv")
    names = [*(f"{n}.png" for n in range(9)), "broken.jpg", "more/again.PNG"]
    assert [row["picture"] for row in rows] == names
    assert server.calls == 9
    assert rows[3]["digest"] == rows[10]["digest"]
    assert rows[3]["nsfw"] == rows[10]["nsfw"]
    assert float(rows[8]["nsfw"]) == pytest.approx(0.95)
    assert rows[9]["nsfw"] == rows[9]["digest"] == ""
    assert rows[9]["failure"].startswith("invalid: photos/broken.jpg is not a picture")
    said, where, following = out.splitlines()
    high = [float(row["nsfw"]) >= 0.5 for row in rows if row["nsfw"]]
    assert said.startswith(f"nsfw is 0.5 or more in {sum(high)} of 10 pictures (median ")
    assert where.startswith("scores photos.scores.csv · 9 calls, 4.5 EUR, ")
    assert where.endswith("· 1 failure")
    again = f"probe occlude photos/8.png --codec png --api {server.url}"
    assert sorted(following.split()[1:]) == sorted(again.split())
    assert "note: broken.jpg: photos/broken.jpg is not a picture" in err
    code, out, _ = run("score", folder, "--codec", "png", "--api", server.url, "--json", "-q")
    found = json.loads(out)
    assert (code, found["calls"], found["pictures"], found["failures"]) == (3, 0, 11, 1)
    assert server.calls == 9
    assert table("photos.scores.csv") == rows


def test_the_columns_of_a_list_go_with_it(run, folder, server):
    Path("list.csv").write_text(
        "truth,picture,nsfw,note\n0,photos/0.png,7,=1+1\n-1,photos/8.png,8,\n\n2,photos/1.png\n"
    )
    code, out, _ = run("score", "list.csv", "--codec", "png", "--api", server.url)
    assert code == 0
    assert out.splitlines()[-1] == "next: probe evaluate list.scores.csv"
    rows = table("list.scores.csv")
    heads = ["picture", "digest", "failure", "truth", "list nsfw", "note", "sfw", "nsfw"]
    assert list(rows[0]) == heads
    assert [row["truth"] for row in rows] == ["0", "-1", "2"]
    assert [row["note"] for row in rows] == ["'=1+1", "", ""]
    assert [row["list nsfw"] for row in rows] == ["7", "8", ""]


def test_a_dry_run_sends_nothing(run, folder, server):
    code, out, _ = run("score", folder, "--api", server.url, "--dry-run")
    assert code == 0
    assert out.startswith("at most 11 calls")
    assert "5.5 EUR" in out
    code, out, _ = run("score", folder, "--api", server.url, "--dry-run", "--json")
    assert json.loads(out)["calls"] == 11
    assert server.calls == 0
    assert not Path("photos.scores.csv").exists()


def test_a_cap_writes_what_is_known_and_the_same_command_goes_on(run, folder, server):
    given = ("score", folder, "--codec", "png", "--api", server.url)
    code, _, err = run(*given, "--max-calls", 5)
    assert code == 5
    assert "of 11 in photos.scores.csv; the same command goes on" in err
    known = table("photos.scores.csv")
    assert len({row["digest"] for row in known} - {""}) == 5
    assert server.calls == 5
    code, _, _ = run(*given)
    assert (code, server.calls) == (3, 9)
    whole = {row["picture"]: row for row in table("photos.scores.csv")}
    assert len(whole) == 11
    assert all(whole[row["picture"]] == row for row in known)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("name,truth\na,b\n", "has no column of pictures: call it `picture`"),
        ("picture,x,x\na,b,c\n", "two columns 'x'"),
        ("picture,x\na,b,c\n", "line 2: 3 cells under 2 headings"),
        ("picture\n", "no pictures in list.csv"),
        ("", "has no column of pictures"),
        ("picture\n\udcff\n", "is no CSV in UTF-8"),
    ],
)
def test_a_list_that_cannot_be_read_is_said_before_anything_is_sent(run, server, content, says):
    Path("list.csv").write_bytes(content.encode("utf-8", "surrogateescape"))
    code, _, err = run("score", "list.csv", "--api", server.url)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert server.calls == 0


def test_what_is_there_is_not_written_over(run, folder, server):
    Path("photos.scores.csv").write_text("my own table\n")
    code, _, err = run("score", folder, "--api", server.url)
    assert code == 2
    assert "is no table of scores" in err
    assert server.calls == 0
    for out, says in (("photos", "is a folder"), ("x.json", "ends in .csv or .parquet")):
        code, _, err = run("score", folder, "--api", server.url, "--out", out)
        assert code == 2
        assert says in err


def test_an_empty_folder_and_an_unknown_label(run, folder, server):
    Path("empty").mkdir()
    code, _, err = run("score", "empty", "--api", server.url)
    assert code == 2
    assert "no pictures in empty" in err
    code, _, err = run("score", folder, "--api", server.url, "--label", "nsfv")
    assert code == 2
    assert "Did you mean 'nsfw'" in err
    assert server.calls == 0


def test_the_table_is_what_evaluate_reads(run, folder, server):
    rows = "".join(f"photos/{n}.png,{'nsfw' if n > 3 else 'sfw'}\n" for n in range(9))
    Path("list.csv").write_text(f"picture,truth\n{rows}")
    assert run("score", "list.csv", "--codec", "png", "--api", server.url)[0] == 0
    code, out, err = run("evaluate", "list.scores.csv", "--label", "nsfw", "--json", "-q")
    assert code == 0, err
    assert json.loads(out)["files"]


def test_pictures_in_parquet_become_parquet_that_evaluate_reads(run, folder, server):
    pictures = [{"bytes": Path(f"photos/{n}.png").read_bytes(), "path": None} for n in range(9)]
    Path("set").mkdir()
    for part, rows in enumerate((range(5), range(5, 9))):
        columns = {
            "image": [pictures[n] for n in rows],
            "truth": [int(n > 3) for n in rows],
            "nsfw": ["=1+1" for _ in rows],
        }
        pq.write_table(pa.table(columns), f"set/{part}.parquet")
    given = ("score", "set", "--codec", "png", "--api", server.url)
    code, out, err = run(*given, "--out", "x.parquet")
    assert (code, server.calls) == (0, 9), err
    assert out.splitlines()[-1] == "next: probe evaluate x.parquet"
    found = pq.read_table("x.parquet")
    heads = ["picture", "digest", "failure", "truth", "list nsfw", "sfw", "nsfw"]
    assert found.column_names == heads
    assert [str(kind) for kind in found.schema.types] == ["string"] * 5 + ["double"] * 2
    rows = found.to_pylist()
    names = [*(f"0:{row}" for row in range(1, 6)), *(f"1:{row}" for row in range(1, 5))]
    assert [row["picture"] for row in rows] == names
    assert [row["truth"] for row in rows] == [*"000011111"]
    assert rows[0]["list nsfw"] == "=1+1"
    assert rows[8]["nsfw"] == pytest.approx(0.95)
    code, out, _ = run(*given)
    assert (code, server.calls) == (0, 9)
    assert [row["nsfw"] for row in table("set.scores.csv")] == [repr(row["nsfw"]) for row in rows]
    code, out, err = run("evaluate", "x.parquet", "--label", "nsfw", "--json", "-q")
    assert code == 0, err
    assert json.loads(out)["files"]


def test_failures_are_empty_in_parquet_and_a_data_set_leaves_its_own_scores_out(
    run, folder, server
):
    Path("set").mkdir()
    picture = Path("photos/8.png").read_bytes()
    pq.write_table(pa.table({"image": [b"hello", picture], "n": [1, 2]}), "set/a.parquet")
    for _ in range(2):
        code, _, err = run(
            *("score", "set", "--codec", "png"), "--api", server.url, "--out", "set/z.parquet"
        )
        assert code == 3
        assert "note: a:1: a:1 is not a picture" in err
        first, second = pq.read_table("set/z.parquet").to_pylist()
        assert (first["nsfw"], first["digest"]) == (None, "")
        assert first["failure"].startswith("invalid: a:1 is not a picture")
        assert second["nsfw"] > 0.5
    assert server.calls == 1


def test_parquet_that_is_no_table_of_scores_is_not_written_over(run, folder, server):
    own = pa.table({"picture": ["x"], "digest": [""], "failure": [""]})
    pq.write_table(own, "x.parquet")
    before = Path("x.parquet").read_bytes()
    given = ("score", folder, "--api", server.url, "--out", "x.parquet")
    for content in (before, b"PAR1", b"PAR1" + b"\xff" * 80 + b"PAR1"):
        Path("x.parquet").write_bytes(content)
        code, _, err = run(*given)
        assert code == 2
        assert "is no table of scores" in err
        assert Path("x.parquet").read_bytes() == content
    assert server.calls == 0
    assert run(*given, "--force")[0] == 3
    assert run(*given)[0] == 3


def test_a_url_is_never_shown_with_what_is_secret_in_it(run, folder, server):
    MemoryFileSystem.store.clear()
    store = fsspec.filesystem("memory")
    for name in ("5.png", "8.png", "broken.jpg"):
        store.pipe(f"/user:password@shop/{name}", (Path("photos") / name).read_bytes())
    rows = "5.png,1\nmemory://user:password@shop/8.png,1\nbroken.jpg,0\nhttp://u:password@x/,0\n"
    store.pipe("/user:password@shop/list.csv", f"picture,t\n{rows}".encode())
    given = ("--codec", "png", "--api", server.url)
    for place, out in (("", "shop.scores.csv"), ("/list.csv", "list.scores.csv")):
        code, said, err = run("score", f"memory://user:password@shop{place}", *given)
        assert code == 3
        assert "password" not in f"{said}{err}{Path(out).read_text()}"
        code, said, err = run("score", f"memory://user:password@shop{place}", *given, "--json")
        assert "password" not in f"{said}{err}"
        assert json.loads(said)["highest"]["picture"].endswith("8.png")
    assert server.calls == 2
    MemoryFileSystem.store.clear()
    code, _, err = run("score", folder, *given, "--out", "s3://user:password@shop/x.csv")
    assert code == 2
    assert err == "probe: --out names a file on this machine, not a URL\n"
