"""Prober: probes pictures with one backend."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Literal

from probe.api.transport.allowance import Allowance
from probe.api.transport.purse import Purse
from probe.api.transport.threads import Transport
from probe.backends import resolve
from probe.errors import Interrupted, LabelError, ProbeError, StorageError, UsageError
from probe.heatmap import Heatmap
from probe.image import Picture, open_image
from probe.ledger import Ledger, Question, default_path
from probe.limits import Throttling
from probe.loop import Loop, Renderer
from probe.methods import ALONE, DEFAULT, Method
from probe.methods import method as named_method
from probe.perturb import parse_fill
from probe.plan import Plan, Run, Wishes, choose_label, prepare
from probe.remembering import Versions, as_described
from probe.result import Result
from probe.scoring import Album, Scoring
from probe.snapshot import snapshot
from probe.types import Backend, Codec, Order, Perturbation, Scores

Source = Any
"""What `Prober.probe` takes as a picture."""
Budget = int | Literal["auto"]


class Prober:
    """Probes pictures with one backend: an object, a name, a URL or an ONNX file.

    fill        what stands where a box covers: mean, black, gray, blur, noise or a colour.
    side        longest side of what is sent, in pixels; pictures are never enlarged.
    codec       how variants travel, `png` or `jpeg:90`; the backend's first choice by default.
    ledger      where answers are kept: a path, a postgresql:// address, a Ledger, None for the
                default one; in memory for a callable that states no identity.
    offline     answer from the ledger alone; a miss is an error.
    repeats     how often the unchanged picture is sent again to measure the service's noise;
                2 by default, 0 for a backend that declares itself deterministic.
    max_calls, max_cost, max_time   hard caps on calls, money and seconds, retries included, over
                all runs of this Prober; the clock starts with the first.
    background  the colour under transparent pixels.
    through     who sends: makes of the backend one that others ask for it, as workers do.
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
        through: Callable[[Backend], Backend] = lambda backend: backend,
    ) -> None:
        numbers = {"max_calls": max_calls, "max_cost": max_cost, "max_time": max_time}
        for name, cap in (numbers | {"repeats": repeats}).items():
            if cap is not None and not 0 <= cap < inf:
                raise UsageError(f"{name} must be a number from 0, not {cap}")
        self.backend = resolve(backend)
        self._fill = parse_fill(fill)
        self._side = side
        self._codec = codec
        self._offline = offline
        self._repeats = repeats
        self._allowance = Allowance(max_calls, max_cost, max_time)
        self._background = background
        self._through = through
        self._ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger or default_path())
        self._memory = Ledger(None)
        self._versions = Versions(self._ledger)

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
        (result,) = deque(self.stream(image, label, method, budget, seed, **options), maxlen=1)
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
        prepared = self._prepare(image, label, ALONE, None, 0, {})
        (result,) = deque(self._run(*prepared, time.monotonic()), maxlen=1)
        return result

    @property
    def throttling(self) -> Throttling:
        """How often the service has throttled all runs, and for how long they wait now."""
        return self._allowance.throttling

    def scoring(self, images: Iterable[Source]) -> Scoring:
        """Ask about each of many pictures alone, in full batches: one call a picture.

        The Scoring is iterated over for a `Scored` of each, in their order. Equal pictures are
        bought once; what is no picture is a Failure. They are sent at the size that maps are.
        """
        started, backend = time.monotonic(), self._acquainted()
        wishes = replace(self._wishes(None, named_method(ALONE), {}, None, 0), full=False)
        limits, who = backend.limits, backend.identity
        ready = partial(prepare, limits=limits, identity=who, wishes=wishes)

        def album(sources: Iterable[Source], start: int) -> Album:
            return Album(sources, self.opened, ready, start)

        codec = wishes.codec or Codec(limits.formats[0])
        return Scoring(
            images,
            album,
            lambda album, order: self._loop(backend, order, album, album.question, codec, started),
            partial(self._land, backend),
            limits.price,
            self._offline,
        )

    def _run(self, run: Run, backend: Backend, started: float) -> Iterator[Result]:
        work = run.order, run.renderer, run.question, run.codec
        with self._loop(backend, *work, started) as (loop, purse):
            known = partial(snapshot, run, loop, purse, started)
            try:
                label = choose_label(run.label, run.limits, loop.reference(run.first))
                self._versions.keep(backend)
                yield known(label)
                sampler = run.sampler(label)
                for _ in loop.run(sampler, partial(run.read, label=label)):
                    self._versions.keep(backend)
                    yield known(label)
                yield known(label, "complete", getattr(sampler, "reason", ""))
            except BaseException as error:
                self._land(backend, loop)
                if isinstance(error, KeyboardInterrupt) and not isinstance(error, Interrupted):
                    error = Interrupted("stopped by SIGINT")
                outcome = loop.answers[0].outcome if loop.answers else None
                if (
                    isinstance(error, (ProbeError, Interrupted))
                    and not isinstance(error, LabelError)
                    and isinstance(outcome, Scores)
                ):
                    error.partial = known(choose_label(run.label, run.limits, outcome), "stopped")
                raise error

    @contextmanager
    def _loop(
        self,
        backend: Backend,
        order: Order,
        renderer: Renderer,
        question: Callable[[Perturbation], Question],
        codec: Codec,
        started: float,
    ) -> Iterator[tuple[Loop, Purse]]:
        """A loop and what it may send; its threads end with the block."""
        ledger = self._memory if backend.identity is None else self._ledger
        sender = self._through(backend)
        cap, pace = self._allowance.start(sender.limits, started)
        purse = Purse(cap)
        transport = Transport(sender, codec, purse, pace)
        loop = Loop(
            order,
            renderer,
            question,
            ledger,
            transport,
            backend.limits.host,
            self._allowance.deadline,
            getattr(backend, "reading", None),
        )
        try:
            yield loop, purse
        finally:
            transport.close(wait=not loop.abandoned)
            ledger.close()

    def _land(self, backend: Backend, loop: Loop) -> None:
        """Receive and store what a loop that was stopped has in flight."""
        if not loop.abandoned:
            loop.abandoned = True  # unless all of it arrives
            loop.settle()
            loop.abandoned = False
        with suppress(StorageError):
            self._versions.keep(backend)

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
        ledger = self._memory if run.identity is None else self._ledger
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
        wishes = self._wishes(label, named_method(method), options, budget, seed)
        picture, backend = self.opened(image), self._acquainted()
        return prepare(picture, backend.limits, backend.identity, wishes), backend

    def opened(self, image: Source) -> Picture:
        """As this Prober sees it; raises ImageError."""
        known = isinstance(image, Picture)
        return image if known else open_image(image, background=self._background)

    def _wishes(
        self,
        label: str | None,
        method: Method,
        options: Mapping[str, Any],
        budget: Budget | None,
        seed: int,
    ) -> Wishes:
        return Wishes(
            label=label,
            method=method,
            options=options,
            budget=budget,
            seed=seed,
            fill=self._fill if method.fill is None else parse_fill(method.fill),
            side=self._side,
            codec=self._codec,
            repeats=self._repeats,
            offline=self._offline,
        )

    def _acquainted(self) -> Backend:
        """The backend as the ledger remembers it."""
        self.backend = as_described(self.backend, self._ledger, self._offline)
        return self._versions.of(self.backend)
