"""The grammar of profiles: TOML in, a `Profile` out, every key checked.

docs/profiles.md describes the keys; tests hold that it and KEYS name the same ones.
"""

from __future__ import annotations

import tomllib
from typing import Any

from probe.api.profile import kinds
from probe.api.profile.checks import check
from probe.api.profile.keys import Source, Table
from probe.api.profile.records import (
    Body,
    Derived,
    Profile,
    RequestForm,
    ResponseForm,
    ScoreForm,
    Token,
    Weather,
)
from probe.errors import ProfileError
from probe.limits import Limits, Price, Rate, Retry
from probe.text import printable
from probe.types import Codec

LARGEST = 64 * 1024
KEYS = {
    "": "name doc source price threshold trims_borders vars request response scores nsfw sfw "
    "limits retry",
    "price": "per_call currency as_of",
    "request": "method url headers query basic token body template item file_field fields image "
    "ok_status",
    "request.token": "url form token expires renew_on",
    "request.image": "format quality mode",
    "response": "results shape decode pairs labels scores activation ok batch_ok error code id "
    "version",
    "scores": "kind divide ordinal missing duplicate",
    "nsfw": "labels combine weights",
    "sfw": "labels combine weights",
    "limits": "max_batch max_image_bytes max_request_bytes min_side max_side max_pixels formats "
    "concurrency rate",
    "limits.rate": "requests seconds",
    "retry": "statuses codes quota_codes auth_codes attempts base factor cap after_headers "
    "after_body split",
}
"""The keys of each table. [vars], headers, query, fields, form and ordinal hold names of one's
own."""

BODIES: tuple[Body, ...] = ("json", "multipart", "form", "raw", "base64", "msgpack", "oip_binary")


def parse(text: str, where: str) -> Profile:
    """The profile that `text` (TOML) says; `where` is the file's name, for errors.

    Raises ProfileError, which names the file, the key and what was expected.
    """
    top = Table(_toml(text, where), "", Source(where, text), _keys(""))
    scores = _scores(top)
    request = _request(_needed(top, "request"))
    nsfw, sfw = _derived(top, "nsfw"), _derived(top, "sfw")
    response = _response(_needed(top, "response"))
    profile = Profile(
        name=top.either("name", kinds.name),
        request=request,
        response=response,
        limits=_limits(top, request, response, scores, nsfw, sfw),
        scores=scores,
        weather=_weather(top),
        vars=top.map_of("vars", str, {}),
        nsfw=nsfw,
        sfw=sfw,
        doc=top.text("doc", ""),
        source=top.text("source", ""),
        trims_borders=top.flag("trims_borders", None),
    )
    check(profile, Source(where, text))
    return profile


def _toml(text: str, where: str) -> dict[str, Any]:
    shown = printable(where)
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise ProfileError(f"{shown}: larger than {LARGEST // 1024} KiB, no profile is")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ProfileError(f"{shown}: not TOML: nested too deep") from None
    except ValueError as error:
        raise ProfileError(f"{shown}: not TOML: {printable(str(error), 200)}") from None


def _keys(path: str) -> list[str]:
    return KEYS[path].split()


def _needed(top: Table, key: str) -> Table:
    table = top.table(key, _keys(key), needed=True)
    assert table is not None
    return table


def _request(table: Table) -> RequestForm:
    token = table.table("token", _keys("request.token"))
    image = table.table("image", _keys("request.image"))
    return RequestForm(
        method=table.choice("method", ("POST", "PUT")),
        url=table.either("url", kinds.some_text),
        body=table.choice("body", BODIES),
        headers=table.map_of("headers", str, {}),
        query=table.map_of("query", str, {}),
        basic=table.either("basic", kinds.pair, None),
        token=_token(token) if token else None,
        template=table.text("template", None),
        item=table.text("item", None),
        file_field=table.either("file_field", kinds.some_text, None),
        fields=table.map_of("fields", str, None),
        image=_image(image) if image else None,
        ok_status=table.list_of("ok_status", int, (200,)),
    )


def _token(table: Table) -> Token:
    return Token(
        url=table.either("url", kinds.some_text),
        form=table.map_of("form", str),
        token=table.either("token", kinds.expression),
        expires=table.either("expires", kinds.expression, None),
        renew_on=table.either("renew_on", kinds.codes, ()),
    )


def _image(table: Table) -> Codec:
    format_ = table.choice("format", ("png", "jpeg"))
    table.choice("mode", ("RGB",), "RGB")
    if format_ == "png" and "quality" in table:
        raise table.error("quality", "png has none")
    return Codec(format_, table.whole("quality", 1, 100, Codec().quality))


def _response(table: Table) -> ResponseForm:
    if "pairs" in table and ("labels" in table or "scores" in table):
        other = "labels" if "labels" in table else "scores"
        raise table.error("pairs", f"stands beside {other}; expected either pairs or both others")
    if "pairs" not in table and not ("labels" in table and "scores" in table):
        key = "scores" if "labels" in table else "labels" if "scores" in table else "pairs"
        raise table.error(key, "is missing; expected either pairs, or labels and scores")
    optional = {
        key: table.either(key, kinds.expression, None)
        for key in ("pairs", "scores", "shape", "ok", "batch_ok", "error", "code", "id", "version")
    }
    return ResponseForm(
        results=table.either("results", kinds.expression),
        labels=table.either("labels", kinds.labels, None),
        decode=table.either("decode", kinds.decode, "none"),
        activation=table.choice("activation", ("none", "softmax", "sigmoid"), "none"),
        **optional,
    )


def _scores(top: Table) -> ScoreForm:
    table = top.table("scores", _keys("scores"))
    if table is None:
        return ScoreForm()
    return ScoreForm(
        kind=table.choice("kind", ("probability", "decision"), "probability"),
        divide=table.number("divide", 1e-6, 1e6, 1.0),
        ordinal=table.map_of("ordinal", float, None),
        missing=table.either("missing", kinds.missing, None),
        duplicate=table.choice("duplicate", ("max", "sum", "error"), "max"),
    )


def _derived(top: Table, key: str) -> Derived | None:
    table = top.table(key, _keys(key))
    if table is None:
        return None
    return Derived(
        labels=table.list_of("labels", str),
        combine=table.choice("combine", ("max", "sum", "complement"), "max"),
        weights=table.list_of("weights", float, None),
    )


def _limits(
    top: Table,
    request: RequestForm,
    response: ResponseForm,
    scores: ScoreForm,
    nsfw: Derived | None,
    sfw: Derived | None,
) -> Limits:
    table = top.table("limits", _keys("limits")) or Table({}, "limits", Source("", ""), ())
    formats = table.either("formats", kinds.formats, ("jpeg", "png"))
    own = response.labels if isinstance(response.labels, tuple) else ()
    made = [name for name, one in (("nsfw", nsfw), ("sfw", sfw)) if one]
    return Limits(
        batch=table.whole("max_batch", 1, 1024, 1),
        concurrency=table.whole("concurrency", 1, 64, 4),
        formats=(request.image.format,) if request.image else formats,
        min_side=table.whole("min_side", 1, 10_000, 1),
        max_side=table.whole("max_side", 1, 1_000_000, None),
        max_pixels=table.whole("max_pixels", 1, 10**10, None),
        max_bytes=table.whole("max_image_bytes", 1, 10**10, None),
        max_request_bytes=table.whole("max_request_bytes", 1, 10**10, None),
        inflation=4 / 3 if _is_base64(request) else 1.0,
        rate=tuple(
            Rate(rate.whole("requests", 1, 10**9), rate.number("seconds", 1e-3, 1e9))
            for rate in table.tables("rate", _keys("limits.rate"))
        ),
        retry=_retry(top),
        price=_price(top),
        labels=tuple(dict.fromkeys((*made, *own))) if own else (),
        question="nsfw" if nsfw else None,
        missing=scores.missing,
        threshold=top.number("threshold", 0, 1, None),
    )


def _is_base64(request: RequestForm) -> bool:
    return request.body in ("json", "form", "base64")


def _retry(top: Table) -> Retry:
    table = top.table("retry", _keys("retry"))
    if table is None:
        return Retry()
    default = Retry()
    return Retry(
        attempts=table.whole("attempts", 1, 20, default.attempts),
        base=table.number("base", 1e-3, 3600, default.base),
        factor=table.number("factor", 1, 10, default.factor),
        cap=table.number("cap", 1e-3, 3600, default.cap),
        split=table.flag("split", default.split),
    )


def _weather(top: Table) -> Weather:
    table = top.table("retry", _keys("retry"))
    if table is None:
        return Weather()
    default = Weather()
    return Weather(
        statuses=table.list_of("statuses", int, default.statuses),
        codes=table.either("codes", kinds.codes, ()),
        after_headers=table.either("after_headers", kinds.hints, default.after_headers),
        after_body=table.either("after_body", kinds.expression, None),
        quota_codes=table.either("quota_codes", kinds.codes, ()),
        auth_codes=table.either("auth_codes", kinds.codes, ()),
    )


def _price(top: Table) -> Price | None:
    table = top.table("price", _keys("price"))
    if table is None:
        return None
    return Price(
        table.number("per_call", 0, 1e6),
        table.either("currency", kinds.some_text),
        table.either("as_of", kinds.day),
    )
