"""What the words of a truth column mean."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from probe.errors import UsageError
from probe.text import count, printable

YES = ("1", "1.0", "true", "yes", "positive")
NO = ("0", "0.0", "false", "no", "negative", "sfw")
REST = "*"
"""As a negative word: every word that is not said to be positive."""
LISTED = 8


def meanings(
    counts: Mapping[str, int],
    label: str,
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    where: str = "the truth column",
) -> dict[str, bool]:
    """Whether each word of `counts` (word -> rows) means that `label` is right.

    positive   these words do; without any, the label itself and YES.
    negative   these do not, beside NO, "not LABEL" and the like; `*`: all others.

    Letters' case does not matter. Raises UsageError, which lists them, for words of which nobody
    said what they mean.
    """
    yes = {word.strip().casefold() for word in positive or (label, *YES)}
    stated = {word.strip().casefold() for word in negative}
    both = sorted(yes & stated)
    if both:
        raise UsageError(f"{printable(both[0], 60)!r} is given both as positive and as negative")
    no = stated | set(NO) | _denials(label)
    found: dict[str, bool] = {}
    for word in counts:
        folded = word.casefold()
        if folded in yes:
            found[word] = True
        elif folded in no or REST in stated:
            found[word] = False
    unknown = {word: counts[word] for word in counts if word not in found}
    if unknown:
        raise UsageError(_unknown(unknown, found, label, where))
    return found


def _denials(label: str) -> set[str]:
    name = label.casefold()
    return {f"{no}{gap}{name}" for no in ("not", "non", "no") for gap in (" ", "_", "-")}


def _unknown(unknown: Mapping[str, int], found: Mapping[str, bool], label: str, where: str) -> str:
    """Which words, how many rows, and the options that would say what they mean."""
    ranked = sorted(unknown, key=lambda word: -unknown[word])
    listed = [f"{printable(w, 40)!r} ({count(unknown[w], 'row')})" for w in ranked[:LISTED]]
    if len(ranked) > LISTED:
        listed.append(f"{len(ranked) - LISTED:,} more")
    known = [word for word, meaning in found.items() if meaning]
    rest = ranked if known else ranked[1:]
    options = [f"--positive {_typed(word)}" for word in known or ranked[:1]]
    options += [f"--negative {_typed(word)}" for word in rest[:3]]
    return (
        f"{where} has words that are not known to be for or against {printable(label, 60)!r}: "
        f"{', '.join(listed)}. Say what they mean, as by {' '.join(options)}"
    )


def _typed(word: str) -> str:
    return printable(shlex.quote(word), 40)
