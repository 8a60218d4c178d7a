"""A command in the words it was given in, to be repeated."""

from __future__ import annotations

import os
import shlex
from typing import Any

import click

from probe.cli.values import length_text

ASIDE = (
    *("out", "force", "dry_run", "yes", "as_json", "quiet", "verbose", "debug", "report"),
    *("preview", "offline", "max_calls", "max_cost", "max_time"),
)
"""Options that change nothing about what is asked, and are for one time."""


def as_given(*left_out: str, bare: bool = False) -> str:
    """The options of this command as they were typed, but for those of ASIDE and `left_out`.

    bare: of files only the names.
    """
    context = click.get_current_context()
    words = []
    for parameter in context.command.params:
        name = parameter.name or ""
        typed = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if not isinstance(parameter, click.Option) or not typed or name in (*ASIDE, *left_out):
            continue
        value, flag = context.params[name], parameter.opts[0]
        if parameter.is_flag:
            words.append(flag)
        else:
            for one in value if parameter.multiple else [value]:
                said = length_text(one)
                words += [flag, _base(parameter, said) if bare else said]
    return "".join(f" {shlex.quote(word)}" for word in words)


def command_of(image: str) -> str:
    """The command that asks the same of this picture again, without the places of files: it is
    kept in files that are handed on."""
    context = click.get_current_context()
    shown = shlex.quote(image if image == "-" else os.path.basename(image))
    return f"probe {context.command.name} {shown}{as_given('ledger', bare=True)}"


def _base(parameter: Any, value: str) -> str:
    is_file = isinstance(parameter.type, click.Path) or parameter.name in ("api", "apis")
    return os.path.basename(value) if is_file and os.path.exists(value) else value
