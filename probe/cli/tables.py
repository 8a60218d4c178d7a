"""What is known of services, as lines for people and objects for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from probe.text import printable

if TYPE_CHECKING:
    from probe.api.profile.settings import Variable
    from probe.limits import Limits
    from probe.providers.known import Details, Provider

HEAD = ("name", "batch", "limits", "1,000 cost", "needs", "what")
WIDEST = (24, 5, 34, 22, 46, 80)
UNVERIFIED = (
    "numbers are those of its documents, no live service was asked; `probe providers check` asks it"
)


def list_of(found: Sequence[Provider]) -> Iterator[str]:
    """A table with a row a service; a key that is not set is marked."""
    rows = [HEAD, *(_row(one) for one in found)]
    widths = [
        min(most, max(map(len, column)))
        for most, column in zip(WIDEST, zip(*rows, strict=True), strict=True)
    ]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()
    yield ""
    yield "! is not set. Next: probe providers show NAME; probe occlude IMG --api NAME --dry-run"


def _row(one: Provider) -> tuple[str, ...]:
    if one.limits is None:
        return (printable(one.name), "", "", "", "", f"cannot be used: {printable(one.wrong, 200)}")
    return (
        printable(one.name),
        str(one.limits.batch),
        limits_of(one.limits),
        price_of(one.limits, 1000),
        ", ".join(f"{v.name}{'' if v.set else '!'}" for v in one.variables if v.needed),
        printable(one.what, 120),
    )


def limits_of(limits: Limits) -> str:
    """Sides, bytes and rates, as short as can be."""
    parts = []
    if limits.min_side > 1 and limits.max_side:
        parts.append(f"{limits.min_side:,} to {limits.max_side:,} px")
    elif limits.min_side > 1 or limits.max_side:
        parts.append(
            f"from {limits.min_side} px" if not limits.max_side else f"up to {limits.max_side:,} px"
        )
    if limits.max_pixels:
        parts.append(f"{limits.max_pixels / 1e6:g} MP")
    if limits.max_bytes:
        parts.append(f"{limits.max_bytes / 1e6:.3g} MB")
    units = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "day"}
    for rate in limits.rate:
        parts.append(f"{rate.requests:,}/{units.get(rate.seconds, f'{rate.seconds:g} s')}")
    return ", ".join(parts)


def price_of(limits: Limits, calls: int = 1) -> str:
    price = limits.price
    if price is None:
        return ""
    as_of = f" ({printable(price.as_of)})" if price.as_of else ""
    return f"{price.of(calls):.4g} {printable(price.currency)}{as_of}"


def record(one: Provider) -> dict[str, Any]:
    """A service as an object for programs."""
    limits = one.limits
    about: dict[str, Any] = {
        "name": one.name,
        "what": one.what,
        "profile": str(one.where) if one.where else None,
        "wrong": one.wrong or None,
        "variables": [_variable(variable) for variable in one.variables],
    }
    if limits is not None:
        about |= {
            "batch": limits.batch,
            "concurrency": limits.concurrency,
            "formats": list(limits.formats),
            "min_side": limits.min_side,
            "max_side": limits.max_side,
            "max_pixels": limits.max_pixels,
            "max_bytes": limits.max_bytes,
            "max_request_bytes": limits.max_request_bytes,
            "rate": [{"requests": one.requests, "seconds": one.seconds} for one in limits.rate],
            "question": limits.question,
            "threshold": limits.threshold,
            "price": limits.price
            and {
                "per_call": limits.price.per_call,
                "currency": limits.price.currency,
                "as_of": limits.price.as_of,
            },
        }
    return about


def _variable(one: Variable) -> dict[str, Any]:
    return {"name": one.name, "needed": one.needed, "secret": one.secret, "set": one.set}


def record_of(about: Details) -> dict[str, Any]:
    return {
        **record(about.provider),
        "url": about.url,
        "places": {name: list(places) for name, places in about.places.items()},
        "proxies": dict(about.proxies),
        "settings": dict(about.settings),
        "text": about.text,
    }


def page(about: Details) -> Iterator[str]:
    """Where things go, then the profile as it is written."""
    one = about.provider
    yield printable(f"{one.name}: {one.what}" if one.what else one.name)
    if one.where:
        yield f"profile   {printable(str(one.where))}"
    yield f"pictures  to {printable(about.url)}"
    for variable in one.variables:
        places = about.places.get(variable.name, ())
        use = f"in {', '.join(map(printable, places))}" if places else "part of the address"
        if one.profile is None:
            use = "a key" if variable.secret else "read by botocore"
        there = "set" if variable.set else "NOT SET, needed" if variable.needed else "not set"
        yield f"variable  {variable.name} ({there}), {use}"
    for scheme, proxy in about.proxies.items():
        yield f"proxy     {scheme} through {printable(proxy)}"
    if one.limits is not None:
        yield f"limits    {_limits(one.limits)}"
        if one.limits.price is not None:
            yield f"price     {price_of(one.limits)} a picture"
    if about.settings:
        pairs = ", ".join(f"{name}={value}" for name, value in about.settings.items())
        yield f"settings  {printable(pairs)} (--set KEY=VALUE)"
    if any(variable.secret and variable.needed for variable in one.variables):
        yield f"note      {UNVERIFIED}"
    if about.text:
        yield ""
        yield from map(printable, about.text.splitlines())


def _limits(limits: Limits) -> str:
    parts = [
        f"{limits.batch} a request, {limits.concurrency} requests at once",
        f"as {' or '.join(limits.formats)}",
        limits_of(limits),
    ]
    if limits.max_request_bytes:
        parts.append(f"{limits.max_request_bytes / 1e6:.3g} MB a request")
    return ", ".join(part for part in parts if part)
