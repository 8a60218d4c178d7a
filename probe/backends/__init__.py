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

    Names are `local` (the default network) and `skin` (the 1996 skin filter). What another
    network takes and gives is stated in a TOML file of its name beside it, with the arguments
    of `Onnx` as keys; a copy of the default network's weights needs none. Raises UsageError for
    what is none of these.
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
        from probe.backends.onnx_file import from_file

        return from_file(Path(spec))
    if Path(spec).exists():
        raise UsageError(f"{spec} is not an ONNX file; its name must end in .onnx")
    if ":" in spec:
        raise UsageError(f"no backend is called {spec!r}: a server is named by http://{spec}")
    raise UsageError(
        f"no backend is called {spec!r}.{nearest(spec, NAMES)} "
        f"Known: {', '.join(NAMES)}, a URL (http://...), or the path of an .onnx file"
    )
