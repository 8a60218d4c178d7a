"""Text from outside (file names, labels, messages of servers), made safe to print."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from probe.errors import UsageError


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


def pairs(settings: Iterable[str], named: str) -> dict[str, str]:
    """What KEY=VALUE say, in their order; UsageError, beginning with `named`, where there is no
    `=` or a key comes twice."""
    found: dict[str, str] = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not key or key in found:
            wrong = "is given twice" if key in found else "is not KEY=VALUE"
            raise UsageError(f"{named} {printable(setting, 60)!r} {wrong}")
        found[key] = value
    return found
