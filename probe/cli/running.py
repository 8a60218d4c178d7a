"""What happens around a run: its plan in words, consent, progress, where its files go."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from probe.cli.options import method_options
from probe.errors import UsageError
from probe.text import printable

if TYPE_CHECKING:
    from probe.image import Picture
    from probe.plan import Plan
    from probe.prober import Prober
    from probe.result import Result

HOLES = 3
MANY_CALLS = 500


def arguments(picture: Picture, method: str, given: dict[str, Any]) -> dict[str, Any]:
    """What Prober.probe and Prober.plan are called with."""
    return {
        "image": picture,
        "label": given["label"],
        "method": method,
        "budget": given["budget"],
        "seed": given["seed"],
        **method_options(method, given),
    }


def ask(prober: Prober, plan: Plan, wanted: dict[str, Any], given: dict[str, Any]) -> Result:
    """Run it, after consent, with progress on stderr."""
    from probe.cli.progress import progress

    _consent(plan, given)
    with progress(given["quiet"], plan.answers) as show:
        for result in prober.stream(**wanted):
            show(result)
    return result


def folder_of(image: str, method: str) -> str:
    stem = "stdin" if image == "-" else os.fsdecode(os.fsencode(Path(image).stem)[:200])
    return f"{stem}.probe" if method == "multiscale" else f"{stem}.{method}.probe"


def describe(plan: Plan) -> str:
    """One line: calls, requests, where to, how much, how long."""
    parts = [f"{plan.calls} call{'' if plan.calls == 1 else 's'} in {plan.requests} requests"]
    if plan.known:
        parts[0] += f" ({plan.known} of {plan.answers} answers are in the ledger)"
    if plan.host:
        parts.append(f"about {_bytes(plan.bytes)} to {plan.host}")
    if plan.cost is not None:
        parts.append(f"{plan.cost:.4g} {plan.currency}")
    if plan.calls:
        parts.append(f"about {max(1, round(plan.seconds))} s")
    return " · ".join(parts)


def announce(plan: Plan, given: dict[str, Any], sheet: Path | None = None) -> None:
    """The dry run in words, or as an object."""
    if given["as_json"]:
        about = {
            "schema": 1,
            "calls": plan.calls,
            "answers": plan.answers,
            "known": plan.known,
            "requests": plan.requests,
            "bytes": plan.bytes,
            "cost": plan.cost,
            "currency": plan.currency,
            "host": plan.host,
            "seconds": plan.seconds,
            "files": [str(sheet)] if sheet else [],
        }
        click.echo(json.dumps(about))
        return
    click.echo(describe(plan))
    if sheet:
        click.echo(f"sheet {printable(str(sheet))}")


def _consent(plan: Plan, given: dict[str, Any]) -> None:
    """Nothing dear, and nothing to another machine, without a word."""
    if plan.host is not None and not _loopback(plan.host) and not given["quiet"]:
        click.echo(describe(plan), err=True)
    if plan.calls <= MANY_CALLS or plan.cost is None or given["yes"]:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{describe(plan)}: that is dear; say --yes if it is meant")
    click.confirm(f"{describe(plan)}. Go on?", abort=True, err=True)


def _loopback(host: str) -> bool:
    name = host.rsplit(":", 1)[0].strip("[]")
    return name in ("localhost", "::1") or name.startswith("127.")


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"
