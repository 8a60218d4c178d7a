"""The contract of backends, as a test that anybody's backend can be put to.

from probe.testing import check_backend

def test_my_backend_keeps_the_contract():
    check_backend(lambda: MyBackend("model-3"))
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, cycle, islice
from threading import Barrier

import numpy as np
from PIL import Image

from probe.image import encode
from probe.limits import Limits
from probe.testing.planted import planted_picture
from probe.types import Backend, Codec, Failure, Identity, Scores

CLOSE = 1e-6
"""How far scores of the same pixels may be apart and count as the same: a batch may round."""
APART = 1e-4
"""How far the scores of two pictures must be apart to tell which is which."""

PATIENCE = 5
"""How often a service that throttles is asked, after the waits that it states."""

_KEY = re.compile(r"(?i:(key|token|secret|password|bearer|authorization)\s*[=:]\s*\S)|://[^/\s]*@")
_WORD = re.compile(r"[A-Za-z0-9]{24,}")


class Sample:
    """A picture as a variant. Notes when it is taken otherwise than the codec says."""

    perturbation = Identity()

    def __init__(self, image: Image.Image, codec: Codec, misuse: list[str]) -> None:
        self._image, self._codec, self._misuse = image, codec, misuse

    def pixels(self) -> Image.Image:
        return self._image.copy()

    def encode(self, codec: Codec) -> bytes:
        if codec != self._codec:
            self._misuse.append(f"it encodes as {codec}, but {self._codec} was asked for")
        return encode(self._image, codec if codec.format != "pixels" else Codec("png"))


def check_backend(make: Callable[[], Backend], picture: Image.Image | None = None) -> None:
    """Put the backends that `make()` returns to the contract; AssertionError where one breaks it.

    Identity and limits make sense and stay the same; each stated format is taken; there is one
    answer a variant, in the order of the variants, alone, in pairs and in a full batch; scores
    are finite and hold the stated labels; a deterministic backend repeats itself; where several
    requests at once are allowed, they do not disturb each other.

    picture: one that the model reacts to, where it does not tell the made-up ones apart. For
    each format a dozen small pictures and a full batch are scored: a paid service charges them.
    """
    backend = make()
    assert isinstance(backend, Backend), f"{backend!r} lacks identity, limits or score()"
    identity, limits = backend.identity, backend.limits
    _check_identity(identity, repr(backend))
    _check_limits(limits)
    other = make()
    assert other.identity == identity, "another instance has another identity"
    assert other.limits == limits, "another instance has other limits"
    pictures = [_fitted(image, limits) for image in _pictures(picture)]
    told_apart = [
        _check_format(backend, other, pictures, Codec(format)) for format in limits.formats
    ]
    assert any(told_apart), (
        "all pictures get the same scores, so that their order cannot be told: "
        "give a picture=... that the model reacts to"
    )
    assert backend.identity == identity, "the identity changes with use"
    assert backend.limits == limits, "the limits change with use"


def _check_identity(identity: str | None, shown: str) -> None:
    if identity is not None:
        assert isinstance(identity, str), f"the identity is {identity!r}, no string"
        assert identity.strip(), "the identity is empty: None says that it cannot be stated"
        assert identity.isprintable(), f"the identity {identity!r} is not one printable line"
    for name, text in (("identity", identity or ""), ("repr", shown)):
        assert not _looks_secret(text), f"the {name} looks as if it held a secret"
    assert " at 0x" not in (identity or ""), "the identity holds an address: it is never the same"


def _looks_secret(text: str) -> bool:
    """A named key, a user in a URL, or a long word of mixed case and digits; digests are not."""
    return _KEY.search(text) is not None or any(
        word not in (word.lower(), word.upper()) and len(re.findall(r"\d+", word)) > 2
        for word in _WORD.findall(text)
    )


def _check_limits(limits: Limits) -> None:
    assert limits.batch >= 1, f"limits.batch is {limits.batch}"
    assert limits.concurrency >= 1, f"limits.concurrency is {limits.concurrency}"
    known = {"pixels", "png", "jpeg"}
    assert limits.formats, "limits.formats is empty"
    assert known.issuperset(limits.formats), f"limits.formats has unknown ones: {limits.formats}"
    assert limits.min_side >= 1, f"limits.min_side is {limits.min_side}"
    sides = (limits.min_side, limits.max_side)
    assert sides[1] is None or sides[1] >= sides[0], f"limits.min_side, max_side are {sides}"
    assert limits.max_bytes is None or limits.max_bytes >= 1, "limits.max_bytes is below 1"
    assert len(set(limits.labels)) == len(limits.labels), "limits.labels has one twice"
    if limits.labels and limits.question is not None:
        assert limits.question in limits.labels, "limits.question is not among limits.labels"
    x0, y0, x1, y1 = limits.seen
    sane = 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1
    assert sane, f"limits.seen {limits.seen} is no region of fractions"
    if limits.host is not None:
        plain = re.fullmatch(r"[^\s/@?]+", limits.host)
        assert plain, f"limits.host {limits.host!r} is no host or host:port"
    if limits.price is not None:
        assert limits.price.per_call >= 0, "limits.price is negative"


_Known = tuple[Image.Image, Scores]


def _check_format(
    backend: Backend, other: Backend, pictures: Sequence[Image.Image], codec: Codec
) -> bool:
    """All checks in one format; False where the backend does not tell the pictures apart."""
    known = _check_alone(backend, pictures, codec)
    apart = [pair for pair in combinations(known, 2) if _distance(pair[0][1], pair[1][1]) > APART]
    a, b = apart[0] if apart else known[:2]
    _check_order(backend, codec, a, b)
    _check_full_batch(backend, codec, a, b)
    if backend.limits.deterministic:
        _check_repeats(backend, other, codec, a)
    if backend.limits.concurrency > 1:
        _check_threads(backend, codec, a, b)
    return bool(apart)


def _check_alone(backend: Backend, pictures: Sequence[Image.Image], codec: Codec) -> list[_Known]:
    known = [(image, _scores(backend, [image], codec)[0]) for image in pictures]
    if backend.limits.labels:
        labels = set(known[0][1])
        for _, scores in known[1:]:
            changed = sorted(labels ^ set(scores))
            assert not changed, f"the labels change from picture to picture: {changed}"
    return known


def _check_order(backend: Backend, codec: Codec, a: _Known, b: _Known) -> None:
    if backend.limits.batch > 1:
        _expect(backend, codec, [a, b], "[A, B]")
        _expect(backend, codec, [b, a], "[B, A]")


def _check_full_batch(backend: Backend, codec: Codec, a: _Known, b: _Known) -> None:
    batch = list(islice(cycle((a, b, b)), backend.limits.batch))
    _expect(backend, codec, batch, f"a full batch of {len(batch)}")


def _check_repeats(backend: Backend, other: Backend, codec: Codec, a: _Known) -> None:
    for who, again in (("a second time", backend), ("by another instance", other)):
        scores = _scores(again, [a[0]], codec)[0]
        assert _close(scores, a[1]), (
            f"limits.deterministic, but the same picture gets {dict(scores)} {who} "
            f"after {dict(a[1])}"
        )


def _check_threads(backend: Backend, codec: Codec, a: _Known, b: _Known) -> None:
    workers = min(backend.limits.concurrency, 8)
    together = Barrier(workers)

    def ask(turn: int) -> None:
        together.wait()
        _expect(backend, codec, [(a, b)[turn % 2]], f"{workers} requests at once")

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(ask, range(workers)))


def _expect(backend: Backend, codec: Codec, batch: Sequence[_Known], what: str) -> None:
    """Each place must have the scores that its picture got alone (or nearly, with noise)."""
    answers = _scores(backend, [image for image, _ in batch], codec)
    for place, (got, (_, alone)) in enumerate(zip(answers, batch, strict=True)):
        if backend.limits.deterministic:
            assert _close(got, alone), (
                f"{what}: picture {place} gets {dict(got)}, alone it gets {dict(alone)}"
            )
        else:
            nearest = min(batch, key=lambda known: _distance(got, known[1]))
            assert _close(nearest[1], alone, APART), (
                f"{what}: picture {place} gets the scores of another: is the order kept?"
            )


def _scores(backend: Backend, images: Sequence[Image.Image], codec: Codec) -> list[Scores]:
    misuse: list[str] = []
    for _ in range(PATIENCE):
        answers = backend.score([Sample(image, codec, misuse) for image in images], codec)
        assert not misuse, misuse[0]
        busy = [a for a in answers if isinstance(a, Failure) and a.kind == "throttled"]
        if not busy:
            break
        time.sleep(max(1.0 if failure.wait is None else failure.wait for failure in busy))
    assert len(answers) == len(images), f"{len(answers)} answers to {len(images)} variants"
    return [_usable(answer, backend.limits.labels) for answer in answers]


def _usable(answer: Scores | Failure, labels: Sequence[str]) -> Scores:
    assert not isinstance(answer, Failure), f"a plain picture fails: {answer}"
    assert isinstance(answer, Scores), f"an answer is {type(answer).__name__}, not Scores"
    assert answer, "an answer without a label"
    for label in labels:
        assert label in answer, f"the stated label {label!r} is missing in an answer"
    for label, score in answer.items():
        assert math.isfinite(score), f"the score of {label!r} is {score}: say Failure instead"
    return answer


def _distance(one: Scores, other: Scores) -> float:
    if set(one) != set(other):
        return math.inf
    return max(abs(one[label] - other[label]) for label in one)


def _close(one: Scores, other: Scores, tolerance: float = CLOSE) -> bool:
    return _distance(one, other) <= tolerance


def _pictures(picture: Image.Image | None) -> Iterator[Image.Image]:
    if picture is not None:
        yield picture.convert("RGB")
    yield planted_picture()
    ramp = np.add.outer(np.arange(64), np.arange(96))[..., None] % 32
    yield Image.fromarray((ramp + np.array([190, 140, 110])).astype(np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3))
    yield Image.fromarray(noise.astype(np.uint8))


def _fitted(image: Image.Image, limits: Limits) -> Image.Image:
    """Within the backend's sides, by whole multiples where it must be larger."""
    factor = math.ceil(limits.min_side / min(image.size))
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    if limits.max_side is not None and max(image.size) > limits.max_side:
        image.thumbnail((limits.max_side, limits.max_side))
    return image
