"""A request that came in, the pictures it holds, and the answer that goes out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from probe.errors import ProbeError

Broken = Literal["reset", "cut"]

MAX_REQUEST = 64 * 2**20
"""Bytes of a request's body."""


class Refusal(ProbeError):
    """The request as a whole is turned away: `case` names one of the service's errors.

    detail: what was wrong, for the message. values: what else its error body may name.
    """

    def __init__(self, case: str, detail: str = "", **values: Any) -> None:
        super().__init__(detail or case)
        self.case = case
        self.detail = detail
        self.values = values


@dataclass(frozen=True)
class Asked:
    """headers: by lower-case name, the last of several. target: path and query as sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @cached_property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @cached_property
    def query(self) -> Mapping[str, str]:
        found = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: values[-1] for name, values in found.items()}

    @cached_property
    def document(self) -> Any:
        """The body as JSON; raises Refusal where it is none."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise Refusal("request", "JSON nested too deep") from None
        except ValueError:
            raise Refusal("request", "the body is not JSON") from None


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture of a request: its bytes, or None and why there are none.

    id: by which the client calls it, where it does. item: the part of the request it came in.
    """

    data: bytes | None
    why: str = ""
    id: str | None = None
    item: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Said:
    """calls: pictures that were scored for it. broken: how the connection ends instead."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    calls: int = 0
    broken: Broken | None = None
