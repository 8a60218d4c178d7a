"""The server's side of the contract `probe/1` (see `probe.backends.http`): what is its own."""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import asdict, replace
from typing import Any

from probe.api.json import load_json
from probe.backends.contract import CONTRACT
from probe.errors import ContractError
from probe.mock.message import MAX_REQUEST, Asked, Refusal, Sent
from probe.mock.scorer import MAX_PIXELS, Scorer
from probe.mock.services import Service

NAME = "probe"


def as_behind(service: Service, scorer: Scorer) -> Service:
    """The service with the limits of the backend behind it, and read by every rule."""
    behind = scorer.limits
    limits = replace(
        service.limits, batch=behind.batch, min_side=behind.min_side, max_side=behind.max_side
    )
    return replace(service, limits=limits, readers=(images,))


def describe(scorer: Scorer) -> dict[str, Any]:
    limits = scorer.limits
    return {
        "contract": CONTRACT,
        "identity": scorer.identity,
        "labels": list(limits.labels),
        "question": limits.question,
        "batch": limits.batch,
        "concurrency": 2,
        "formats": ["jpeg", "png"],
        "min_side": limits.min_side,
        "max_side": limits.max_side,
        "max_pixels": MAX_PIXELS,
        "max_request_bytes": MAX_REQUEST,
        "threshold": limits.threshold,
        "seen": list(limits.seen),
        "deterministic": limits.deterministic,
        "price": asdict(limits.price) if limits.price else None,
    }


def images(asked: Asked) -> list[Sent]:
    """The pictures of a request; raises Refusal where it is not as agreed, and says where."""
    try:
        document = load_json(asked.body)
    except ContractError as error:
        raise Refusal("request", str(error)) from error
    found = document.get("images") if isinstance(document, dict) else None
    if not isinstance(found, list) or not found:
        raise Refusal("request", 'expected {"images": [{"id": "0", "data": "<base64>"}, ...]}')
    sent: dict[str, Sent] = {}
    for i, image in enumerate(found):
        fields = image if isinstance(image, dict) else {}
        name, data = fields.get("id"), fields.get("data")
        if not isinstance(name, str) or not 0 < len(name) <= 100 or not isinstance(data, str):
            raise Refusal(
                "request", f"$.images[{i}]: expected an id (1 to 100 characters) and data"
            )
        sent[name] = _sent(name, data)
    if len(sent) != len(found):
        raise Refusal("request", "$.images: every id must be another")
    return list(sent.values())


def _sent(name: str, data: str) -> Sent:
    try:
        return Sent(b64decode(data, validate=True), id=name)
    except (binascii.Error, ValueError):
        return Sent(None, "data is not base64", id=name)
