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


_elsewhere: dict[int, Callable[[Interrupted], None]] = {}


@contextmanager
def caught(stop: Callable[[Interrupted], None]) -> Iterator[None]:
    """Within it, a signal calls `stop`, which must be safe to call at any point and may raise.

    Handlers that a program installed itself are left alone. Outside the main thread, which alone
    gets signals, `stop_thread` takes their place.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        stop(Interrupted(f"stopped by {name}", EXIT_CODES[name]))

    before, thread = {}, threading.get_ident()
    if threading.current_thread() is not threading.main_thread():
        _elsewhere[thread] = stop
    else:
        ours = (signal.SIG_DFL, signal.default_int_handler, interrupt)
        numbers = [getattr(signal, name) for name in EXIT_CODES]
        before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) in ours}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        _elsewhere.pop(thread, None)
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_thread(thread: int | None, interrupted: Interrupted) -> bool:
    """Stop what a thread (by its ident) is doing within `caught`, as a signal would. Whether it
    was within."""
    stop = _elsewhere.get(thread or 0)
    if stop is None:
        return False
    stop(interrupted)
    return True
