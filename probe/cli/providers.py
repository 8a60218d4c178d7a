"""`probe providers`: the services that are known, what each needs, and what one really does."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from probe.cli import options
from probe.errors import ContractError, OutputError, UsageError
from probe.text import count, pairs, printable

if TYPE_CHECKING:
    from probe.providers.detect import Detection

BAD = 4


class Subcommands(click.Group):
    """A mistyped one gets the nearest name."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        from probe.errors import nearest

        if args and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}.{nearest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


@click.group(cls=Subcommands, invoke_without_command=True)
@options.as_json
@options.debug
@click.pass_context
def providers(context: click.Context, as_json: bool, debug: bool) -> None:
    """List the services that --api knows by name: limits, price, and the variables they need.

    Keys come from environment variables alone. `show` says what is sent where, `check` finds out
    what a service really does, `detect` which contract an unknown server speaks.
    """
    if context.invoked_subcommand is not None:
        return
    from probe.cli.tables import list_of, record
    from probe.providers.known import providers as known

    found = known()
    if as_json:
        click.echo(json.dumps({"schema": 1, "providers": [record(one) for one in found]}))
    else:
        for line in list_of(found):
            click.echo(line)


@providers.command()
@click.argument("name", metavar="NAME|FILE.toml")
@options.settings
@options.as_json
@options.debug
def show(name: str, **given: Any) -> None:
    """Say what the service NAME needs and what goes where, and print its profile.

    Nothing is sent, and no key is shown.
    """
    from probe.cli.tables import page, record_of
    from probe.providers.known import details

    about = details(name, pairs(given["settings"], "--set"))
    if given["as_json"]:
        click.echo(json.dumps({"schema": 1, **record_of(about)}))
    else:
        for line in page(about):
            click.echo(line)


@providers.command()
@click.argument("name", metavar="NAME|URL|FILE.toml")
@click.argument("image", metavar="IMG", type=click.Path())
@options.picture
@click.option("--skip", multiple=True, metavar="CHECK", help="Leave one out: batch, rim, ...")
@options.connection
@options.yes
@options.as_json
@options.quiet
@options.debug
def check(name: str, image: str, skip: tuple[str, ...], **given: Any) -> int:
    """Find out what the service NAME does, with IMG and pictures made of it.

    Whether it repeats itself, keeps the order of a batch, takes the batch and the small pictures
    that it states, trims plain borders, and looks at the whole picture: each by the fewest calls.
    Give an IMG that scores high. Exit code 4 where it does not do what is stated.
    """
    from probe.cli.running import consent
    from probe.plan.words import at_most
    from probe.providers.asking import Desk
    from probe.providers.examine import examine, most_calls

    backend = options.make_backend(name, given)
    picture, limits = options.open_picture(image, given), backend.limits
    most = most_calls(limits, skip)
    line, cost = at_most(most, backend)
    if not given["quiet"]:
        click.echo(line, err=True)
    consent(line, most, cost, given)
    desk, found = Desk(backend), []
    trims = getattr(getattr(backend, "profile", None), "trims_borders", None)
    for one in examine(desk, limits, picture.image, skip, trims):
        found.append(one)
        if not given["as_json"]:
            click.echo(f"{one.check:9} {one.verdict:8} {printable(one.said, 300)} ({one.calls})")
    code = BAD if any(one.verdict == "bad" for one in found) else 0
    if given["as_json"]:
        rows = [
            {"check": one.check, "verdict": one.verdict, "said": one.said, "calls": one.calls}
            for one in found
        ]
        about = {"backend": backend.identity, "calls": desk.calls, "requests": desk.requests}
        click.echo(json.dumps({"schema": 1, **about, "checks": rows, "exit_code": code}))
    elif not given["quiet"]:
        click.echo(f"{desk.calls} calls in {desk.requests} requests", err=True)
    return code


@providers.command()
@click.argument("url", metavar="URL")
@click.argument("image", metavar="IMG", type=click.Path())
@options.picture
@click.option(
    "--max-calls",
    default=8,
    show_default=True,
    type=click.IntRange(min=0),
    help="Send IMG at most so often.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Where to write a starting profile; by default it is printed.",
)
@options.connection
@options.as_json
@options.quiet
@options.debug
def detect(url: str, image: str, max_calls: int, out: Path | None, **given: Any) -> int:
    """Find out which contract the server at URL speaks, and write a starting profile.

    What a server says of itself is asked for first, which is free; then IMG is sent by the
    contracts that are known, the likeliest first. No key is sent, not even to this machine: a
    server that wants one is said to. Exit code 4 when no contract fits.
    """
    from probe.providers.asking import Still
    from probe.providers.detect import detect as find

    if not given["quiet"]:
        click.echo(f"at most {count(max_calls, 'call')} to {printable(url, 100)}", err=True)
    picture = Still(options.open_picture(image, given).image)
    found = find(url, picture, options.connection_of(given), max_calls)
    if found.profile is not None and out is not None:
        _write(out, found.profile)
    if given["as_json"]:
        about = {
            "url": url,
            "contract": found.contract,
            "profile": found.profile,
            "scores": dict(found.scores or {}),
            "said": found.said,
            "tried": [{"contract": name, "said": said} for name, said in found.tried],
            "calls": found.calls,
            "files": [str(out)] if out and found.profile else [],
        }
        click.echo(json.dumps({"schema": 1, **about}))
    else:
        _tell(found, image, out, given["quiet"])
    if found.contract is None:
        raise ContractError(f"no contract that is known fits {printable(url, 100)}")
    return 0


def _tell(found: Detection, image: str, out: Path | None, quiet: bool) -> None:
    """What was tried and found, for people; the profile on stdout where no file takes it."""
    from probe.providers.detect import shown
    from probe.providers.drafts import BASE

    for name, said in found.tried:
        click.echo(f"tried {name}: {printable(said, 300)}", err=True)
    for said in found.said:
        click.echo(f"note: {printable(said, 300)}", err=True)
    if found.contract is None or quiet:
        return
    click.echo(f"{found.contract} fits: {shown(found)}".removesuffix(": "), err=True)
    if found.profile is not None and out is None:
        click.echo(found.profile, nl=False)
    if found.profile is None or out is not None:
        api, shown_image = shlex.quote(str(out) if out else found.url), shlex.quote(image)
        parts = urlsplit(found.url)
        typed = f"{BASE}={parts.scheme}://{parts.netloc} " if out else ""
        click.echo(printable(f"next: {typed}probe occlude {shown_image} --api {api}"), err=True)


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} exists: name a new file") from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
