"""What every backend behind a wire shares: patience, certificates, and what must not happen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from threading import Lock

from probe.api.http import address, is_loopback
from probe.errors import Rejected, UsageError
from probe.text import printable


@dataclass(frozen=True, slots=True)
class Connection:
    """timeout: seconds for a request and its whole answer. ca_file: certificates to trust in
    place of the usual ones. allow_http: keys may go unencrypted to other machines.
    """

    timeout: float = 60.0
    ca_file: str | None = None
    allow_http: bool = False

    def check(self, url: str, secrets: Collection[str]) -> None:
        """UsageError where keys, by the names of their variables, would travel in the open."""
        if secrets and not self.allow_http and url.startswith("http:") and not is_loopback(url):
            raise UsageError(
                f"{', '.join(sorted(secrets))} would go unencrypted to {address(url)}: "
                "give its https address, or --allow-http if that is meant"
            )


class Generation:
    """The version of the model behind a service, which must stay the same: a map of answers by
    two models means nothing."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._first: str | None = None
        self._lock = Lock()

    def check(self, version: str | None) -> None:
        """Raise Rejected when `version` is another than the first; None says nothing."""
        if version is None:
            return
        with self._lock:
            first = self._first = self._first or version
        if version != first:
            raise Rejected(
                f"the model behind {self._who} changed from version {printable(first, 60)!r} to "
                f"{printable(version, 60)!r}; answers of two models are not mixed, start again"
            )
