from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading

import numpy as np
import pytest
from PIL import Image

from probe import Box, Failure, Identity, Interrupted, Prober, Scores, from_callable
from probe.api.transport.sending import ENVELOPE
from probe.errors import (
    BackendError,
    ContractError,
    ImageError,
    LabelError,
    LedgerError,
    LimitReached,
    RateLimited,
    Unreachable,
    UsageError,
)
from probe.image import encode
from probe.ledger import Ledger
from probe.limits import Limits, Price, Rate, Retry
from probe.methods import METHODS, Method
from probe.perturb import FixedDesign, pixels
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec

PICTURE = planted_picture()
RED_BOX = (24, 16, 48, 40)


def limits(**changes) -> Limits:
    return Limits(
        **{
            "batch": 8,
            "formats": ("pixels", "png", "jpeg"),
            "labels": ("sfw", "nsfw"),
            "question": "nsfw",
            "deterministic": True,
            **changes,
        }
    )


@pytest.fixture(autouse=True)
def default_signals():
    """Also where the tests run with Ctrl-C ignored, as under nohup."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "ledger.db"


def overlap(box, canvas):
    x0, y0, x1, y1 = pixels(box, canvas)
    a0, b0, a1, b1 = RED_BOX
    return max(0, min(x1, a1) - max(x0, a0)) * max(0, min(y1, b1) - max(y0, b0))


def true_score(box, canvas):
    return 0.05 + 0.9 * (1 - overlap(box, canvas) / (24 * 24))


def test_every_answer_is_the_known_one_and_the_map_is_its_covering_mean(ledger):
    result = Prober(Planted(), ledger=ledger).probe(PICTURE, method="grid", budget=64)
    assert result.reference["nsfw"] == pytest.approx(0.95)
    total, count = np.zeros((64, 96)), np.zeros((64, 96))
    for answer in result.answers[1:]:
        expected = true_score(answer.perturbation, result.canvas)
        assert answer.outcome["nsfw"] == pytest.approx(expected, abs=1e-12)
        x0, y0, x1, y1 = pixels(answer.perturbation, result.canvas)
        total[y0:y1, x0:x1] += 0.95 - expected
        count[y0:y1, x0:x1] += 1
    heat = result.heatmap()
    np.testing.assert_allclose(heat.values, total / count, atol=1e-6)
    np.testing.assert_array_equal(heat.coverage, count)
    y, x = np.unravel_index(np.nanargmax(heat.values), heat.values.shape)
    assert 24 <= x < 48
    assert 16 <= y < 40


def test_the_evidence_stands_where_it_was_planted(ledger):
    heat = Prober(Planted(), ledger=ledger).heatmap(PICTURE, budget=64)
    inside = heat.values[16:40, 24:48]
    outside = heat.values[:, 72:]
    assert np.nanmin(inside) > np.nanmax(outside)
    assert heat.label == "nsfw"
    assert heat.unit == "score"
    assert heat.values.shape == (64, 96)
    assert heat.calls == heat.answers == 64


def test_all_labels_come_from_one_run(ledger):
    backend = Planted()
    result = Prober(backend, ledger=ledger).probe(PICTURE, budget=32)
    nsfw, sfw = result.heatmap("nsfw"), result.heatmap("sfw")
    np.testing.assert_allclose(nsfw.values, -sfw.values, atol=1e-6)
    assert backend.asked == 32
    assert result.labels == ("sfw", "nsfw")


def test_the_same_question_is_never_asked_twice(ledger):
    first, again = Planted(), Planted()
    before = Prober(first, ledger=ledger).heatmap(PICTURE, budget=40)
    after = Prober(again, ledger=ledger).heatmap(PICTURE, budget=40)
    assert (first.asked, again.asked, after.calls) == (40, 0, 0)
    np.testing.assert_array_equal(before.values, after.values)
    np.testing.assert_array_equal(before.stderr, after.stderr)


def test_a_larger_budget_goes_on_where_the_smaller_ended(ledger):
    Prober(Planted(), ledger=ledger).probe(PICTURE, budget=20)
    backend = Planted()
    result = Prober(backend, ledger=ledger).probe(PICTURE, budget=50)
    assert backend.asked == result.calls == 30


@pytest.mark.parametrize(
    "change",
    [{"fill": "black"}, {"side": 48}, {"codec": None}, {"identity": "planted 2"}],
    ids=lambda change: next(iter(change)),
)
def test_another_question_is_asked_anew(ledger, change):
    kept = limits()
    Prober(Planted(limits=kept), ledger=ledger).probe(PICTURE, budget=12)
    identity = change.pop("identity", "planted 1")
    if "codec" in change:
        kept = limits(formats=("png",))
    backend = Planted(limits=kept, identity=identity)
    result = Prober(backend, ledger=ledger, **change).probe(PICTURE, budget=12)
    boxes = [a for a in result.answers if isinstance(a.perturbation, Box)]
    assert all(answer.source == "sent" for answer in boxes)


def test_windows_that_are_enlarged_otherwise_are_asked_anew(ledger):
    for min_side, expected in ((1, 59), (40, 58), (40, 0), (41, 58)):
        backend = Planted(limits=limits(min_side=min_side))
        result = Prober(backend, ledger=ledger).probe(PICTURE, method="windows")
        assert result.calls == expected


def test_a_ledger_in_memory_lasts_as_long_as_it_is_held():
    backend, memory = Planted(), Ledger(None)
    Prober(backend, ledger=memory).probe(PICTURE, budget=20)
    Prober(backend, ledger=memory).probe(PICTURE, budget=20)
    assert backend.asked == 20


def test_a_question_in_flight_is_not_sent_again(ledger, monkeypatch):
    class Repeating:
        """Proposes two boxes over and over."""

        turn = 0

        def ask(self, n):
            self.turn += n
            return [Box(0, 0, 0.5, 1) if i % 2 else Box(0.5, 0, 1, 1) for i in range(n)]

        def tell(self, perturbation, answer):
            pass

    monkeypatch.setattr("probe.methods.Method.plan", lambda *given, **options: Repeating())
    backend = Planted(limits=limits(batch=3, concurrency=3))
    result = Prober(backend, ledger=ledger).probe(PICTURE, budget=30)
    assert len(result.answers) == 30
    assert backend.asked == result.calls == 3
    for answer in result.answers[1:]:
        assert answer.outcome["nsfw"] == pytest.approx(
            true_score(answer.perturbation, result.canvas)
        )


def test_a_picture_larger_than_the_service_takes_is_not_sent_at_full_size(ledger):
    backend = Planted(limits=limits(max_side=48))
    result = Prober(backend, ledger=ledger).probe(PICTURE, budget=10)
    assert result.canvas.send == (48, 32)
    assert not any(a.perturbation == Identity(full=True) for a in result.answers)
    assert result.failures == []


def test_a_callable_without_an_identity_is_kept_in_memory_only(ledger):
    asked = []

    def score(images):
        asked.extend(images)
        return [{"cat": 0.5} for _ in images]

    prober = Prober(from_callable(score, ["cat"]), ledger=ledger)
    prober.probe(PICTURE, budget=10)
    prober.probe(PICTURE, budget=10)
    assert len(asked) == 10
    assert not ledger.exists()


def test_a_perturbation_that_changes_nothing_is_not_sent(ledger):
    backend = Planted()
    flat = Image.new("RGB", (64, 64), (10, 20, 30))
    result = Prober(backend, ledger=ledger).probe(flat, budget=20)
    assert backend.asked == result.calls == 1
    assert {answer.source for answer in result.answers[1:]} == {"same"}
    assert np.nanmax(np.abs(result.heatmap().values)) == 0
    assert any("flat" in note for note in result.notes)


def test_a_map_does_not_depend_on_the_order_in_which_answers_arrive(ledger, tmp_path):
    calm = Prober(Planted(), ledger=ledger).probe(PICTURE, budget=64)

    class Unruly(Planted):
        """Holds the first batch after the reference back until the next one is done."""

        later = threading.Event()
        turn = 0

        def score(self, variants, codec):
            with self._lock:
                self.turn += 1
                turn = self.turn
            if turn == 2:
                assert self.later.wait(timeout=20)
            outcomes = super().score(variants, codec)
            if turn == 3:
                self.later.set()
            return outcomes

    backend = Unruly(limits=limits(batch=4, concurrency=4))
    wild = Prober(backend, ledger=tmp_path / "other.db").probe(PICTURE, budget=64)
    assert [a.perturbation for a in wild.answers] == [a.perturbation for a in calm.answers]
    np.testing.assert_array_equal(wild.heatmap().values, calm.heatmap().values)
    np.testing.assert_array_equal(wild.heatmap().stderr, calm.heatmap().stderr)


def test_only_the_variants_in_flight_exist(ledger):
    class Counting(Planted):
        most = 0
        live = 0

        def score(self, variants, codec):
            with self._lock:
                self.live += len(variants)
                self.most = max(self.most, self.live)
            outcomes = super().score(variants, codec)
            with self._lock:
                self.live -= len(variants)
            return outcomes

    backend = Counting(limits=limits(batch=5, concurrency=3))
    Prober(backend, ledger=ledger).probe(PICTURE, budget=300)
    assert backend.most <= 5 * 3


def test_a_failed_variant_is_a_hole_not_a_zero(ledger):
    class Sometimes(Planted):
        def score(self, variants, codec):
            return [
                Failure("refused", "no")
                if isinstance(v.perturbation, Box) and v.perturbation.x0 < 0.3
                else outcome
                for v, outcome in zip(variants, super().score(variants, codec), strict=True)
            ]

    result = Prober(Sometimes(), ledger=ledger).probe(PICTURE, method="grid")
    assert result.complete
    assert len(result.failures) == 21
    heat = result.heatmap()
    assert np.isnan(heat.values[:, :30]).all()
    assert heat.answers == 50 - 21
    again = Planted()
    Prober(again, ledger=ledger).probe(PICTURE, method="grid")
    assert again.asked == 21


def test_the_first_call_is_the_reference_alone_and_says_what_is_wrong(ledger):
    class Broken(Planted):
        def score(self, variants, codec):
            self.asked += len(variants)
            raise ContractError("the answer is not JSON")

    backend = Broken()
    with pytest.raises(ContractError, match="not JSON"):
        Prober(backend, ledger=ledger).probe(PICTURE)
    assert backend.asked == 1


def test_a_label_that_is_known_to_be_absent_costs_no_call(ledger):
    backend = Planted()
    with pytest.raises(LabelError, match=r"'nsfv'.*Did you mean 'nsfw'\?.*sfw, nsfw"):
        Prober(backend, ledger=ledger).probe(PICTURE, "nsfv")
    assert backend.asked == 0


def test_a_label_that_the_first_answer_lacks_costs_one_call(ledger):
    backend = Planted(limits=limits(labels=()))
    with pytest.raises(LabelError, match="Did you mean 'nsfw'"):
        Prober(backend, ledger=ledger).probe(PICTURE, "nsfv")
    assert backend.asked == 1


def test_without_a_question_the_highest_label_is_mapped(ledger):
    backend = Planted(limits=limits(question=None))
    assert Prober(backend, ledger=ledger).probe(PICTURE, budget=8).label == "nsfw"
    grey = Image.new("L", (40, 40), 99)
    assert Prober(backend, ledger=ledger).probe(grey, budget=8).label == "sfw"


@pytest.mark.parametrize("cap", [1, 5, 8, 9, 40])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_cap_on_calls_is_exact_and_the_same_command_goes_on(ledger, cap, concurrency):
    backend = Planted(limits=limits(concurrency=concurrency))
    with pytest.raises(LimitReached) as stopped:
        Prober(backend, ledger=ledger, max_calls=cap).probe(PICTURE)
    assert backend.asked == cap
    assert len(stopped.value.partial.answers) == cap
    assert stopped.value.partial.complete is False
    more = Planted()
    whole = Prober(more, ledger=ledger).probe(PICTURE)
    assert more.asked == 64 - cap
    assert len(whole.answers) == 64


def test_a_run_that_the_ledger_knows_fits_under_a_cap_of_no_calls(ledger):
    Prober(Planted(), ledger=ledger).probe(PICTURE, budget=20)
    result = Prober(Planted(), ledger=ledger, max_calls=0).probe(PICTURE, budget=20)
    assert result.complete


def test_the_cap_on_cost_counts_the_price(ledger):
    backend = Planted(limits=limits(price=Price(0.25, "USD")))
    with pytest.raises(LimitReached) as stopped:
        Prober(backend, ledger=ledger, max_cost=2.6).probe(PICTURE)
    assert backend.asked == 10
    assert stopped.value.partial.cost == 2.5
    with pytest.raises(UsageError, match="price"):
        Prober(Planted(), ledger=ledger, max_cost=1).probe(PICTURE)


def test_what_was_turned_away_costs_nothing(ledger):
    class Busy(Planted):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.asked == 1 + 8:
                return [Failure("throttled", "busy")] * len(variants)
            return outcomes

    kept = limits(price=Price(0.25, "USD"), retry=Retry(base=0))
    result = Prober(Busy(limits=kept), ledger=ledger, max_cost=5).probe(PICTURE, budget=20)
    assert (result.calls, result.cost) == (28, 5.0)


def test_a_rate_holds_over_all_runs_of_a_prober(ledger):
    kept = limits(batch=4, rate=(Rate(6, 3600.0),))
    prober = Prober(Planted(limits=kept), ledger=ledger)
    prober.probe(PICTURE, budget=17)
    with pytest.raises(RateLimited) as stopped:
        prober.probe(PICTURE, budget=64)
    assert len(stopped.value.partial.answers) == 17 + 4


def test_the_cap_on_time_stops_sending_and_keeps_what_came(ledger, monkeypatch):
    class Clock:
        """Stands still until seventeen pictures were scored, then the time is over."""

        @staticmethod
        def monotonic():
            return 1000.0 if backend.asked >= 17 else 0.0

    backend = Planted()
    monkeypatch.setattr("probe.loop.loop.time", Clock)
    prober = Prober(backend, ledger=ledger, max_time=500)
    monkeypatch.setattr("probe.prober.time", Clock)
    monkeypatch.setattr("probe.snapshot.time", Clock)
    with pytest.raises(LimitReached, match="time") as stopped:
        prober.probe(PICTURE)
    assert len(stopped.value.partial.answers) == backend.asked < 64
    assert backend.asked >= 17
    assert Prober(Planted(), ledger=ledger, offline=True).probe(PICTURE, budget=17).calls == 0


def test_offline_answers_from_the_ledger_or_not_at_all(ledger):
    Prober(Planted(), ledger=ledger).probe(PICTURE, budget=16)
    backend = Planted()
    assert Prober(backend, ledger=ledger, offline=True).probe(PICTURE, budget=16).calls == 0
    with pytest.raises(LedgerError, match="offline"):
        Prober(backend, ledger=ledger, offline=True).probe(PICTURE, budget=17)
    assert backend.asked == 0


def test_ctrl_c_stops_sending_keeps_what_is_in_flight_and_the_same_call_goes_on(ledger):
    class Interrupting(Planted):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.asked == 17:
                signal.raise_signal(signal.SIGINT)
            return outcomes

    before = signal.getsignal(signal.SIGINT)
    backend = Interrupting()
    with pytest.raises(Interrupted) as stopped:
        Prober(backend, ledger=ledger).probe(PICTURE)
    assert signal.getsignal(signal.SIGINT) is before
    assert stopped.value.exit_code == 130
    received = len(stopped.value.partial.answers)
    assert received == backend.asked < 64
    more = Planted()
    resumed = Prober(more, ledger=ledger).probe(PICTURE)
    assert more.asked == 64 - received
    fresh = Prober(Planted(), ledger=Ledger(None)).probe(PICTURE)
    np.testing.assert_array_equal(resumed.heatmap().values, fresh.heatmap().values)


def test_a_second_ctrl_c_leaves_at_once(ledger):
    release = threading.Event()

    class Hanging(Planted):
        def score(self, variants, codec):
            if self.asked > 8:
                signal.raise_signal(signal.SIGINT)
                release.wait(60)
            return super().score(variants, codec)

    class Again(logging.Handler):
        def emit(self, record):
            assert "again to leave at once" in record.getMessage()
            signal.raise_signal(signal.SIGINT)

    logger, again = logging.getLogger("probe.loop.loop"), Again()
    logger.addHandler(again)
    try:
        with pytest.raises(Interrupted):
            Prober(Hanging(), ledger=ledger).probe(PICTURE)
        assert not release.is_set()
    finally:
        logger.removeHandler(again)
        release.set()


def test_ctrl_c_in_the_code_around_a_stream_loses_nothing_in_flight(ledger):
    backend = Planted()
    stream = Prober(backend, ledger=ledger).stream(PICTURE)
    while len(next(stream).answers) < 8:
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    stream.close()
    more = Planted()
    Prober(more, ledger=ledger).probe(PICTURE)
    assert backend.asked + more.asked == 64


def test_the_caps_hold_over_all_pictures_of_a_prober(ledger):
    backend = Planted()
    prober = Prober(backend, ledger=ledger, max_calls=30)
    prober.probe(PICTURE, budget=20)
    with pytest.raises(LimitReached, match="cap of 30 calls"):
        prober.probe(planted_picture((64, 64)), budget=20)
    assert backend.asked == 30
    with pytest.raises(LimitReached, match="time"):
        Prober(backend, ledger=ledger, max_time=0).probe(PICTURE, budget=30)
    assert backend.asked == 30


def test_many_requests_that_fail_in_a_row_end_the_run(ledger):
    class Broken(Planted):
        def score(self, variants, codec):
            if self.asked > 40:
                self.asked += len(variants)
                raise BackendError("internal error")
            return super().score(variants, codec)

    backend = Broken(limits=limits(batch=8))
    with pytest.raises(BackendError, match=r"in a row.*internal error") as stopped:
        Prober(backend, ledger=ledger).probe(PICTURE, budget=600)
    assert stopped.value.exit_code == 3
    assert backend.asked < 41 + 8 + 100


@pytest.mark.parametrize(
    "wrong", [{"budget": "64"}, {"budget": 64.5}, {"seed": None}, {"budget": True}]
)
def test_numbers_that_are_none_are_named(ledger, wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Prober(Planted(), ledger=ledger).probe(PICTURE, **wrong)


def test_a_service_that_goes_away_leaves_a_partial_map(ledger):
    class Gone(Planted):
        def score(self, variants, codec):
            if self.asked > 20:
                raise Unreachable("nobody listens")
            return super().score(variants, codec)

    with pytest.raises(Unreachable) as stopped:
        Prober(Gone(limits=limits(retry=Retry(base=0))), ledger=ledger).probe(PICTURE)
    assert stopped.value.exit_code == 3
    partial = stopped.value.partial
    assert len(partial.answers) - len(partial.failures) == 25


def test_a_backend_with_a_bug_shows_it(ledger):
    class Buggy(Planted):
        def score(self, variants, codec):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Prober(Buggy(), ledger=ledger).probe(PICTURE)


def test_a_remote_service_is_asked_again_for_its_noise(ledger):
    class Noisy(Planted):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            return [
                Scores({**s, "nsfw": s["nsfw"] + 0.1 * v.perturbation.repeat})
                if isinstance(v.perturbation, Identity)
                else s
                for v, s in zip(variants, outcomes, strict=True)
            ]

    backend = Noisy(limits=limits(deterministic=False))
    result = Prober(backend, ledger=ledger).probe(PICTURE, budget=20)
    kinds = [answer.perturbation for answer in result.answers]
    assert kinds[:2] == [Identity(), Identity(repeat=1)]
    assert kinds[-1] == Identity(repeat=2)
    assert len(kinds) == 20
    assert result.noise == pytest.approx(0.1)
    assert Prober(backend, ledger=ledger, repeats=0).probe(PICTURE, budget=8).noise is None


def test_a_picture_that_is_sent_smaller_is_scored_at_full_size_too():
    large = planted_picture((192, 128), (48, 32, 96, 80))

    def probed(score):
        backend = from_callable(lambda images: [{"x": score(i)} for i in images], ["x"])
        return Prober(backend, side=96).probe(large, budget=20)

    same = probed(lambda image: float(np.asarray(image)[..., 0].mean()) / 255)
    assert same.answers[1].perturbation == Identity(full=True)
    assert same.canvas.send == (96, 64)
    assert same.heatmap().values.shape == (128, 192)
    assert not any("full size" in note for note in same.notes)
    other = probed(lambda image: image.width / 192)
    assert "At full size the score is 1, at 96 x 64 as sent 0.5" in " ".join(other.notes)


@pytest.mark.parametrize("budget", [-1, 0, 1])
def test_a_budget_too_small_is_refused_before_any_call(ledger, budget):
    backend = Planted()
    with pytest.raises(UsageError, match="at least 2"):
        Prober(backend, ledger=ledger).probe(PICTURE, budget=budget)
    assert backend.asked == 0


def test_a_grid_that_the_budget_does_not_hold_is_refused_naming_its_size(ledger):
    backend = Planted()
    with pytest.raises(UsageError, match="81"):
        Prober(backend, ledger=ledger).probe(PICTURE, method="grid", size=0.2, stride=0.1)
    assert backend.asked == 0


def test_unknown_methods_and_options_name_the_nearest(ledger):
    prober = Prober(Planted(), ledger=ledger)
    with pytest.raises(UsageError, match="Did you mean 'multiscale'"):
        prober.probe(PICTURE, method="multiscal")
    with pytest.raises(UsageError, match="Did you mean 'stride'"):
        prober.probe(PICTURE, method="grid", strid=3)


def test_a_picture_below_what_the_service_takes_is_refused(ledger):
    with pytest.raises(ImageError, match="50"):
        Prober(Planted(limits=limits(min_side=50)), ledger=ledger).probe(Image.new("RGB", (20, 90)))


def test_a_plan_says_what_a_run_does(ledger):
    backend = Planted(limits=limits(price=Price(0.5, "EUR")))
    prober = Prober(backend, ledger=ledger)
    plan = prober.plan(PICTURE, budget=30)
    assert backend.asked == 0
    assert (plan.answers, plan.known, plan.calls, plan.cost) == (30, 0, 30, 15)
    result = prober.probe(PICTURE, budget=30)
    assert (result.calls, result.requests, result.cost) == (plan.calls, plan.requests, plan.cost)
    assert tuple(answer.perturbation for answer in result.answers) == plan.perturbations
    again = prober.plan(PICTURE, budget=30)
    assert (again.known, again.calls) == (30, 0)
    assert again.digest == plan.digest == result.settings["plan"]
    assert prober.plan(PICTURE, budget=31).digest != plan.digest


def test_a_plan_counts_requests_by_their_bytes_and_time_by_the_rate(ledger):
    size = len(encode(PICTURE, Codec("png")))
    few = {"formats": ("png",), "host": "a.example", "inflation": 2.0}
    kept = limits(batch=8, max_request_bytes=3 * (2 * size + ENVELOPE), **few)
    plan = Prober(Planted(limits=kept), ledger=ledger).plan(PICTURE, budget=31)
    assert (plan.calls, plan.requests) == (31, 11)
    slow = limits(batch=1, rate=(Rate(10, 60.0), Rate(5, 1.0)), **few)
    assert Prober(Planted(limits=slow), ledger=ledger).plan(PICTURE, budget=30).seconds == 180


@pytest.mark.parametrize("most", [1, 2, 700, 1000, 5999, 6000, 6001])
def test_no_more_pixels_are_sent_than_the_service_takes(ledger, most):
    result = Prober(Planted(limits=limits(max_pixels=most)), ledger=ledger).plan(PICTURE, budget=4)
    width, height = result.renderer.canvas.send
    assert width * height <= most
    if most > 100:
        assert (width + 2) * (height + 2) > most or (width, height) == (96, 64)


def test_the_full_size_is_sent_only_where_its_bytes_are_few_enough(ledger):
    size = len(encode(PICTURE, Codec("png")))
    few = {"formats": ("png",), "host": "a.example", "inflation": 2.0}
    for bound, expected in (
        ({}, True),
        ({"max_bytes": size}, True),
        ({"max_bytes": size - 1}, False),
        ({"max_request_bytes": 2 * size + ENVELOPE}, True),
        ({"max_request_bytes": 2 * size + ENVELOPE - 1}, False),
        ({"max_pixels": 96 * 64 - 1}, False),
    ):
        prober = Prober(Planted(limits=limits(**few, **bound)), ledger=ledger, side=48)
        asked = prober.plan(PICTURE, budget=8).perturbations
        assert (Identity(full=True) in asked) == expected, bound


def test_snapshots_grow_and_the_last_is_whole(ledger):
    snapshots = list(Prober(Planted(), ledger=ledger).stream(PICTURE))
    sizes = [len(snapshot.answers) for snapshot in snapshots]
    assert sizes == sorted(sizes)
    assert sizes[0] == 1
    assert [s.complete for s in snapshots] == [False] * (len(snapshots) - 1) + [True]
    assert snapshots[3].heatmap().values.shape == (64, 96)


def test_leaving_a_stream_early_leaves_nothing_behind(ledger):
    threads, handler = threading.active_count(), signal.getsignal(signal.SIGINT)
    stream = Prober(Planted(), ledger=ledger).stream(PICTURE)
    next(stream)
    next(stream)
    stream.close()
    assert Prober(Planted(), ledger=ledger, offline=True).probe(PICTURE, budget=17).calls == 0
    assert threading.active_count() == threads
    assert signal.getsignal(signal.SIGINT) is handler


def test_one_prober_serves_two_threads(ledger):
    prober = Prober(Planted(), ledger=ledger)
    alone = Prober(Planted(), ledger=Ledger(None)).heatmap(PICTURE, budget=40)
    maps = []
    threads = [
        threading.Thread(target=lambda: maps.append(prober.heatmap(PICTURE, budget=40)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(maps) == 2
    for heat in maps:
        np.testing.assert_array_equal(heat.values, alone.values)


def test_all_variants_failing_is_a_map_of_holes(ledger):
    class OnlyWhole(Planted):
        def score(self, variants, codec):
            if any(not isinstance(v.perturbation, Identity) for v in variants):
                raise BackendError("no covers please")
            return super().score(variants, codec)

    with pytest.raises(BackendError, match="no covers") as stopped:
        Prober(OnlyWhole(), ledger=ledger).probe(PICTURE)
    assert np.isnan(stopped.value.partial.heatmap().values).all()


def test_no_raw_body_is_held_after_it_is_stored(ledger):
    class Wordy(Planted):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            return [Scores(outcome, raw=b"body") for outcome in outcomes]

    result = Prober(Wordy(), ledger=ledger).probe(PICTURE, budget=8)
    assert [answer.outcome.raw for answer in result.answers] == [None] * 8


def test_a_service_that_scores_nothing_is_not_paid_to_the_end(ledger):
    class Refusing(Planted):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            return outcomes if self.asked < 10 else [Failure("refused", "no more")]

    backend = Refusing(limits=limits(batch=1))
    with pytest.raises(BackendError, match="no more") as stopped:
        Prober(backend, ledger=ledger).probe(PICTURE, budget=400)
    assert stopped.value.exit_code == 3
    assert backend.asked < 40


def test_answers_that_cannot_be_read_end_the_run_after_three(ledger):
    class Portal(Planted):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if self.asked > 3:
                raise ContractError("<html>log in</html>")
            return outcomes

    backend = Portal(limits=limits(batch=1))
    with pytest.raises(BackendError, match="log in"):
        Prober(backend, ledger=ledger).probe(PICTURE)
    assert backend.asked == 6


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1])
@pytest.mark.parametrize("name", ["max_calls", "max_cost", "max_time", "repeats"])
def test_caps_are_numbers(name, wrong):
    with pytest.raises(UsageError, match=name):
        Prober(Planted(), **{name: wrong})


def test_a_free_service_has_no_cap_on_cost(ledger):
    backend = Planted(limits=limits(price=Price(0, "USD")))
    result = Prober(backend, ledger=ledger, max_cost=0).probe(PICTURE, budget=8)
    assert (result.calls, result.cost) == (8, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_run_does_not_go_on_in_a_forked_process(ledger):
    stream = Prober(Planted(), ledger=ledger).stream(PICTURE)
    next(stream)
    child = os.fork()
    if child == 0:
        try:
            list(stream)
        except UsageError:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert list(stream)[-1].complete


def test_it_runs_inside_an_event_loop(ledger):
    async def main():
        return Prober(Planted(), ledger=ledger).heatmap(PICTURE, budget=8)

    assert asyncio.run(main()).calls == 8


def test_another_picture_of_the_same_name_is_asked_anew(ledger, tmp_path):
    path = tmp_path / "picture.png"
    PICTURE.save(path)
    prober = Prober(Planted(), ledger=ledger)
    before = prober.probe(path, budget=8)
    planted_picture(box=(0, 0, 24, 24)).save(path)
    after = prober.probe(path, budget=8)
    assert (before.calls, after.calls) == (8, 8)
    assert before.settings["plan"] != after.settings["plan"]


def test_a_ledger_that_cannot_be_written_is_refused_before_any_call(ledger, monkeypatch):
    def refuse(self):
        raise LedgerError("read-only")

    monkeypatch.setattr(Ledger, "check_writable", refuse)
    backend = Planted()
    with pytest.raises(LedgerError, match="read-only"):
        Prober(backend, ledger=ledger).probe(PICTURE)
    assert backend.asked == 0


def test_handlers_of_the_program_itself_are_left_alone(ledger):
    received = []
    signal.signal(signal.SIGINT, lambda number, frame: received.append(number))

    class Interrupting(Planted):
        def score(self, variants, codec):
            if not received:
                signal.raise_signal(signal.SIGINT)
            return super().score(variants, codec)

    result = Prober(Interrupting(), ledger=ledger).probe(PICTURE, budget=20)
    assert result.complete
    assert received


def test_the_largest_side_of_the_service_and_the_render_version_are_minded(ledger, monkeypatch):
    backend = Planted(limits=limits(max_side=48))
    prober = Prober(backend, ledger=ledger)
    assert prober.probe(PICTURE, budget=8).canvas.send == (48, 32)
    monkeypatch.setattr("probe.plan.run.RENDER_VERSION", 2)
    assert prober.plan(PICTURE, budget=8).known == 0


def test_score_asks_about_the_picture_alone():
    asked = []

    def model(images):
        asked.extend(image.size for image in images)
        return [{"cat": 0.5} for _ in images]

    prober = Prober(from_callable(model, labels=["cat"]), side=32)
    result = prober.score(Image.new("RGB", (64, 48)))
    assert asked == [(32, 24), (64, 48)]
    assert (result.label, result.calls, dict(result.reference)) == ("cat", 2, {"cat": 0.5})
    assert prober.score(Image.new("RGB", (64, 48))).calls == 0
    assert prober.score(Image.new("RGB", (32, 24))).calls == 1


def test_a_method_of_ones_own_is_run_by_its_object_and_brings_its_fill():
    seen = []

    def model(images):
        seen.extend(image.getpixel((0, 0)) for image in images)
        return [{"cat": 0.5} for _ in images]

    own = Method(
        "halves",
        "covers halves",
        lambda scene, budget, seed: FixedDesign([Box(0, 0, 0.5, 1), Box(0, 0, 1, 0.5)]),
        METHODS["grid"].estimator,
        fill="#010203",
    )
    prober = Prober(from_callable(model, labels=["cat"]), fill="black")
    prober.plan(Image.new("RGB", (32, 24), "red"), method=own, budget=9)
    result = prober.probe(Image.new("RGB", (32, 24), "red"), method=own, budget=9)
    assert [answer.source for answer in result.answers] == ["sent"] * 3
    assert seen == [(255, 0, 0), (1, 2, 3), (1, 2, 3)]


class Learner:
    """Halves whatever lowered the score, in rounds of two."""

    def __init__(self, scene):
        self.label, self.box, self.asked, self.best = scene.label, (0.0, 1.0), [], {}

    def ask(self, n):
        if self.best.keys() != set(self.asked) or not n:
            return []
        if self.best:
            box = min(self.best, key=self.best.__getitem__)
            self.box = box.x0, box.x1
        low, high = self.box
        if high - low < 0.2:
            return []
        middle = (low + high) / 2
        self.asked, self.best = [Box(low, 0, middle, 1), Box(middle, 0, high, 1)], {}
        return self.asked[:]

    def tell(self, perturbation, answer):
        if isinstance(perturbation, Box):
            self.best[perturbation] = answer[self.label]


def test_a_method_that_learns_is_planned_as_far_as_the_ledger_knows_the_answers():
    def model(images):
        return [{"cat": float(np.asarray(image)[:, :8].mean() / 255)} for image in images]

    own = Method(
        "halving",
        "halves",
        lambda scene, budget, seed: Learner(scene),
        METHODS["grid"].estimator,
        learns=True,
        fill="black",
    )
    picture = Image.new("RGB", (64, 16), "white")
    prober = Prober(from_callable(model, labels=["cat"]))
    before = prober.plan(picture, method=own, budget=20)
    assert (before.answers, before.calls, len(before.perturbations)) == (20, 20, 3)
    result = prober.probe(picture, method=own, budget=20)
    assert result.calls == len(result.answers) == 7
    assert result.answers[-2].perturbation == Box(0, 0, 0.125, 1)
    after = prober.plan(picture, method=own, budget=20)
    assert (after.answers, after.calls, after.known) == (7, 0, 7)
    assert prober.probe(picture, method=own, budget=20).calls == 0


def test_a_budget_of_auto_ends_when_the_map_is_settled_and_asks_the_same_again(tmp_path):
    prober = Prober(Planted(), ledger=tmp_path / "l.db")
    before = prober.plan(PICTURE, budget="auto")
    assert before.at_most
    assert before.answers == 256
    result = prober.probe(PICTURE, budget="auto")
    assert 32 < len(result.answers) < 256
    assert result.complete
    assert "the map is settled" in result.notes[-1] or "the map is settled" in result.notes[0]
    after = prober.plan(PICTURE, budget="auto")
    assert (after.answers, after.calls, after.at_most) == (len(result.answers), 0, False)
    again = prober.probe(PICTURE, budget="auto")
    assert again.calls == 0
    assert [a.perturbation for a in again.answers] == [a.perturbation for a in result.answers]
    with pytest.raises(UsageError, match="grid has no budget of auto"):
        prober.plan(PICTURE, method="grid", budget="auto")
