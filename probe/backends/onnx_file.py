"""An ONNX file on the command line: what it takes and gives is stated in a TOML file beside it."""

from __future__ import annotations

import tomllib
from hashlib import file_digest
from pathlib import Path
from typing import Any

from probe.backends.local import SHA256, open_nsfw
from probe.backends.onnx import Onnx
from probe.errors import UsageError, nearest

KEYS: dict[str, tuple[type, ...]] = {
    "labels": (list,),
    "size": (list,),
    "resize": (list, int),
    "filter": (str,),
    "jpeg": (int,),
    "channels": (str,),
    "layout": (str,),
    "scale": (float, int),
    "mean": (list,),
    "std": (list,),
    "activation": (str,),
    "question": (str,),
    "threads": (int,),
}
"""The arguments of `Onnx`, and what TOML may give for them."""


def from_file(path: Path) -> Onnx:
    """The network at `path`, with the arguments that `path` with the ending .toml states.

    A copy of the default network's weights needs no such file. Raises UsageError.
    """
    facts = path.with_suffix(".toml")
    if facts.exists():
        return Onnx(path, **_stated(facts))
    try:
        with path.open("rb") as file:
            known = file_digest(file, "sha256").hexdigest() == SHA256
    except OSError as error:
        raise UsageError(f"cannot read the network {path}: {error.strerror}") from error
    if known:
        return open_nsfw(path)
    raise UsageError(
        f"{path}: state what the network takes and gives in {facts.name} beside it "
        f"({', '.join(KEYS)}), or call Onnx(path, labels=[...], ...)"
    )


def _stated(facts: Path) -> dict[str, Any]:
    try:
        stated = tomllib.loads(facts.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {facts}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{facts} is not TOML: {error}") from error
    for name, value in stated.items():
        if name not in KEYS:
            raise UsageError(
                f"{facts}: no key {name!r}.{nearest(name, KEYS)} Known: {', '.join(KEYS)}"
            )
        if not isinstance(value, KEYS[name]) or isinstance(value, bool):
            expected = " or ".join(kind.__name__ for kind in KEYS[name])
            raise UsageError(f"{facts}: {name} must be {expected}, not {value!r}")
        _check_items(facts, name, value)
    if "labels" not in stated:
        raise UsageError(f"{facts}: labels is missing, a list with a name for each output")
    return {name: tuple(v) if isinstance(v, list) else v for name, v in stated.items()}


def _check_items(facts: Path, name: str, value: Any) -> None:
    wanted: tuple[type, ...] = {"labels": (str,), "mean": (float, int), "std": (float, int)}.get(
        name, (int,)
    )
    if isinstance(value, list) and not all(type(item) in wanted for item in value):
        raise UsageError(f"{facts}: {name} must hold {wanted[0].__name__} values, not {value!r}")
