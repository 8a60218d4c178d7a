from __future__ import annotations

import sqlite3

from probe import Prober, from_callable
from probe.testing.planted import Planted, planted_picture


def notes_of(scores, tmp_path, **options):
    """Notes of a run whose variants get these scores in turn."""
    turn = iter(scores)

    def score(images):
        return [{"x": next(turn)} for _ in images]

    prober = Prober(from_callable(score, ["x"]), **options)
    return " ".join(prober.probe(planted_picture(), budget=40).notes)


def test_the_same_score_for_everything_is_a_flat_map(tmp_path):
    assert "flat" in notes_of([0.5] * 40, tmp_path)


def test_a_few_levels_cannot_rank_pixels(tmp_path):
    assert "only 3 values" in notes_of([0, 0.5, 1, 0.5] * 10, tmp_path)


def test_nothing_above_the_noise_is_nothing_significant(tmp_path):
    noisy = [0.5, 0.6, *(0.5 + (i % 9) / 100 for i in range(37)), 0.4]
    assert "nothing significant" in notes_of(noisy, tmp_path, repeats=2)


def test_a_clear_map_needs_no_word(tmp_path):
    assert notes_of([i / 40 for i in range(40)], tmp_path) == ""


def test_damaged_answers_are_asked_again_and_said(tmp_path):
    ledger = tmp_path / "l.db"
    Prober(Planted(), ledger=ledger).probe(planted_picture(), budget=8)
    with sqlite3.connect(ledger) as connection:
        connection.execute("UPDATE answers SET checksum = zeroblob(8) WHERE seq IN (2, 3)")
    connection.close()
    backend = Planted()
    result = Prober(backend, ledger=ledger).probe(planted_picture(), budget=8)
    assert backend.asked == 2
    assert any("2 stored answers damaged" in note for note in result.notes)


def test_holes_are_counted():
    corner = planted_picture().getpixel((0, 0))

    def score(images):
        return [{"x": 0.5 if i.getpixel((0, 0)) == corner else float("nan")} for i in images]

    result = Prober(from_callable(score, ["x"])).probe(planted_picture(), method="grid")
    note = next(note for note in result.notes if "no score" in note)
    assert note == "1 variant got no score; the map leaves it out: the score of 'x' is nan."
