"""The contract suite of `probe.testing`: ours pass it, and it catches those that break it."""

import itertools
import threading
from dataclasses import replace

import pytest

from probe import from_callable
from probe.backends.http import Http
from probe.backends.local import local
from probe.backends.skin import Skin
from probe.mock import serve
from probe.testing import check_backend
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec, Failure, Scores


def test_the_default_network_keeps_the_contract():
    check_backend(local)


def test_the_skin_filter_keeps_the_contract():
    check_backend(Skin)


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_callable_keeps_the_contract(deterministic):
    def fn(images):
        return [{"red": image.resize((1, 1)).getpixel((0, 0))[0] / 255} for image in images]

    check_backend(lambda: from_callable(fn, ["red"], batch=5, deterministic=deterministic))


def test_a_served_model_keeps_the_contract():
    with serve(Planted()) as running:
        check_backend(lambda: Http(running.url))


class Mine(Planted):
    """A planted target with four requests at once, each test breaks it in another way."""

    def __init__(self, **changes):
        super().__init__()
        self.limits = replace(self.limits, **{"concurrency": 4, "batch": 4} | changes)


def test_the_unbroken_one_passes():
    check_backend(Mine)
    check_backend(Mine, planted_picture((64, 48), (0, 0, 10, 10)))


class Reversed(Mine):
    def score(self, variants, codec):
        return super().score(variants, codec)[::-1]


class NanScore(Mine):
    def answer(self, image):
        return Scores(dict(super().answer(image)) | {"sfw": float("nan")})


class Failing(Mine):
    def answer(self, image):
        return Failure("invalid", "no")


class TooFew(Mine):
    def score(self, variants, codec):
        return super().score(variants, codec)[:3]


class Drifting(Mine):
    steps = itertools.count()

    def answer(self, image):
        nsfw = super().answer(image)["nsfw"] + next(self.steps) * 1e-3
        return Scores({"sfw": 1 - nsfw, "nsfw": nsfw})


class OnlyPairs(Mine):
    """Mixes up the last two of a full batch."""

    def score(self, variants, codec):
        answers = list(super().score(variants, codec))
        if len(answers) == 4:
            answers[0], answers[1] = answers[1], answers[0]
        return answers


class LabelGone(Mine):
    def answer(self, image):
        return Scores({"nsfw": super().answer(image)["nsfw"]})


class PlainDict(Mine):
    def answer(self, image):
        return dict(super().answer(image))


class Constant(Mine):
    def answer(self, image):
        return Scores({"sfw": 0.5, "nsfw": 0.5})


class OwnCodec(Mine):
    def __init__(self):
        super().__init__(formats=("png",))

    def score(self, variants, codec):
        for variant in variants:
            variant.encode(Codec("jpeg"))
        return super().score(variants, codec)


class Shared(Mine):
    """Keeps what it works on in the object, where another thread overwrites it."""

    def __init__(self):
        super().__init__()
        self._turn = threading.Barrier(4)

    def score(self, variants, codec):
        self._variants = variants
        if threading.current_thread() is not threading.main_thread():
            self._turn.wait(20)
        return super().score(self._variants, codec)


class NewName(Mine):
    names = itertools.count()

    def __init__(self):
        super().__init__()
        self.identity = f"model {next(self.names)}"


class Growing(Mine):
    def score(self, variants, codec):
        self.limits = replace(self.limits, batch=self.limits.batch + 1)
        return super().score(variants, codec)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (Reversed, r"\[A, B\]: picture 0"),
        (NanScore, "score of 'sfw' is nan"),
        (Failing, "a plain picture fails"),
        (TooFew, "3 answers to 4 variants"),
        (Drifting, "picture 0 gets"),
        (OnlyPairs, "a full batch of 4"),
        (LabelGone, "'sfw' is missing"),
        (PlainDict, "is dict, not Scores"),
        (Constant, "give a picture="),
        (OwnCodec, "encodes as jpeg:90, but png"),
        (Shared, "4 requests at once"),
        (NewName, "another instance has another identity"),
        (Growing, "limits change"),
        (object, "lacks identity, limits or score"),
    ],
)
def test_a_broken_backend_is_caught_and_told_why(broken, says):
    with pytest.raises(AssertionError, match=says):
        check_backend(broken)


def test_mixed_up_answers_are_caught_with_noise_too():
    class Noisy(Reversed):
        def __init__(self):
            super().__init__(deterministic=False)

    with pytest.raises(AssertionError, match="is the order kept"):
        check_backend(Noisy)


def test_repeating_oneself_is_asked_only_of_the_deterministic():
    check_backend(lambda: Drifting(deterministic=False, concurrency=1, batch=1))
    with pytest.raises(AssertionError, match=r"deterministic|alone it gets"):
        check_backend(lambda: Drifting(concurrency=1, batch=1))


@pytest.mark.parametrize(
    "identity",
    [
        "",
        "two\nlines",
        "net <object at 0x7f00>",
        "service api_key=abc",
        "https://me:pw@host/v1",
        "tagger sk9aF3kQ2LmZ8xW4vB7nT1yR6",
        3,
    ],
)
def test_an_identity_that_is_none_is_caught(identity):
    def make():
        backend = Mine()
        backend.identity = identity
        return backend

    with pytest.raises(AssertionError, match="identity"):
        check_backend(make)


@pytest.mark.parametrize(
    "limits",
    [
        {"batch": 0},
        {"concurrency": 0},
        {"formats": ()},
        {"formats": ("webp",)},
        {"min_side": 0},
        {"min_side": 20, "max_side": 10},
        {"max_bytes": 0},
        {"labels": ("nsfw", "nsfw")},
        {"question": "cat"},
        {"seen": (0, 0, 0, 1)},
        {"host": "http://me@host/x?key=1"},
    ],
)
def test_limits_that_make_no_sense_are_caught(limits):
    with pytest.raises(AssertionError, match=r"limits\."):
        check_backend(lambda: Mine(**limits))


def test_pictures_fit_the_sides_that_are_stated():
    class Picky(Mine):
        def answer(self, image):
            assert min(image.size) >= 100
            assert max(image.size) <= 300
            return super().answer(image)

    check_backend(lambda: Picky(min_side=100, max_side=300), planted_picture())
