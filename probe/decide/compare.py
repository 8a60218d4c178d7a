"""Two services asked about the same variants of one picture, side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from hashlib import sha256
from threading import Event
from typing import Any, cast

from probe.backends import resolve
from probe.backends.names import Spec
from probe.decide.compare_ground import Contender, Wish, settle
from probe.decide.compare_runs import blamed, one_by_one, side_by_side
from probe.decide.comparison import Comparison, Unit
from probe.errors import Interrupted, ProbeError, UsageError
from probe.image import Picture, open_image
from probe.methods import method as named_method
from probe.result import Result
from probe.text import printable
from probe.types import Codec

Watch = Callable[[int, Result], None]
"""Called with which of the two it is, 0 or 1, and what is known of it; from a thread of its own."""

PROBER = ("fill", "ledger", "offline", "repeats", "max_calls", "max_cost", "max_time")
NAME = 40


def compare(
    image: Any,
    backends: Sequence[Spec],
    label: str | Sequence[str | None] | None = None,
    budget: int = 64,
    *,
    unit: Unit = "score",
    **settings: Any,
) -> Comparison:
    """Send the same variants to two services, side by side, and compare their maps.

    Both get the same pixels: the same covers, at the smaller of the sizes that they take, by a
    codec that both take. image: as of `Prober.probe`. backends: two, each as of `Prober`; one
    service with two settings counts as two. label: one for both, or one for each; by default each
    service's own question. budget: answers of each. unit: see `Comparison`.
    settings: `method` (one that does not learn), `seed`, `names` (what to call the two), `side`,
    `codec`, `background`; of the Probers `fill`, `ledger` (a path), `offline`, `repeats` and the
    caps, which hold for each by itself; the method's own options.

    Raises UsageError for what cannot be the same for both, and as `Prober.probe` does, with the
    name of the one that failed in the message; what the other answered by then is kept.
    """
    if unit not in ("score", "share"):
        raise UsageError(f"unit is score or share, not {unit!r}")
    return ask_both(contenders(image, backends, label, budget, **settings), unit)


def contenders(
    image: Any,
    backends: Sequence[Spec],
    label: str | Sequence[str | None] | None = None,
    budget: int = 64,
    *,
    method: str = "multiscale",
    seed: int = 0,
    names: Sequence[str] | None = None,
    side: int = 512,
    codec: Codec | None = None,
    background: tuple[int, int, int] = (255, 255, 255),
    **settings: Any,
) -> tuple[Contender, Contender]:
    """The two made ready, with the plan of each; arguments as of `compare`. Nothing is sent."""
    if isinstance(backends, str) or len(backends) != 2:
        given = 1 if isinstance(backends, str) else len(backends)
        raise UsageError(f"a comparison is of two services, not {given}: name one and the other")
    labels = [label] * 2 if label is None or isinstance(label, str) else [*label]
    if len(labels) != 2:
        raise UsageError(f"{len(labels)} labels for two services: give one for both, or one each")
    picture = image if isinstance(image, Picture) else open_image(image, background=background)
    wish = Wish(
        picture=picture,
        method=named_method(method),
        budget=budget,
        seed=seed,
        options={name: value for name, value in settings.items() if name not in PROBER},
        side=side,
        codec=codec,
        prober={name: value for name, value in settings.items() if name in PROBER},
    )
    called = distinct_names([*map(name_of, backends)] if names is None else names)
    made = [
        blamed(name, partial(resolve, spec)) for name, spec in zip(called, backends, strict=True)
    ]
    return settle(called, made, labels, wish)


def ask_both(
    pair: tuple[Contender, Contender],
    unit: Unit = "score",
    watch: Watch = lambda which, result: None,
) -> Comparison:
    """The unchanged picture to both, so that whatever is wrong with either costs two calls; then
    the variants. Two that are one host share its limits, and so take turns."""
    hosts = [one.plan.host for one in pair]
    together = one_by_one if hosts[0] is not None and hosts[0] == hosts[1] else side_by_side
    references = together([partial(_reference, one) for one in pair])
    first, second = together(
        [
            partial(_run, one, which, reference, watch)
            for which, (one, reference) in enumerate(zip(pair, references, strict=True))
        ]
    )
    return Comparison((pair[0].name, pair[1].name), (first, second), unit, digest(pair, unit))


def digest(pair: tuple[Contender, Contender], unit: Unit) -> str:
    """The same for the same comparison."""
    asked = [(one.plan.digest, one.wanted["label"], one.plan.perturbations) for one in pair]
    return sha256(repr((asked, unit)).encode()).hexdigest()


def _reference(one: Contender, stop: Event) -> Result:
    return blamed(one.name, lambda: one.prober.score(one.wanted["image"], one.wanted["label"]))


def _run(one: Contender, which: int, reference: Result, watch: Watch, stop: Event) -> Result:
    """All of it, or as far as it is when told to stop; what is in flight is kept by then."""

    def run() -> Result:
        try:
            with closing(cast("Generator[Result]", one.prober.stream(**one.wanted))) as snapshots:
                for snapshot in snapshots:
                    result = _with(reference, snapshot)
                    watch(which, result)
                    if stop.is_set():
                        break
        except (ProbeError, Interrupted) as error:
            if error.partial is not None:
                watch(which, _with(reference, error.partial))
            raise
        return result

    return blamed(one.name, run)


def _with(reference: Result, run: Result) -> Result:
    """The run, and what its reference took, which was asked before it."""
    return replace(
        run,
        calls=run.calls + reference.calls,
        requests=run.requests + reference.requests,
        throttled=run.throttled + reference.throttled,
        cost=None if run.cost is None or reference.cost is None else run.cost + reference.cost,
        seconds=run.seconds + reference.seconds,
    )


def name_of(spec: Spec) -> str:
    """What people call a backend: the name, URL or file that was given, else what it is."""
    if isinstance(spec, str | os.PathLike):
        return printable(os.fspath(spec), NAME)
    unnamed = type(spec).__repr__ is object.__repr__
    return printable(type(spec).__name__ if unnamed else repr(spec), NAME)


def distinct_names(names: Sequence[str]) -> list[str]:
    """The names, numbered where they are the same."""
    alike = len(set(names)) < len(names)
    return [f"{name} ({n})" if alike else name for n, name in enumerate(names, 1)]
