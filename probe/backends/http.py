"""A server that speaks the project's own JSON contract, `probe/1`, as `probe serve` does.

GET {url} describes the model, POST {url}/score scores pictures::

    -> {"images": [{"id": "0", "data": "<base64 of a JPEG or PNG>"}, ...]}
    <- {"contract": "probe/1", "identity": "...",
        "results": [{"id": "0", "scores": {"nsfw": 0.66, "sfw": 0.34}},
                    {"id": "1", "error": {"kind": "refused", "message": "..."}}]}

Results are matched by id, never by position. Scores are finite numbers of any range.
401 and 403, 402, 429 and 503 mean what HTTP says; Retry-After is honoured.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from threading import Lock
from typing import Any
from urllib.parse import urljoin

from probe.api.http import Lost, Reply, address, checked_url, fetch
from probe.api.json import CutShort
from probe.backends.contract import Answer, Description, read_answer, read_description
from probe.errors import (
    AuthError,
    BackendError,
    ContractError,
    QuotaExhausted,
    Rejected,
    Unreachable,
    UsageError,
)
from probe.limits import Limits
from probe.text import printable
from probe.types import Codec, Failure, FailureKind, Scores, Variant


class Http:
    """The server at `url`.

    description: what its GET answers, as JSON text, for use without a connection; by default it
    is asked for at the first use. timeout: seconds for a request and its whole answer. ca_file:
    the certificates to trust, by default the usual ones.

    Raises UsageError for a URL that cannot be one; at first use Unreachable when nobody listens
    there, ContractError when it is something else.
    """

    def __init__(
        self,
        url: str,
        description: str | None = None,
        *,
        timeout: float = 60.0,
        ca_file: str | None = None,
    ) -> None:
        self.url = checked_url(url)
        self._timeout = timeout
        self._ca_file = ca_file
        self._text = description
        self._description: Description | None = None
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"Http({self.url!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=Lock())

    @property
    def identity(self) -> str:
        return f"http {self.url} {self._described().identity}"

    @property
    def limits(self) -> Limits:
        return self._described().limits

    @property
    def description(self) -> str:
        """The server's description as JSON text, to be kept for use without a connection."""
        self._described()
        return self._text or ""

    def score(self, variants: Sequence[Variant], codec: Codec) -> Sequence[Scores | Failure]:
        described = self._described()
        body = _request([variant.encode(codec) for variant in variants])
        try:
            reply = self._ask("POST", f"{self.url}/score", body)
        except Lost as error:
            return [error.failure] * len(variants)
        if reply.status in (429, 502, 503, 504) or (reply.status >= 500 and len(variants) == 1):
            kind: FailureKind = "throttled" if reply.status == 429 else "unavailable"
            said = f"{address(self.url)} answered {reply.status}: {reply.excerpt}"
            return [Failure(kind, said, wait=reply.wait)] * len(variants)
        self._check_status(reply)
        try:
            answer = read_answer(reply.body, described, len(variants))
        except ContractError as error:
            if isinstance(error, CutShort) or not reply.bounded:
                said = f"{address(self.url)} broke off in the middle of its answer"
                return [Failure("lost", said, billed=True)] * len(variants)
            raise ContractError(f"{self.url}: {error}") from error
        self._check_identity(answer, described)
        outcomes = answer.outcomes
        invalid = [one for one in outcomes if isinstance(one, Failure) and one.kind == "invalid"]
        if len(invalid) == len(outcomes) > 1:
            raise ContractError(f"{self.url} gave no usable score at all: {invalid[0].message}")
        return outcomes

    def _described(self) -> Description:
        with self._lock:
            if self._description is None:
                if self._text is None:
                    reply = self._ask("GET", self.url)
                    self._check_status(reply)
                    self._text = reply.body.decode("utf-8", "replace")
                try:
                    self._description = read_description(self._text, address(self.url))
                except ContractError as error:
                    self._text = None
                    raise ContractError(
                        f"{self.url} speaks no probe contract: {error}; {self._detect}"
                    ) from error
            return self._description

    def _ask(self, method: str, url: str, body: bytes | None = None) -> Reply:
        try:
            return fetch(
                method,
                url,
                headers={} if body is None else {"Content-Type": "application/json"},
                body=body,
                timeout=self._timeout,
                ca_file=self._ca_file,
                trusted=True,
            )
        except Unreachable as error:
            raise Unreachable(f"{error}; is `probe serve` running there?") from error

    def _check_status(self, reply: Reply) -> None:
        status = reply.status
        if status == 200:
            return
        if 300 <= status < 400:
            target = printable(_joined(self.url, reply.headers.get("Location", "")), 200)
            raise Rejected(
                f"{self.url} redirects to {target}; redirects are not followed, "
                "give the new URL if you trust it"
            )
        if status in (404, 405):
            raise Rejected(f"no probe contract at {self.url} (status {status}); {self._detect}")
        said = f"{self.url} answered {status}: {reply.excerpt}"
        if status == 202:
            raise UsageError(f"{said}; answers that are to be fetched later are not supported")
        if status == 402:
            raise QuotaExhausted(said)
        raise AuthError(said) if status in (401, 403) else BackendError(said)

    @property
    def _detect(self) -> str:
        return f"`probe providers detect {self.url} IMG` finds out what is spoken there"

    def _check_identity(self, answer: Answer, described: Description) -> None:
        if answer.identity != described.identity:
            raise Rejected(
                f"the model behind {self.url} changed from {described.identity!r} to "
                f"{answer.identity!r}; answers of two models are not mixed, start again"
            )


def _request(pictures: Sequence[bytes]) -> bytes:
    """The JSON of a request, put together by hand: an encoder would look at every letter of the
    base64, which takes longer than to make it."""
    images = (
        b'{"id": "%d", "data": "' % i + b64encode(picture) + b'"}'
        for i, picture in enumerate(pictures)
    )
    return b'{"images": [' + b", ".join(images) + b"]}"


def _joined(url: str, target: str) -> str:
    """Where a redirect leads; a target that is no URL as it stands."""
    try:
        return urljoin(url, target)
    except ValueError:
        return target
