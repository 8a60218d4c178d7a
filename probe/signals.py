"""Ctrl-C and termination: first ask the run to stop, then leave at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from probe.errors import Interrupted

EXIT_CODES = {
    name: code
    for name, code in (("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143))
    if hasattr(signal, name)
}


@contextmanager
def caught(stop: Callable[[Interrupted], None]) -> Iterator[None]:
    """Within it, the first signal calls `stop`, which must be safe to call at any point; the
    second raises. Handlers that a program installed itself are left alone, and so is everything
    outside the main thread.
    """
    received = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal received
        name = signal.Signals(number).name
        interrupted = Interrupted(f"stopped by {name}", EXIT_CODES[name])
        if received:
            raise interrupted
        received = True
        stop(interrupted)

    before = {}
    if threading.current_thread() is threading.main_thread():
        ours = (signal.SIG_DFL, signal.default_int_handler)
        numbers = [getattr(signal, name) for name in EXIT_CODES]
        before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) in ours}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
