"""What happens around a run: consent, progress, where its files go."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count as numbers
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from probe.cli.designs import method_options
from probe.errors import LedgerError, UsageError
from probe.plan.words import describe
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
        "seed": given.get("seed", 0),
        **method_options(method, given),
    }


def ask(prober: Prober, plan: Plan, wanted: dict[str, Any], given: dict[str, Any]) -> Result:
    """Run it, after consent, with progress on stderr."""
    from probe.cli.progress import progress

    if given["offline"] and plan.calls:
        raise LedgerError(
            f"offline, and {plan.calls} of {plan.answers} answers are not in the ledger: "
            "run once without --offline"
        )
    allow(describe(plan, prober.backend), plan.calls, plan.cost, plan.host, given)
    with progress(given["quiet"], plan.answers, prober, missing=plan.calls) as show:
        for result in prober.stream(**wanted):
            show(result)
    return result


def stem_of(image: str) -> str:
    """The picture's name without its ending, short enough to add one."""
    return "stdin" if image == "-" else os.fsdecode(os.fsencode(Path(image).stem)[:200])


def results_folder(image: str, plan: Plan, given: dict[str, Any]) -> AbstractContextManager[Path]:
    """The folder for a run's files: IMG.probe, IMG.METHOD.probe for other methods."""
    name = stem_of(image) + ("" if plan.method == "multiscale" else f".{plan.method}")
    return held_folder(name, "probe", plan.digest, given)


@contextmanager
def held_folder(
    name: str, ending: str, digest: str, given: dict[str, Any], record: str = "run.json"
) -> Iterator[Path]:
    """A folder for files, held against other processes.

    Without --out it is NAME.ENDING, or the next of NAME-2.ENDING, NAME-3.ENDING ... that is free
    or holds this very plan, which `record` says. Another plan's --out is refused without --force.
    """
    from probe.show import mark_folder, open_folder
    from probe.show.holding import held

    for number in numbers(1):
        folder = Path(given["out"] or f"{name}{'' if number == 1 else f'-{number}'}.{ending}")
        before = open_folder(folder, record)
        if before is None or before == digest or given["force"]:
            break
        if given["out"]:
            raise UsageError(
                f"{printable(str(folder))} holds the results of another run: "
                "choose another --out, or --force to write over it"
            )
    shown = printable(str(folder))

    def taken(number: str) -> str:
        return (
            f"another probe{number} is writing {shown} right now: wait until it is done, or "
            "choose another --out"
        )

    with held(folder, taken):
        mark_folder(folder, digest)
        yield folder


def allow(
    line: str, calls: int, cost: float | None, host: str | None, given: dict[str, Any]
) -> None:
    """Nothing dear, and nothing to another machine, without a word."""
    if not given["quiet"] and _leaves_the_machine(host):
        click.echo(line, err=True)
    consent(line, calls, cost, given)


def consent(line: str, calls: int, cost: float | None, given: dict[str, Any]) -> None:
    """Ask before many calls that cost something; UsageError where nobody is there to say yes."""
    if calls <= MANY_CALLS or cost is None or given["yes"]:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{line}: that is dear; say --yes if it is meant")
    click.confirm(f"{line}. Go on?", abort=True, err=True)


def _leaves_the_machine(host: str | None) -> bool:
    if host is None:
        return False
    from probe.api.http import is_loopback

    return not is_loopback(f"//{host}")
