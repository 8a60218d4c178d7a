"""The suite for strangers' samplers lets good ones pass and catches each breach."""

import itertools
import random

import pytest

from probe.perturb import FixedDesign
from probe.testing.samplers import check_sampler
from probe.types import Box, Identity, Scores

ROW = [Box(i / 12, 0, (i + 2) / 12, 1) for i in range(10)]


class TwoRounds:
    """Waits for the answers of its first half before it proposes the second."""

    def __init__(self, seed):
        self.left = ROW[:5]
        self.told = 0

    def ask(self, n):
        asked, self.left = self.left[:n], self.left[n:]
        return asked

    def tell(self, perturbation, answer):
        if isinstance(perturbation, Identity):
            return
        self.told += 1
        if self.told == 5:
            self.left = ROW[5:]


def test_fixed_and_waiting_samplers_pass():
    check_sampler(lambda seed: FixedDesign(ROW), budget=10)
    check_sampler(TwoRounds, budget=10)


class Endless(FixedDesign):
    def __init__(self, seed):
        super().__init__(Box(0, 0, 1 / i, 1) for i in itertools.count(1))


class Unseeded(FixedDesign):
    def __init__(self, seed):
        super().__init__(Box(0, 0, random.random() + 0.1, 1) for _ in range(10))


class Generous(FixedDesign):
    def __init__(self, seed):
        super().__init__(ROW)

    def ask(self, n):
        return super().ask(n + 1 if n else 0)


class Eager(FixedDesign):
    def __init__(self, seed):
        super().__init__(ROW)

    def ask(self, n):
        return super().ask(max(n, 1))


class Shuffling(FixedDesign):
    def __init__(self, seed):
        super().__init__(ROW)

    def ask(self, n):
        return super().ask(n)[::-1]


class ScoresOnly(TwoRounds):
    def tell(self, perturbation, answer):
        assert isinstance(answer, Scores), "no failures please"
        super().tell(perturbation, answer)


class LabelOnly(TwoRounds):
    def tell(self, perturbation, answer):
        if isinstance(answer, Scores):
            answer["nsfw"]
        super().tell(perturbation, answer)


class Restless(FixedDesign):
    def __init__(self, seed):
        super().__init__(ROW)
        self.empty = 0

    def ask(self, n):
        asked = super().ask(n)
        self.empty += bool(n) and not asked
        return [ROW[0]] if self.empty > 2 else asked


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda seed: FixedDesign([]), "nothing at all"),
        (lambda seed: FixedDesign([Identity()]), "not a sampler's to propose"),
        (lambda seed: FixedDesign([Box(0, 0, 0, 1)]), "is empty"),
        (lambda seed: FixedDesign([Box(0, 0, float("nan"), 1)]), "no number"),
        (lambda seed: FixedDesign([Box(1.1, 0, 1.5, 1)]), "misses the picture"),
        (Endless, "more than its budget"),
        (Unseeded, "same seed gives another plan"),
        (Generous, "ask\\(1\\) proposes 2"),
        (Eager, "ask\\(0\\) proposes"),
        (Shuffling, "is not ask"),
        (ScoresOnly, "no failures"),
        (Restless, "after it was done"),
    ],
)
def test_each_breach_is_named(make, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_sampler(make, budget=10)


def test_a_sampler_that_needs_its_label_in_every_answer_is_caught():
    with pytest.raises(KeyError):
        check_sampler(LabelOnly, budget=10)
