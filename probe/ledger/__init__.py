"""The local database of every answer ever paid for."""

from probe.ledger.record import Question
from probe.ledger.report import Exported, Health, Stats, export, stats, verify
from probe.ledger.store import Ledger, default_path
from probe.ledger.upkeep import Recovered, Removed, erase, prune, recover

__all__ = [
    "Exported",
    "Health",
    "Ledger",
    "Question",
    "Recovered",
    "Removed",
    "Stats",
    "default_path",
    "erase",
    "export",
    "prune",
    "recover",
    "stats",
    "verify",
]
