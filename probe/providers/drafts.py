"""Starting profiles: a shipped one led to another server, or one made from a single answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from probe.api.profile.settings import ENV
from probe.providers.guess import Guess

BASE = "DETECTED_BASE"
"""The variable in which a starting profile takes another address."""

UNREAD = Guess(pairs="@")
"""Holds the place of a reading that is not known yet."""

_HEADER = re.compile(r"^\s*\[([^\[\]]+)\]\s*(?:#.*)?$")


def path_of(url: str) -> str:
    """The path of a profile's URL, its `{var}`s as they are."""
    usual = re.sub(ENV, lambda match: match["default"] or "", url)
    return re.sub(r"^https?://[^/]*", "", usual)


def led_to(text: str, base: str, path: str, vars: Mapping[str, str]) -> str:
    """The profile `text` for the server at `base`, with these values of its variables.

    What it says of the service's price, threshold and sources is left out.
    """

    def led(table: str, key: str, line: str) -> str | None:
        match table, key:
            case "", "price" | "source" | "threshold":
                return None
            case "price", _:
                return None
            case "request", "url":
                return f"url = {_text(_address(base) + path)}"
            case "vars", _ if key in vars:
                return f"{key} = {_text(vars[key])}"
        return line

    return _edited(text, led)


def with_input(text: str, name: str) -> str:
    """The profile with another name for the tensor that takes the pictures."""

    def named(table: str, key: str, line: str) -> str:
        inside = json.dumps(name) if "'" not in name else '"image"'
        return line.replace('"name": "image"', f'"name": {inside}') if key == "template" else line

    return _edited(text, named)


def relabelled(text: str, labels: Sequence[str]) -> str:
    """The profile with these static labels; what it derives from its own is left out."""

    def named(table: str, key: str, line: str) -> str | None:
        if table in ("nsfw", "sfw"):
            return None
        return f"labels = {_json(labels)}" if (table, key) == ("response", "labels") else line

    return _edited(text, named)


def softmaxed(text: str) -> str:
    """The profile for a network that answers with logits."""
    return re.sub(r"^(\[response\].*)$", r'\1\nactivation = "softmax"', text, flags=re.MULTILINE)


def _edited(text: str, edit: Callable[[str, str, str], str | None]) -> str:
    """The TOML with `edit(table, key, line)` for every line; None leaves it out."""
    lines, table = [], ""
    for line in text.splitlines():
        if header := _HEADER.match(line):
            table = header[1].strip()
        key = line.partition("=")[0].strip() if "=" in line else ""
        edited = edit(table, key, line)
        lines += [] if edited is None else [edited]
    return "\n".join(lines).strip() + "\n"


def made_up(base: str, path: str, request: Mapping[str, str], guess: Guess) -> str:
    """A profile for one picture a request, with what one answer lets guess.

    request: `body` and what that kind of body needs, as in [request].
    """
    reading = {"pairs": guess.pairs, "labels": guess.labels, "scores": guess.scores}
    lines = [
        'name = "detected"',
        'doc = "guessed from one answer: look at every line"',
        "",
        "[request]",
        'method = "POST"',
        f"url = {_text(_address(base) + path)}",
        *(f"{key} = {_text(value)}" for key, value in request.items()),
        *(['headers = { Content-Type = "{mime}" }'] if request["body"] == "raw" else []),
        "",
        "[response]",
        'results = "[@]"',
        *(f"{key} = {_value(value)}" for key, value in reading.items() if value is not None),
        "",
        "[scores]",
        f"divide = {guess.divide:g}",
        "missing = 0.0",
        "",
        "[limits]",
        "max_batch = 1",
        "concurrency = 1",
    ]
    return "\n".join(lines) + "\n"


def _address(base: str) -> str:
    return f"${{{BASE}:-{base}}}"


def _value(value: str | tuple[str, ...]) -> str:
    return _text(value) if isinstance(value, str) else _json(value)


def _text(value: str) -> str:
    """A text of TOML: literal where it can be, else escaped as JSON does, which TOML reads."""
    plain = value.isprintable() and "'" not in value
    return f"'{value}'" if plain and ('"' in value or "\\" in value) else _json(value)


def _json(value: str | Sequence[str]) -> str:
    """What JSON and TOML write alike; half a surrogate pair, which neither has, becomes `?`."""
    text = json.dumps(value if isinstance(value, str) else list(value), ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8")
