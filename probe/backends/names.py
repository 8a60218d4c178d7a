"""What a name, a URL, a file or an object means as a backend."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import getattr_static
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from probe.errors import UsageError, nearest
from probe.types import Backend

if TYPE_CHECKING:
    from probe.api.profile.records import Profile
    from probe.backends.connection import Connection

Spec = str | os.PathLike[str] | Backend | Callable[..., Any]

NAMES = ("local", "skin")


def service(name: str, **vars: str) -> Backend:
    """A tagging service: a profile's name or file, `rekognition`, or the URL of a server.

    vars: the profile's own variables, such as model="...". Keys come from the environment
    variables that the profile names; `probe providers` lists them.
    """
    return resolve(name, vars)


def resolve(
    spec: Spec, vars: Mapping[str, str] | None = None, connection: Connection | None = None
) -> Backend:
    """The backend that `spec` means: itself, a name, a file or the URL of a server.

    Names are `local` (the default network), `skin` (the 1996 skin filter), `rekognition`, and those
    of profiles; a profile's file ends in .toml. A URL is read by the profile that knows its path,
    else by the project's own contract. An ONNX file states what the network takes and gives in a
    TOML file of its name beside it, with the arguments of `Onnx` as keys; a copy of the default
    network's weights needs none.

    vars: variables of a profile or of Rekognition. connection: patience, certificates.

    Raises UsageError for what is none of these, and for variables that it does not have.
    """
    if isinstance(spec, str | os.PathLike):
        name, given = os.fspath(spec), dict(vars or {})
        remote = _remote(name, given, connection)
        if remote is None and given:
            raise UsageError(f"{name} has no variables to set: {', '.join(given)}")
        return _local(name) if remote is None else remote
    if vars:
        raise UsageError(f"a {type(spec).__name__} has no variables to set: {', '.join(vars)}")
    if _is_backend(spec):
        return spec
    if callable(spec):
        raise UsageError("a function as backend needs its labels: from_callable(fn, labels=[...])")
    raise UsageError(
        "a backend is an object with score(), a name, a URL or the path of an ONNX file, "
        f"not {type(spec).__name__}"
    )


def _is_backend(spec: object) -> TypeGuard[Backend]:
    """As isinstance, mostly without reading properties: a server would be asked at once."""
    parts, absent = ("identity", "limits", "score"), object()
    stated = all(getattr_static(spec, part, absent) is not absent for part in parts)
    return stated or isinstance(spec, Backend)


def _remote(spec: str, vars: dict[str, str], connection: Connection | None) -> Backend | None:
    """The service that is meant, None where it is none."""
    if spec in NAMES or spec.lower().endswith(".onnx"):
        return None
    if spec == "rekognition":
        from probe.backends.rekognition import Rekognition

        return Rekognition(vars, connection)
    if spec.lower().startswith(("http://", "https://")):
        return _at(spec, vars, connection)
    from probe.api.profile import catalogue
    from probe.backends.service import Service

    if spec in catalogue.names():
        return Service(catalogue.load(spec, vars), connection=connection, trusted=True)
    if spec.lower().endswith(".toml"):
        return Service(catalogue.load(spec, vars), connection=connection)
    return None


def _at(url: str, vars: dict[str, str], connection: Connection | None) -> Backend:
    """The server at a URL: by the profile that knows the path, else by the own contract."""
    from probe.api.http import checked_url
    from probe.api.profile import catalogue
    from probe.backends.connection import Connection
    from probe.backends.http import Http
    from probe.backends.service import Service

    checked_url(url)
    known = catalogue.at(url)
    if not known:
        if vars:
            raise UsageError(
                f"no profile knows the path of {url}, so {', '.join(vars)} mean nothing"
            )
        connection = connection or Connection()
        return Http(url, timeout=connection.timeout, ca_file=connection.ca_file)
    chosen = _chosen(known, url)
    catalogue.load(chosen.name, vars)  # refuses a variable that it does not have
    profile = replace(chosen, vars={**(chosen.vars or {}), **vars})
    others = [one.name for one in known if one.name != chosen.name]
    hint = (
        f"; {' and '.join(others)} can be spoken there, too: "
        f"`probe providers detect {url} IMG` finds out"
    )
    return Service(profile, connection=connection, trusted=True, hint=hint if others else "")


def _chosen(known: list[Profile], url: str) -> Profile:
    """Where several profiles share a path, one that answers the question of the project, then
    one that speaks plain JSON; UsageError where that leaves several."""
    for better in (lambda one: one.nsfw is not None, lambda one: one.request.body == "json"):
        known = [one for one in known if better(one)] or known
    if len(known) > 1:
        names = " and ".join(one.name for one in known)
        raise UsageError(
            f"{names} share the path of {url}: name one, as `probe providers show {known[0].name}` "
            f"says, or let `probe providers detect {url} IMG` find out"
        )
    return known[0]


def _local(spec: str) -> Backend:
    if spec == "local":
        from probe.backends.local import local

        return local()
    if spec == "skin":
        from probe.backends.skin import Skin

        return Skin()
    if spec.lower().endswith(".onnx"):
        from probe.backends.onnx_file import from_file

        return from_file(Path(spec))
    if Path(spec).exists():
        raise UsageError(
            f"{spec} is not an ONNX file, nor a profile: its name must end in .onnx or .toml"
        )
    if ":" in spec:
        raise UsageError(f"no backend is called {spec!r}: a server is named by http://{spec}")
    from probe.api.profile import catalogue

    known = (*NAMES, "rekognition", *catalogue.names())
    raise UsageError(
        f"no backend is called {spec!r}.{nearest(spec, known)} `probe providers` lists the "
        f"services; there are also {', '.join(NAMES)}, a URL (http://...), and the path of an "
        ".onnx or .toml file"
    )
