"""URLs of services: what one may look like, and which machines may be reached by it."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from probe.api.profile.settings import ENV
from probe.errors import UsageError
from probe.text import printable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA = frozenset(
    ipaddress.ip_address(address)
    for address in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
)
"""Where clouds hand out the keys of a machine, besides the link-local addresses: Alibaba, Azure,
Oracle and AWS by IPv6."""

METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data"})
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddress(UsageError):
    """An address of a private network that the user did not type."""


def checked_url(url: str) -> str:
    """`url` without its last slash; UsageError for what is no plain http(s) address.

    Keys do not belong into a URL, where every log and error message shows them; a URL that may
    hold one is refused without repeating it.
    """
    try:
        parts = urlsplit(url.strip())
        port_is_sane = parts.port != 0
    except ValueError:
        parts, port_is_sane = SplitResult("", "", "", "", ""), False
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            "the URL of a service must not hold a user, a query or a fragment: they end up in "
            "logs; give keys by environment variables"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_sane:
        raise UsageError(
            f"{printable(url, 100)!r} is not the URL of a service; "
            "expected something like http://127.0.0.1:8000"
        )
    return parts.geturl().rstrip("/")


def address(url: str) -> str:
    """host:port of a URL."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine."""
    host = urlsplit(url).hostname or ""
    found = _literal(host)
    return host == "localhost" if found is None else found.is_loopback


def check_host(host: str, trusted: bool) -> None:
    """UsageError where a host, given by name or number, must not be spoken to: PrivateAddress
    where it only has to be typed.

    trusted: the user typed this address; it may be one of a private network. What hands out the
    keys of a cloud's machines (link-local and the like) is refused all the same. A name is only
    known by what it stands for once it is looked up: check that with the number.
    """
    found = _literal(host)
    if host.lower().rstrip(".") in METADATA_NAMES or (found is not None and _is_metadata(found)):
        raise UsageError(f"{host} is refused: a link-local address is no tagging service")
    if found is not None and not trusted and not found.is_global:
        raise PrivateAddress(
            f"{host} is refused: an address of a private network is only used where you "
            "typed it, not where a profile or a name leads there"
        )


def how_to_type(template: str) -> str:
    """What a user does about PrivateAddress, by `request.url` of the profile.

    >>> how_to_type("${TINY_BASE:-http://127.0.0.1:8300}/predict")
    'if you trust it: TINY_BASE=http://127.0.0.1:8300 probe ...'
    """
    for match in re.finditer(ENV, template):
        if "://" in (match["default"] or ""):
            return f"if you trust it: {match['env']}={printable(match['default'], 100)} probe ..."
    return (
        "if you trust it: give --api URL for a contract that is known, or put the profile into "
        "the profiles folder of probe's config folder and give its name"
    )


def _literal(host: str) -> Address | None:
    """The address that a number stands for, IPv4 within IPv6 unwrapped; None for a name."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and (found in NAT64 or 1 < int(found) < 2**32):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        return inner or found
    return found


def _is_metadata(found: Address) -> bool:
    return found.is_link_local or found in METADATA
