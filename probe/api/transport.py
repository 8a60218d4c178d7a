"""Sends batches of variants to any backend, from threads of its own.

A backend scores one request; everything around it is done here: `probe.api.sending` settles a
batch, `probe.api.pace` says when, `probe.api.purse` whether.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue

from probe.api.pace import Pace
from probe.api.purse import Purse
from probe.api.sending import Delivery, Sender
from probe.types import Backend, Codec, Variant

MOST_THREADS = 64
MOST_AHEAD = 8

Job = tuple[Sequence[int], Sequence[Variant]]


class Transport:
    """Worker threads that score batches on `backend`: `submit` them, take them from `done`.

    While they wait for answers, one more thread encodes what is to be sent next. All are
    daemons: a second Ctrl-C leaves at once.
    """

    def __init__(self, backend: Backend, codec: Codec, purse: Purse, pace: Pace) -> None:
        self._codec = codec
        self._limits = backend.limits
        self._concurrency = min(self._limits.concurrency, most_threads())
        self._pace = pace
        self._stopped = threading.Event()
        self._sender = Sender(backend, codec, purse, pace, self._stopped)
        self._ready: SimpleQueue[Job | None] = SimpleQueue()
        self._jobs = self._ready if codec.format == "pixels" else SimpleQueue[Job | None]()
        self.done: SimpleQueue[Delivery | BaseException] = SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._encoder: threading.Thread | None = None

    @property
    def batch(self) -> int:
        return self._limits.batch

    @property
    def slots(self) -> int:
        """How many batches may be on their way: one a worker, and as many made ready."""
        return self._concurrency + min(self._concurrency, MOST_AHEAD)

    def submit(self, tags: Sequence[int], variants: Sequence[Variant]) -> None:
        if len(self._workers) < self._concurrency:
            self._workers.append(_started(self._work, "probe-send"))
        if self._encoder is None and self._jobs is not self._ready:
            self._encoder = _started(self._encode, "probe-encode")
        self._jobs.put((tags, variants))

    def stop(self) -> None:
        """No new sends from now on; all that wait wake up and give up."""
        self._stopped.set()
        self._pace.wake()

    def close(self, wait: bool = True) -> None:
        """End the threads, after what they have in flight unless told not to `wait`."""
        self.stop()
        threads = [*self._workers]
        if self._encoder is not None:
            threads.append(self._encoder)
            self._jobs.put(None)
        else:
            self._end_workers()
        if wait:
            for thread in threads:
                thread.join()

    def _work(self) -> None:
        while (job := self._ready.get()) is not None:
            delivery = self._sender.deliver(*job)
            if delivery.error is not None:
                self.stop()
            self.done.put(delivery)

    def _encode(self) -> None:
        """A variant keeps what it was encoded to, so that the sender finds it done."""
        while (job := self._jobs.get()) is not None:
            for variant in job[1]:
                if not self._stopped.is_set():
                    with suppress(Exception):  # the sender meets it again, and says so
                        variant.encode(self._codec)
            self._ready.put(job)
        self._end_workers()

    def _end_workers(self) -> None:
        for _ in self._workers:
            self._ready.put(None)


def most_threads() -> int:
    """As many as have descriptors left for a connection each, and never more than MOST_THREADS."""
    try:
        import resource
    except ImportError:
        return MOST_THREADS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_THREADS if allowed < 0 else max(1, min(MOST_THREADS, (allowed - 40) // 2))


def _started(work: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread
