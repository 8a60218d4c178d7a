from __future__ import annotations

import pytest

from probe.errors import UsageError
from probe.evaluate.truth import meanings


@pytest.mark.parametrize(
    ("words", "label", "wanted"),
    [
        (["nsfw", "sfw"], "nsfw", [True, False]),
        (["NSFW", "Sfw"], "nsfw", [True, False]),
        (["1", "0"], "nsfw", [True, False]),
        (["1.0", "0.0"], "nsfw", [True, False]),
        (["true", "false"], "x", [True, False]),
        (["Yes", "NO"], "x", [True, False]),
        (["cat", "not cat"], "Cat", [True, False]),
        (["cat", "not_cat", "no-cat", "non cat"], "cat", [True, False, False, False]),
        (["sfw", "0"], "sfw", [True, False]),
    ],
)
def test_plain_words_need_no_telling(words, label, wanted):
    counts = dict.fromkeys(words, 1)
    assert list(meanings(counts, label).values()) == wanted


def test_what_is_stated_goes_before_what_is_plain():
    counts = {"porn": 5, "hentai": 4, "drawing": 3, "sfw": 2}
    found = meanings(counts, "nsfw", ["porn", " Hentai "], ["drawing"])
    assert found == {"porn": True, "hentai": True, "drawing": False, "sfw": False}
    assert meanings({"sfw": 1, "bad": 1}, "x", ["sfw"], ["bad"]) == {"sfw": True, "bad": False}
    rest = meanings({"porn": 1, "a": 1, "b": 1}, "x", ["porn"], ["*"])
    assert rest == {"porn": True, "a": False, "b": False}


@pytest.mark.parametrize(
    ("counts", "options", "says"),
    [
        ({"nsfw": 3, "safe": 200}, {}, ["'safe' (200 rows)", "--positive nsfw --negative safe"]),
        ({"1": 3, "maybe": 1}, {"positive": ["yes"]}, ["'1' (3 rows), 'maybe' (1 row)"]),
        ({"a b": 2, "c": 1}, {}, ["--positive 'a b' --negative c"]),
        ({"\x1b[31m": 2, "nsfw": 1}, {}, ["\\x1b[31m"]),
        ({str(n + 5): n for n in range(30)}, {}, ["'34' (29 rows)", "22 more"]),
        ({"a": 1}, {"positive": ["a"], "negative": ["A"]}, ["'a' is given both"]),
    ],
)
def test_other_words_are_listed_with_the_options_that_say_what_they_mean(counts, options, says):
    with pytest.raises(UsageError) as error:
        meanings(counts, "nsfw", **options, where="column 'truth' of scores.csv")
    for words in says:
        assert words in str(error.value)
    assert "\x1b" not in str(error.value)
