"""Two services and the same variants: what both are sent, where they differ, what it costs."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from probe import compare
from probe.decide.compare_runs import side_by_side
from probe.decide.comparison import spearman
from probe.errors import AuthError, Interrupted, LabelError, LimitReached, UsageError
from probe.ledger import Ledger
from probe.limits import Price
from probe.signals import caught
from probe.testing.planted import RED, Planted, planted_picture
from probe.types import Codec, Failure, Identity, Scores

GREEN = (0, 200, 0)


class Coloured(Planted):
    """Scores by how much it sees of one colour, and keeps the pixels that it was sent."""

    def __init__(self, colour=RED, red=24 * 24, **options):
        super().__init__(red, **options)
        self.colour = colour
        self.sent = []
        self.codecs = set()

    def score(self, variants, codec):
        self.codecs.add(codec)
        return super().score(variants, codec)

    def answer(self, image):
        self.sent.append((image.size, image.tobytes()))
        share = min(1.0, int((np.asarray(image) == self.colour).all(axis=-1).sum()) / self.red)
        return Scores({"sfw": 1 - share, "nsfw": share})


def two_patches():
    picture = planted_picture()
    picture.paste(GREEN, (64, 24, 88, 48))
    return picture


def limited(**changes):
    return replace(Planted().limits, **changes)


def pair(first=None, second=None):
    return [
        Coloured(RED, identity="red", **(first or {})),
        Coloured(GREEN, identity="green", **(second or {})),
    ]


def test_both_get_the_same_pixels(tmp_path):
    backends = pair()
    found = compare(two_patches(), backends, budget=20)
    assert sorted(backends[0].sent) == sorted(backends[1].sent)
    assert len(found.pairs) == 19
    assert [one.perturbation for one, _ in found.pairs] == [
        two.perturbation for _, two in found.pairs
    ]
    assert [result.calls for result in found.results] == [20, 20]


def test_they_differ_where_one_looks_and_the_other_does_not():
    found = compare(two_patches(), pair(), budget=64)
    difference = found.difference
    sure = np.abs(difference.values) > 2 * difference.stderr
    red, green = difference.values[20:36, 28:44], difference.values[28:44, 68:84]
    assert (red > 0.1).all()
    assert (green < -0.1).all()
    assert sure[20:36, 28:44].mean() > 0.9
    assert sure[28:44, 68:84].mean() > 0.9
    assert found.rank_correlation < 0
    assert found.references == (1.0, 1.0)
    x0, y0, x1, y1 = found.strongest["box"]
    assert max(found.strongest["scores"]) > 0.9
    assert min(found.strongest["scores"]) < 0.1
    kept = np.s_[y0:y1, x0:x1]
    planted = np.asarray(two_patches())[kept]
    assert (planted == RED).all(axis=-1).sum() != (planted == GREEN).all(axis=-1).sum()


def test_the_difference_is_that_of_the_maps_with_both_errors():
    found = compare(two_patches(), pair(), budget=40)
    one, other = found.maps
    np.testing.assert_array_equal(found.difference.values, one.values - other.values)
    np.testing.assert_allclose(found.difference.stderr, np.hypot(one.stderr, other.stderr))
    values, stderr = found.difference.planes.values, found.difference.planes.stderr
    known = np.isfinite(values)
    apart = np.abs(values[known]) > 2 * stderr[known]
    assert found.agreement == pytest.approx(1 - apart.mean())
    assert 0 < found.agreement < 1
    expected = spearmanr(one.planes.values[known], other.planes.values[known]).statistic
    assert found.rank_correlation == pytest.approx(expected)


def test_two_copies_of_one_model_agree_everywhere():
    found = compare(two_patches(), [Coloured(identity="a"), Coloured(identity="b")], budget=20)
    assert found.agreement == 1
    assert found.rank_correlation == pytest.approx(1)
    assert found.rank_correlation_of_scores == pytest.approx(1)


def test_noise_of_both_is_no_difference():
    class Noisy(Coloured):
        def answer(self, image):
            random = np.random.default_rng([crc32(image.tobytes()), self.red])
            share = 0.5 + 0.1 * float(random.normal())
            return Scores({"sfw": 1 - share, "nsfw": share})

    backends = [Noisy(red=1, identity="a"), Noisy(red=2, identity="b")]
    found = compare(two_patches(), backends, budget=40)
    planes = found.difference.planes
    assert (np.abs(planes.values) > 2 * planes.stderr).any()
    assert found.difference.p_value > 0.05
    assert found.agreement == 1
    drawn = np.asarray(found.difference.overlay()).astype(int)
    assert np.ptp(drawn, axis=2).max() < 60
    assert compare(two_patches(), pair(), budget=40).difference.p_value == 0.005


def test_shares_make_services_of_other_scales_alike():
    class Dim(Coloured):
        def answer(self, image):
            return Scores({k: v / 10 for k, v in super().answer(image).items()})

    backends = [Coloured(identity="bright"), Dim(identity="dim")]
    plain = compare(two_patches(), backends, budget=40)
    shares = compare(two_patches(), backends, budget=40, unit="share")
    assert plain.agreement < 0.9
    assert shares.agreement == 1
    assert np.nanmax(np.abs(shares.difference.values)) < 1e-6
    assert [heatmap.unit for heatmap in shares.maps] == ["share", "share"]
    np.testing.assert_allclose(shares.maps[1].values, plain.maps[1].values * 10, rtol=1e-5)
    np.testing.assert_allclose(shares.maps[1].stderr, plain.maps[1].stderr * 10, rtol=1e-5)


def test_there_is_no_share_of_nothing():
    with pytest.raises(UsageError, match=r"^B: 'nsfw' scores 0 .* compare in scores"):
        compare(planted_picture(), pair(), budget=12, unit="share", names=["A", "B"])
    assert compare(planted_picture(), pair(), budget=12).rank_correlation is None  # B is flat
    with pytest.raises(UsageError, match="score or share, not 'logit'"):
        compare(planted_picture(), pair(), unit="logit")


def test_labels_are_for_both_or_one_each():
    assert compare(two_patches(), pair(), budget=8).labels == ("nsfw", "nsfw")
    assert compare(two_patches(), pair(), "sfw", budget=8).labels == ("sfw", "sfw")
    found = compare(two_patches(), pair(), ["sfw", None], budget=8)
    assert found.labels == ("sfw", "nsfw")
    assert found.references == (0.0, 1.0)
    with pytest.raises(UsageError, match="3 labels for two services"):
        compare(two_patches(), pair(), ["a", "b", "c"], budget=8)


def test_a_label_that_one_lacks_is_named_with_that_one_before_anything_is_sent():
    backends = pair(second={"limits": limited(labels=("adult",), question=None)})
    with pytest.raises(LabelError, match=r"^B: no label 'nsfw'.*adult"):
        compare(two_patches(), backends, "nsfw", budget=8, names=["A", "B"])
    assert backends[0].asked == backends[1].asked == 0


def test_a_label_that_only_the_answer_shows_to_be_missing_costs_one_call_each():
    backends = pair(second={"limits": limited(labels=())})
    with pytest.raises(LabelError, match=r"^B: no label 'nude'"):
        compare(two_patches(), backends, ["nsfw", "nude"], budget=30, names=["A", "B"])
    assert backends[1].asked == 1
    assert backends[0].asked <= 1


@pytest.mark.parametrize("backends", [["local"], ["local"] * 3, [], "local"])
def test_two_services_are_two(backends):
    with pytest.raises(UsageError, match="of two services, not"):
        compare(two_patches(), backends)


def test_one_model_is_not_compared_with_itself():
    with pytest.raises(UsageError, match=r"a \(1\) and a \(2\) are the same model"):
        compare(two_patches(), [Planted(), Planted()], names=["a", "a"])
    unknown = [Coloured(RED, identity=None), Coloured(GREEN, identity=None)]
    assert compare(two_patches(), unknown, budget=8).pairs


def test_a_method_that_learns_is_refused():
    from probe.methods import METHODS

    learning = replace(METHODS["multiscale"], name="adaptive", learns=True)
    with pytest.raises(UsageError, match=r"adaptive learns from the answers.*multiscale or grid"):
        compare(two_patches(), pair(), method=learning)
    with pytest.raises(UsageError, match="budget is a number, not 'auto'"):
        compare(two_patches(), pair(), budget="auto")


def test_the_smaller_size_holds_for_both():
    backends = pair(first={"limits": limited(max_side=48)})
    compare(two_patches(), backends, budget=8)
    assert {size for size, _ in backends[0].sent} == {(48, 32)}
    assert {size for size, _ in backends[1].sent} == {(48, 32), (96, 64)}  # its full size once
    assert sum(size == (96, 64) for size, _ in backends[1].sent) == 1
    backends = pair(second={"limits": limited(max_pixels=30 * 20)})
    compare(two_patches(), backends, budget=8, side=64)
    sizes = [[size for size, _ in backend.sent] for backend in backends]
    assert max(max(size) for size in sizes[1]) <= 30
    assert set(sizes[1]) < set(sizes[0]) | set(sizes[1])
    assert {size for size in sizes[0] if size != (96, 64)} == set(sizes[1])


def test_the_smaller_number_of_variants_holds_for_both():
    backends = pair(second={"limits": limited(deterministic=False)})
    found = compare(two_patches(), backends, budget=20)
    assert len(found.pairs) == 17
    assert [len(result.answers) for result in found.results] == [18, 20]


@pytest.mark.parametrize(
    ("first", "second", "wish", "codecs"),
    [
        (("pixels",), ("pixels",), None, ("pixels", "pixels")),
        (("jpeg", "png"), ("png",), None, ("png", "png")),
        (("png", "jpeg"), ("jpeg", "png"), None, ("png", "png")),
        (("pixels",), ("jpeg", "png"), Codec("png"), ("pixels", "png")),
        (("jpeg", "png"), ("jpeg", "png"), Codec("png"), ("png", "png")),
    ],
)
def test_a_codec_that_both_take(first, second, wish, codecs):
    backends = pair({"limits": limited(formats=first)}, {"limits": limited(formats=second)})
    compare(two_patches(), backends, budget=8, codec=wish)
    assert tuple(one.format for backend in backends for one in backend.codecs) == codecs


def test_a_local_model_is_given_what_the_codec_leaves():
    backends = pair({"limits": limited(formats=("jpeg",))})
    kept = []
    backends[0].answer = lambda image: Scores({"nsfw": 0.5})
    score = backends[0].score

    def keeping(variants, codec):
        from probe.image import decode

        kept.extend(decode(variant.encode(codec)).tobytes() for variant in variants)
        return score(variants, codec)

    backends[0].score = keeping
    compare(two_patches(), backends, budget=8)
    assert sorted(kept) == sorted(pixels for _, pixels in backends[1].sent)
    assert two_patches().tobytes() not in kept


def test_without_a_common_codec_it_says_what_each_takes():
    backends = pair({"limits": limited(formats=("jpeg",))}, {"limits": limited(formats=("png",))})
    with pytest.raises(UsageError, match="A takes jpeg and B takes png: no codec is common"):
        compare(two_patches(), backends, names=["A", "B"])
    backends = pair({"limits": limited(formats=("jpeg",))})
    with pytest.raises(UsageError, match="A takes jpeg and B takes pixels, not png for both"):
        compare(two_patches(), backends, names=["A", "B"], codec=Codec("png"))


def test_windows_that_one_would_enlarge_are_refused():
    backends = pair(second={"limits": limited(min_side=20)})
    with pytest.raises(UsageError, match="windows below 20 px would be enlarged"):
        compare(two_patches(), backends, method="windows", sizes=(0.25,))
    found = compare(two_patches(), backends, method="windows", sizes=(0.5,))
    assert found.maps[0].kind == "score"
    assert sorted(backends[0].sent) == sorted(backends[1].sent)


def test_what_one_did_not_answer_is_left_out_of_both_maps():
    class Moody(Coloured):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            covered = [isinstance(variant.perturbation, Identity) for variant in variants]
            return [
                outcome if whole or n % 2 else Failure("refused", "no")
                for n, (outcome, whole) in enumerate(zip(outcomes, covered, strict=True))
            ]

    found = compare(two_patches(), [Moody(identity="moody"), Coloured(GREEN)], budget=33)
    failures = len(found.results[0].failures)
    assert failures > 5
    assert len(found.pairs) == 32 - failures
    assert [heatmap.answers for heatmap in found.maps] == [33 - failures] * 2
    assert [len(result.failures) for result in found.results] == [failures, 0]
    assert any(note.startswith(found.names[0]) and "got no score" in note for note in found.notes)


def test_asking_again_costs_nothing(tmp_path):
    options = {"budget": 20, "ledger": tmp_path / "l.db"}
    first = compare(two_patches(), pair(), **options)
    again = compare(two_patches(), pair(), **options)
    assert [result.calls for result in again.results] == [0, 0]
    np.testing.assert_array_equal(first.difference.values, again.difference.values)
    assert first.plan == again.plan
    assert compare(two_patches(), pair(), **options, seed=1).plan != first.plan
    offline = compare(two_patches(), pair(), **options, offline=True)
    assert offline.agreement == first.agreement


def test_the_caps_and_the_cost_are_each_ones_own():
    price = limited(price=Price(0.5, "EUR"))
    backends = pair(first={"limits": price})
    found = compare(two_patches(), backends, budget=10, max_calls=10)
    assert [result.cost for result in found.results] == [5.0, None]
    with pytest.raises(LimitReached, match=r"^[AB]: "):
        compare(two_patches(), pair(first={"limits": price}), names=["A", "B"], max_calls=9)


def test_when_one_fails_it_is_named_and_the_others_answers_are_kept(tmp_path):
    class Locked(Coloured):
        def score(self, variants, codec):
            if self.asked >= 9:
                raise AuthError("the key is wrong")
            return super().score(variants, codec)

    ledger = tmp_path / "l.db"
    backends = [Coloured(identity="red"), Locked(GREEN, identity="green")]
    with pytest.raises(AuthError, match=r"^B: the key is wrong"):
        compare(two_patches(), backends, names=["A", "B"], ledger=ledger)
    paid = backends[0].asked
    assert paid >= 1
    backends = pair()
    compare(two_patches(), backends, ledger=ledger)
    assert backends[0].asked == 64 - paid
    assert backends[1].asked == 64 - 9


def test_a_reference_that_fails_costs_the_other_one_call():
    class Shut(Coloured):
        def score(self, variants, codec):
            raise AuthError("no")

    backends = [Coloured(identity="red"), Shut(GREEN, identity="green")]
    with pytest.raises(AuthError, match=r"^B: no"):
        compare(two_patches(), backends, names=["A", "B"], ledger=Ledger(None))
    assert backends[0].asked <= 1


def test_services_answer_side_by_side_but_two_on_one_host_take_turns():
    """Each waits for the other, which only works when both are asked at once."""
    meeting = threading.Barrier(2, timeout=20)

    class Meeting(Coloured):
        def score(self, variants, codec):
            meeting.wait()
            return super().score(variants, codec)

    compare(two_patches(), [Meeting(identity="a"), Meeting(GREEN, identity="b")], budget=12)
    begun = threading.Event()

    class First(Coloured):
        def score(self, variants, codec):
            if self.asked:
                assert not begun.wait(0.1), "both at once"
            return super().score(variants, codec)

    class Second(Coloured):
        def score(self, variants, codec):
            if self.asked:
                begun.set()
            return super().score(variants, codec)

    shared = {"limits": limited(host="api.example", batch=16)}
    backends = [First(identity="c", **shared), Second(GREEN, identity="d", **shared)]
    assert compare(two_patches(), backends, budget=12).pairs
    assert begun.is_set()


def test_when_one_fails_the_other_is_stopped_as_by_a_signal():
    listening, told = threading.Event(), threading.Event()

    def fails(stop):
        assert listening.wait(20)
        raise AuthError("first")

    def goes_on(stop):
        with caught(lambda interrupted: told.set()):
            listening.set()
            assert told.wait(20)
        assert stop.is_set()
        raise AuthError("second")

    for works in ([fails, goes_on], [goes_on, fails]):
        listening.clear()
        told.clear()
        with pytest.raises(AuthError, match="first"):
            side_by_side(works)
        assert told.is_set()
    assert side_by_side([lambda stop: 1, lambda stop: 2]) == [1, 2]


def test_ctrl_c_stops_both_and_keeps_what_was_in_flight(tmp_path):
    """The signal comes while both services are being asked."""
    meeting = threading.Barrier(2, timeout=20)

    class Pressing(Coloured):
        def score(self, variants, codec):
            outcomes = super().score(variants, codec)
            if 12 < self.asked <= 20:
                meeting.wait()
                if self.colour == RED:
                    os.kill(os.getpid(), signal.SIGINT)
            return outcomes

    def press():
        return [Pressing(RED, identity="red"), Pressing(GREEN, identity="green")]

    backends = press()
    with pytest.raises(Interrupted):
        compare(two_patches(), backends, ledger=tmp_path / "l.db")
    paid = [backend.asked for backend in backends]
    assert max(paid) < 64
    backends = pair()
    compare(two_patches(), backends, ledger=tmp_path / "l.db")
    assert [one.asked for one in backends] == [64 - asked for asked in paid]


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(2, 30), st.just(2)), elements=st.integers(0, 5)))
def test_the_rank_correlation_is_spearmans(scores):
    one, other = scores.T
    found = spearman(one, other)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(one, other).statistic)
        assert spearman(one * 3 - 1, np.exp(other)) == pytest.approx(found)


def test_limits_of_a_server_that_is_away_are_its_own_failure():
    from probe.errors import Unreachable

    with pytest.raises(Unreachable, match=r"^http://127.0.0.1:9: "):
        compare(two_patches(), ["skin", "http://127.0.0.1:9"])


def test_names_are_what_was_given():
    found = compare(two_patches(), ["skin", Planted()], budget=8)
    assert found.names[0] == "skin"
    assert found.names[1] == "Planted"
    assert repr(found) == "<Comparison of skin and Planted, 7 variants>"
    again = compare(two_patches(), [Coloured(identity="a"), Coloured(identity="b")], budget=8)
    assert again.names == ("Coloured (1)", "Coloured (2)")
