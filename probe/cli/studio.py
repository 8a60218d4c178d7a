"""probe studio: a page on this machine that shows the map while it grows."""

from __future__ import annotations

import logging
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from probe.cli import options

if TYPE_CHECKING:
    from probe.studio.server import Server


@click.command()
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Of the page, on this machine alone; any free one here.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option(
    "--ledger",
    type=click.Path(),
    envvar="PROBE_LEDGER",
    help="The file that answers are kept in; pictures and runs are kept beside it.",
)
@options.reach
@options.quiet
@options.debug
def studio(port: int, no_browser: bool, ledger: str | None, quiet: bool, **given: Any) -> int:
    """Open a page to probe pictures, watch maps grow, compare and redact, until Ctrl-C.

    It asks by the same functions as the other commands, shows what a run costs before it is paid,
    and is reachable from this machine alone, by the address that is printed. What was uploaded and
    found is kept in LEDGER.studio, beside the ledger.
    """
    from probe.errors import UsageError
    from probe.ledger import Server as DatabaseServer
    from probe.ledger import default_path, place_of
    from probe.studio import serve_forever

    if given["debug"]:
        logging.basicConfig(format="%(name)s: %(message)s")
        logging.getLogger("probe.studio").setLevel(logging.DEBUG)

    def ready(server: Server) -> None:
        click.echo(f"studio at {server.url} (Ctrl-C ends it)")
        if not no_browser:
            page = server.doorway.resolve().as_uri()
            Thread(target=webbrowser.open, args=(page,), daemon=True).start()

    where = place_of(ledger) if ledger else default_path()
    if isinstance(where, DatabaseServer):
        raise UsageError(
            "studio keeps pictures and runs beside a ledger's file: give --ledger FILE"
        )
    connection = options.connection_of(given)
    try:
        with _without_advice():
            serve_forever(where, port, connection, ready)
    except KeyboardInterrupt:
        if not quiet:
            click.echo("stopped; what had arrived is saved", err=True)
    return 0


@contextmanager
def _without_advice() -> Iterator[None]:
    """What a stopped run says to who pressed Ctrl-C is not for who clicked Stop."""
    runs = logging.getLogger("probe.loop")
    before = runs.level
    runs.setLevel(logging.ERROR)
    try:
        yield
    finally:
        runs.setLevel(before)
