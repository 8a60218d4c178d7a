import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.text import printable


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_that_acts_on_a_terminal_is_left(text):
    shown = printable(text)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_what_can_be_read_stays_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b]8;;http://x\x07", r"\x1b]8;;http://x\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("exe\u202egpj", r"exe\u202egpj"),
        ("\u2066\u200b\ufeff", r"\u2066\u200b\ufeff"),
        ("caf\udce9", r"caf\udce9"),
        ("\u2028", r"\u2028"),
        ("Größe 猫 🐈", "Größe 猫 🐈"),
    ],
)
def test_known_spellings(text, shown):
    assert printable(text) == shown


def test_long_texts_are_cut():
    assert printable("x" * 10_000, 5) == "xxxxx…"
    assert printable("xxxxx", 5) == "xxxxx"
