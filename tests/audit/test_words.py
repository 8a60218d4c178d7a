"""What is said of an audit."""

from __future__ import annotations

import re

import pytest

from probe.audit.words import finding, remarks, said_of, sides, wanted
from probe.errors import LimitReached
from tests.audit.made import NOTHING, made_audit, made_feature
from tests.runs import HOSTILE

UNCLEAN = re.compile("[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def test_one_claim():
    one = made_feature()
    assert one.claimed
    assert finding(made_audit(one)) == (
        "nsfw hangs on red, anywhere. Covering it lowers nsfw by 0.50 (0.45 to 0.55) more than "
        "covering a box of the same size elsewhere, in 8 other pictures. It stands in "
        "5% (1 to 24) of those that are truly not nsfw and in 45% (26 to 66) of those that truly "
        "are nsfw."
    )


def test_several_claims_name_all_and_tell_of_the_first():
    said = finding(made_audit(made_feature(), made_feature(2, words="blue, top left")))
    assert said.startswith("nsfw hangs on red, anywhere; blue, top left. Covering the first (red")
    assert said.count("Covering") == 1


def test_features_that_were_tested_without_effect():
    one, other = made_feature(drops=NOTHING), made_feature(2, drops=[0.5])
    assert not one.claimed
    said = finding(made_audit(one, other))
    assert said.startswith("Nothing was found on which nsfw hangs: 1 kind of evidence was ")
    said = finding(made_audit(one, made_feature(2, drops=NOTHING)))
    assert said.startswith("Nothing was found on which nsfw hangs: 2 kinds of evidence were ")
    assert "covering them there cost no more than covering boxes elsewhere" in said


def test_features_that_could_not_be_tested():
    audit = made_audit(made_feature(drops=[0.5, 0.5]))
    assert finding(audit).startswith("Nothing can be said of nsfw: the evidence has kinds, but")
    assert any("could not be tested" in note for note in remarks(audit))


def test_nothing_at_all():
    assert finding(made_audit()) == (
        "Nothing was found on which nsfw hangs: the evidence of no three pictures is alike."
    )
    assert remarks(made_audit()) == remarks(made_audit(probed=0)) == []


def test_of_each_feature():
    assert said_of(made_feature(), "nsfw") == (
        "Covering it lowers nsfw by 0.50 (0.45 to 0.55) more than covering a box of the same size "
        "elsewhere, in 8 other pictures. On average 0.900 unchanged, 0.500 covered, 1.000 with the "
        "control covered."
    )
    said = said_of(made_feature(drops=NOTHING), "nsfw")
    assert re.match(r"No claim \(p = [\d.]+ after Holm\): covering it lowers nsfw by ", said)
    assert said_of(made_feature(drops=[0.5]), "nsfw") == (
        "Not tested: it stands in fewer than 5 other pictures with room beside it."
    )


def test_what_to_collect():
    one = made_feature()
    assert wanted(one, made_audit(one)) == (
        "Pictures that are truly not nsfw and show red, anywhere: 400 more of every 1,000"
    )
    said = wanted(one, made_audit(one, truths=(0, 0)))
    assert said.startswith("Pictures that score below 0.5 and show")


def test_without_a_truth_the_services_word_divides():
    audit = made_audit(truths=(0, 0))
    assert sides(audit) == ("score below 0.5", "score 0.5 or more")
    assert remarks(audit) == [
        "No truth is known: pictures that score below and above 0.5 are compared, and what is "
        "missing cannot be told."
    ]
    assert sides(made_audit()) == ("are truly not nsfw", "truly are nsfw")


@pytest.mark.parametrize(("truths", "only"), [((0, 9), "truly nsfw"), ((9, 0), "truly not nsfw")])
def test_one_class_alone_is_said(truths, only):
    (note,) = remarks(made_audit(truths=truths))
    assert note == f"All pictures are {only}: what is missing from the others cannot be told."


def test_a_share_that_is_not_known_is_left_out():
    said = finding(made_audit(made_feature(within=(0, 0))))
    assert "It stands in 5% (1 to 24) of those that are truly not nsfw." in said
    assert "It stands" not in finding(made_audit(made_feature(without=(0, 0), within=(0, 0))))


def test_what_a_reader_has_to_know():
    audit = made_audit(
        stopped=LimitReached("the cap of 50 calls is reached"), failed=2, repeated=1, probed=19
    )
    assert remarks(audit) == [
        "It ended early: the cap of 50 calls is reached; this is of what there is.",
        "2 pictures could not be used.",
        "1 picture equals another, and counts once.",
        "Only 19 pictures were probed: rare features are missed.",
    ]
    assert remarks(made_audit(repeated=2)) == ["2 pictures equal others, and count once."]


def test_the_most_wanted_comes_first_and_what_is_not_missing_is_not_wanted():
    small = made_feature(1, drops=[0.1, 0.12, 0.1, 0.11, 0.1, 0.12, 0.1, 0.13])
    large = made_feature(2)
    common = made_feature(3, without=(18, 20), within=(2, 20))
    untold = made_feature(4, within=(0, 0))
    audit = made_audit(small, large, common, untold)
    assert [one.number for one in audit.claims] == [1, 2, 3, 4]
    assert [one.number for one in audit.wanted] == [2, 1]


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels_are_text_and_short(label):
    one = made_feature(drops=NOTHING)
    for audit in (made_audit(label=label), made_audit(made_feature(), label=label)):
        audit.stopped = LimitReached(label)
        said = [finding(audit), *remarks(audit), *sides(audit), said_of(one, "x")]
        said += [wanted(made_feature(), audit)]
        assert not any(UNCLEAN.search(text) for text in said)
        assert all(len(text) < 900 for text in said)
