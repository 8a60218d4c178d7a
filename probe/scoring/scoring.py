"""Many pictures through the one loop, a stretch at a time, so that memory is flat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import length_hint
from typing import Any

from probe.api.transport.purse import Purse
from probe.limits import Price
from probe.loop import Loop
from probe.progress import Tally
from probe.scoring.album import Album, Scored
from probe.types import Failure, Order

STRETCH = 1000
"""Pictures that one loop is run over."""


@dataclass
class Scoring:
    """Iterate over it once for a Scored of each picture, in the order of the list.

    sources: the pictures; of what is made while one goes through them, only what is on its way is
    held. album: of some of them, with the place of the first in the list.
    opened: a loop over an album and what it may send, closed when it is left. landed: called when
    a loop was stopped; everything in flight is received and stored by it.
    tally: what was answered and paid so far.

    Raises what Prober.probe raises, after everything that was known by then was given out.
    """

    sources: Iterable[Any]
    album: Callable[[Iterable[Any], int], Album]
    opened: Callable[[Album, Order], AbstractContextManager[tuple[Loop, Purse]]]
    landed: Callable[[Loop], None]
    price: Price | None
    offline: bool
    tally: Tally = field(default_factory=Tally)

    def __iter__(self) -> Iterator[Scored]:
        left, start = iter(self.sources), 0
        hint = length_hint(self.sources, -1)
        for first in left:
            wanted = STRETCH if hint < 0 else max(1, min(STRETCH, hint - start))
            album = self.album(chain([first], islice(left, wanted - 1)), start)
            start += wanted
            if album.ask(1):
                yield from self._asked(album, Order(wanted - 1, offline=self.offline))
            yield from self._counted(album.refused())

    def _asked(self, album: Album, order: Order) -> Iterator[Scored]:
        with self.opened(album, order) as (loop, purse):
            spent = _Spent(self.tally, purse, self.price)
            try:
                loop.begin()
                spent.book()
                yield from self._counted(album.scored(loop.answers))
                for _ in loop.run(album):
                    spent.book()
                    yield from self._counted(album.scored(loop.answers))
            except Exception:
                self.landed(loop)
                spent.book()
                yield from self._counted(album.scored(loop.answers))
                yield from self._counted(album.refused())
                raise
            except BaseException:
                self.landed(loop)
                raise
            spent.book()
            yield from self._counted(album.scored(loop.answers))

    def _counted(self, rows: Iterable[Scored]) -> Iterator[Scored]:
        for row in rows:
            self.tally.done += 1
            self.tally.sent += row.source == "sent"
            self.tally.failed += isinstance(row.outcome, Failure)
            yield row


class _Spent:
    """Adds what one loop has sent to a tally, on top of what was spent before it."""

    def __init__(self, tally: Tally, purse: Purse, price: Price | None) -> None:
        self._tally = tally
        self._purse = purse
        self._price = price
        self._before = tally.calls, tally.requests, tally.throttled, tally.cost or 0.0

    def book(self) -> None:
        calls, requests, throttled, cost = self._before
        self._tally.calls = calls + self._purse.calls
        self._tally.requests = requests + self._purse.requests
        self._tally.throttled = throttled + self._purse.throttled
        if self._price is not None:
            self._tally.cost = cost + self._price.of(self._purse.bills)
            self._tally.currency = self._price.currency
