"""Answers of a service read by its profile; nothing that they hold is trusted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from hashlib import sha256
from typing import Any

from probe.api.expressions import search
from probe.api.http import Reply
from probe.api.json import CutShort, excerpt, load_json
from probe.api.profile.records import Profile
from probe.api.response.items import Matching, is_true, reshaped, rows_of, unpacked
from probe.api.response.numbers import BadItem, BadScale, scored
from probe.api.response.troubles import auth_codes, code_of, error_of, trouble
from probe.errors import AuthError, BackendError, ContractError, ProfileError, QuotaExhausted
from probe.types import Failure, FailureKind, Scores

VERSION = 3
"""Changes when the same profile reads the same body otherwise than before."""


class Unreadable(ContractError):
    """An answer to `parts` pictures that cannot be told apart; `raw` is its body: it was paid."""

    def __init__(self, message: str, raw: bytes, parts: int) -> None:
        super().__init__(message)
        self.raw = raw
        self.parts = parts


class WrongScale(ProfileError):
    """Scores that the profile does not bring to 0..1; `raw` is the body: it was paid."""

    def __init__(self, message: str, raw: bytes, parts: int) -> None:
        super().__init__(message)
        self.raw = raw
        self.parts = parts


class Reader:
    """How answers are read by `profile`: a `Reading`."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._matching = Matching(profile)
        self._last: tuple[bytes, int, list[Scores | Failure]] | None = None

    @cached_property
    def digest(self) -> str:
        """The same for the same reading: of the response side of the profile alone."""
        profile = self._profile
        derived = [one and asdict(one) for one in (profile.nsfw, profile.sfw)]
        said = [VERSION, asdict(profile.response), asdict(profile.scores), derived]
        return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]

    def read(self, raw: bytes, part: int, parts: int) -> Scores | Failure:
        """The answer to picture number `part` (from 0) of the `parts` that the request held.

        Raises ProfileError where every picture has a score out of 0..1, and MissingExtra for
        MessagePack without its library; whatever else `raw` holds is a Failure. The last body is
        remembered, so that its parts are cheap one after the other.
        """
        last = self._last
        if last is None or last[:2] != (raw, parts):
            last = self._last = (raw, parts, self._anew(raw, parts))
        return last[2][part]

    def outcomes(self, reply: Reply, count: int) -> list[Scores | Failure]:
        """One outcome for each of the `count` pictures of the request, in their order.

        Raises AuthError, QuotaExhausted, Rejected or BackendError for the request as a whole,
        ContractError where the answer is no such answer, and ProfileError where every picture has
        a score out of 0..1: then the profile is wrong. Where others of the same answer are in
        scale, such a picture is a Failure by itself.
        """
        good = reply.status in self._profile.request.ok_status
        try:
            body = self._loaded(reply.body)
        except ContractError as error:
            if good and (isinstance(error, CutShort) or not reply.bounded):
                said = f"{self._profile.name} broke off in the middle of its answer"
                return [Failure("lost", said, billed=True)] * count
            if good:
                raise ContractError(f"{self._profile.name}: {error}") from None
            body = None
        if not good or not self._is_ok_batch(body):
            if good and code_of(self._profile, body) is None and not error_of(self._profile, body):
                raise self._unreadable("response.batch_ok does not hold", reply.body, count)
            return [trouble(self._profile, reply, body, count)] * count
        return self._outcomes(body, reply.body, count)

    def _anew(self, raw: bytes, parts: int) -> list[Scores | Failure]:
        try:
            body = self._loaded(raw)
            if not self._is_ok_batch(body):
                raise ContractError(f"{self._profile.name}: {error_of(self._profile, body)}")
            return self._outcomes(body, raw, parts)
        except (BackendError, QuotaExhausted) as error:
            said = str(error)
            return [
                Failure("invalid", said, billed=True, raw=raw, part=(part, parts))
                for part in range(parts)
            ]

    def _loaded(self, raw: bytes) -> Any:
        if self._profile.request.body == "msgpack" and raw[:1] not in (b"{", b"["):
            return unpacked(raw)
        return load_json(raw)

    def _is_ok_batch(self, body: Any) -> bool:
        expression = self._profile.response.batch_ok
        try:
            return expression is None or is_true(search(expression, body))
        except ContractError:
            return False

    def _outcomes(self, body: Any, raw: bytes, count: int) -> list[Scores | Failure]:
        try:
            items = self._matching.matched(self._items(body), count)
        except ContractError as error:
            raise self._unreadable(str(error), raw, count) from None
        except RecursionError:
            raise self._unreadable("nested too deep", raw, count) from None
        self._check_access(items)
        outcomes: list[Scores | Failure] = []
        wrong = ""
        off_scale = 0
        for i, item in enumerate(items):
            try:
                outcomes.append(self._outcome(item, raw, (i, count)))
            except BadScale as error:
                wrong = f"{self._profile.name}: {error}"
                off_scale += 1
                outcomes.append(Failure("invalid", wrong, billed=True, raw=raw, part=(i, count)))
        if items and off_scale == len(items):
            raise WrongScale(wrong, raw, count)
        return outcomes

    def _unreadable(self, said: str, raw: bytes, count: int) -> Unreadable:
        return Unreadable(f"{self._profile.name}: {said}: {excerpt(raw)}", raw, count)

    def _items(self, body: Any) -> list[Any]:
        """One element a picture, as the service ordered them."""
        response = self._profile.response
        found = search(response.results, body)
        if not isinstance(found, list):
            raise ContractError(f"no list of results at {response.results!r} (response.results)")
        return found if response.shape is None else reshaped(found, search(response.shape, body))

    def _check_access(self, items: Sequence[Any]) -> None:
        """A wrong key, or the end of the quota, that every element speaks of."""
        codes = [None if self._is_ok(item) else code_of(self._profile, item) for item in items]
        if codes and all(code in auth_codes(self._profile) for code in codes):
            raise AuthError(self._refusal(items[0]))
        if codes and all(code in self._profile.weather.quota_codes for code in codes):
            raise QuotaExhausted(self._refusal(items[0]))

    def _is_ok(self, item: Any) -> bool:
        expression = self._profile.response.ok
        try:
            return expression is None or is_true(search(expression, item))
        except ContractError:
            return False

    def _refusal(self, item: Any) -> str:
        return f"{self._profile.name}: {error_of(self._profile, item) or 'refused, without a word'}"

    def _outcome(self, item: Any, raw: bytes, part: tuple[int, int]) -> Scores | Failure:
        if isinstance(item, Failure):
            return item
        if not self._is_ok(item):
            return Failure(self._kind(item), self._refusal(item), billed=True)
        try:
            rows = list(rows_of(self._profile.response, item))
            return Scores(scored(self._profile, rows), raw=raw, part=part)
        except (BadItem, ContractError) as error:
            said = f"{self._profile.name}: {error}"
            return Failure("invalid", said, billed=True, raw=raw, part=part)

    def _kind(self, item: Any) -> FailureKind:
        code, weather = code_of(self._profile, item), self._profile.weather
        if code in weather.codes:
            return "throttled"
        again = code in weather.quota_codes or code in auth_codes(self._profile)
        return "unavailable" if again else "refused"
