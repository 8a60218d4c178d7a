"""One line that names the cause and the remedy, the documented exit code, no traceback."""

from __future__ import annotations

import io
import json
import os
import socket
import sqlite3
import struct
import sys
import zlib

import pytest
from filelock import FileLock
from PIL import Image

from probe.ledger import Ledger
from probe.testing.planted import planted_picture


def one_line(err: str, code: int, *words: str):
    lines = [line for line in err.splitlines() if line.startswith("probe: ")]
    assert len(lines) == 1, err
    for word in words:
        assert word in lines[0]


def bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b""))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def truncated() -> bytes:
    file = io.BytesIO()
    planted_picture((200, 200)).save(file, "JPEG")
    return file.getvalue()[: len(file.getvalue()) // 2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty"]),
        (b"hello, this is text\n" * 20, ["text"]),
        (b"<!doctype html><title>no</title>", ["not a picture"]),
        (truncated(), ["damaged or cut short"]),
        (bomb(), ["20,000 x 20,000"]),
        (b"%PDF-1.7 and so on and so forth", ["PDF"]),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00heicmif1", ["picture.jpg"]),
    ],
    ids=["empty", "text", "html", "truncated", "bomb", "pdf", "heic"],
)
def test_a_picture_that_is_none(run, tmp_path, content, words):
    (tmp_path / "picture.jpg").write_bytes(content)
    code, out, err = run("occlude", "picture.jpg", "--api", "skin")
    assert code == 6
    one_line(err, code, *words)
    assert out == ""
    assert not (tmp_path / "default-ledger.db").exists()


def test_a_picture_that_is_not_there(run, tmp_path):
    code, _, err = run("occlude", "nowhere.jpg", "--api", "skin")
    assert code == 2
    one_line(err, code, "nowhere.jpg", "No such file")
    (tmp_path / "folder.jpg").mkdir()
    code, _, err = run("occlude", "folder.jpg", "--api", "skin")
    assert code == 2
    one_line(err, code, "folder.jpg", "directory")


def test_the_last_of_many_pictures_is_looked_at_before_the_first_is_paid_for(run, picture):
    code, out, err = run("occlude", picture, picture, "missing.jpg", "--api", "skin")
    assert code == 2
    one_line(err, code, "missing.jpg")
    assert out == ""


def test_one_bad_picture_of_several_is_skipped_and_said(run, tmp_path, picture):
    (tmp_path / "bad.jpg").write_bytes(b"no picture at all, just words here")
    code, out, err = run("occlude", "bad.jpg", picture, "--api", "skin", "--budget", 8)
    assert code == 3
    assert "skipped: bad.jpg" in err
    assert "planted.probe" in out


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 400), (400, 1)])
@pytest.mark.parametrize("method", ["multiscale", "grid", "windows"])
def test_the_smallest_pictures_work(run, tmp_path, size, method):
    Image.new("RGB", size, (200, 120, 90)).save(tmp_path / "tiny.png")
    code, out, _ = run("plan", "tiny.png", "--method", method, "--api", "skin")
    assert code == 0
    code, out, _ = run("occlude", "tiny.png", "--api", "skin", "--method", method, "--json")
    assert code == 0
    assert json.loads(out)["failures"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--budget", "0"], ["budget is 0", "at least 2"]),
        (["--budget", "-3"], ["at least 2"]),
        (["--budget", "many"], ["--budget"]),
        (["--label", "nsfv"], ["nsfv", "Did you mean 'nsfw'?", "sfw, nsfw"]),
        (["--method", "grid", "--size", "2.5"], ["size", "1.0"]),
        (["--method", "grid", "--size", "1x2x3"], ["size"]),
        (["--label", "NSFW"], ["Did you mean 'nsfw'?"]),
        (["--method", "grid", "--size", "5000"], ["size", "96 pixels"]),
        (["--method", "grid", "--size", "0"], ["size"]),
        (["--method", "grid", "--size", "-1"], ["size"]),
        (["--method", "grid", "--size", "0.2", "--stride", "0.3"], ["stride", "gaps"]),
        (["--method", "grid", "--size", "0.1", "--stride", "0.05"], ["361", "raise it by 298"]),
        (["--method", "grid", "--size", "wide"], ["wide", "fraction"]),
        (["--size", "0.5"], ["--size", "multiscale"]),
        (["--method", "multiscal"], ["Did you mean 'multiscale'?"]),
        (["--fill", "blurr"], ["Did you mean 'blur'?"]),
        (["--codec", "gif"], ["gif", "jpeg"]),
        (["--codec", "png"], ["png", "pixels"]),
        (["--side", "0"], ["side"]),
        (["--max-cost", "1"], ["price"]),
        (["--api", "skim"], ["Did you mean 'skin'?"]),
        (["--api", "ftp://example.invalid"], ["ftp://example.invalid"]),
        (["--api", "http://user:secret@127.0.0.1:9"], ["URL"]),
        (["--bugdet", "3"], ["--bugdet", "--budget"]),
        (["--scores", "none.csv"], ["none.csv"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_option_that_cannot_be(run, picture, options, words):
    api = [] if "--api" in options or "--scores" in options else ["--api", "skin"]
    code, _, err = run("occlude", picture, *api, *options)
    assert code == 2
    one_line(err, code, *words)
    assert "secret" not in err


def test_a_port_where_nobody_listens(run, picture):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code, _, err = run("occlude", picture, "--api", f"http://127.0.0.1:{port}")
    assert code == 4
    one_line(err, code, f"127.0.0.1:{port}", "probe serve")


def test_an_output_folder_that_cannot_be_written(run, tmp_path, picture):
    (tmp_path / "file").write_text("in the way")
    code, _, err = run("occlude", picture, "--api", "skin", "--budget", 8, "--out", "file/run")
    assert code == 7
    one_line(err, code, "file/run")
    code, out, _ = run("occlude", picture, "--api", "skin", "--budget", 8, "--json")
    assert json.loads(out)["calls"] == 8, "it was refused before anything was asked"


def test_another_runs_folder_is_kept(run, picture):
    command = ["occlude", picture, "--api", "skin", "--out", "mine", "--budget"]
    assert run(*command, 8)[0] == 0
    assert run(*command, 8)[0] == 0
    code, _, err = run(*command, 9)
    assert code == 2
    one_line(err, code, "mine", "--out", "--force")
    assert run(*command, 9, "--force")[0] == 0


def test_without_out_each_plan_has_a_folder_of_its_own(run, tmp_path, picture):
    for budget in (8, 9, 8, 9, 10):
        assert run("occlude", picture, "--api", "skin", "--budget", budget)[0] == 0
    folders = sorted(path.name for path in tmp_path.glob("*.probe"))
    assert folders == ["planted-2.probe", "planted-3.probe", "planted.probe"]
    budgets = [
        json.loads((tmp_path / name / "run.json").read_text())["settings"]["budget"]
        for name in ("planted.probe", "planted-2.probe", "planted-3.probe")
    ]
    assert budgets == [8, 9, 10]


def test_two_processes_do_not_write_one_folder(run, picture):
    os.mkdir("planted.probe")
    with FileLock("planted.probe/.lock"):
        code, _, err = run("occlude", picture, "--api", "skin", "--budget", 8)
    assert code == 7
    one_line(err, code, "another probe", "planted.probe")


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to be one" * 50])
def test_a_ledger_that_is_none_is_left_as_it_is(run, tmp_path, picture, content):
    (tmp_path / "bad.db").write_bytes(content)
    code, _, err = run("occlude", picture, "--api", "skin", "--ledger", "bad.db")
    assert code == 7
    one_line(err, code, "bad.db", "--ledger")
    assert (tmp_path / "bad.db").read_bytes() == content


def test_a_ledger_of_a_newer_probe_is_not_written(run, tmp_path, picture):
    with Ledger(tmp_path / "new.db") as ledger:
        ledger.recall("nothing")
    with sqlite3.connect(tmp_path / "new.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    code, _, err = run("occlude", picture, "--api", "skin", "--ledger", "new.db")
    assert code == 7
    one_line(err, code, "99", "pip install -U")


def test_a_ledger_under_a_file_cannot_be_made(run, tmp_path, picture):
    (tmp_path / "file").write_text("in the way")
    code, _, err = run("occlude", picture, "--api", "skin", "--ledger", "file/l.db")
    assert code == 7
    one_line(err, code, "file/l.db", "--ledger")


def test_no_arguments_and_unknown_words(run):
    code, _, err = run()
    assert code == 2
    assert "occlude" in err
    code, _, err = run("oclude", "x.jpg")
    assert code == 2
    assert "Did you mean 'occlude'?" in err
    code, _, err = run("occlude")
    assert code == 2


def test_stdin_that_is_empty_or_a_terminal(run, monkeypatch, picture):
    class Input:
        def __init__(self, data: bytes, terminal: bool = False) -> None:
            self.buffer, self.terminal = io.BytesIO(data), terminal

        def isatty(self) -> bool:
            return self.terminal

    monkeypatch.setattr(sys, "stdin", Input(b""))
    code, _, err = run("occlude", "-", "--api", "skin")
    assert code == 2
    one_line(err, code, "empty")
    monkeypatch.setattr(sys, "stdin", Input(b"", terminal=True))
    code, _, err = run("occlude", "-", "--api", "skin")
    assert code == 2
    one_line(err, code, "piped")
    with open(picture, "rb") as file:
        monkeypatch.setattr(sys, "stdin", Input(file.read()))
    code, out, _ = run("occlude", "-", "--api", "skin", "--budget", 8)
    assert code == 0
    assert "stdin.probe" in out


def test_an_error_is_an_object_for_programs(run, picture):
    code, out, err = run("occlude", picture, "--api", "skin", "--label", "cat", "--json")
    error = json.loads(out)["error"]
    assert (error["type"], error["exit_code"], code) == ("LabelError", 2, 2)
    assert error["message"] in err


def test_names_that_a_terminal_would_act_on(run, tmp_path):
    name = "a\n\x1b[31mred\u202e.png"
    planted_picture().save(tmp_path / name)
    code, out, err = run("occlude", name, "--api", "skin", "--budget", 4)
    assert code == 0
    assert "\x1b" not in out + err
    assert "\u202e" not in out + err
    os.rename(tmp_path / name, tmp_path / "-dash.png")
    assert run("occlude", "--api", "skin", "--budget", 4, "--", "-dash.png")[0] == 0
    long = "n" * 251 + ".png"
    os.rename(tmp_path / "-dash.png", tmp_path / long)
    assert run("occlude", long, "--api", "skin", "--budget", 4)[0] == 0


def test_a_table_of_scores_with_a_mistake(run, tmp_path, picture):
    (tmp_path / "scores.csv").write_text("file,kind,x0,y0,x1,y1,nsfw\na,identity,,,,,high\n")
    code, _, err = run("occlude", picture, "--scores", "scores.csv")
    assert code == 2
    one_line(err, code, "line 2", "nsfw", "high")


def test_a_table_filled_in_by_hand_is_never_written_over(run, tmp_path, picture):
    grid = ["--method", "grid", "--size", "0.5", "--stride", "0.5", "--budget", "5"]
    run("variants", picture, *grid, "--write", "hand")
    table = tmp_path / "hand" / "scores.csv"
    table.write_text(table.read_text().replace(",\n", ",0.5\n"))
    before = table.read_text()
    code, _, err = run("occlude", picture, *grid, "--scores", "hand/scores.csv", "--out", "hand")
    assert code == 2
    one_line(err, code, "hand", "--out")
    assert table.read_text() == before


def test_a_pipe_or_a_huge_file_is_no_picture(run, tmp_path):
    with open(tmp_path / "huge.webp", "wb") as file:
        file.truncate(300 * 2**20)
    code, _, err = run("occlude", "huge.webp", "--api", "skin")
    assert code == 6
    one_line(err, code, "huge.webp", "300 MB")
    code, _, err = run("occlude", "http://host.invalid/a.jpg", "--api", "skin")
    assert code == 2
    one_line(err, code, "not fetched")


def test_the_hint_to_go_on_is_safe_to_print(run, tmp_path):
    name = "e\x1b]0;x\x07.png"
    planted_picture().save(tmp_path / name)
    code, out, err = run("occlude", name, "--api", "skin", "--max-calls", 3)
    assert code == 5
    assert "to go on: probe occlude" in err
    assert "\x1b" not in out + err


def test_a_short_row_of_a_table(run, tmp_path, picture):
    (tmp_path / "s.csv").write_text("x0,y0,x1,y1,nsfw,kind\n0,0,1,1,0.5\n")
    code, _, err = run("occlude", picture, "--scores", "s.csv")
    assert code == 2
    one_line(err, code, "line 2", "kind")


def test_a_table_from_a_spreadsheet_with_semicolons(run, tmp_path, picture):
    rows = ["kind;x0;y0;x1;y1;nsfw", "identity;;;;;0,9"]
    rows += [f"box;{x};{y};{x + 0.5};{y + 0.5};0.{x}" for x in (0, 0.5) for y in (0, 0.5)]
    (tmp_path / "s.csv").write_text("\n".join(rows).replace("0.0.5", "0.1").replace(".", ","))
    grid = ["--method", "grid", "--size", "0.5", "--stride", "0.5", "--budget", "5"]
    code, out, err = run("occlude", picture, *grid, "--scores", "s.csv")
    assert code == 0, err
    assert out.startswith("nsfw 0.9.")


def test_a_ledger_in_the_home_of_nobody(run, picture):
    code, _, err = run("occlude", picture, "--api", "skin", "--ledger", "~nosuchuser/l.db")
    assert code in (0, 7)
    assert "bug of ours" not in err
