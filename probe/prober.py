"""Prober: probes pictures with one backend."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from math import inf
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from probe.api.transport.allowance import Allowance
from probe.api.transport.purse import Purse
from probe.api.transport.threads import Transport
from probe.backends import resolve
from probe.errors import Interrupted, LabelError, ProbeError, StorageError, UsageError
from probe.heatmap import Heatmap
from probe.image import Picture, open_image
from probe.ledger import Ledger, default_path
from probe.limits import Throttling
from probe.loop import Loop
from probe.methods import ALONE, DEFAULT, Method
from probe.methods import method as named_method
from probe.perturb import parse_fill
from probe.plan import Plan, Run, Wishes, choose_label, prepare
from probe.result import Result
from probe.snapshot import snapshot
from probe.types import Backend, Codec, Scores

Source = Any
"""A path, bytes, a file object, a PIL image, a numpy array, '-' for stdin, or a Picture."""
Budget = int | Literal["auto"]


class Prober:
    """Probes pictures with one backend: an object, a name, a URL or an ONNX file.

    fill        what stands where a box covers: mean, black, gray, blur, noise or a colour.
    side        longest side of what is sent, in pixels; pictures are never enlarged.
    codec       how variants travel, `png` or `jpeg:90`; the backend's first choice by default.
    ledger      where answers are kept: a path, a Ledger, None for the default one; in memory
                for a callable that states no identity.
    offline     answer from the ledger alone; a miss is an error.
    repeats     how often the unchanged picture is sent again to measure the service's noise;
                2 by default, 0 for a backend that declares itself deterministic.
    max_calls, max_cost, max_time   hard caps on calls, money and seconds, retries included, over
                all runs of this Prober; the clock starts with the first.
    background  the colour under transparent pixels.
    """

    def __init__(
        self,
        backend: Backend | str | Path = "local",
        *,
        fill: Any = "mean",
        side: int = 512,
        codec: Codec | None = None,
        ledger: Ledger | str | os.PathLike[str] | None = None,
        offline: bool = False,
        repeats: int | None = None,
        max_calls: int | None = None,
        max_cost: float | None = None,
        max_time: float | None = None,
        background: tuple[int, int, int] = (255, 255, 255),
    ) -> None:
        numbers = {"max_calls": max_calls, "max_cost": max_cost, "max_time": max_time}
        for name, cap in (numbers | {"repeats": repeats}).items():
            if cap is not None and not 0 <= cap < inf:
                raise UsageError(f"{name} must be a number from 0, not {cap}")
        self.backend = resolve(backend)
        self._url = getattr(self.backend, "url", None)
        self._fill = parse_fill(fill)
        self._side = side
        self._codec = codec
        self._offline = offline
        self._repeats = repeats
        self._allowance = Allowance(max_calls, max_cost, max_time)
        self._generation: tuple[str | None, Any] = (None, None)
        self._lock = Lock()
        self._background = background
        self._ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger or default_path())
        self._memory = Ledger(None)

    def heatmap(
        self,
        image: Source,
        label: str | None = None,
        method: str | Method = DEFAULT,
        budget: Budget = 64,
        seed: int = 0,
        **options: Any,
    ) -> Heatmap:
        """The map of one label: `probe(...).heatmap()`."""
        return self.probe(image, label, method, budget, seed, **options).heatmap()

    def probe(
        self,
        image: Source,
        label: str | None = None,
        method: str | Method = DEFAULT,
        budget: Budget = 64,
        seed: int = 0,
        **options: Any,
    ) -> Result:
        """Ask about the picture and its variants; every label's map is in the Result.

        image: a path, bytes, a file object, a PIL image, an array, '-' for stdin, or a Picture.
        label: which one the result is about; by default the backend's own question, else the
            label with the highest score. budget: how many answers the map uses, the reference
            among them; "auto": until it is settled. options: those of the method.

        Raises UsageError, LabelError, ImageError before anything is paid, BackendError when the
        service cannot be used, LimitReached at a cap, Interrupted by Ctrl-C, StorageError. What is
        known by then is in the error's `.partial`. Variants that failed are holes, not errors.
        """
        for result in self.stream(image, label, method, budget, seed, **options):  # noqa: B007
            pass
        return result

    def stream(
        self,
        image: Source,
        label: str | None = None,
        method: str | Method = DEFAULT,
        budget: Budget = 64,
        seed: int = 0,
        **options: Any,
    ) -> Iterator[Result]:
        """As `probe`, yielding a Result whenever answers came in; the last one is complete."""
        started = time.monotonic()
        yield from self._run(*self._prepare(image, label, method, budget, seed, options), started)

    def score(self, image: Source, label: str | None = None) -> Result:
        """Ask about the picture alone: one call, or two where its full size is not what is sent."""
        started = time.monotonic()
        for result in self._run(*self._prepare(image, label, ALONE, None, 0, {}), started):  # noqa: B007
            pass
        return result

    @property
    def throttling(self) -> Throttling:
        """How often the service has throttled all runs of this Prober, and for how long they wait
        for it now."""
        return self._allowance.throttling

    def _run(self, run: Run, backend: Backend, started: float) -> Iterator[Result]:
        label = run.label
        ledger = self._ledger_of(run)
        cap, pace = self._allowance.start(run.limits, started)
        purse = Purse(cap)
        transport = Transport(backend, run.codec, purse, pace)
        loop = Loop(
            run.order,
            run.renderer,
            run.question,
            ledger,
            transport,
            run.limits.host,
            self._allowance.deadline,
            getattr(backend, "reading", None),
        )
        known = partial(snapshot, run, loop, purse, started)
        try:
            label = choose_label(label, run.limits, loop.reference(run.first))
            self._keep_version(backend)
            yield known(label)
            sampler = run.sampler(label)
            for _ in loop.run(sampler, partial(run.read, label=label)):
                self._keep_version(backend)
                yield known(label)
            yield known(label, "complete", getattr(sampler, "reason", ""))
        except BaseException as error:
            if not loop.abandoned:
                loop.abandoned = True  # unless all of it arrives
                loop.settle()
                loop.abandoned = False
            with suppress(StorageError):
                self._keep_version(backend)
            if isinstance(error, KeyboardInterrupt) and not isinstance(error, Interrupted):
                error = Interrupted("stopped by SIGINT")
            outcome = loop.answers[0].outcome if loop.answers else None
            if (
                isinstance(error, (ProbeError, Interrupted))
                and not isinstance(error, LabelError)
                and isinstance(outcome, Scores)
            ):
                error.partial = known(choose_label(label, run.limits, outcome), "stopped")
            raise error
        finally:
            transport.close(wait=not loop.abandoned)
            ledger.close()

    def plan(
        self,
        image: Source,
        label: str | None = None,
        method: str | Method = DEFAULT,
        budget: Budget = 64,
        seed: int = 0,
        **options: Any,
    ) -> Plan:
        """What `probe` with the same arguments would do and cost; scores nothing."""
        run, _ = self._prepare(image, label, method, budget, seed, options)
        ledger = self._ledger_of(run)
        try:
            return run.plan(ledger)
        finally:
            ledger.close()

    def _prepare(
        self,
        image: Source,
        label: str | None,
        method: str | Method,
        budget: Budget | None,
        seed: int,
        options: Mapping[str, Any],
    ) -> tuple[Run, Backend]:
        chosen = named_method(method)
        wishes = Wishes(
            label=label,
            method=chosen,
            options=options,
            budget=budget,
            seed=seed,
            fill=self._fill if chosen.fill is None else parse_fill(chosen.fill),
            side=self._side,
            codec=self._codec,
            repeats=self._repeats,
            offline=self._offline,
        )
        if isinstance(image, Picture):
            picture = image
        else:
            picture = open_image(image, background=self._background)
        self._know_the_server()
        backend = self._as_remembered()
        return prepare(picture, backend.limits, backend.identity, wishes), backend

    def _know_the_server(self) -> None:
        """Keep what a server says of itself, so that `offline` needs no connection to it."""
        if self._url is None:
            return
        from probe.backends.http import Http

        if not isinstance(self.backend, Http):
            return
        remembered = self._ledger.recall(self._url)
        if self._offline and remembered is not None:
            self.backend = Http(self._url, remembered)
        elif self.backend.description != remembered:
            self._ledger.remember(self._url, self.backend.description)

    def _as_remembered(self) -> Backend:
        """The backend, asked as the version of its model that answered last.

        Runs that start before any version is known find out together.
        """
        if getattr(self.backend, "generation", None) is None:
            return self.backend
        from probe.backends.connection import Generation, Versioned

        if not isinstance(self.backend, Versioned):
            return self.backend
        with self._lock:
            memory = self._ledger.recall(_version_key(self.backend))
            if self._generation[1] is None or self._generation[0] != memory:
                self._generation = memory, Generation(self.backend.generation.who, memory)
            return self.backend.of(self._generation[1])

    def _keep_version(self, backend: Backend) -> None:
        """Remember which version of the model answers, for the runs to come."""
        generation = getattr(backend, "generation", None)
        if generation is not None and (news := generation.news()) is not None:
            self._ledger.remember(_version_key(backend), news)

    def _ledger_of(self, run: Run) -> Ledger:
        return self._memory if run.identity is None else self._ledger


def _version_key(backend: Any) -> str:
    """What the version is remembered under: an address, so that it is forgotten with its host."""
    return f"//{backend.limits.host}/{backend.service_identity}"
