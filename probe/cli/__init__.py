"""The command line: one file a command, each thin. People read stderr, programs read stdout."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from probe import __version__
from probe.errors import OutputError, ProbeError, nearest

COMMANDS = {
    "occlude": "probe.cli.occlude",
    "crop": "probe.cli.crop",
    "plan": "probe.cli.plan",
    "variants": "probe.cli.variants",
    "judge": "probe.cli.judge",
    "redact": "probe.cli.redact",
    "compare": "probe.cli.compare",
    "deconv": "probe.cli.deconv",
    "evaluate": "probe.cli.evaluate",
    "report": "probe.cli.report",
    "score": "probe.cli.score",
    "audit": "probe.cli.audit",
    "providers": "probe.cli.providers",
    "studio": "probe.cli.studio",
    "serve": "probe.cli.serve",
    "ledger": "probe.cli.ledger",
}


class Commands(click.Group):
    """Imports a command's module when it is named; a typo gets the nearest name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[name]), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """A reader that went away (`| head`) is no error: what was asked is in the ledger."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}.{nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="probe")
@click.option("--debug", is_flag=True, help="Show a traceback with an error.")
def cli(debug: bool) -> None:
    """Show why a picture got its tags.

    Sends covered or cropped variants of a picture to a tagging service (or a local network) and
    turns the scores into a map of where the score comes from.

    Exit codes: 0 complete, 1 a bug, 2 usage, 3 ended with holes, 4 the service, 5 a limit,
    6 the picture, 7 ledger or disk, 130 interrupted, 143 terminated.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs a command and turns every error into one line and an exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    _mind_signals()
    try:
        code = cli.main(given, prog_name="probe", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        code = 2
    except click.ClickException as error:
        code = _report(given, error, error.format_message(), error.exit_code, _usage(error))
    except ProbeError as error:
        code = _report(given, error, str(error), error.exit_code, _again(given, error))
    except (click.Abort, KeyboardInterrupt) as error:
        cause = error.__cause__ or error  # click turns a KeyboardInterrupt into an Abort
        code = getattr(cause, "exit_code", 130)
        code = _report(given, cause, str(cause) or "interrupted", code, _again(given, cause))
    except OSError as error:
        said = f"cannot write the output: {error.strerror or error}"
        code = _report(given, error, said, OutputError.exit_code)
    except Exception as error:
        text = f"a bug of ours, {type(error).__name__}: {error} (--debug shows where)"
        code = _report(given, error, text, 1)
    sys.exit(code or 0)


def _mind_signals() -> None:
    """SIGTERM and a closed terminal end a command as Ctrl-C does, wherever it is."""
    from probe.signals import interrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, interrupt)


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f" (see `{context.command_path} --help`)" if context else ""


def _again(given: Sequence[str], error: BaseException) -> str:
    """How to go on after a stop that lost nothing."""
    from probe.text import printable

    if getattr(error, "partial", None) is None:
        return ""
    return printable(f"; to go on: {shlex.join(['probe', *given])}")


def _report(
    given: Sequence[str], error: BaseException, message: str, code: int, hint: str = ""
) -> int:
    from probe.api.secrets import redacted
    from probe.text import printable

    line = printable(redacted(" ".join(message.split())), 1000)
    if "--debug" in given:
        import traceback

        sys.stderr.write(redacted("".join(traceback.format_exception(error))))
    with suppress(OSError):
        click.echo(f"probe: {line}{hint}", err=True)
    if "--json" in given:
        about: dict[str, Any] = {"type": type(error).__name__, "message": line, "exit_code": code}
        with suppress(OSError):
            click.echo(json.dumps({"schema": 1, "error": about}))
    return code
