"""Text from outside (file names, labels, messages of servers), made safe to print."""

from __future__ import annotations

import unicodedata


def printable(text: str, limit: int | None = None) -> str:
    r"""The text in one line, with what a terminal or an editor would act on spelled out.

    Control characters, escape sequences, bidirectional overrides, line separators and lone
    surrogates become ``\x1b``, ``\u202e``, ``\udcff``; everything that can be read stays as it
    is. Longer than `limit` characters, it is cut and ends in an ellipsis.
    """
    cut = limit is not None and len(text) > limit
    shown = "".join(_spelled(character) for character in (text[:limit] if cut else text))
    return f"{shown}…" if cut else shown


def _spelled(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")


def inert(text: str) -> str:
    """Text that a spreadsheet would take for a formula, with an apostrophe before it."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def count(number: int, noun: str) -> str:
    """`1 call`, `2 calls`, `1,024 calls`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
