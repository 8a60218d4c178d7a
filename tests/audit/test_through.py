"""A backend that workers ask: what travels, what comes back, and what a loss means."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from probe import Prober
from probe.audit.through import Through, lost
from probe.backends import resolve
from probe.backends.connection import Generation, Versioned
from probe.errors import AuthError, MissingExtra, Rejected, UsageError
from probe.ledger import Ledger
from probe.limits import Limits
from probe.testing.planted import planted_picture
from probe.types import Codec, Failure, Scores

PICTURE = planted_picture()


class Inline:
    """A client whose tasks run at once, in what came through a pickle."""

    def __init__(self):
        self.sizes = []

    def submit(self, work, *arguments, key, pure, retries):
        sent = pickle.dumps(arguments)
        self.sizes.append(len(sent))
        return Done(work, pickle.loads(sent))


class Done:
    def __init__(self, work, arguments):
        self._work, self._arguments = work, arguments

    def result(self, timeout):
        return pickle.loads(pickle.dumps(self._work(*self._arguments)))


class Red:
    """Scores by the share of pure red, as `Planted` does, and travels."""

    identity = "red 1"
    limits = Limits(batch=8, formats=("png",), labels=("nsfw",), question="nsfw", host="far")

    def score(self, variants, codec):
        from io import BytesIO

        from PIL import Image

        found = []
        for variant in variants:
            with Image.open(BytesIO(variant.encode(codec))) as image:
                red = (np.asarray(image) == (255, 0, 0)).all(axis=-1).mean()
            found.append(Scores({"nsfw": float(red)}, b"raw"))
        return found


def asked(backend, client=None, threads=4, **options):
    client = client or Inline()
    return Prober(
        backend,
        ledger=Ledger(None),
        repeats=0,
        through=lambda backend: Through(backend, client, threads, None),
        **options,
    )


def test_workers_answer_as_this_process_does():
    alone = Prober(Red(), ledger=Ledger(None), repeats=0).heatmap(PICTURE, budget=20)
    far = asked(Red()).heatmap(PICTURE, budget=20)
    assert np.array_equal(alone.planes.values, far.planes.values, equal_nan=True)
    assert alone.calls == far.calls


def test_several_variants_of_a_picture_travel_as_the_picture_and_what_is_done_to_it():
    client = Inline()
    large = planted_picture((400, 300))
    asked(Red(), client).heatmap(large, budget=17)
    raw = 400 * 300 * 3
    assert max(client.sizes) < 1.2 * raw
    assert min(client.sizes) < raw / 2, "the reference alone travels as it is sent"


def test_a_network_in_a_process_runs_in_as_many_as_there_are():
    limits = Through(resolve("skin"), Inline(), 6, None).limits
    assert limits.concurrency == 6
    assert limits.batch <= 8
    assert Through(Red(), Inline(), 6, None).limits == Red.limits


def test_what_cannot_travel_is_refused_before_anything_is_sent():
    class Stuck(Red):
        def __reduce__(self):
            raise TypeError("no")

    with pytest.raises(UsageError, match="a Stuck cannot be handed to workers"):
        Through(Stuck(), Inline(), 1, None)


class Refusing(Red):
    def score(self, variants, codec):
        raise AuthError("the key is wrong")


def test_an_error_of_the_service_comes_back_as_itself():
    with pytest.raises(AuthError, match="the key is wrong"):
        asked(Refusing()).heatmap(PICTURE, budget=9)


class Lacking(Red):
    def score(self, variants, codec):
        raise MissingExtra("a part", "local")


def test_an_error_that_cannot_travel_comes_back_as_its_kind():
    with pytest.raises(UsageError, match="a part is not installed"):
        asked(Lacking()).heatmap(PICTURE, budget=9)


class Losing(Inline):
    """Loses the task with these numbers to a worker that dies."""

    def __init__(self, *which):
        super().__init__()
        self._which = which

    def submit(self, work, *arguments, **options):
        done = super().submit(work, *arguments, **options)
        if len(self.sizes) in self._which:
            done.result = self._fail
        return done

    def _fail(self, timeout):
        from distributed.scheduler import KilledWorker

        raise KilledWorker("task", None, 0)


def test_what_a_dead_worker_had_is_sent_again_and_counted_as_perhaps_billed():
    alone = Prober(Red(), ledger=Ledger(None), repeats=0).probe(PICTURE, budget=17)
    far = asked(Red(), Losing(2)).probe(PICTURE, budget=17)
    assert not far.failures
    assert (alone.calls, far.calls) == (17, 25)
    assert any("perhaps" in note or "billed" in note for note in far.notes), far.notes


def test_a_cap_counts_what_was_lost():
    prober = asked(Red(), Losing(2), max_calls=20)
    with pytest.raises(Exception, match="the cap of 20 calls"):
        prober.probe(PICTURE, budget=17)


class Broken(Inline):
    def submit(self, *arguments, **options):
        raise OSError("the connection is gone")


def test_a_lost_scheduler_stops_all_with_its_own_code():
    with pytest.raises(Rejected, match="the same command goes on") as caught:
        asked(Red(), Broken()).probe(PICTURE, budget=17)
    assert caught.value.exit_code == 3
    assert "tcp://x" in str(lost(OSError("y"), "tcp://x"))


class Changing(Red, Versioned):
    """A service whose model changes after so many requests."""

    service_identity = "changing"
    after = 1
    asked = 0

    def __init__(self):
        self.generation = Generation("changing")

    def score(self, variants, codec):
        type(self).asked += 1
        self.generation.check("1" if type(self).asked <= self.after else "2")
        return super().score(variants, codec)

    @property
    def identity(self):
        return self.generation.identity(self.service_identity)

    def __reduce__(self):
        return Changing, ()


def test_answers_of_two_models_are_not_mixed_whoever_asks():
    Changing.asked = 0
    with pytest.raises(Rejected, match="changed from version '1' to '2'"):
        asked(Changing()).probe(PICTURE, budget=17)


def test_a_failure_keeps_what_is_said_of_it():
    class Failing(Red):
        def score(self, variants, codec):
            return [Failure("refused", "too dark", billed=True, raw=b"x")] * len(variants)

    outcomes = Through(Failing(), Inline(), 1, None).score([_Variant()], Codec("png"))
    assert outcomes == [Failure("refused", "too dark", billed=True, raw=b"x")]


class _Variant:
    perturbation = None

    def encode(self, codec):
        return b"bytes"


@pytest.mark.parametrize("name", ["local", "skin", "sightengine", "http://127.0.0.1:1"])
def test_the_backends_of_the_project_travel(name):
    assert type(pickle.loads(pickle.dumps(resolve(name)))) is type(resolve(name))
