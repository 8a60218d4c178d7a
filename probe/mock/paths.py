"""Paths of a service: a URL with variables turned into what is matched against a request's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_ENV = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_VAR = re.compile(r"\{(\w+)\}")


def base_of(url: str) -> tuple[str, str] | None:
    """The variable that a profile's URL begins with and the path of its default, if it has one.

    >>> base_of("${OPENAI_BASE_URL:-https://api.openai.com/v1}/moderations")
    ('OPENAI_BASE_URL', '/v1')
    """
    found = _ENV.match(url)
    return (found[1], urlsplit(found[2] or "").path) if found else None


def path_of(url: str) -> str:
    """The path of a profile's URL, with its `{variables}`.

    >>> path_of("${OPENAI_BASE_URL:-https://api.openai.com/v1}/moderations")
    '/v1/moderations'
    """
    found = _ENV.match(url)
    whole = (found[2] or "http://host") + url[found.end() :] if found else url
    return urlsplit(whole).path


@dataclass(frozen=True)
class Pattern:
    """A path with variables; one whose default holds a slash may span several segments."""

    path: str
    regex: re.Pattern[str]

    @classmethod
    def of(cls, path: str, defaults: Mapping[str, str] | None = None) -> Pattern:
        defaults = defaults or {}
        pieces, at = [], 0
        for hole in _VAR.finditer(path):
            wide = "/" in defaults.get(hole[1], "")
            pieces += [re.escape(path[at : hole.start()]), f"(?P<{hole[1]}>{_run(wide)})"]
            at = hole.end()
        pieces.append(re.escape(path[at:].rstrip("/")))
        return cls(path, re.compile("".join(pieces) + "/?"))

    def match(self, path: str) -> dict[str, str] | None:
        found = self.regex.fullmatch(path)
        return found.groupdict() if found else None

    @property
    def literal(self) -> int:
        """How many characters must be just so: the more, the surer the match."""
        return len(_VAR.sub("", self.path))

    def shared(self, path: str) -> int:
        """How many leading segments of `path` are this pattern's own."""
        count = 0
        for own, given in zip(self.path.split("/")[1:], path.split("/")[1:], strict=False):
            if own != given or not own:
                break
            count += 1
        return count


def _run(wide: bool) -> str:
    return ".+?" if wide else "[^/]+?"
