"""The local database of every answer ever paid for."""

from probe.ledger.record import Question
from probe.ledger.store import Ledger, default_path

__all__ = ["Ledger", "Question", "default_path"]
