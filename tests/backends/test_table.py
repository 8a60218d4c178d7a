import pytest

from probe.backends.table import ScoresFile
from probe.errors import UsageError
from probe.types import Box, Codec, Failure, Identity, Scores, Window

TABLE = """\
file,kind,x0,y0,x1,y1,nsfw,sfw
a.png,identity,0,0,1,1,0.9,0.1
b.png,box,0.25,0.333333,0.5,0.6666667,0.4,0.6
c.png,window,0.25,0.333333,0.5,0.6666667,0.7,0.3
d.png,box,0,0,0.5,0.5,,
e.png,box,0.5,0.5,1,1,0.2,
f.png,full,,,,,0.8,0.2
"""


class Asked:
    """A variant that must not be rendered."""

    def __init__(self, perturbation):
        self.perturbation = perturbation

    def pixels(self):
        raise AssertionError("rendered")

    def encode(self, codec):
        raise AssertionError("rendered")


@pytest.fixture
def scores(tmp_path):
    def make(text=TABLE, encoding="utf-8"):
        path = tmp_path / "scores.csv"
        path.write_text(text, encoding=encoding)
        return ScoresFile(path)

    return make


def ask(backend, *perturbations):
    return backend.score([Asked(p) for p in perturbations], Codec())


def test_each_variant_is_looked_up_by_kind_and_place_rounded_to_six_decimals(scores):
    third = 1 / 3
    answers = ask(
        scores(),
        Box(0.25, third, 0.5, 2 * third),
        Window(0.25, third, 0.5, 2 * third),
        Identity(),
        Identity(repeat=3),
        Identity(full=True),
    )
    assert [answer["nsfw"] for answer in answers] == [0.4, 0.7, 0.9, 0.9, 0.8]


def test_an_empty_cell_and_a_missing_row_are_failures_that_name_the_box(scores):
    answers = ask(scores(), Box(0, 0, 0.5, 0.5), Box(0.5, 0.5, 1, 1), Box(0.1, 0, 1, 1), Identity())
    for failed in answers[:3]:
        assert isinstance(failed, Failure)
        assert failed.kind == "refused"
        assert not failed.billed
    assert answers[2].message == "no score in scores.csv for box 0.1 0 1 1"
    assert isinstance(answers[3], Scores)


def test_negative_zero_and_an_edge_beyond_the_picture_are_found(scores):
    backend = scores("kind,x0,y0,x1,y1,nsfw\nbox,-0.05,0,0.5,1.02,0.5\nbox,0,0,1,0.5,0.25\n")
    wide, zero = ask(backend, Box(-0.05, 0, 0.5, 1.02), Box(-1e-9, -0.0, 1, 0.5))
    assert (wide["nsfw"], zero["nsfw"]) == (0.5, 0.25)


def test_labels_are_the_other_columns(scores):
    assert scores().limits.labels == ("nsfw", "sfw")


def test_the_identity_is_the_content_not_the_place(scores, tmp_path):
    one = scores().identity
    (tmp_path / "copy.csv").write_text(TABLE)
    assert ScoresFile(tmp_path / "copy.csv").identity == one
    assert scores(TABLE.replace("0.7", "0.71")).identity != one


def test_a_byte_order_mark_and_windows_line_ends_are_fine(scores):
    assert ask(scores(TABLE.replace("\n", "\r\n"), "utf-8-sig"), Identity())[0]["nsfw"] == 0.9


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("0.4,0.6", "high,0.6", "line 3, column nsfw: 'high' is not a number"),
        ("0.4,0.6", "nan,0.6", "line 3, column nsfw"),
        ("0.4,0.6", "0.4,1e999", "line 3, column sfw"),
        ("0.25,0.333333,0.5,0.6666667,0.4", "left,0.333333,0.5,0.6666667,0.4", "line 3, column x0"),
        ("b.png,box", "b.png,circle", "line 3, column kind: 'circle'"),
        ("c.png,window", "c.png,box", "another score on an earlier line"),
        ("kind,x0", "kind,left", "x0 missing"),
        (",nsfw,sfw", "", "one column for each label"),
        (",nsfw,sfw", ",nsfw,nsfw", "each once"),
        (TABLE, "", "column names"),
        (TABLE, "\0", "CSV|column names"),
    ],
)
def test_what_cannot_be_read_is_named_by_line_and_column(scores, old, new, says):
    with pytest.raises(UsageError, match=says):
        ask(scores(TABLE.replace(old, new)), Identity())


@pytest.mark.parametrize("bad", ["missing", "folder", "binary"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, bad):
    path = tmp_path / "scores.csv"
    if bad == "folder":
        path.mkdir()
    elif bad == "binary":
        path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UsageError, match=r"scores\.csv"):
        ScoresFile(path).limits  # noqa: B018
