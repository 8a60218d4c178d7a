"""What `probe score` does: list, ask, write the table, say what came out."""

from __future__ import annotations

import json
import shlex
import time
from array import array
from dataclasses import dataclass, field
from operator import length_hint
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from probe.cli.options import make_prober
from probe.cli.progress import progress
from probe.cli.repeating import as_given
from probe.cli.running import HOLES, allow
from probe.errors import Interrupted, ProbeError, UsageError
from probe.plan.words import at_most
from probe.progress import Tally
from probe.result import check_label
from probe.scoring.listing import Listing, Pass
from probe.scoring.places import Entry, scheme_of
from probe.scoring.tables import arrow
from probe.show.scores import ScoresTable, is_parquet, is_scores
from probe.text import count, printable
from probe.types import Failure

if TYPE_CHECKING:
    from probe.prober import Prober
    from probe.scoring import Scored, Scoring

HALF = 0.5
SHOWN = 5
"""So many pictures that got no score are listed on the way."""


@dataclass
class _Seen:
    """What is said at the end: the scores of one label, the highest with its name and path."""

    label: str | None
    highest: tuple[float, str, str | None] = (-1.0, "", None)
    scores: array[float] = field(default_factory=lambda: array("f"))

    def add(self, entry: Entry, scored: Scored) -> None:
        scores = scored.outcome
        if isinstance(scores, Failure):
            return
        if self.label is None:
            self.label = max(scores, key=scores.__getitem__, default=None)
        value = scores.get(self.label or "")
        if value is not None:
            self.scores.append(value)
            if (value, entry.name) > self.highest[:2]:
                self.highest = value, entry.name, entry.path


def score_pictures(places: tuple[str, ...], given: dict[str, Any]) -> int:
    """Returns the exit code; whatever is wrong with the list is said before anything is sent."""
    if given["scores"]:
        raise UsageError("score asks a service: scores that are written down need no asking")
    listing = Listing(places)
    for note in listing.notes:
        click.echo(f"note: {note}", err=True)
    path = _destination(listing, given)
    prober = make_prober(given)
    limits = prober.backend.limits
    check_label(given["label"], limits.labels)
    line, cost = at_most(listing.size, prober.backend)
    if given["dry_run"]:
        about = {"schema": 1, "pictures": listing.size, "calls": listing.size, "cost": cost}
        click.echo(json.dumps({**about, "files": []}) if given["as_json"] else line)
        return 0
    if not given["offline"]:
        allow(line, listing.size, cost, limits.host, given)
    seen = _Seen(given["label"] or limits.question)
    started = time.monotonic()
    with ScoresTable(listing.columns) as table:
        going = Pass(listing)
        scoring = prober.scoring(going)
        try:
            _ask(scoring, going, table, seen, prober, given)
        except (ProbeError, Interrupted):
            if table.rows:
                table.save(path)
                rows = count(table.rows, "picture")
                click.echo(
                    f"note: {rows} of {listing.size:,} in {printable(str(path))}; the same "
                    "command goes on",
                    err=True,
                )
            raise
        table.save(path)
    seconds = time.monotonic() - started
    return _report(scoring.tally, seen, path, listing, seconds, given)


def _ask(
    scoring: Scoring,
    going: Pass,
    table: ScoresTable,
    seen: _Seen,
    prober: Prober,
    given: dict[str, Any],
) -> None:
    with progress(given["quiet"], length_hint(going), prober) as show:
        for scored in scoring:
            entry = going.entry(scored.index)
            table.add(entry.name, scored, entry.cells)
            seen.add(entry, scored)
            if isinstance(scored.outcome, Failure) and scoring.tally.failed <= SHOWN:
                shown = printable(entry.name, 100)
                click.echo(f"note: {shown}: {printable(scored.outcome.message, 300)}", err=True)
            show(scoring.tally)


def _destination(listing: Listing, given: dict[str, Any]) -> Path:
    only = listing.places[0] if len(listing.places) == 1 else None
    path = Path(given["out"] or (f"{only.stem}.scores.csv" if only else "scores.csv"))
    shown = printable(str(path), 300)
    if scheme_of(given["out"] or ""):
        raise UsageError("--out names a file on this machine, not a URL")
    if path.is_dir():
        raise UsageError(f"{shown} is a folder: name the file, as {shown}/scores.csv")
    if is_parquet(path):
        arrow()
    elif path.suffix.lower() != ".csv":
        raise UsageError(f"--out {shown}: give a name that ends in .csv or .parquet")
    if path.exists() and not given["force"] and not is_scores(path):
        raise UsageError(f"{shown} is there, and is no table of scores: choose another --out")
    return path


def _report(
    tally: Tally,
    seen: _Seen,
    path: Path,
    listing: Listing,
    seconds: float,
    given: dict[str, Any],
) -> int:
    """The sentence for people, the object for programs."""
    code = HOLES if tally.failed else 0
    highest, name, place = seen.highest
    scores = sorted(seen.scores)
    above = sum(score >= HALF for score in scores)
    middle = scores[len(scores) // 2] if scores else None
    if given["as_json"]:
        about = {
            "schema": 1,
            "label": seen.label,
            "pictures": tally.done,
            "above_half": above,
            "median": middle,
            "highest": {"picture": place or name, "score": highest} if scores else None,
            "calls": tally.calls,
            "answers": tally.done - tally.failed,
            "requests": tally.requests,
            "cost": tally.cost,
            "currency": tally.currency,
            "failures": tally.failed,
            "seconds": round(seconds, 3),
            "exit_code": code,
            "files": [str(path)],
        }
        click.echo(json.dumps(about))
    if given["quiet"]:
        return code
    aside = given["as_json"]
    if middle is not None:
        click.echo(
            f"{printable(seen.label or '', 60)} is {HALF} or more in {above:,} of "
            f"{count(len(scores), 'picture')} (median {middle:.3g}).",
            err=aside,
        )
    cost = "" if tally.cost is None else f", {tally.cost:.4g} {tally.currency}"
    click.echo(
        f"scores {printable(str(path))} · {count(tally.calls, 'call')}{cost}, {seconds:.1f} s · "
        f"{count(tally.failed, 'failure')}",
        err=aside,
    )
    if "truth" in listing.columns:
        click.echo(f"next: probe evaluate {printable(shlex.quote(str(path)))}", err=aside)
    elif scores and place is not None:
        click.echo(f"next: probe occlude {printable(shlex.quote(place))}{_again()}", err=aside)
    return code


def _again() -> str:
    return printable(as_given("out", "force"))
