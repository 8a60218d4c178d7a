"""A database connection must not cross a fork: all are closed before; they reopen when used."""

from __future__ import annotations

import os
import threading
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any


class Forkable(ABC):
    """path: None for what lives in memory alone, which a fork copies."""

    path: Path | None

    def __init__(self) -> None:
        self.guard: Any = threading.RLock()

    @abstractmethod
    def close(self, *, for_good: bool = False) -> None: ...


live: weakref.WeakSet[Forkable] = weakref.WeakSet()
_held: list[Forkable] = []


def _before_fork() -> None:
    for database in list(live):
        database.guard.acquire()
        _held.append(database)
        if database.path is not None:
            database.close()


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().guard.release()


def _after_fork_in_child() -> None:
    while _held:
        _held.pop().guard = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
