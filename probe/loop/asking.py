"""What a run asks, in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from probe.types import Identity, Order, Perturbation, Sampler

EVERY = 200
"""After so many variants the unchanged picture is asked again, where it is asked again at all."""

Ask = Callable[[int], Sequence[Perturbation]]
"""Up to so many perturbations more; none where it has to be told first, or is done."""


def phases(order: Order, sampler: Sampler) -> tuple[Ask, Ask]:
    """All of the order but the reference, and what is left of it when the sampler gives out early.

    The first holds the opening, what the sampler proposes with the checks in between, and right
    behind the last of them the closing, which then needs no round trip of its own.
    """
    opening, closing = _sequence(order.opening), _sequence(order.closing)
    middle, left = _checked(sampler, checks(order)), order.variants

    def ask(n: int) -> Sequence[Perturbation]:
        nonlocal left
        first = opening(n)
        wanted = min(n - len(first), left)
        proposals = middle(wanted) if wanted else []
        left -= len(proposals)
        last = [] if left else closing(n - len(first) - len(proposals))
        return [*first, *proposals, *last]

    return ask, closing


def checks(order: Order) -> list[Identity]:
    """The unchanged picture again, once for every so many of the order's variants: it shows
    whether the scores drift. They are among the order's variants."""
    if not order.closing:
        return []
    first = order.repeats + 1
    return [Identity(repeat=first + n) for n in range((order.variants - 1) // (EVERY + 1))]


def _checked(sampler: Sampler, again: Sequence[Identity]) -> Ask:
    """What the sampler proposes, with one of `again` after every so many."""
    left, asked = deque(again), 0

    def ask(n: int) -> Sequence[Perturbation]:
        nonlocal asked
        found: list[Perturbation] = []
        while len(found) < n:
            until = EVERY * (1 + len(again) - len(left))
            if left and asked == until:
                found.append(left.popleft())
                continue
            wanted = n - len(found)
            proposals = sampler.ask(min(wanted, until - asked) if left else wanted)
            if not proposals:
                break
            asked += len(proposals)
            found += proposals
        return found

    return ask


def _sequence(perturbations: Sequence[Perturbation]) -> Ask:
    left = deque(perturbations)
    return lambda n: [left.popleft() for _ in range(min(n, len(left)))]
