"""`probe ledger`: look at, check, copy and clean the database of answers."""

from __future__ import annotations

import json
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from probe.ledger.place import Place

location = click.option(
    "--ledger",
    "path",
    type=click.Path(),
    envvar="PROBE_LEDGER",
    help="The ledger's file, or postgresql://USER@HOST/DATABASE; default: $PROBE_LEDGER, else in "
    "the user's data folder.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
sure = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def ledger() -> None:
    """Look at, check, copy and clean the database of answers."""


@ledger.command()
@location
@as_json
def stats(path: str | None, as_json: bool) -> None:
    """Say what the ledger holds."""
    from probe.ledger import stats
    from probe.text import printable

    place = _chosen(path)
    found = stats(place)
    if as_json:
        hosts = {host or "": count for host, count in found.hosts.items()}
        _print_json(
            ledger=str(place),
            version=found.schema,
            answers=found.answers,
            pictures=found.pictures,
            unread=found.unread,
            outstanding=found.outstanding,
            bytes=found.bytes,
            log=found.log,
            backends=found.backends,
            hosts=hosts,
            first=found.first and found.first.isoformat(),
            last=found.last and found.last.isoformat(),
        )
        return
    click.echo(f"{printable(str(place))}: {found.bytes / 1e6:.1f} MB, schema {found.schema}")
    click.echo(f"{found.answers} answers about {found.pictures} pictures")
    if found.first and found.last:
        click.echo(f"from {found.first:%Y-%m-%d %H:%M} to {found.last:%Y-%m-%d %H:%M} UTC")
    if found.log:
        log = printable(f"{getattr(place, 'name', '')}-wal")
        click.echo(f"in use: part of it is in {log}; to copy it, use `probe ledger export`")
    if found.outstanding:
        click.echo(f"{found.outstanding} sent and never answered, perhaps billed")
    if found.unread:
        click.echo(f"{found.unread} bodies that could not be read are kept for a better profile")
    for backend, count in found.backends.items():
        click.echo(f"{count:8} by {printable(backend, 160)}")
    for host, count in found.hosts.items():
        click.echo(f"{count:8} from {printable(host) if host else 'this machine'}")


@ledger.command()
@location
@as_json
def verify(path: str | None, as_json: bool) -> None:
    """Check the file and every row against its checksum; exit 7 when something is damaged."""
    from probe.errors import LedgerError
    from probe.ledger import verify
    from probe.text import printable

    place = _chosen(path)
    health = verify(place)
    if as_json:
        _print_json(
            ledger=str(place),
            ok=health.ok,
            answers=health.answers,
            damaged=health.damaged,
            bodies=health.bodies,
            problems=list(health.problems),
        )
    else:
        click.echo(
            f"{health.answers} answers are good, {health.damaged} damaged, "
            f"{health.bodies} bodies damaged"
        )
        for problem in health.problems:
            click.echo(printable(problem), err=True)
    if not health.ok:
        remedy = "recover NEW` copies" if isinstance(place, Path) else "export` writes"
        raise LedgerError(f"the ledger {place} is damaged: `probe ledger {remedy} what is good")


@ledger.command()
@location
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="A new file; default: stdout."
)
def export(path: str | None, form: Any, output: Path | None) -> None:
    """Write every answer as JSON lines (with raw bodies) or as CSV (a row a label).

    JSON lines hold the bodies that could not be read, too; their scores are null.
    """
    from probe.errors import OutputError
    from probe.ledger import export as write

    place = _chosen(path)
    if output is None or str(output) == "-":
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
        done = write(place, sys.stdout, form)
    else:
        try:
            with open(output, "x", encoding="utf-8", errors="backslashreplace", newline="") as file:
                done = write(place, file, form)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"cannot write {output}: {reason}; name a new file") from error
    unread = f" and {done.unread} unread bodies" if done.unread else ""
    click.echo(
        f"{done.answers} answers{unread} exported, {done.damaged} damaged ones left out", err=True
    )


@ledger.command()
@location
@click.argument("new", type=click.Path(path_type=Path))
def recover(path: str | None, new: Path) -> None:
    """Copy every good answer to the file NEW; the ledger itself is only read."""
    from probe.ledger import recover

    place = _chosen(path)
    done = recover(place, new)
    lost = "nobody can tell how many" if done.lost is None else done.lost
    click.echo(f"{done.kept} answers copied, {lost} could not be read")
    if done.unread:
        click.echo(f"{done.unread} bodies are kept for a profile that can read them")
    click.echo(f"next: mv {new} {place} (move the old one away first, with its -wal and -shm)")


@ledger.command()
@location
@click.option("--older-than", "days", type=click.FloatRange(min=0), metavar="DAYS")
@click.option("--backend", help="The identity that `stats` shows.")
@sure
def prune(path: str | None, days: float | None, backend: str | None, yes: bool) -> None:
    """Remove answers that are older than DAYS, by one backend, or both."""
    from datetime import timedelta

    from probe.ledger import prune

    place = _chosen(path)
    _ask(f"Remove answers from {place}? They were paid for.", yes)
    older_than = None if days is None else timedelta(days=days)
    _report(prune(place, older_than=older_than, backend=backend))


@ledger.command()
@location
@click.option("--picture", metavar="IMG", help="A picture's file ('-' for stdin).")
@click.option("--digest", help="A picture's digest, when its file is gone.")
@click.option("--host", help="A service's host, as `stats` shows it.")
@sure
def erase(
    path: str | None, picture: str | None, digest: str | None, host: str | None, yes: bool
) -> None:
    """Remove all that is known of a picture or from a host, so that no byte of it is left.

    Backups that older versions left beside the ledger are deleted, too.
    """
    from probe.errors import UsageError
    from probe.ledger import erase

    if sum(given is not None for given in (picture, digest, host)) != 1:
        raise UsageError("give one of --picture IMG, --digest DIGEST, --host HOST")
    place = _chosen(path)
    if picture is not None:
        from probe.image import open_image

        digest = open_image(picture).digest
    _ask(f"Erase {picture or digest or host} from {place}? The answers were paid for.", yes)
    _report(erase(place, image=digest, host=host))


def _chosen(path: str | None) -> Place:
    from probe.ledger import default_path, place_of

    return place_of(path) if path else default_path()


def _ask(question: str, yes: bool) -> None:
    from probe.errors import UsageError
    from probe.text import printable

    if yes:
        return
    if not _somebody_there():
        raise UsageError("nobody is there to confirm this: add --yes")
    click.confirm(printable(question), abort=True, err=True)


def _somebody_there() -> bool:
    return sys.stdin.isatty()


def _report(removed: Any) -> None:
    click.echo(f"{removed.answers} answers removed")


def _print_json(**values: Any) -> None:
    click.echo(json.dumps({"schema": 1, **values}))
