"""The profiles that there are: those shipped, and the user's own in the config folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from probe.api.addresses import is_loopback
from probe.api.profile import grammar
from probe.api.profile.records import Profile
from probe.api.profile.settings import ENV, Settings
from probe.errors import ProfileError, nearest
from probe.text import printable

SHIPPED = Path(__file__).parents[2] / "profiles"

_HOLE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")


def names() -> tuple[str, ...]:
    """The names of all profiles, sorted; the user's own are among them."""
    return tuple(sorted({path.stem for folder in _folders() for path in folder.glob("*.toml")}))


def source_of(name: str) -> Path:
    """The file of a profile by its name; one of the user's goes before one that is shipped."""
    known = names()
    for folder in _folders():
        path = folder / f"{name}.toml"
        if name in known and path.is_file():
            return path
    raise ProfileError(
        f"no profile is called {printable(name, 60)!r}.{nearest(name, known)} "
        f"Known: {', '.join(known)}; or give the path of a .toml file"
    )


def load(spec: str, vars: Mapping[str, str] = {}) -> Profile:
    """The profile that `spec` names, or the one in the file at `spec` (ending in .toml).

    vars: values in place of the defaults of its [vars]. Raises ProfileError.
    """
    path = Path(spec) if spec.endswith(".toml") else source_of(spec)
    profile = grammar.parse(_read(path), str(path))
    own = profile.vars or {}
    for name, value in vars.items():
        if name not in own:
            raise ProfileError(
                f"{profile.name} has no variable {printable(name, 60)!r}.{nearest(name, own)} "
                f"Known: {', '.join(own) or 'none'}"
            )
        if not value or not value.isprintable():
            raise ProfileError(f"{name}={printable(value, 60)!r}: expected a text of one line")
    return replace(profile, vars={**own, **vars})


def at(url: str) -> list[Profile]:
    """The profiles whose own URL has the path of `url`: spoken to there, with their variables
    taken from it. The one that says most of the path itself comes first.
    Sends nothing.

    A profile with a key is only found on this machine and on its own host: a key goes nowhere
    else because of how a path looks. Its variable for the address says where else it may go.
    """
    try:
        urlsplit(url)
    except ValueError:
        return []
    whole = [profile for name in names() if (profile := _whole(name))]
    found = [there for profile in whole if (there := _there(profile, url))]
    return sorted(found, key=lambda there: sum(map(len, (there.vars or {}).values())))


def _folders() -> tuple[Path, ...]:
    from platformdirs import user_config_dir

    return (Path(user_config_dir("probe")) / "profiles", SHIPPED)


def _read(path: Path) -> str:
    shown = printable(str(path))
    if not path.is_file():
        raise ProfileError(f"{shown}: no such file")
    try:
        with path.open("rb") as file:
            return file.read(grammar.LARGEST + 1).decode("utf-8")
    except UnicodeDecodeError:
        raise ProfileError(f"{shown}: not TOML: it is no UTF-8") from None
    except OSError as error:
        raise ProfileError(f"cannot read {shown}: {error.strerror}") from None


def _whole(name: str) -> Profile | None:
    """A broken profile of the user's says nothing about a URL."""
    try:
        return load(name)
    except ProfileError:
        return None


def _there(profile: Profile, url: str) -> Profile | None:
    """The profile as it is spoken to at `url`, None where that is not one of its addresses."""
    parts, usual = urlsplit(url), urlsplit(_usual(profile.request.url))
    at_home = parts[:2] == usual[:2]
    has_key = any(one.secret for one in Settings(profile, {}).variables)
    if has_key and not at_home and not is_loopback(url):
        return None
    match = re.fullmatch(_pattern(usual.path), parts.path)
    if match is None or not (at_home or _HOLE.sub("", usual.path).strip("/")):
        return None
    base = f"{parts.scheme}://{parts.netloc}"
    token = profile.request.token
    if token is not None:
        token = replace(token, url=f"{base}{urlsplit(_usual(token.url)).path}")
    request = replace(profile.request, url=f"{base}{usual.path}", token=token)
    own = {name: unquote(value) for name, value in match.groupdict().items()}
    return replace(profile, request=request, vars={**(profile.vars or {}), **own})


def _pattern(path: str) -> str:
    """A regular expression for the path, with a group for each variable."""
    names: set[str] = set()
    pattern = ""
    for i, piece in enumerate(_HOLE.split(path)):
        if i % 2 == 0:
            pattern += re.escape(piece)
        else:
            pattern += f"(?P={piece})" if piece in names else f"(?P<{piece}>.+)"
            names.add(piece)
    return pattern


def _usual(url: str) -> str:
    """The URL with the defaults of its environment variables; a host without one is empty."""
    return re.sub(ENV, lambda match: match["default"] or "", url)
