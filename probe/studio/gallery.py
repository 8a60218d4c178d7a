"""What was asked before: runs with their pictures, and what only the ledger knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from probe.errors import ProbeError
from probe.ledger.database import Database
from probe.ledger.scan import scan
from probe.report import page
from probe.studio.desk import Desk, wish_of
from probe.studio.folder import RunFolder
from probe.text import printable

PAGE = 60
"""So many runs at once."""
STRANGERS = 200

STATES = {
    "complete": "finished",
    "stopped": "stopped",
    "failed": "failed",
    "interrupted": "interrupted",
}


def entry(desk: Desk, run: RunFolder) -> dict[str, Any]:
    """A run in the gallery's terms; of a damaged one its `id` and what is `wrong`."""
    try:
        return _entry(desk, run)
    except ProbeError as error:
        return {"id": run.id, "wrong": printable(str(error), 300)}
    except Exception:  # files made to look like a run may raise anything
        return {"id": run.id, "wrong": f"the run {run.id} is damaged: its files say nonsense"}


def entries(desk: Desk, before: str = "") -> tuple[list[dict[str, Any]], str]:
    """The newest runs, older than the ID `before`; and where the next page begins, or ""."""
    runs = [run for run in desk.folder.all() if not before or run.id < before]
    more = runs[PAGE - 1].id if len(runs) > PAGE else ""
    return [entry(desk, run) for run in runs[:PAGE]], more


def _entry(desk: Desk, run: RunFolder) -> dict[str, Any]:
    request, wish, live = run.request, wish_of(run), desk.live(run.id)
    ended = run.ended or {}
    state = live.state if live is not None else str(ended.get("state", "interrupted"))
    label = str(ended.get("label") or wish.label or "")
    return {
        "id": run.id,
        "name": printable(str(request["name"]), 120),
        "digest": str(request["digest"]),
        "made": f"{datetime.fromisoformat(request['made']).astimezone():%Y-%m-%d %H:%M}",
        "state": state,
        "shown_state": STATES.get(state, "running"),
        "said": printable(str(ended.get("said", "")), 500),
        "live": live is not None,
        "saved": run.saved,
        "label": printable(label, 120),
        "score": None if ended.get("score") is None else float(ended["score"]),
        "method": wish.method,
        "api": printable(wish.api, 120),
        "budget": wish.budget,
        "answers": int(ended.get("answers", 0)),
        "total": int(ended.get("total", 0)),
        "calls": int(ended.get("calls", 0)),
        "failures": int(ended.get("failures", 0)),
        "cost": None if ended.get("cost") is None else float(ended["cost"]),
        "currency": printable(str(ended.get("currency") or ""), 10),
    }


def report(run: RunFolder) -> str:
    """The page of a run; raises UsageError where it has no map, or is damaged."""
    return _report(run.path, run.saved_at)


@lru_cache(maxsize=4)
def _report(path: Path, saved_at: int) -> str:
    """Drawing takes a second or two: the last few are held."""
    run = RunFolder(path)
    result = run.result()
    return page(result, command=wish_of(run).command(result.settings.get("picture") or "picture"))


def comparison(runs: Sequence[RunFolder]) -> str:
    """Runs over one picture side by side; raises UsageError where their pictures differ."""
    results = [run.result() for run in runs]
    return page(results, names=[_name(run, results[0].label) for run in runs])


def _name(run: RunFolder, label: str) -> str:
    wish, made = wish_of(run), datetime.fromisoformat(run.request["made"]).astimezone()
    return f"{wish.method} by {printable(wish.api, 30)}, {made:%d %b %H:%M:%S}"


def strangers(ledger: Path, known: Collection[str]) -> list[dict[str, Any]]:
    """Pictures that only the ledger knows, by service: it keeps digests, no pixels. The last
    asked first. Raises LedgerError."""
    if not ledger.exists():
        return []
    database = Database(ledger, create=False)
    answers: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], int] = {}
    try:
        for record in scan(database):
            if record is not None and record.question.image not in known:
                who = record.question.image, record.question.backend
                answers[who] += 1
                last[who] = max(last.get(who, 0), record.at)
    finally:
        database.close()
    newest = sorted(last, key=lambda who: last[who], reverse=True)[:STRANGERS]
    return [
        {
            "picture": who[0][:16],
            "service": printable(who[1], 120),
            "answers": answers[who],
            "last": f"{datetime.fromtimestamp(last[who] / 1000, UTC).astimezone():%Y-%m-%d %H:%M}",
        }
        for who in newest
    ]
