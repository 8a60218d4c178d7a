"""Ctrl-C and termination, handed to the run instead of breaking into it anywhere."""

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


def interrupt(number: int, frame: FrameType | None) -> None:
    """A handler for programs that want SIGTERM to end them as Ctrl-C does."""
    name = signal.Signals(number).name
    raise Interrupted(f"stopped by {name}", EXIT_CODES[name])


@contextmanager
def caught(stop: Callable[[Interrupted], None]) -> Iterator[None]:
    """Within it, a signal calls `stop`, which must be safe to call at any point and may raise.

    Handlers that a program installed itself are left alone, and so is everything outside the
    main thread.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        stop(Interrupted(f"stopped by {name}", EXIT_CODES[name]))

    before = {}
    if threading.current_thread() is threading.main_thread():
        ours = (signal.SIG_DFL, signal.default_int_handler, interrupt)
        numbers = [getattr(signal, name) for name in EXIT_CODES]
        before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) in ours}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
