"""Which pictures a listing has, wherever it lies, and that one which is hostile harms nobody."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from typing import ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from PIL import Image

from probe.errors import ImageError, MissingExtra, ProbeError, UsageError
from probe.image import open_image
from probe.scoring import lists, remote, tables
from probe.scoring.listing import Listing, Pass
from probe.scoring.places import bare

SECRETS = ("user", "pass", "word", "tok3n")


def png(width=8):
    buffer = io.BytesIO()
    Image.new("RGB", (width, 8), (90, 100, 110)).save(buffer, "PNG")
    return buffer.getvalue()


def parquet(**columns):
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def memory():
    """A store of its own: what is put there is at memory://shop/."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield lambda name, data: fsspec.filesystem("memory").pipe(f"/shop/{name}", data)
    MemoryFileSystem.store.clear()


@pytest.fixture
def web(monkeypatch):
    """https://, as fsspec would have it: addresses with what is there, and those that were read."""

    class Web(fsspec.AbstractFileSystem):
        protocol = ("http", "https")
        cachable = False
        pages: ClassVar = {}
        asked: ClassVar = []

        @classmethod
        def _strip_protocol(cls, path):
            return path

        def _open(self, path, mode="rb", **how):
            self.asked.append(path)
            if path not in self.pages:
                raise ValueError(f"404 for {path}")
            return io.BytesIO(self.pages[path])

    for scheme in Web.protocol:
        monkeypatch.setitem(_registry, scheme, Web)
    return Web


def widths(*places):
    """Of each picture its name, and its width or why there is none."""
    return {entry.name: width(entry) for entry in Listing(places)}


def width(entry):
    try:
        return open_image(entry.source).image.width
    except (ImageError, UsageError) as error:
        return line(error)


def line(error):
    said = str(error)
    assert "\n" not in said
    return said


def gone_through(place):
    listing = Listing([place])
    return [listing.size, *(width(entry) for entry in listing)]


def fails(place, says):
    with pytest.raises(UsageError, match=says) as caught:
        gone_through(place)
    line(caught.value)


def test_a_table_names_pictures_beside_it(here):
    (here / "in").mkdir()
    (here / "in" / "a.png").write_bytes(png(3))
    (here / "in" / "list.parquet").write_bytes(
        parquet(
            truth=[1.0, None, 0.0],
            path=["a.png", "absent.png", None],
            sure=[True, False, None],
            day=pa.array([0, 1, None], pa.date32()),
            kind=pa.array(["x", "y", None]).dictionary_encode(),
        )
    )
    listing = Listing(["in/list.parquet"])
    assert (listing.size, listing.columns) == (3, ("truth", "sure", "day", "kind"))
    first, second, third = listing
    assert (first.name, first.path, width(first)) == ("a.png", "in/a.png", 3)
    assert first.cells == ("1", "true", "1970-01-01", "x")
    assert second.cells == ("", "false", "1970-01-02", "y")
    assert "No such file" in width(second)
    assert third.cells == ("0", "", "", "")
    assert "row 3: no picture is named" in width(third)
    assert [entry.name for entry in listing] == ["a.png", "absent.png", ""]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_a_table_holds_pictures(here, kind):
    (here / "l.parquet").write_bytes(parquet(image=pa.array([png(3), png(5), b"", None], kind)))
    found = widths("l.parquet")
    assert (found["l:1"], found["l:2"]) == (3, 5)
    assert found["l:3"] == "l:3 is empty"
    assert "no picture is named" in found[""]


def test_a_data_set_is_a_folder_of_tables_as_hugging_face_has_them(here):
    (here / "a.png").write_bytes(png(9))
    (here / "set" / "data").mkdir(parents=True)
    (here / "set" / "README.md").write_text("a data set")
    for part in (0, 1):
        pictures = [{"bytes": png(3 + part), "path": f"{part}.png"}, {"bytes": None, "path": "no"}]
        (here / "set" / "data" / f"train-{part}.parquet").write_bytes(
            parquet(image=pictures, label=[part, 7], path=["x", "y"], boxes=[[1], []])
        )
    listing = Listing(["set"])
    assert (listing.size, listing.columns) == (4, ("label", "path"))
    assert listing.notes == ("columns that hold no single values are left out: boxes",)
    assert [(entry.name, entry.cells) for entry in listing] == [
        ("0.png", ("0", "x")),
        ("no", ("7", "y")),
        ("1.png", ("1", "x")),
        ("no", ("7", "y")),
    ]
    assert [width(entry) for entry in listing][::2] == [3, 4]
    (here / "set" / "data" / "train-2.parquet").write_bytes(parquet(image=[png()]))
    fails("set", "train-2.parquet has no column 'label'")
    (here / "set" / "b.png").write_bytes(png(6))
    assert widths("set") == {"b.png": 6}


def test_the_name_of_a_picture_that_a_table_holds_may_be_a_url(here):
    urls = ["https://user:password@host/a.png?tok3n", "https://user:password@host/b.png?tok3n"]
    pictures = [{"bytes": png(3), "path": urls[0]}, {"bytes": b"x", "path": urls[1]}]
    (here / "l.parquet").write_bytes(parquet(image=pictures))
    found = widths("l.parquet")
    assert found.pop("https://host/a.png") == 3
    assert found.pop("https://host/b.png").startswith("b.png is not a picture")
    assert not found


def test_links_to_folders_are_not_followed(here):
    (here / "top").mkdir()
    (here / "top" / "a.png").write_bytes(png(3))
    (here / "top" / "loop").symlink_to(here / "top")
    assert widths("top") == widths(f"file://{here}/top") == {"a.png": 3}


def test_row_groups_and_pictures_that_repeat(here):
    pictures = [png(1 + number % 3) for number in range(50)]
    table = pa.table({"picture": pictures, "n": range(50)})
    pq.write_table(table, here / "l.parquet", row_group_size=7)
    listing = Listing(["l.parquet"])
    assert [width(entry) for entry in listing] == [1 + number % 3 for number in range(50)]
    assert [entry.cells for entry in listing] == [(str(number),) for number in range(50)]


PLAIN = parquet(picture=["x"])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "damaged Parquet file, or none"),
        (b"PAR1 and no more", "damaged Parquet file, or none"),
        (PLAIN[:-30] + PLAIN[-8:], "damaged Parquet file, or none"),
        (parquet(name=["x"]), "no column of pictures: call it `picture`"),
        (parquet(picture=[1]), "column 'picture', holds int64: it has to hold paths"),
        (parquet(picture=[["x"]]), "column 'picture', holds list"),
        (parquet(picture=[{"path": "x"}]), "column 'picture', holds struct"),
        (parquet(picture=[{"bytes": 1}]), "column 'picture', holds struct"),
        (parquet(picture=[{"bytes": b"", "path": [{"a": 1}]}]), "column 'picture', holds struct"),
        (parquet(picture=pa.array([], pa.string())), "no pictures in l.parquet: it has no rows"),
        (parquet(picture=["x"], **{f"c{n}": [1] for n in range(1000)}), "more than 1,000 columns"),
    ],
)
def test_a_table_that_cannot_be_used_is_a_line(here, data, says):
    (here / "l.parquet").write_bytes(data)
    fails("l.parquet", says)


def test_texts_that_are_no_utf_8_are_a_line(here):
    table = pa.table({"picture": ["a word"], "note": ["another"]})
    for word in (b"a word", b"another"):
        plain = {"use_dictionary": False, "write_statistics": False}
        pq.write_table(table, here / "l.parquet", compression="none", **plain)
        data = (here / "l.parquet").read_bytes()
        (here / "l.parquet").write_bytes(data.replace(word, b"\xff" * len(word)))
        fails("l.parquet", "damaged Parquet file")


def test_a_list_cannot_wait_for_stdin(here):
    (here / "l.csv").write_text("picture\n-\n")
    assert "No such file" in widths("l.csv")["-"]


def test_bytes_that_change_on_the_way_are_errors_and_nothing_else(here):
    data = parquet(picture=[png(3)] * 3, note=["a", "b", None])
    for place in range(0, len(data), 7):
        (here / "l.parquet").write_bytes(data[:place] + b"\xff\xff\xff\x7f" + data[place + 4 :])
        try:
            gone_through("l.parquet")
        except ProbeError as error:
            line(error)


def test_cells_that_are_too_large(here, monkeypatch):
    long = "x" * (lists.MAX_ROW + 1)
    (here / "l.parquet").write_bytes(parquet(picture=["a", "b"], note=["", long]))
    fails("l.parquet", "row 2 takes more than 256 kB")
    (here / "l.csv").write_text(f"picture,note\na,\nb,{long}\n")
    fails("l.csv", "a row takes more than 256 kB")
    (here / "l.csv").write_text("picture,note\n" + 'a,"\n' + "x\n" * lists.MAX_ROW)
    fails("l.csv", "a row takes more than 256 kB|field larger than")
    (here / "n.parquet").write_bytes(parquet(picture=["a", long]))
    fails("n.parquet", "row 2 takes more than 256 kB")
    (here / "l.csv").write_text("picture,note\n" + "a,b\n" * lists.MAX_ROW)
    assert Listing(["l.csv"]).size == lists.MAX_ROW
    monkeypatch.setattr(tables, "MAX_BYTES", 2 * len(png()))
    (here / "p.parquet").write_bytes(parquet(picture=[png(), png() * 3, b""]))
    assert widths("p.parquet")["p:2"] == "p:2 has more than the 0 MB opened"


def test_cells_that_claim_a_gigabyte(here):
    """Told by the end of the file, before any is read, or by the cell."""
    pq.write_table(
        pa.table({"picture": ["a"], "note": ["x" * (1 << 24)]}),
        here / "l.parquet",
        compression="zstd",
    )
    assert (here / "l.parquet").stat().st_size < 10_000
    fails("l.parquet", "column note: its cells take 16 MB in 1 rows")
    table = pa.table({"picture": [b"a picture of mine"]})
    plain = {"use_dictionary": False, "write_statistics": False}
    pq.write_table(table, here / "p.parquet", compression="none", **plain)
    data = (here / "p.parquet").read_bytes()
    at = data.index(b"a picture of mine") - 4
    assert data[at : at + 4] == (17).to_bytes(4, "little")
    (here / "p.parquet").write_bytes(data[:at] + (1 << 30).to_bytes(4, "little") + data[at + 4 :])
    fails("p.parquet", "damaged Parquet file")


def test_the_same_wherever_it_lies(here, memory):
    rows = b"picture,t\na.png,1\nmore/b.png,2\n"
    pictures = {"a.png": png(3), "more/b.png": png(4), ".hidden.png": b"", "notes.txt": b""}
    (here / "top" / "more").mkdir(parents=True)
    table = parquet(picture=["a.png", "more/b.png"], t=[1, 2])
    with zipfile.ZipFile("top.zip", "w") as packed:
        for name, data in (*pictures.items(), ("list.csv", rows), ("list.parquet", table)):
            (here / "top" / name).write_bytes(data)
            memory(name, data)
            packed.writestr(name, data)
    for folder, file in (
        ("top", "top/{}"),
        ("memory://shop", "memory://shop/{}"),
        (f"file://{here}/top", f"file://{here}/top/{{}}"),
        ("zip://::top.zip", "zip://{}::top.zip"),
        (f"zip://::file://{here}/top.zip", f"zip://{{}}::file://{here}/top.zip"),
    ):
        assert widths(folder) == {"a.png": 3, "more/b.png": 4}
        assert Listing([folder]).size == 2
        for ending in ("csv", "parquet"):
            listing = Listing([file.format(f"list.{ending}")])
            assert [entry.cells for entry in listing] == [("1",), ("2",)]
            assert [width(entry) for entry in listing] == [3, 4]
            assert listing.places[0].stem == "list"
        one = file.format("a.png")
        assert widths(one, "top/a.png") == {one: 3, "top/a.png": 3}
        assert Listing([folder]).places[0].stem in ("top", "shop")


def test_a_data_set_may_lie_behind_a_url(memory):
    memory("data/in/0.parquet", parquet(image=[{"bytes": png(3), "path": None}]))
    memory("data/1.parquet", parquet(image=[{"bytes": None, "path": "x.png"}]))
    memory("data/x.txt", b"")
    assert widths("memory://shop/data") == {
        "in/0:1": 3,
        "x.png": "cannot read x.png: there is no such file",
    }


def test_spaces_belong_to_a_name_but_not_to_a_url(memory):
    memory(" a.png", png(3))
    memory("l.csv", b"picture\n a.png\n memory://shop/%20a.png\n memory://shop/ a.png \n")
    assert [width(entry) for entry in Listing(["memory://shop/l.csv"])][::2] == [3, 3]


@pytest.mark.parametrize(
    "cell",
    [
        "http://user:password@169.254.169.254/latest?tok3n=1",
        " HTTPS://user:password@host/x.png#tok3n",
        "memory://shop/a.png?tok3n",
        "simplecache::memory://user:password@shop/a.png",
        "zip://a.png::file:///x.zip",
        "odd name http://user:password@host/",
    ],
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_list_reaches_nothing_but_its_own_kind_of_place(here, memory, cell, ending):
    memory("a.png", png(3))
    (here / "a.png").write_bytes(png(3))
    data = parquet(picture=["a.png", cell])
    (here / f"l.{ending}").write_bytes(
        data if ending == "parquet" else f"picture\na.png\n{cell}\n".encode()
    )
    first, second = Listing([f"l.{ending}"])
    assert width(first) == 3
    said = width(second)
    assert "is not fetched: a list may name files beside it and file:// URLs alone" in said
    assert not any(secret in f"{said} {second.name}" for secret in SECRETS)


def test_a_list_on_the_web_reaches_the_web_alone(here, web):
    (here / "own.png").write_bytes(png(7))
    top = "https://user:password@host/in/list.csv?tok3n=1"
    cells = {
        "a.png": 3,
        "/b.png?tok3n=2": 4,
        "https://user:password@other/c.png?tok3n=3": 5,
        "//user:password@other/c.png?tok3n=3": 5,
        "http://host/in/a.png": "is not fetched",
        "https://169.254.169.254/latest": "is refused",
        "//169.254.169.254/latest": "is refused",
        "https://10.0.0.1/x.png": "is refused",
        f"file://{here}/own.png": "is not fetched",
        f"file:{here}/own.png": "another protocol",
        f"{here}/own.png": "ValueError",
        "https://[/x.png": "is no name of a picture",
    }
    web.pages |= {
        top: "".join(f"{line}\n" for line in ("picture", *cells)).encode(),
        "https://user:password@host/in/a.png": png(3),
        "https://user:password@host/b.png?tok3n=2": png(4),
        "https://user:password@other/c.png?tok3n=3": png(5),
    }
    listing = Listing([top])
    assert listing.places[0].shown == "https://host/in/list.csv"
    for entry, expected in zip(listing, cells.values(), strict=True):
        found = width(entry)
        assert found == expected or expected in found
        assert not any(secret in f"{found} {entry.name}" for secret in SECRETS)
    assert all(place.startswith("https://user:password@") for place in web.asked)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/a/b@2x.png", "s3://bucket/a/b@2x.png"),
        ("s3://key:sec/ret@bucket/a.png", "s3://bucket/a.png"),
        ("https://user:p@ss?w#rd@host/x?q=1#f", "https://host/x"),
        ("https://token@host/x", "https://host/x"),
        ("https://host/x?mail=a@b", "https://host/x"),
        ("zip://a.png::https://u:p@host/x.zip?sig=1", "zip://a.png::https://host/x.zip"),
        ("see https://u:p@host/", "see https://host/"),
        ("a::b?c#d.png", "a::b?c#d.png"),
    ],
)
def test_what_is_secret_in_a_url_is_left_out(url, shown):
    assert bare(url) == shown


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://user:pass/word@shop/x?tok3n", "cannot reach s3://shop/x: Install s3fs"),
        ("nope://user:password@shop/x", "there is no protocol nope://"),
        ("zip://::/absent.zip", "there is no such file"),
        ("memory://shop/absent.csv?tok3n", "there is no such file"),
        ("memory://shop/absent.parquet", "there is no such file"),
    ],
)
def test_a_place_that_is_not_there_is_a_line(memory, monkeypatch, url, says):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)
    fails(url, says)
    with pytest.raises(UsageError) as caught:
        Listing([url])
    assert not any(secret in str(caught.value) for secret in SECRETS)


def test_whatever_a_file_system_raises_is_the_failure_of_one_picture(memory, monkeypatch):
    for name in ("a.png", "b.png", "c.png"):
        memory(name, png(3))
    opened = MemoryFileSystem._open

    def failing(self, path, *arguments, **options):
        if path.endswith("b.png"):
            raise RuntimeError("403\nfor https://user:password@shop/b.png?tok3n=1")
        return opened(self, path, *arguments, **options)

    monkeypatch.setattr(MemoryFileSystem, "_open", failing)
    said = "cannot read b.png: 403 for https://shop/b.png"
    assert widths("memory://shop") == {"a.png": 3, "b.png": said, "c.png": 3}
    monkeypatch.setattr(MemoryFileSystem, "ls", lambda *_, **__: [][1])
    with pytest.raises(UsageError, match="cannot read the folder memory://shop: list index"):
        widths("memory://shop")


class Endless(io.RawIOBase):
    """A file that gives bytes for ever. claims: its size."""

    def __init__(self, claims=None):
        self.size, self.given = claims, 0

    def readable(self):
        return True

    def read(self, size=-1):
        assert 0 < size <= 1 << 21
        self.given += size
        return b"x" * size


@pytest.mark.parametrize("claims", [None, 1 << 40])
def test_no_more_is_fetched_than_is_opened_of_a_picture(memory, monkeypatch, claims):
    file = Endless(claims)
    monkeypatch.setattr(remote, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(MemoryFileSystem, "_open", lambda *_, **__: file)
    assert widths("memory://shop/a.png") == {
        "memory://shop/a.png": "memory://shop/a.png has more than the 1 MB opened"
    }
    assert file.given <= (0 if claims else 1 << 22)


def test_no_more_is_fetched_of_a_list_than_a_row(memory, monkeypatch):
    file = Endless()
    monkeypatch.setattr(MemoryFileSystem, "_open", lambda *_, **__: file)
    fails("memory://shop/l.csv", "a row takes more than 256 kB")
    assert file.given < 1 << 23


def test_folders_without_end_do_not_end_it(memory, monkeypatch):
    def ls(self, path, **_):
        return [{"name": f"{path}/deep", "type": "directory"}]

    memory("a.png", b"")
    monkeypatch.setattr(MemoryFileSystem, "ls", ls)
    fails("memory://shop", "folders more than 32 deep")


@pytest.mark.parametrize(
    ("module", "place", "says"),
    [("fsspec", "memory://shop", r"\[data\]"), ("pyarrow", "l.parquet", r"\[evaluate\]")],
)
def test_what_is_not_installed_is_said(here, monkeypatch, module, place, says):
    (here / "l.parquet").write_bytes(PLAIN)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=says):
        Listing([place])


def test_nobody_needs_fsspec_for_what_lies_here(here):
    (here / "a.png").write_bytes(png())
    code = (
        "import sys\nfrom probe.scoring.listing import Listing\nassert Listing(['.']).size == 1\n"
        "print({'fsspec', 'pyarrow'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_a_pass_gives_what_is_listed_of_those_that_are_asked_for(here):
    (here / "l.csv").write_text("picture,t\na,1\nb,2\nc,3\n")
    going = Pass(Listing(["l.csv"]))
    assert len(list(going)) == 3
    assert [going.entry(0).cells, going.entry(2).name] == [("1",), "c"]


def test_a_small_table_does_not_become_huge(here):
    """A thousand times the same text, of which the file holds one."""
    table = pa.table({"picture": ["a"] * 1000, "note": ["x" * 250_000] * 1000})
    pq.write_table(table, here / "l.parquet")
    assert (here / "l.parquet").stat().st_size < 1 << 20
    code = (
        "import pyarrow\nfrom probe.scoring.listing import Listing\n"
        "assert sum(len(entry.cells[0]) for entry in Listing(['l.parquet'])) == 250_000_000\n"
        "print(pyarrow.default_memory_pool().max_memory() >> 20)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 30


CHILD = """
import resource, sys
from probe import Prober
from probe.limits import Limits
from probe.scoring.listing import Listing, Pass
from probe.show.scores import ScoresTable
from probe.types import Scores
from pathlib import Path

class Instant:
    identity = "instant"
    limits = Limits(batch=8, formats=("pixels",), labels=("x",), deterministic=True)
    def score(self, variants, codec):
        return [Scores({"x": 0.5}) for _ in variants]

listing = Listing([sys.argv[1]])
with ScoresTable(listing.columns) as table:
    going = Pass(listing)
    for scored in Prober(Instant(), side=32, ledger=sys.argv[2]).scoring(going):
        entry = going.entry(scored.index)
        table.add(entry.name, scored, entry.cells)
    table.save(Path(sys.argv[3]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak(place, rows, data):
    """Megabytes that scoring so many rows of pictures of 100 kB takes at most."""
    kind = pa.schema([("picture", pa.binary()), ("note", pa.string())])
    with pq.ParquetWriter(place / f"{rows}.parquet", kind) as writer:
        for start in range(0, rows, 50):
            pictures = [data + str(number).encode() * 20 for number in range(start, start + 50)]
            writer.write(pa.table({"picture": pictures, "note": ["x" * 1000] * 50}, kind))
    files = (f"{rows}.parquet", f"{rows}.db", f"{rows}.scores.parquet")
    run = subprocess.run(
        [sys.executable, "-c", CHILD, *(str(place / file) for file in files)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert pq.read_metadata(place / files[2]).num_rows == rows
    return float(run.stdout)


@pytest.mark.slow
def test_a_thousand_pictures_in_a_table_take_as_much_memory_as_a_hundred(tmp_path):
    noise = Image.effect_noise((300, 300), 90)
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    few = peak(tmp_path, 100, buffer.getvalue())
    many = peak(tmp_path, 1000, buffer.getvalue())
    assert many - few < 20
