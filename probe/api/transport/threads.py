"""Sends batches of variants to any backend, from threads of its own.

A backend scores one request; everything around it is done here: `sending` settles a batch,
`pace` says when, `purse` whether.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

from probe.api.transport.pace import Pace
from probe.api.transport.purse import Purse
from probe.api.transport.sending import Delivery, Sender
from probe.types import Backend, Codec, Variant

MOST_THREADS = 64
MOST_AHEAD = 8
CORES = min(4, os.cpu_count() or 1)


@dataclass(eq=False)
class _Job:
    """A batch on its way to a worker. left: variants still to be encoded."""

    tags: Sequence[int]
    variants: Sequence[Variant]
    left: int


class Transport:
    """Worker threads that score batches on `backend`: `submit` them, take them from `done`.

    While they wait for answers, others encode what is to be sent next. All are daemons: a second
    Ctrl-C leaves at once.
    """

    def __init__(self, backend: Backend, codec: Codec, purse: Purse, pace: Pace) -> None:
        self._codec = codec
        self._limits = backend.limits
        self._concurrency = min(self._limits.concurrency, most_threads())
        self._pace = pace
        self._stopped = threading.Event()
        self._sender = Sender(backend, codec, purse, pace, self._stopped)
        self._raw: SimpleQueue[tuple[_Job | None, Variant] | None] = SimpleQueue()
        self._ready: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self.done: SimpleQueue[Delivery | BaseException] = SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._encoders: list[threading.Thread] = []
        self._idle = True

    @property
    def batch(self) -> int:
        return self._limits.batch

    @property
    def slots(self) -> int:
        """How many batches may be on their way: one a worker, and as many made ready."""
        return self._concurrency + min(self._concurrency, MOST_AHEAD)

    @property
    def ahead(self) -> int:
        """How many variants are worth being prepared before they are submitted."""
        return 0 if self._codec.format == "pixels" else self.slots * self.batch

    def prepare(self, variants: Sequence[Variant]) -> None:
        """Encode what will be submitted soon, as far as there is time until then."""
        self._idle = True
        for variant in variants:
            self._queue(None, variant)

    def submit(self, tags: Sequence[int], variants: Sequence[Variant]) -> None:
        self._idle = False
        if len(self._workers) < self._concurrency:
            self._workers.append(_started(self._work, "probe-send"))
        job = _Job(tags, variants, len(variants))
        if self._codec.format == "pixels":
            self._ready.put(job)
            return
        for variant in variants:
            self._queue(job, variant)

    def stop(self) -> None:
        """No new sends from now on; all that wait wake up and give up."""
        self._stopped.set()
        self._pace.wake()

    def close(self, wait: bool = True) -> None:
        """End the threads, after what they have in flight unless told not to `wait`."""
        self.stop()
        for _ in self._encoders:
            self._raw.put(None)
        for thread in self._encoders if wait else ():
            thread.join()
        for _ in self._workers:
            self._ready.put(None)
        for thread in self._workers if wait else ():
            thread.join()

    def _queue(self, job: _Job | None, variant: Variant) -> None:
        if len(self._encoders) < CORES:
            self._encoders.append(_started(self._encode, "probe-encode"))
        self._raw.put((job, variant))

    def _work(self) -> None:
        while (job := self._ready.get()) is not None:
            delivery = self._sender.deliver(job.tags, job.variants)
            if delivery.error is not None:
                self.stop()
            self.done.put(delivery)

    def _encode(self) -> None:
        """A variant keeps what it was encoded to, so that the sender finds it done."""
        while (task := self._raw.get()) is not None:
            job, variant = task
            if not self._stopped.is_set() and (job or self._idle):
                with suppress(Exception):  # the worker meets it again, and says so
                    variant.encode(self._codec)
            if job is not None:
                with self._lock:
                    job.left -= 1
                    is_last = job.left == 0
                if is_last:
                    self._ready.put(job)


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
