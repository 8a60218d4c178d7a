import decimal
import math

import numpy as np
import pytest

from probe import from_callable
from probe.errors import BackendError, ContractError, UsageError
from probe.types import Codec, Failure, Scores


def scored(fn, sample, n=2, labels=("cat",)):
    return from_callable(fn, labels).score([sample() for _ in range(n)], Codec())


def test_the_function_gets_rgb_pictures_and_its_numbers_come_back_in_order(sample):
    seen = []

    def fn(images):
        seen.extend(images)
        return [{"cat": i / 4, "dog": np.float32(0.5)} for i in range(len(images))]

    answers = scored(fn, sample, 3)
    assert [dict(a) for a in answers] == [{"cat": i / 4, "dog": 0.5} for i in range(3)]
    assert [image.mode for image in seen] == ["RGB"] * 3


@pytest.mark.parametrize("returned", [1, 3])
def test_another_count_names_both_counts_and_shifts_nothing(sample, returned):
    with pytest.raises(ContractError, match=rf"returned {returned} answers for 2 pictures"):
        scored(lambda images: [{"cat": 0.5}] * returned, sample)


@pytest.mark.parametrize("returned", [None, {"cat": 0.5}, "cat", 3.0])
def test_something_else_than_a_list_is_named(sample, returned):
    with pytest.raises(ContractError, match=type(returned).__name__):
        scored(lambda images: returned, sample)


@pytest.mark.parametrize(
    "bad",
    [math.nan, math.inf, None, "0.5", True, np.bool_(True), 10**400, [0.5], np.float64("nan"), 1j],
)
def test_what_is_no_finite_number_fails_for_that_picture_alone(sample, bad):
    good, failed = scored(lambda images: [{"cat": 0.5}, {"cat": bad}], sample)
    assert isinstance(good, Scores)
    assert isinstance(failed, Failure)
    assert failed.kind == "invalid"
    assert "'cat'" in failed.message
    assert repr(bad)[:10] in failed.message


@pytest.mark.parametrize("item", [None, 0.5, [("cat", 0.5)], {}, {"dog": 0.5}, {"cat": 0.5, 3: 1}])
def test_an_item_that_is_no_answer_fails_alone(sample, item):
    good, failed = scored(lambda images: [{"cat": 0.5}, item], sample)
    assert isinstance(good, Scores)
    assert isinstance(failed, Failure)
    assert failed.kind == "invalid"


def test_a_missing_label_is_named(sample):
    (failed,) = scored(lambda images: [{"dog": 0.5}], sample, 1)
    assert "'cat'" in failed.message


def test_a_failure_from_the_function_is_passed_on(sample):
    refused = Failure("refused", "not this one")
    assert scored(lambda images: [refused], sample, 1) == [refused]


def test_an_exception_becomes_one_line_with_its_type_and_message(sample):
    def broken(images):
        raise decimal.DivisionByZero("line one\nline\x1b[31m two")

    with pytest.raises(BackendError) as caught:
        scored(broken, sample)
    message = str(caught.value)
    assert "broken" in message
    assert "DivisionByZero" in message
    assert "line one" in message
    assert message.isprintable()
    assert isinstance(caught.value.__cause__, decimal.DivisionByZero)


def test_without_an_identity_there_is_none():
    assert from_callable(len, ["cat"]).identity is None
    assert from_callable(len, ["cat"], identity="net 3").identity == "net 3"


def test_one_label_may_be_given_as_a_string():
    assert from_callable(len, "cat").limits.labels == ("cat",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fn": 3, "labels": ["cat"]},
        {"fn": len, "labels": []},
        {"fn": len, "labels": ["cat"], "batch": 0},
        {"fn": len, "labels": ["cat"], "question": "dog"},
    ],
)
def test_arguments_that_cannot_be_used_are_refused_at_once(wrong):
    with pytest.raises(UsageError):
        from_callable(**wrong)
