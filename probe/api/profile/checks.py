"""What the keys of a profile must agree on, beyond what each may hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from probe.api.profile import templates
from probe.api.profile.keys import Source
from probe.api.profile.records import Derived, Profile, RequestForm
from probe.api.profile.settings import known_names, malformed
from probe.errors import nearest

NEEDS = {
    "json": "template",
    "oip_binary": "template",
    "multipart": "file_field",
    "form": "fields",
}
ONLY_WITH = {
    "template": ("json", "oip_binary"),
    "item": ("json",),
    "file_field": ("multipart",),
    "fields": ("multipart", "form"),
}
ONE_PICTURE = ("raw", "base64", "form")
OWN_TYPE = ("multipart", "oip_binary", "msgpack", "form")
COUNTED = ("mime", "n")
"""`{name}`s that headers, queries and fields may hold."""


def check(profile: Profile, source: Source) -> None:
    """ProfileError for keys that contradict each other, lack a partner or are of no use."""
    _check_body(profile.request, source)
    _check_names(profile, source)
    _check_templates(profile.request, source)
    _check_batch(profile, source)
    _check_headers(profile.request, source)
    _check_reading(profile, source)
    for key, derived in (("nsfw", profile.nsfw), ("sfw", profile.sfw)):
        if derived:
            _check_derived(profile, key, derived, source)
    limits = profile.limits
    if limits.max_side is not None and limits.max_side < limits.min_side:
        raise source.error("limits.max_side", f"expected at least min_side, {limits.min_side}")


def _check_body(request: RequestForm, source: Source) -> None:
    needed = NEEDS.get(request.body)
    if needed and getattr(request, needed) is None:
        raise source.error(f"request.{needed}", f"is missing; body {request.body!r} needs it")
    for key, bodies in ONLY_WITH.items():
        if getattr(request, key) is not None and request.body not in bodies:
            raise source.error(
                f"request.{key}",
                f"has no place in body {request.body!r}, only in {' and '.join(bodies)}",
            )


def _check_templates(request: RequestForm, source: Source) -> None:
    whole = _leaves(request, "template", ("$items", "$n", "$size", "$pixels"), source)
    item = _leaves(request, "item", ("$pixels",), source) if request.item is not None else None
    if request.body == "oip_binary" and "$size" not in whole:
        raise source.error("request.template", 'expected "$size" in it, how many bytes follow')
    if request.body == "form":
        texts = list((request.fields or {}).values())
        if not any(map(templates.holds_picture, texts)):
            raise source.error("request.fields", "holds no picture: expected {b64} or {data_url}")
    if request.body != "json":
        return
    if "$items" in whole and item is None:
        raise source.error("request.item", 'is missing; the template has "$items"')
    if item is not None and "$items" not in whole:
        raise source.error("request.item", 'is of no use: the template has no "$items"')
    if not any(map(templates.holds_picture, whole if item is None else item)):
        raise source.error(
            f"request.{'template' if item is None else 'item'}",
            'holds no picture: expected {b64}, {data_url}, or "$pixels" by itself',
        )


def _leaves(request: RequestForm, key: str, allowed: Collection[str], source: Source) -> list[str]:
    text = getattr(request, key)
    if text is None:
        return []
    try:
        leaves = list(templates.leaves(templates.parse(text)))
    except ValueError as error:
        raise source.error(f"request.{key}", f"expected {error}") from None
    for leaf in leaves:
        if templates.is_mark(leaf) and leaf not in allowed:
            raise source.error(
                f"request.{key}",
                f"no mark {leaf!r}.{nearest(leaf, allowed)} Known here: {', '.join(allowed)}",
            )
    return leaves


def _check_batch(profile: Profile, source: Source) -> None:
    request = profile.request
    if profile.limits.batch > 1 and (
        request.body in ONE_PICTURE or (request.body == "json" and request.item is None)
    ):
        why = 'a template without "$items"' if request.body == "json" else f"body {request.body!r}"
        raise source.error("limits.max_batch", f"expected 1: {why} holds one picture")


def _check_headers(request: RequestForm, source: Source) -> None:
    for name, text in request.headers.items():
        key = f"request.headers.{name}"
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise source.error(key, "expected the name of a header")
        if not text.isascii() or not text.isprintable():
            raise source.error(key, "expected a text that a header may hold")
        if name.lower() == "content-type" and request.body in OWN_TYPE:
            raise source.error(key, f"is set by body {request.body!r}")
        if name.lower() == "authorization" and (request.basic or request.token):
            other = "basic" if request.basic else "token"
            raise source.error(key, f"is set by request.{other}")
    if request.basic and request.token:
        raise source.error("request.basic", "stands beside request.token; expected one of them")


def _check_names(profile: Profile, source: Source) -> None:
    """Every `{name}` and `${ENV}` is one that can be filled in, and every variable is used."""
    own = profile.vars or {}
    used: set[str] = set()
    address: set[str] = set()
    for key, text, more in _texts(profile.request):
        envs, names = known_names(text)
        if malformed(text):
            raise source.error(key, "expected ${NAME} or ${NAME:-default} where ${ begins")
        if key in ("request.url", "request.token.url"):
            address |= envs
            if "?" in text or "#" in text:
                raise source.error(key, "expected no query and no fragment: see request.query")
        elif envs & address:
            raise source.error(
                key, f"{min(envs & address)} is an address in request.url, so it is no secret"
            )
        free = key in ("request.template", "request.item")
        for name in sorted(names - own.keys() - set(more)):
            if not free or _stands_alone(name, text):
                known = (*own, *more)
                raise source.error(
                    key, f"{{{name}}} is not in [vars].{nearest(name, known)} Known: "
                    f"{', '.join(known) or 'none'}"
                )  # fmt: skip
        used |= names
    for name, text in own.items():
        if name in templates.RESERVED:
            raise source.error(f"vars.{name}", "is a name that stands for the picture")
        if not name.isidentifier() or name.lower() != name:
            raise source.error(f"vars.{name}", "expected a name of small letters, digits and _")
        if name not in used:
            raise source.error(f"vars.{name}", f"is used nowhere.{nearest(name, used)}")
        if not text.isprintable() or "${" in text:
            raise source.error(f"vars.{name}", "expected a text of one line without ${")


def _stands_alone(name: str, text: str) -> bool:
    return f'"{{{name}}}"' in text


def _texts(request: RequestForm) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Key, text, and the names beside those of [vars] that it may hold."""
    yield "request.url", request.url, ()
    if request.token:
        yield "request.token.url", request.token.url, ()
        for name, text in request.token.form.items():
            yield f"request.token.form.{name}", text, ()
    for name, text in request.headers.items():
        yield f"request.headers.{name}", text, COUNTED
    for name, text in request.query.items():
        yield f"request.query.{name}", text, COUNTED
    for text in request.basic or ():
        yield "request.basic", text, ()
    for name, text in (request.fields or {}).items():
        more = templates.RESERVED if request.body == "form" else COUNTED
        yield f"request.fields.{name}", text, more
    whole = request.body == "json" and request.item is None
    yield "request.template", request.template or "", templates.RESERVED if whole else COUNTED
    yield "request.item", request.item or "", templates.RESERVED


def _check_reading(profile: Profile, source: Source) -> None:
    response, scores = profile.response, profile.scores
    if scores.kind == "decision" and response.pairs is None:
        raise source.error("scores.kind", "'decision' needs response.pairs, with the flag in third")
    if scores.ordinal is not None:
        if response.activation != "none":
            raise source.error("response.activation", "has no place beside scores.ordinal")
        for word, number in scores.ordinal.items():
            if not 0 <= number / scores.divide <= 1:
                raise source.error(f"scores.ordinal.{word}", "expected 0 to 1 (after divide)")
    if response.id is not None and not echoes(profile.request):
        raise source.error(
            "response.id",
            "nothing is sent that could be echoed: expected {index} in request.item, or files",
        )


def echoes(request: RequestForm) -> bool:
    """Whether the request names each picture, so that an answer can repeat the name."""
    return request.body == "multipart" or "{index}" in (request.item or "")


def _check_derived(profile: Profile, key: str, derived: Derived, source: Source) -> None:
    if not derived.labels:
        if key == "nsfw":
            raise source.error("nsfw.labels", "expected at least one label of the service")
        if profile.nsfw is None:
            raise source.error("sfw.labels", "is empty, which means 1 - nsfw; but nsfw is missing")
        if derived.combine != "max" or derived.weights is not None:
            of = "combine" if derived.combine != "max" else "weights"
            raise source.error(f"sfw.{of}", "is of no use with empty labels")
    if len(set(derived.labels)) != len(derived.labels):
        raise source.error(f"{key}.labels", "expected each label once")
    weights = derived.weights
    if weights is not None and (
        len(weights) != len(derived.labels) or not all(0 <= one <= 1 for one in weights)
    ):
        raise source.error(f"{key}.weights", "expected a number from 0 to 1 for each of labels")
    static = profile.response.labels
    if isinstance(static, tuple):
        for label in derived.labels:
            if label not in static:
                raise source.error(
                    f"{key}.labels", f"{label!r} is not in response.labels.{nearest(label, static)}"
                )
