"""The local database of every answer ever paid for."""

from probe.ledger.place import Server, default_path, place_of
from probe.ledger.record import Question
from probe.ledger.report import Exported, Health, Stats, export, stats, verify
from probe.ledger.store import Ledger
from probe.ledger.upkeep import Recovered, Removed, erase, prune, recover

__all__ = [
    "Exported",
    "Health",
    "Ledger",
    "Question",
    "Recovered",
    "Removed",
    "Server",
    "Stats",
    "default_path",
    "erase",
    "export",
    "place_of",
    "prune",
    "recover",
    "stats",
    "verify",
]
