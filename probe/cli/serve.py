"""probe serve: a tagging server on this machine that speaks every known service."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from probe.types import Backend, Region


class PlantType(click.ParamType["tuple[str, Region]"]):
    """`nsfw=.2,.2,.5,.5`: a label, and x0,y0,x1,y1 in fractions of the picture."""

    name = "label=x0,y0,x1,y1"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Region]:
        label, _, region = value.rpartition("=")
        try:
            x0, y0, x1, y1 = map(float, region.split(","))
        except ValueError:
            self.fail(f"{value!r}: give a label and four fractions: nsfw=.2,.2,.5,.5", param, ctx)
        if not label:
            self.fail(f"{value!r}: give a label before the region: nsfw={region}", param, ctx)
        return label, (x0, y0, x1, y1)


@click.command()
@click.argument("backend", required=False, metavar="[local|skin|FILE.onnx]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0 takes any free one.",
)
@click.option(
    "--plant",
    type=PlantType(),
    multiple=True,
    help="Instead of a model, score how much of this region is still as in the picture first "
    "seen: nsfw=.2,.2,.5,.5. Several labels: several times.",
)
@click.option(
    "--faults",
    default="",
    metavar="KIND=CHANCE,...",
    help="What goes wrong on purpose: 429=0.1,503=0.02x3,reset=0.05,latency=0.2,quota=500; "
    "all=0.2 is some of everything.",
)
@click.option("--seed", default=0, show_default=True, help="Of the faults.")
@click.option(
    "--key-env", metavar="VARIABLE", help="The variable with the key that requests must have."
)
@click.option(
    "--env",
    "names",
    multiple=True,
    metavar="SERVICE",
    help="Print the variables that point a client of this service here.",
)
@click.option("--list", "listing", is_flag=True, help="List the services that are spoken.")
@click.option("--quiet", "-q", is_flag=True, help="Do not say where it listens.")
@click.option("--debug", is_flag=True, help="Show a traceback with an error.")
def serve(
    backend: str | None,
    host: str,
    port: int,
    plant: tuple[tuple[str, Region], ...],
    faults: str,
    seed: int,
    key_env: str | None,
    names: tuple[str, ...],
    listing: bool,
    quiet: bool,
    debug: bool,
) -> int:
    """Serve a model on this machine, as every known service, until Ctrl-C.

    The model is the local network, the skin filter, an ONNX file, or a planted region. Services
    answer at their own paths, in their own form, within their own limits.

    In another terminal: probe occlude IMG --api http://127.0.0.1:8000
    """
    from probe.mock import Faults, Server, serve_forever

    if listing:
        _list()
        return 0
    key = _key(key_env)
    _check_names(names)
    model, shown = _model(backend, dict(plant))

    def ready(server: Server) -> None:
        if not quiet:
            click.echo(f"serving {shown} at {server.url} (Ctrl-C ends it)")
            click.echo(f"try: probe occlude IMG --api {server.url}", err=True)
        for exports in (_exports(name, server.url, key_env) for name in names):
            if exports:
                click.echo(f"export {exports}")

    try:
        serve_forever(model, host, port, ready, faults=Faults.parse(faults, seed), key=key)
    except KeyboardInterrupt:
        if not quiet:
            click.echo("stopped", err=True)
    return 0


def _model(backend: str | None, plant: dict[str, Region]) -> tuple[Backend, str]:
    from probe.backends import resolve
    from probe.errors import UsageError
    from probe.mock import PlantedTarget

    if not plant:
        return resolve(backend or "local"), backend or "local"
    if backend is not None:
        raise UsageError(f"--plant is served instead of a model: leave out {backend!r} or --plant")
    return PlantedTarget(plant), "a planted " + " and ".join(plant)


def _key(variable: str | None) -> str | None:
    from probe.errors import UsageError

    if variable is None:
        return None
    value = os.environ.get(variable, "").strip()
    if not value:
        raise UsageError(f"--key-env: the environment variable {variable} is not set")
    return value


def _check_names(names: tuple[str, ...]) -> None:
    from probe.errors import UsageError, nearest
    from probe.mock.environment import spoken

    for name in names:
        if name not in spoken():
            known = ", ".join(sorted(spoken()))
            raise UsageError(
                f"--env: no service is called {name!r}.{nearest(name, spoken())} Known: {known}"
            )


def _exports(name: str, url: str, key_env: str | None) -> str:
    """The variables as a shell takes them; a key is named by its variable, never shown."""
    from probe.mock.environment import ANY, environment

    given = environment(url, ANY, name)
    key = f'"${key_env}"' if key_env else ANY
    return " ".join(
        f"{variable}={key if value == ANY else shlex.quote(value)}"
        for variable, value in given.items()
    )


def _list() -> None:
    from probe.mock.environment import spoken

    for name, about in sorted(spoken().items()):
        click.echo(f"{name:24}{about}".rstrip())
