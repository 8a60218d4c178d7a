import numpy as np
import pytest

from probe.estimate.settling import CHECKS, Settling
from probe.methods import METHODS
from probe.testing.samplers import check_sampler
from probe.types import Box, Canvas, Failure, Identity, Scene, Scores

CANVAS = Canvas((64, 64), (64, 64), 8)
METHOD = METHODS["multiscale"]


def settling(most=255, seed=0, label="x"):
    sampler = METHOD.plan(Scene(CANVAS), most, seed)
    return Settling(sampler, lambda: METHOD.estimator(CANVAS, label), label, most)


def run(sampler, score, reference=0.9, size=10**6):
    """Answer as a loop does; returns how many it asked in each go."""
    sampler.tell(Identity(), Scores({"x": reference}))
    rounds = []
    while proposals := sampler.ask(size):
        rounds.append(len(proposals))
        for box in proposals:
            answer = score(box)
            sampler.tell(box, answer if isinstance(answer, Failure) else Scores({"x": answer}))
    return rounds


def hidden(box):
    width = min(0.6, box.x1) - max(0.3, box.x0)
    height = min(0.7, box.y1) - max(0.4, box.y0)
    return max(width, 0) * max(height, 0) / 0.09


def test_a_clear_map_is_settled_early_and_says_why():
    sampler = settling()
    asked = sum(run(sampler, lambda box: 0.9 - 0.9 * hidden(box)))
    assert asked in CHECKS[:-2]
    assert f"{asked} variants" in sampler.reason
    assert "reliability 0." in sampler.reason


def test_noise_alone_goes_on_to_the_end_but_for_luck_and_gives_no_reason():
    ended = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        sampler = settling(seed=seed)
        ended.append(sum(run(sampler, lambda box: 0.9 + rng.normal(0, 0.1))))  # noqa: B023
        assert (ended[-1] == 255) == (sampler.reason == "")
    assert ended.count(255) >= 8


def test_a_label_that_never_moves_ends_after_48():
    sampler = settling()
    assert sum(run(sampler, lambda box: 0.9)) == 48
    assert sampler.reason == "Stopped after 48 variants: none moved the score beyond its noise."


def test_what_moves_within_the_noise_of_the_reference_does_not_move():
    sampler, rng = settling(), np.random.default_rng(1)
    sampler.tell(Identity(), Scores({"x": 0.9}))
    sampler.tell(Identity(1), Scores({"x": 0.8}))
    assert sum(run(sampler, lambda box: 0.9 + rng.uniform(-0.1, 0.1))) == 48


def test_the_rounds_are_few_and_wait_for_their_answers():
    sampler = settling()
    rounds = run(sampler, lambda box: 0.9 - 0.9 * hidden(box))
    assert rounds[:2] == [32, 16]
    waiting = settling()
    waiting.tell(Identity(), Scores({"x": 0.9}))
    first = waiting.ask(100)
    assert len(first) == 32
    for box in first[1:]:
        waiting.tell(box, Scores({"x": 0.5}))
    assert waiting.ask(100) == []
    waiting.tell(first[0], Failure("refused", "no"))
    assert len(waiting.ask(100)) == 16


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_where_it_stops_does_not_hang_on_how_it_is_asked(size):
    whole, split = settling(seed=3), settling(seed=3)
    score = lambda box: 0.9 - 0.9 * hidden(box) ** 2  # noqa: E731
    assert sum(run(whole, score)) == sum(run(split, score, size=size))
    assert whole.reason == split.reason


@pytest.mark.parametrize("answer", [Failure("refused", "no")])
def test_failures_alone_never_settle(answer):
    sampler = settling()
    sampler.tell(Identity(), Scores({"x": 0.9}))
    asked = 0
    while proposals := sampler.ask(99):
        asked += len(proposals)
        for box in proposals:
            sampler.tell(box, answer)
    assert asked == 48


def test_it_keeps_the_contract_of_samplers():
    check_sampler(lambda seed: settling(63, seed, "nsfw"), budget=63)


def test_the_halves_are_whole_stretches_of_the_design():
    """Every other point of a Sobol sequence lies in one half of the picture."""
    boxes = [box for box in METHOD.plan(Scene(CANVAS), 64).ask(64) if isinstance(box, Box)]
    middles = np.array([(box.x0 + box.x1) / 2 for box in boxes])
    stretches = np.arange(64) // 8 % 2 == 0
    assert abs(middles[stretches].mean() - middles[~stretches].mean()) < 0.05
