"""Keys are shown nowhere: what is to be printed, logged or kept has them replaced by ``***``."""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 6
"""A shorter secret hides among ordinary words and numbers; replacing it would spoil answers."""

_QUERY = re.compile(r"(?<=[\w/])\?[\w%][^\s\"'<>)]*")
_known: set[str] = set()


def remember(secrets: Iterable[str]) -> None:
    """From now on `redacted`, and with it every log record of the HTTP libraries, hides these."""
    _known.update(secrets)


def redacted(text: str) -> str:
    """The text without any secret that this process has used, and without queries of URLs."""
    return _QUERY.sub(f"?{MASK}", masked(text, frozenset(_known)))


def masked(text: str, secrets: frozenset[str]) -> str:
    """The text with each secret, as it is or as JSON, URLs and HTML spell it, replaced."""
    for form in _forms(secrets):
        text = text.replace(form, MASK)
    return text


def masked_bytes(body: bytes, secrets: frozenset[str]) -> bytes:
    """As `masked`, for text in UTF-8 or anything else."""
    for form in _forms(secrets):
        body = body.replace(form.encode("utf-8", "surrogateescape"), MASK.encode())
    return body


@lru_cache(maxsize=64)
def _forms(secrets: frozenset[str]) -> tuple[str, ...]:
    """Every spelling, the longest first, so that none is left as a part of another."""
    found: set[str] = set()
    for secret in secrets:
        if len(secret) >= SHORTEST:
            shown = secret.encode("utf-8", "surrogateescape")
            found.update((secret, quote(shown, safe=""), quote(shown), quote_plus(shown)))
            found.add(html.escape(secret))
    for _ in range(2):  # JSON may quote JSON
        quoted = {json.dumps(form)[1:-1] for form in found}
        quoted |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in found}
        found |= quoted | {form.replace("/", "\\/") for form in quoted}
    return tuple(sorted(found, key=len, reverse=True))


class Redaction(logging.Filter):
    """Log records lose their secrets and queries, and tracebacks, which may show headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


def redact_logs(*names: str) -> None:
    """Let no record of these loggers pass with a secret in it."""
    for name in names:
        logging.getLogger(name).addFilter(Redaction())
