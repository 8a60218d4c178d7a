"""Who scores: a local network, the skin filter, a function, a server, a filled-in table."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from probe.backends.function import from_callable
from probe.errors import UsageError, nearest
from probe.types import Backend

__all__ = ["NAMES", "from_callable", "resolve"]

Spec = str | os.PathLike[str] | Backend | Callable[..., Any]

NAMES = ("local", "skin")


def resolve(spec: Spec) -> Backend:
    """The backend that `spec` means: itself, a name, the URL of a server, or an ONNX file.

    Names are `local` (the default network) and `skin` (the 1996 skin filter). A bare path is
    enough for a copy of the default network's weights; any other needs its facts stated by
    `Onnx(path, labels=...)`. Raises UsageError for what is none of these.
    """
    if isinstance(spec, Backend):
        return spec
    if isinstance(spec, str | os.PathLike):
        return _named(os.fspath(spec))
    if callable(spec):
        raise UsageError("a function as backend needs its labels: from_callable(fn, labels=[...])")
    raise UsageError(
        "a backend is an object with score(), a name, a URL or the path of an ONNX file, "
        f"not {type(spec).__name__}"
    )


def _named(spec: str) -> Backend:
    if spec == "local":
        from probe.backends.local import local

        return local()
    if spec == "skin":
        from probe.backends.skin import Skin

        return Skin()
    if spec.lower().startswith(("http://", "https://")):
        from probe.backends.http import Http

        return Http(spec)
    if spec.lower().endswith(".onnx"):
        return _onnx(Path(spec))
    if Path(spec).exists():
        raise UsageError(f"{spec} is not an ONNX file; its name must end in .onnx")
    raise UsageError(
        f"no backend is called {spec!r}.{nearest(spec, NAMES)} "
        f"Known: {', '.join(NAMES)}, a URL (http://...), or the path of an .onnx file"
    )


def _onnx(path: Path) -> Backend:
    from hashlib import file_digest

    from probe.backends.local import SHA256, open_nsfw

    try:
        with path.open("rb") as file:
            known = file_digest(file, "sha256").hexdigest() == SHA256
    except OSError as error:
        raise UsageError(f"cannot read the network {path}: {error.strerror}") from error
    if known:
        return open_nsfw(path)
    raise UsageError(
        f"{path}: what the network takes and gives must be stated: "
        "Onnx(path, labels=[...], size=(w, h), layout=..., channels=..., scale=..., mean=...)"
    )
