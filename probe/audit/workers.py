"""Who does the work: this process, or the workers of a Dask cluster.

What is bought, when and with which money is decided in one place, the process that audits: its
pace, its caps and its ledger are those of all. Workers render, send and read one request at a
time, run networks and look at pictures. A request whose worker died is nobody's answer: it is
counted as perhaps billed, and sent again by whoever counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from probe.audit.through import Through, lost
from probe.errors import MissingExtra, ProbeError, UsageError
from probe.text import printable
from probe.types import Backend

if TYPE_CHECKING:
    from distributed import Client

A = TypeVar("A")
B = TypeVar("B")

CLOSED = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.preload": ["import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"],
}
"""A cluster of one's own hands out no task twice, has no pages for others to look at, and leaves
Ctrl-C to the process that it works for."""
AHEAD = 2
"""Tasks a thread that are handed out before their turn."""


class Crew(Protocol):
    """threads: how many tasks are done at once."""

    threads: int

    def map(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]: ...
    def through(self, backend: Backend) -> Backend: ...


class Alone:
    """All is done in this process."""

    threads = 1

    def map(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        return map(work, items)

    def through(self, backend: Backend) -> Backend:
        return backend


class Workers:
    """The workers of a Dask cluster, as a context manager.

    number: processes of a cluster of one's own on this machine, behind TLS with keys made for it,
    so that no other user of the machine can hand work to them. scheduler: the address of one that
    runs already, tcp:// or tls://; its workers need the same probe, and the service's keys in
    their own environment. threads: of each process. patience: seconds to find a scheduler, and for
    a worker to be there.

    Raises MissingExtra without dask.distributed, UsageError for a scheduler that does not answer
    or has no workers.
    """

    def __init__(
        self,
        number: int = 2,
        *,
        threads: int = 1,
        scheduler: str | None = None,
        patience: float = 30.0,
    ) -> None:
        self.scheduler = scheduler
        self._patience = patience
        self._number = number
        self._threads = threads
        self._cluster: Any = None
        self._client: Client | None = None
        self.threads = number * threads

    def __enter__(self) -> Self:
        try:
            import dask
            from distributed import Client, LocalCluster, Security
        except ImportError as error:
            raise MissingExtra("dask.distributed", "audit") from error
        if self.scheduler is None:
            with dask.config.set(CLOSED):
                self._cluster = LocalCluster(
                    n_workers=self._number,
                    threads_per_worker=self._threads,
                    host="127.0.0.1",
                    security=Security.temporary(),
                    dashboard_address="127.0.0.1:0",
                    silence_logs=50,
                )
        try:
            self._client = Client(
                self._cluster or self.scheduler, timeout=self._patience, set_as_default=False
            )
            self._client.wait_for_workers(1, timeout=self._patience)
            self.threads = sum(self._client.nthreads().values())
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            self._close()
            shown = printable(str(self.scheduler), 200)
            raise UsageError(
                f"no Dask scheduler with workers at {shown}: start `dask scheduler` and "
                "`dask worker`, or leave --scheduler out"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        for one in (self._client, self._cluster):
            if one is not None:
                with suppress(OSError, TimeoutError):
                    one.close(timeout=5)
        self._client = self._cluster = None

    @property
    def client(self) -> Client:
        if self._client is None:
            raise UsageError("workers are used within `with Workers() as workers:`")
        return self._client

    def map(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """As `map`, in order; a few items are held. What a lost worker had is done anew."""
        waiting: deque[Any] = deque()
        for item in items:
            waiting.append(self.client.submit(work, item, pure=False, retries=3))
            if len(waiting) > AHEAD * self.threads:
                yield self._taken(waiting.popleft())
        while waiting:
            yield self._taken(waiting.popleft())

    def _taken(self, future: Any) -> Any:
        try:
            return future.result()
        except ProbeError:
            raise
        except Exception as error:
            raise lost(error, self.scheduler) from error

    def through(self, backend: Backend) -> Backend:
        """The same backend, asked by the workers."""
        return Through(backend, self.client, self.threads, self.scheduler)
