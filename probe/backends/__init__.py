"""Who scores: a local network, the skin filter, a function, a service, a filled-in table."""

from probe.backends.function import from_callable
from probe.backends.names import NAMES, resolve

__all__ = ["NAMES", "from_callable", "resolve"]
