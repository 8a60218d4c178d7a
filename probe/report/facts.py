"""What a run was and cost, in rows of two words."""

from __future__ import annotations

from typing import Any

from probe.result import Result
from probe.show.files import versions
from probe.show.words import number
from probe.text import count, printable

SHOWN = ("method", "options", "budget", "seed", "fill", "side", "codec", "repeats", "digest")


def facts(result: Result) -> list[tuple[str, str]]:
    """Names and values, plain text."""
    width, height = result.canvas.size
    across, down = result.canvas.send
    failures = len(result.failures)
    cost = "no price known" if result.cost is None else f"{result.cost:.4g} {result.currency}"
    rows: list[tuple[str, Any]] = [
        ("label", result.label),
        ("score of the whole picture", _reference(result)),
        ("service", result.backend or "a Python function"),
        ("answers", f"{len(result.answers):,}, {_from_ledger(result)}{count(failures, 'failure')}"),
        ("calls", f"{result.calls:,} in {count(result.requests, 'request')}"),
        ("cost", cost),
        ("time", f"{result.seconds:.1f} s"),
        ("picture", f"{width} x {height} px, sent at {across} x {down} px"),
        ("complete", "yes" if result.complete else "no: it was stopped"),
        *((name, _setting(result.settings[name])) for name in SHOWN if name in result.settings),
        ("versions", _setting(versions())),
    ]
    if result.p_value is not None:
        rows.append(("shuffled answers give as strong a map", f"{result.p_value:.1%} of the time"))
    return [(name, printable(str(value), 400)) for name, value in rows]


def _from_ledger(result: Result) -> str:
    """What an earlier run paid for."""
    known = sum(answer.source == "ledger" for answer in result.answers)
    return f"{known:,} of them from the ledger, " if known else ""


def _reference(result: Result) -> str:
    noise = f" ± {result.noise:.2g}" if result.noise else ""
    return f"{number(result.reference[result.label])}{noise}"


def _setting(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_option(one)}" for name, one in value.items()) or "none"
    return str(value)


def _option(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
