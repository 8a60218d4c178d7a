"""NSFWJS behind express: JPEG alone, one a request, the package's own weights, errors as HTML."""

from __future__ import annotations

import pytest

from probe import Prober


@pytest.fixture
def here(nsfwjs, monkeypatch):
    monkeypatch.setenv("NSFWJS_BASE", nsfwjs)


def test_a_whole_map_is_found(here, retina, tmp_path):
    prober = Prober("nsfwjs-express", ledger=tmp_path / "ledger.db")
    result = prober.probe(retina, "nsfw")
    assert result.reference["nsfw"] == pytest.approx(0.85, abs=0.05)
    assert result.requests == result.calls == 64
    assert not result.failures
    for answer in result.answers:
        five = ("Drawing", "Hentai", "Neutral", "Porn", "Sexy")
        assert sum(answer.outcome[label] for label in five) == pytest.approx(1, abs=1e-5)


def test_one_bad_picture_is_the_only_hole(here, one_bad_picture):
    one_bad_picture("nsfwjs-express", 1e-5)
