"""A run as one page: the map to hover, and which pictures were sent for the spot that glows.

One file without any other: no network, no server, a strict Content-Security-Policy.
"""

from probe.report.page import page, save_report

__all__ = ["page", "save_report"]
