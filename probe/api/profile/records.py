"""What a profile says: how one HTTP API is spoken to, as frozen records.

`probe.api.profile.grammar` makes them from TOML and checks every key; docs/profiles.md describes
the keys. Texts may hold `{var}` (from `[vars]`) and `${ENV}` or `${ENV:-default}`, filled in by
`probe.api.profile.settings`. Expressions are JMESPath.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from probe.limits import Limits
from probe.types import Codec

Body = Literal["json", "multipart", "form", "raw", "base64", "msgpack", "oip_binary"]
Combine = Literal["max", "sum", "complement"]


@dataclass(frozen=True, slots=True)
class Token:
    """One POST of `form` to `url` that gives a bearer token.

    token, expires: expressions on its answer. renew_on: codes that ask for a new one.
    """

    url: str
    form: Mapping[str, str]
    token: str = "access_token"
    expires: str | None = None
    renew_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestForm:
    """template, item: JSON texts. file_field, fields: of multipart. image: the codec that the
    service needs, None where it takes any of its formats."""

    method: str
    url: str
    body: Body
    headers: Mapping[str, str]
    query: Mapping[str, str]
    basic: tuple[str, str] | None = None
    token: Token | None = None
    template: str | None = None
    item: str | None = None
    file_field: str | None = None
    fields: Mapping[str, str] | None = None
    image: Codec | None = None
    ok_status: tuple[int, ...] = (200,)


@dataclass(frozen=True, slots=True)
class ResponseForm:
    """results: an expression for the list with one element a picture. Of each element either
    `pairs` or `labels` and `scores`; the others as docs/profiles.md says."""

    results: str
    pairs: str | None = None
    labels: str | tuple[str, ...] | None = None
    scores: str | None = None
    shape: str | None = None
    decode: str = "none"
    activation: Literal["none", "softmax", "sigmoid"] = "none"
    ok: str | None = None
    batch_ok: str | None = None
    error: str | None = None
    code: str | None = None
    id: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ScoreForm:
    kind: Literal["probability", "decision"] = "probability"
    divide: float = 1.0
    ordinal: Mapping[str, float] | None = None
    missing: float | None = None
    duplicate: Literal["max", "sum", "error"] = "max"


@dataclass(frozen=True, slots=True)
class Derived:
    """A label made from the service's own. No labels: the complement of nsfw."""

    labels: tuple[str, ...]
    combine: Combine = "max"
    weights: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Weather:
    """What of an answer means: wait, no key, no calls left.

    statuses, codes: to be sent again. after_headers: `name` or `name:ms`, `ratelimit:t`; the
    first one there wins. after_body: an expression, in seconds. quota_codes, auth_codes: the
    end of the quota and a wrong key, where the status does not say so.
    """

    statuses: tuple[int, ...] = (429, 500, 502, 503, 504)
    codes: tuple[str, ...] = ()
    after_headers: tuple[str, ...] = ("Retry-After",)
    after_body: str | None = None
    quota_codes: tuple[str, ...] = ()
    auth_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """How one service is spoken to. `limits` holds all numbers but host and labels."""

    name: str
    request: RequestForm
    response: ResponseForm
    limits: Limits
    scores: ScoreForm = ScoreForm()
    weather: Weather = Weather()
    vars: Mapping[str, str] | None = None
    nsfw: Derived | None = None
    sfw: Derived | None = None
    doc: str = ""
    source: str = ""
    trims_borders: bool | None = None
