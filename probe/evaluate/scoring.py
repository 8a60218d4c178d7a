"""Which column of a table holds the scores."""

from __future__ import annotations

from collections.abc import Sequence

from probe.errors import UsageError
from probe.evaluate.cells import EMPTY, OK, numbers
from probe.evaluate.reading import Table, find_column
from probe.text import printable

RESERVED = ("picture", "digest", "failure")


def score_column(table: Table, wanted: str | None, aside: Sequence[str]) -> str:
    """The column that is wanted, or the only one with numbers in 0..1.

    aside: columns that are something else. A column is one of scores if more than half of the
    cells of the first batch that has any in it are numbers in 0..1. Raises UsageError where there
    is none, or several, with their names.
    """
    if wanted is not None:
        return find_column(table, wanted, "--label")
    names = [name for name in table.names if name not in (*RESERVED, *aside)]
    found = _of_scores(table, names)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            f"{table.shown} has no column of scores, of numbers from 0 to 1: name it by --label"
        )
    listed = ", ".join(printable(name, 40) for name in found[:12])
    more = f" and {len(found) - 12:,} more" if len(found) > 12 else ""
    raise UsageError(
        f"{table.shown} has {len(found):,} columns that may be scores ({listed}{more}): choose "
        f"one, as by --label {printable(found[0], 40)}"
    )


def _of_scores(table: Table, names: Sequence[str]) -> list[str]:
    """Reads on until each of the columns has shown a cell."""
    verdicts: dict[str, bool] = {}
    rows = 0
    if names:
        for batch in table.batches(names):
            rows += len(batch[names[0]])
            for name in names:
                if name not in verdicts and (verdict := _is_scores(batch[name], table.comma)):
                    verdicts[name] = verdict > 0
            if len(verdicts) == len(names):
                break
        if not rows:
            raise UsageError(f"{table.shown} has no rows below its header")
    return [name for name in names if verdicts.get(name)]


def _is_scores(column: object, comma: bool) -> int:
    """1 for yes, -1 for no, 0 where all cells are empty."""
    try:
        values, kinds = numbers(column, comma)
    except ValueError:
        return -1
    known = (kinds != EMPTY).sum()
    good = ((kinds == OK) & (values >= 0) & (values <= 1)).sum()
    return 0 if not known else 1 if 2 * good > known else -1
