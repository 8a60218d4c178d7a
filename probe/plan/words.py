"""What a run would do and cost, in words and as an object for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from probe.plan.run import Plan
from probe.text import count, printable

if TYPE_CHECKING:
    from probe.limits import Price
    from probe.types import Backend


def describe(plan: Plan, backend: Backend) -> str:
    """One line: calls, requests, where to, how much, how long, and whose keys."""
    most = "at most " if plan.at_most else ""
    parts = [f"{most}{count(plan.calls, 'call')} in {count(plan.requests, 'request')}"]
    if plan.known:
        parts[0] += f" ({plan.known} of {plan.answers} answers are in the ledger)"
    if plan.host:
        parts.append(f"about {_bytes(plan.bytes)} to {plan.host}")
    if plan.cost is not None:
        parts.append(money(plan.cost, backend.limits.price))
    if plan.calls:
        parts.append(f"about {max(1, round(plan.seconds))} s")
    return " · ".join([*parts, *keys(backend)])


def money(cost: float, price: Price | None) -> str:
    """The sum, and of when the price is."""
    if price is None:
        return ""
    as_of = f" (price as of {printable(price.as_of)})" if price.as_of else ""
    return f"{cost:.4g} {printable(price.currency)}{as_of}"


def at_most(calls: int, backend: Backend) -> tuple[str, float | None]:
    """The most that `calls` calls mean, in words, and what they cost."""
    limits = backend.limits
    cost = None if limits.price is None else limits.price.of(calls)
    parts = [f"at most {count(calls, 'call')}"]
    parts += [f"to {limits.host}"] if limits.host else []
    parts += [money(cost, limits.price)] if cost is not None else []
    return " · ".join([*parts, *keys(backend)]), cost


def keys(backend: Backend) -> list[str]:
    """Which environment variables a service takes its keys and address from, in words."""
    used = [one for one in getattr(backend, "variables", ()) if one.set or one.needed]
    named = [one.name if one.set else f"{one.name} (not set)" for one in used]
    return [f"uses {', '.join(named)}"] if named else []


def planned(plan: Plan) -> dict[str, Any]:
    """The plan as an object for programs."""
    return {
        "method": plan.method,
        "calls": plan.calls,
        "answers": plan.answers,
        "known": plan.known,
        "requests": plan.requests,
        "bytes": plan.bytes,
        "cost": plan.cost,
        "currency": plan.currency,
        "host": plan.host,
        "seconds": plan.seconds,
        "at_most": plan.at_most,
    }


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"
