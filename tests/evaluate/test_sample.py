"""Which rows count: missing scores, repeated pictures, two files."""

from __future__ import annotations

import pytest

from probe.errors import UsageError
from probe.evaluate import read_sample


def reasons(sample):
    return {one.reason: one.rows for one in sample.left_out}


def test_rows_without_truth_or_score_are_left_out_and_listed(write):
    found = read_sample(
        write(
            "picture,failure,nsfw,truth\n"
            "a,,0.9,nsfw\nb,,0.1,sfw\nc,,,sfw\nd,timeout,,sfw\ne,,oops,sfw\nf,,inf,nsfw\n"
            "g,,0.4,\nh,,NaN,sfw\ni,half of it,0.3,sfw\n"
        )
    )
    assert found.rows.tolist() == [2, 3, 10]
    assert reasons(found) == {"truth": 1, "failed": 1, "missing": 2, "unreadable": 2}
    examples = {one.reason: one.as_dict()["examples"] for one in found.left_out}
    assert examples["failed"] == [{"row": 5, "picture": "d"}]
    assert examples["unreadable"] == [{"row": 6, "picture": "e"}, {"row": 7, "picture": "f"}]
    assert found.words == {"nsfw": True, "sfw": False}


def test_further_rows_of_a_picture_are_left_out(write):
    rows = "a,,\na,0.9,1\nb,0.1,0\na,0.8,1\nb,0.1,0\n,0.5,1\n,0.6,0\n"
    found = read_sample(write("picture,nsfw,truth\n" + rows))
    assert found.rows.tolist() == [3, 4, 7, 8]  # a row without a name repeats nothing
    assert reasons(found) == {"truth": 1, "repeated": 2}


def test_pictures_are_known_by_their_digest_where_there_is_one(write):
    rows = "d1,a,0.9,1\nd1,b,0.1,0\nd2,a,0.2,0\n,a,0.3,0\n,a,0.4,1\n"
    found = read_sample(write("digest,picture,nsfw,truth\n" + rows))
    assert found.rows.tolist() == [2, 4, 5, 6]
    empty = read_sample(write("digest,picture,nsfw,truth\n,a,0.9,1\n,a,0.8,1\n,b,0.1,0\n"))
    assert empty.rows.tolist() == [2, 4]


def test_keys_that_share_a_hash_are_told_apart(write, monkeypatch):
    from probe.evaluate import matching

    monkeypatch.setattr(matching, "hash", lambda cell: 7, raising=False)
    found = read_sample(write("picture,nsfw,truth\na,0.9,1\nb,0.1,0\nc,0.5,1\n"))
    assert found.rows.tolist() == [2, 3, 4]


def test_the_default_scores_are_the_only_numbers_that_may_be(write):
    head = "picture,width,comment,nsfw,other,truth,kind\n"
    found = read_sample(
        write(head + "a,640,x,0.9,,1,1\nb,480,y,0.2,,0,0\nc,1,z,,,0,1\n"), group="kind"
    )
    assert found.label == "nsfw"
    assert (found.group_names, found.groups.tolist()) == (("0", "1"), [1, 0])


def test_an_empty_group_is_a_group_and_comes_last(write):
    rows = "a,0.9,1,photo\nb,0.1,0,\nc,0.8,1,drawing\nd,0.7,1,\n"
    found = read_sample(write("picture,nsfw,truth,kind\n" + rows), group="kind")
    assert found.group_names == ("drawing", "photo", "")
    assert found.groups.tolist() == [1, 2, 0, 2]
    none = read_sample(write("picture,nsfw,truth,kind\na,0.9,1,\nb,0.1,0,\n"), group="kind")
    assert (none.group_names, none.groups.tolist()) == (("",), [0, 0])


def test_a_second_column_counts_where_both_have_a_score(write):
    rows = "a,0.9,0.8,1\nb,0.1,,0\nc,,0.3,0\nd,0.4,0.5,0\n"
    found = read_sample(
        write("picture,ours,theirs,truth\n" + rows), labels=["ours"], against="theirs"
    )
    assert found.names == ("ours", "theirs")
    assert found.scores.tolist() == [[0.9, 0.4], [0.8, 0.5]]
    assert reasons(found) == {"missing": 2}
    alone = read_sample("scores.csv", against="theirs")
    assert alone.label == "ours"


def test_another_file_is_matched_by_picture_in_any_order(write):
    name = write("picture,nsfw,truth\na,0.9,1\nb,0.1,0\nc,0.3,0\nd,,0\ne,0.5,1\n")
    other = write("picture,nsfw\ne,0.55\nx,0.5\na,0.95\nb,oops\na,0.2\nc,0.35\nd,0.4\n", "b.csv")
    found = read_sample(name, against=other)
    assert found.names == ("scores", "b")
    assert found.scores.tolist() == [[0.9, 0.3, 0.5], [0.95, 0.35, 0.55]]
    assert reasons(found) == {"missing": 1, "unmatched": 1, "second alone": 1}


def test_another_file_is_matched_by_digest_before_the_name(write):
    name = write("digest,picture,nsfw,truth\nd1,a,0.9,1\nd2,b,0.1,0\n,c,0.2,0\n")
    other = write("picture,digest,nsfw\nb,d1,0.8\na,d2,0.2\nc,,0.7\n", "b.csv")
    found = read_sample(name, against=other)
    assert found.scores.tolist() == [[0.9, 0.1], [0.8, 0.2]]
    assert reasons(found)["unmatched"] == 1


def test_labels_of_two_files_may_differ(write):
    name = write("picture,nsfw,x,truth\na,0.9,0.1,1\nb,0.1,0.2,0\n")
    write("picture,porn,y\na,0.7,0.6\nb,0.3,0.4\n", "b.csv")
    found = read_sample(name, labels=["nsfw", "porn"], against="b.csv")
    assert found.scores[1].tolist() == [0.7, 0.3]
    with pytest.raises(UsageError, match=r"b\.csv has 2 columns that may be scores \(porn, y\)"):
        read_sample(name, labels=["nsfw"], against="b.csv")


def test_a_column_goes_before_a_file_of_that_name(write):
    name = write("picture,nsfw,b.csv,truth\na,0.9,0.8,1\nb,0.1,0.2,0\n")
    write("picture,nsfw\na,0.5\nb,0.5\n", "b.csv")
    assert read_sample(name, labels=["nsfw"], against="b.csv").scores[1].tolist() == [0.8, 0.2]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("picture,nsfw\nx,0.5\n", "have no picture in common, by their columns 'picture'"),
        ("digest,nsfw\nx,0.5\n", "share neither a column digest nor a column picture"),
        ("picture,nsfw\na,7\n", "b.csv, column nsfw, row 2: the score 7 is not in 0..1"),
        ("", "b.csv is empty"),
    ],
)
def test_files_that_do_not_fit_together(write, other, says):
    name = write("picture,nsfw,truth\na,0.9,1\nb,0.1,0\n")
    write(other, "b.csv")
    with pytest.raises(UsageError) as error:
        read_sample(name, against="b.csv")
    assert says in str(error.value)


def test_files_of_one_name_are_told_apart(write, tmp_path):
    name = write("picture,nsfw,truth\na,0.9,1\nb,0.1,0\n")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "scores.csv").write_text("picture,nsfw\na,0.9\nb,0.1\n")
    assert read_sample(name, against="new/scores.csv").names == ("scores.csv", "new/scores.csv")
