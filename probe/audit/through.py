"""A backend whose requests are made by the workers of a cluster."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from probe.errors import BackendError, ProbeError, Rejected, UsageError
from probe.limits import Limits
from probe.perturb import Renderer
from probe.perturb.render import Rendered
from probe.text import printable
from probe.types import Backend, Codec, Failure, Perturbation, Scores, Variant

if TYPE_CHECKING:
    from distributed import Client
    from PIL import Image

PATIENCE = 900.0
"""Seconds until a request that went to a worker counts as lost."""


class Through:
    """A backend whose requests are made by workers, one a task.

    threads: tasks at once. scheduler: its address where others use it, too; None for one's own,
    which hands no task out twice. Raises UsageError for a backend that cannot travel.
    """

    def __init__(
        self, backend: Backend, client: Client, threads: int, scheduler: str | None
    ) -> None:
        import cloudpickle

        self._backend = backend
        self._client = client
        self._threads = threads
        self._scheduler = scheduler
        try:
            self._packed = cloudpickle.dumps(backend)
        except Exception as error:
            raise UsageError(
                f"a {type(backend).__name__} cannot be handed to workers "
                f"({printable(str(error), 100)}): audit without workers"
            ) from error

    @property
    def identity(self) -> str | None:
        return self._backend.identity

    @property
    def limits(self) -> Limits:
        """A network that runs in a process runs in as many as there are threads."""
        limits = self._backend.limits
        if limits.host is not None:
            return limits
        return replace(limits, batch=min(limits.batch, 8), concurrency=self._threads)

    def score(self, variants: Sequence[Variant], codec: Codec) -> Sequence[Scores | Failure]:
        token = f"probe-{uuid.uuid4().hex}"
        shared = self._scheduler is not None
        try:
            future = self._client.submit(
                _score, self._packed, _bundle(variants, codec), codec, token if shared else None,
                key=token, pure=False, retries=0,
            )  # fmt: skip
            outcomes, version = future.result(timeout=PATIENCE)
        except Exception as error:
            outcomes, version = self._failed(error, len(variants)), None
        if shared:
            self._forget(token)
        if isinstance(outcomes, BaseException):
            raise outcomes
        generation = getattr(self._backend, "generation", None)
        if generation is not None:
            generation.check(version)
        found: Sequence[Scores | Failure] = outcomes
        return found

    def _failed(self, error: Exception, count: int) -> Any:
        from distributed.scheduler import KilledWorker

        if isinstance(error, KilledWorker | TimeoutError):
            return _unanswered(count)
        return error if isinstance(error, ProbeError) else lost(error, self._scheduler)

    def _forget(self, token: str) -> None:
        from distributed import Event

        with suppress(Exception):
            Event(token, client=self._client).clear()


class _Ready:
    """A variant that was rendered where it was made."""

    def __init__(self, perturbation: Perturbation, image: Image.Image | None, data: bytes) -> None:
        self.perturbation = perturbation
        self._image = image
        self._data = data

    def pixels(self) -> Image.Image:
        assert self._image is not None
        return self._image

    def encode(self, codec: Codec) -> bytes:
        return self._data


Bundle = list[Variant | tuple[int, Perturbation]]


def _bundle(variants: Sequence[Variant], codec: Codec) -> tuple[list[Renderer], Bundle]:
    """Several variants of one picture travel as the picture and what is done to it, others ready
    to be sent."""
    owners = [one.renderer if isinstance(one, Rendered) else None for one in variants]
    renderers: list[Renderer] = []
    found: Bundle = []
    for variant, owner in zip(variants, owners, strict=True):
        if owner is None or sum(owner is other for other in owners) < 2:
            is_plain = codec.format == "pixels"
            image, data = (variant.pixels(), b"") if is_plain else (None, variant.encode(codec))
            found.append(_Ready(variant.perturbation, image, data))
            continue
        if not any(owner is known for known in renderers):
            renderers.append(owner)
        place = next(n for n, known in enumerate(renderers) if known is owner)
        found.append((place, variant.perturbation))
    light = [Renderer(one.base, one.canvas, one.fill, one.min_side) for one in renderers]
    return light, found


def _score(
    packed: bytes, bundle: tuple[list[Renderer], Bundle], codec: Codec, token: str | None
) -> tuple[Any, str | None]:
    """Runs in a worker: the outcomes or the error, and the version of the model that answered."""
    if token is not None and not _is_first(token):
        return _unanswered(len(bundle[1])), None
    renderers, rest = bundle
    variants = [renderers[v[0]].variant(v[1]) if isinstance(v, tuple) else v for v in rest]
    backend: Any = _unpacked(packed)
    generation = getattr(backend, "generation", None)
    if generation is not None:
        backend = backend.of(type(generation)(generation.who))
    try:
        outcomes = list(backend.score(variants, codec))
    except ProbeError as error:
        return _sendable(error), None
    return outcomes, None if generation is None else backend.generation.answered


def _unanswered(count: int) -> list[Failure]:
    return [Failure("lost", "the worker that asked was lost", billed=True)] * count


def _is_first(token: str) -> bool:
    """Whether no other worker began this task: a shared scheduler hands out anew what a lost
    worker had, and a request is not sent twice without being counted twice."""
    from distributed import Event

    event = Event(token)
    if event.is_set():
        return False
    event.set()
    return True


@lru_cache(maxsize=4)
def _unpacked(packed: bytes) -> Backend:
    import pickle

    backend: Backend = pickle.loads(packed)
    return backend


def _sendable(error: ProbeError) -> ProbeError:
    """The error, or what is left of it where it cannot travel."""
    import pickle

    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        kind = UsageError if isinstance(error, UsageError) else BackendError
        return kind(str(error))


def lost(error: BaseException, scheduler: str | None) -> ProbeError:
    """What is said where a cluster is gone: all answers that arrived are kept."""
    where = printable(scheduler, 200) if scheduler else "of this machine"
    said = printable(f"{type(error).__name__}: {error}", 200)
    found = Rejected(
        f"the Dask scheduler {where} or its work was lost ({said}): the same command goes on"
    )
    found.exit_code = 3
    return found
