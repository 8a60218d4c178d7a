"""Which pictures are probed and looked at."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.audit.choosing import ALARMS, MISSES, RANDOM, Board, chosen, looked_at

NAN = float("nan")


def board_of(rows):
    board = Board()
    for score, truth, digest in rows:
        board.add(score, truth, digest)
    return board


def many(number, seed=0, truths=True):
    rng = np.random.default_rng(seed)
    return board_of(
        (rng.random(), bool(rng.random() < 0.5) if truths else None, f"{n + 1:016x}")
        for n in range(number)
    )


def drawn(board, most=20, threshold=0.5, seed=0):
    return list(chosen(board, most, threshold, np.random.default_rng(seed)))


def test_pictures_without_a_score_are_not_known_and_equal_ones_count_as_their_first():
    board = board_of(
        [
            (NAN, None, "aa"),
            (0.5, True, "ff" * 32),
            (0.4, None, "aa"),
            (0.5, True, "ff" * 32),
            (0.3, False, "bb"),
            (NAN, None, ""),
        ]
    )
    assert len(board) == 6
    assert board.known.tolist() == [1, 2, 4]
    assert list(board.truths) == [-1, 1, -1, 1, 0, -1]


def test_a_board_of_nothing_chooses_nothing():
    board = board_of([(NAN, None, "")])
    assert board.known.tolist() == []
    assert drawn(board) == []
    assert [one.tolist() for one in looked_at(board, 10, 0.5, np.random.default_rng(0))] == [[], []]


def test_each_kind_has_its_share():
    picks = drawn(many(2000), 200)
    reasons = Counter(reason for _, reason in picks)
    assert reasons == {
        "false alarm": round(200 * ALARMS),
        "miss": round(200 * MISSES),
        "random": round(200 * RANDOM),
        "high score": 200 - round(200 * ALARMS) - round(200 * MISSES) - round(200 * RANDOM),
    }


def test_without_a_truth_only_chance_and_the_score_choose():
    reasons = Counter(reason for _, reason in drawn(many(400, truths=False), 40))
    assert reasons == {"random": 10, "high score": 30}


def test_the_high_scores_are_the_highest_of_a_random_half():
    board = many(400, truths=False)
    picks = drawn(board, 40)
    high = [board.scores[n] for n, reason in picks if reason == "high score"]
    assert high == sorted(high, reverse=True)
    above = sum(score > high[-1] for score in board.scores)
    assert 30 <= above <= 110, "about every second one above is in the half"
    at_random = [board.scores[n] for n, reason in picks if reason == "random"]
    assert min(at_random) < 0.5


def test_half_of_all_is_left_to_test_on_and_it_is_not_the_half_with_low_scores():
    board = many(100)
    picks = drawn(board, 1000)
    assert len(picks) == 50
    left = set(range(100)) - {n for n, _ in picks}
    assert sum(board.scores[n] >= 0.5 for n in left) > 15


ROWS = st.lists(
    st.tuples(
        st.floats(0, 1, width=32) | st.just(NAN),
        st.sampled_from([None, True, False]),
        st.integers(0, 40).map(lambda n: f"{n:064x}"[::-1]),
    ),
    max_size=60,
)


@given(ROWS, st.integers(1, 40), st.floats(0, 1), st.integers(0, 5))
def test_whatever_the_list_what_is_chosen_fits_its_reason(rows, most, threshold, seed):
    board = board_of(rows)
    picks = drawn(board, most, threshold, seed)
    indexes = [n for n, _ in picks]
    assert len(set(indexes)) == len(indexes)
    assert len(picks) == min(most, len(board.known) // 2)
    assert set(indexes) <= set(board.known.tolist())
    scores = np.array(board.scores)
    for n, reason in picks:
        if reason == "false alarm":
            assert scores[n] >= threshold
            assert board.truths[n] == 0
        if reason == "miss":
            assert scores[n] < threshold
            assert board.truths[n] == 1
    assert drawn(board, most, threshold, seed) == picks


@given(ROWS)
def test_the_known_are_those_that_a_person_would_keep(rows):
    kept, seen = [], set()
    for n, (score, _, digest) in enumerate(rows):
        if score == score and digest[:16] not in seen:
            seen.add(digest[:16])
            kept.append(n)
    assert board_of(rows).known.tolist() == kept


def test_chance_does_not_hang_on_the_order_of_the_list():
    board = board_of((n / 100, n % 2 == 0, f"{n + 1:x}") for n in range(100))
    assert any(n >= 50 for n, _ in drawn(board, 50))
    assert any(n < 50 for n, _ in drawn(board, 50))
    for side in looked(board, 20):
        assert min(side) < 50 <= max(side)


def test_the_threshold_divides_alarms_from_misses():
    board = board_of((0.6, n % 2 == 0, f"{n + 1:x}") for n in range(100))
    assert "false alarm" in dict(drawn(board, 30, 0.6)).values()
    assert "miss" not in dict(drawn(board, 30, 0.6)).values()
    assert "false alarm" not in dict(drawn(board, 30, 0.7)).values()
    assert "miss" in dict(drawn(board, 30, 0.7)).values()


def test_another_seed_is_another_choice():
    assert drawn(many(200), seed=0) != drawn(many(200), seed=1)


def looked(board, most, threshold=0.5, seed=0):
    return looked_at(board, most, threshold, np.random.default_rng(seed))


def test_as_many_without_as_with_the_label_are_looked_at_by_the_truth():
    board = many(400)
    without, within = looked(board, 100)
    assert len(without) == len(within) == 50
    assert {board.truths[n] for n in without} == {0}
    assert {board.truths[n] for n in within} == {1}
    assert np.std([board.scores[n] for n in without]) > 0.2, "by chance, whatever their score"


def test_one_class_alone_leaves_the_other_empty():
    board = board_of((0.5, False, f"{n + 1:x}") for n in range(20))
    without, within = looked(board, 10)
    assert (len(without), len(within)) == (5, 0)


@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_without_a_truth_the_services_word_counts(threshold):
    board = many(400, truths=False)
    without, within = looked(board, 60, threshold)
    assert len(without) == len(within) == 30
    assert max(board.scores[n] for n in without) < threshold
    assert min(board.scores[n] for n in within) >= threshold


def test_a_score_at_the_threshold_is_a_yes():
    board = board_of((0.7, None, f"{n + 1:x}") for n in range(10))
    without, within = looked(board, 20, 0.7)
    assert (len(without), len(within)) == (0, 10)
