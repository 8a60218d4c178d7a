"""Many pictures, each asked about once: what a user who pays for every call relies on."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from probe import Failure, Prober, Scores
from probe.errors import LimitReached, UsageError
from probe.ledger import Ledger
from probe.limits import Limits, Price
from probe.mock import serve
from probe.scoring import scoring as module
from probe.testing.planted import RED, Planted

LIMITS = Limits(
    batch=4, labels=("sfw", "nsfw"), question="nsfw", price=Price(0.5, "EUR", "2026-10")
)


def made(number, size=(40, 30)):
    """A picture with so many rows of red."""
    picture = Image.new("RGB", size, (90, 100, 110))
    picture.paste(RED, (0, 0, size[0], number))
    return picture


def pictures(n):
    return [made(number) for number in range(n)]


@pytest.fixture
def server():
    with serve(Planted(limits=LIMITS)) as running:
        yield running


def test_each_gets_what_it_gets_alone(tmp_path):
    target = Planted(red=40 * 30)
    rows = list(Prober(target, ledger=tmp_path / "one.db").scoring(pictures(23)))
    assert [row.index for row in rows] == list(range(23))
    assert {row.source for row in rows} == {"sent"}
    assert target.asked == 23
    alone = Prober(target, ledger=tmp_path / "other.db")
    for row, picture in zip(rows, pictures(23), strict=True):
        assert row.outcome == alone.score(picture).reference
        assert row.size == (40, 30)


def test_they_are_sent_in_full_batches(server, tmp_path):
    scoring = Prober(server.url, ledger=tmp_path / "l.db").scoring(pictures(21))
    assert len(list(scoring)) == 21
    assert scoring.tally.calls == server.calls == 21
    assert scoring.tally.requests == server.requests == 1 + 20 // 4
    assert (scoring.tally.cost, scoring.tally.currency) == (10.5, "EUR")


def test_equal_pictures_are_bought_once_and_known_ones_not_at_all(server, tmp_path):
    prober = Prober(server.url, ledger=tmp_path / "l.db")
    prober.score(made(2))
    twice = [*pictures(5), *pictures(6)]
    scoring = prober.scoring(twice)
    rows = list(scoring)
    assert server.calls == 6
    assert scoring.tally.calls == 5
    assert [row.outcome for row in rows[:5]] == [row.outcome for row in rows[5:10]]
    assert sum(row.source == "sent" for row in rows) == 5
    again = prober.scoring(twice)
    assert [row.outcome for row in again] == [row.outcome for row in rows]
    assert again.tally.calls == 0
    assert server.calls == 6


def test_what_is_no_picture_is_a_failure_in_its_place(tmp_path):
    (tmp_path / "text.jpg").write_text("hello")
    absent = tmp_path / "absent.png"
    sources = [tmp_path / "text.jpg", made(1), absent, made(2), absent, tmp_path / "text.jpg"]
    rows = list(Prober(Planted(), ledger=tmp_path / "l.db").scoring(sources))
    assert [row.index for row in rows] == [0, 1, 2, 3, 4, 5]
    assert [isinstance(row.outcome, Scores) for row in rows] == [0, 1, 0, 1, 0, 0]
    assert [row.source for row in rows] == ["none", "sent", "none", "sent", "none", "none"]
    assert "text" in rows[0].outcome.message
    assert "absent.png" in rows[2].outcome.message


def test_none_of_them_may_be_a_picture(tmp_path):
    prober = Prober(Planted(), ledger=tmp_path / "l.db")
    assert [row.source for row in prober.scoring([tmp_path / "a", tmp_path / "b"])] == ["none"] * 2
    assert list(prober.scoring([])) == []


def test_a_picture_that_the_service_refuses_stops_nothing(tmp_path):
    class Picky(Planted):
        def answer(self, image):
            red = int((np.asarray(image) == RED).all(-1).sum())
            return Failure("refused", "not this one") if red in (0, 120) else super().answer(image)

    rows = list(Prober(Picky(), ledger=tmp_path / "l.db").scoring(pictures(9)))
    assert [row.index for row in rows if isinstance(row.outcome, Failure)] == [0, 3]
    assert len(rows) == 9


@pytest.mark.parametrize("stretch", [1, 2, 5])
def test_stretches_make_no_difference(stretch, tmp_path, monkeypatch):
    sources = [*pictures(7), tmp_path / "absent", *pictures(3), tmp_path / "absent"]
    whole = list(Prober(Planted(), ledger=tmp_path / "a.db").scoring(sources))
    monkeypatch.setattr(module, "STRETCH", stretch)
    target = Planted()
    scoring = Prober(target, ledger=tmp_path / "b.db").scoring(sources)
    parts = list(scoring)
    assert [(row.index, row.outcome) for row in parts] == [(r.index, r.outcome) for r in whole]
    assert scoring.tally.calls == target.asked == 7
    assert (scoring.tally.done, scoring.tally.failed) == (12, 2)


@pytest.mark.parametrize("hint", [0, 3, 100])
def test_a_list_that_is_wrong_about_its_length_loses_nothing(hint, tmp_path):
    class Claims:
        def __iter__(self):
            return iter(pictures(7))

        def __length_hint__(self):
            return hint

    rows = list(Prober(Planted(), ledger=tmp_path / "l.db").scoring(Claims()))
    assert [row.index for row in rows] == list(range(7))
    assert all(isinstance(row.outcome, Scores) for row in rows)


def test_a_cap_gives_out_what_is_known_and_the_next_run_goes_on(server, tmp_path):
    ledger = tmp_path / "l.db"
    known = []
    with pytest.raises(LimitReached):
        list(Prober(server.url, ledger=ledger, max_calls=9).scoring(pictures(30)))
    scoring = Prober(server.url, ledger=ledger, max_calls=9).scoring(pictures(30))
    with pytest.raises(LimitReached):
        known.extend(row for row in scoring if isinstance(row.outcome, Scores))
    assert server.calls == 18
    assert scoring.tally.calls == 9
    assert len(known) == 18
    assert [row.index for row in known] == sorted(row.index for row in known)
    rest = Prober(server.url, ledger=ledger).scoring(pictures(30))
    assert all(isinstance(row.outcome, Scores) for row in rest)
    assert server.calls == 30


def test_left_early_it_keeps_what_it_paid_for(server, tmp_path):
    prober = Prober(server.url, ledger=Ledger(tmp_path / "l.db"))
    for row in prober.scoring(pictures(25)):
        if row.index == 2:
            break
    paid = server.calls
    scoring = Prober(server.url, ledger=tmp_path / "l.db").scoring(pictures(25))
    list(scoring)
    assert server.calls == 25
    assert scoring.tally.calls == 25 - paid


def test_only_those_on_their_way_are_held(tmp_path):
    opened = 0

    def sources():
        nonlocal opened
        for number in range(400):
            opened += 1
            yield made(number % 30, (41, 30 + number // 30))

    scoring = Prober(Planted(), ledger=tmp_path / "l.db").scoring(sources())
    rows = iter(scoring)
    next(rows)
    assert opened < 60  # pictures that are made on the way are not held before their turn ...
    ahead = max(len(album._pages) for album in _albums(rows))
    assert ahead < 60  # ... nor after it
    assert opened == 400


def _albums(rows):
    """The album after each row."""
    for _ in rows:
        yield rows.gi_frame.f_locals["album"]


def test_a_codec_that_the_service_does_not_take_is_said_at_once(tmp_path):
    from probe.types import Codec

    prober = Prober(Planted(), ledger=tmp_path / "l.db", codec=Codec("png"))
    with pytest.raises(UsageError, match="the backend takes pixels"):
        list(prober.scoring(pictures(2)))
