"""What `probe audit` does: list, audit, write, say what came out."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from probe.audit import Alone, Audit, Item, Wishes, Workers, audit
from probe.audit.words import finding, remarks
from probe.audit.workers import Crew
from probe.cli.options import make_prober
from probe.cli.progress import EVERY
from probe.cli.repeating import as_given, command_of
from probe.cli.running import HOLES, allow, held_folder
from probe.errors import Interrupted, ProbeError, UsageError
from probe.evaluate.truth import meanings
from probe.plan.words import at_most
from probe.report import save_report
from probe.report.audit import audit_page
from probe.result import check_label
from probe.scoring import Scored
from probe.scoring.listing import Listing
from probe.scoring.places import scheme_of
from probe.scoring.tables import arrow
from probe.show.audit_files import save_audit, summary
from probe.show.scores import ScoresTable
from probe.text import count, printable

if TYPE_CHECKING:
    from probe.prober import Prober
    from probe.types import Backend

MOST_WORKERS = 4
MOST_WORDS = 1000


@dataclass(frozen=True)
class _Items:
    """The listing as pictures with their truth; gone through as often as wanted."""

    listing: Listing
    column: int | None
    meaning: Mapping[str, bool]

    def __iter__(self) -> Iterator[Item]:
        for entry in self.listing:
            word = "" if self.column is None else entry.cells[self.column].strip()
            yield Item(entry.name, entry.source, self.meaning.get(word), entry.cells)


def audit_pictures(places: tuple[str, ...], given: dict[str, Any]) -> int:
    """Returns the exit code; whatever is wrong with the list is said before anything is sent."""
    if given["scores"]:
        raise UsageError("audit asks a service: scores that are written down tell of no cover")
    if given["scheduler"] and given["workers"] is not None:
        raise UsageError("--workers is for this machine, --scheduler for another's: leave one")
    arrow()
    listing = Listing(places)
    for note in listing.notes:
        click.echo(f"note: {note}", err=True)
    given["repeats"] = given["repeats"] or 0
    backend = make_prober(given).backend
    limits = backend.limits
    check_label(given["label"], limits.labels)
    label = given["label"] or limits.question
    if label is None:
        raise UsageError("this service has no question of its own: name the --label to explain")
    items = _items(listing, label, given)
    wishes = _wishes(label, backend, given)
    calls = wishes.calls(listing.size)
    line, cost = at_most(calls, backend)
    if given["dry_run"]:
        about = {"schema": 1, "pictures": listing.size, "calls": calls, "cost": cost}
        click.echo(json.dumps({**about, "files": []}) if given["as_json"] else line)
        return 0
    if not given["offline"]:
        allow(line, calls, cost, limits.host, given)
    settings = _settings(places, wishes, backend, given)
    name = _name(listing)
    with held_folder(name, "audit", settings["plan"], given, "audit.json") as folder:
        started = time.monotonic()
        with _crew(backend, given) as crew:
            prober = make_prober(given, crew.through)
            found = _audit(prober, items, wishes, crew, folder, given)
        files = [str(path) for path in save_audit(found, folder, settings)]
        page = audit_page(found, settings["command"])
        files.append(str(save_report(page, folder / "report.html")))
    return _report(found, files, time.monotonic() - started, given)


def _items(listing: Listing, label: str, given: dict[str, Any]) -> _Items:
    """Raises UsageError for words of the truth that nobody explained."""
    name = given["truth"]
    if name not in listing.columns:
        if name != "truth" or given["positive"] or given["negative"]:
            known = ", ".join(printable(one, 40) for one in listing.columns) or "none"
            raise UsageError(f"no column {name!r} says what is true; the list has: {known}")
        return _Items(listing, None, {})
    column = listing.columns.index(name)
    words: Counter[str] = Counter()
    for entry in listing:
        words[entry.cells[column].strip()] += 1
        if len(words) > MOST_WORDS:
            raise UsageError(f"the column {name!r} has more than {MOST_WORDS} words: name another")
    del words[""]
    meaning = meanings(words, label, given["positive"], given["negative"], f"column {name!r}")
    return _Items(listing, column, meaning)


def _wishes(label: str, backend: Backend, given: dict[str, Any]) -> Wishes:
    threshold = given["threshold"]
    if threshold is None:
        own = backend.limits.threshold
        threshold = own if own is not None and label == backend.limits.question else 0.5
    return Wishes(
        label=label,
        pictures=given["pictures"],
        budget=given["budget"],
        places=given["tests"],
        threshold=threshold,
        seed=given["seed"],
    )


def _settings(
    places: tuple[str, ...], wishes: Wishes, backend: Backend, given: dict[str, Any]
) -> dict[str, Any]:
    """What is needed to repeat it. plan: the same for the same question about the same list."""
    asked = {
        **asdict(wishes),
        "service": backend.identity,
        **{name: given[name] for name in ("truth", "positive", "negative", "side", "fill")},
        "codec": str(given["codec"] or ""),
    }
    where = [place if scheme_of(place) else os.path.realpath(place) for place in places]
    plan = sha256(json.dumps([where, asked], sort_keys=True, default=str).encode()).hexdigest()
    return {"plan": plan, "command": _command(places), **asked}


def _command(places: tuple[str, ...]) -> str:
    first = command_of(places[0])
    return first if len(places) == 1 else f"probe audit ...{as_given('ledger', bare=True)}"


def _name(listing: Listing) -> str:
    return listing.places[0].stem if len(listing.places) == 1 else "pictures"


def _crew(backend: Backend, given: dict[str, Any]) -> AbstractContextManager[Crew]:
    """By default as many processes as there are cores; a service needs few."""
    number = given["workers"]
    if given["scheduler"]:
        return Workers(scheduler=given["scheduler"])
    if number is None:
        number = min(MOST_WORKERS, os.cpu_count() or 1)
    if number == 0:
        return nullcontext(Alone())
    limits = backend.limits
    threads = 1 if limits.host is None else -(-limits.concurrency // number)
    return Workers(number, threads=threads)


def _audit(
    prober: Prober,
    items: _Items,
    wishes: Wishes,
    crew: Crew,
    folder: Path,
    given: dict[str, Any],
) -> Audit:
    """The scores are written as soon as they are known, and what is known of them at a stop."""
    with ScoresTable(items.listing.columns) as table:
        path, size = folder / "scores.csv", items.listing.size

        def seen(item: Item, scored: Scored) -> None:
            table.add(item.name, scored, item.cells)
            if table.rows == size:
                table.save(path)

        show = _Watcher(size, given["quiet"])
        try:
            with _unwarned():
                found = audit(prober, items, wishes, crew=crew, seen=seen, watch=show)
        except (ProbeError, Interrupted) as error:
            if table.rows and not isinstance(error, UsageError):
                shown = printable(str(table.save(path)))
                rows = f"{count(table.rows, 'picture')} of {size:,}"
                click.echo(f"note: {rows} in {shown}; the same command goes on", err=True)
            raise
        if table.rows < size:
            table.save(path)
        return found


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without the warnings of single runs: that no cover changes a score says little of one
    picture among many."""
    logger = logging.getLogger("probe.loop.table")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class _Watcher:
    """A line on stderr for each stage, and every ten seconds."""

    def __init__(self, pictures: int, quiet: bool) -> None:
        self._pictures = pictures
        self._quiet = quiet
        self._stage = ""
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._quiet or (stage == self._stage and now - self._last < EVERY):
            return
        self._stage, self._last = stage, now
        click.echo(f"{stage} {done:,}/{total or self._pictures:,}", err=True)


def _report(found: Audit, files: list[str], seconds: float, given: dict[str, Any]) -> int:
    """The sentence for people, the object for programs."""
    code = HOLES if found.failed else 0
    if found.stopped is not None:
        code = found.stopped.exit_code
    if given["as_json"]:
        about = {"seconds": round(seconds, 3), "exit_code": code, "files": files}
        click.echo(json.dumps({"schema": 1, "finding": finding(found), **summary(found), **about}))
    if not given["quiet"]:
        aside = given["as_json"]
        for note in remarks(found):
            click.echo(f"note: {note}", err=True)
        click.echo(finding(found), err=aside)
        cost = "" if found.cost is None else f", {found.cost:.4g} {found.currency}"
        click.echo(
            f"page {printable(files[-1])} · {count(found.calls, 'call')}{cost}, {seconds:.1f} s",
            err=aside,
        )
    if found.stopped is not None:
        raise found.stopped
    return code
