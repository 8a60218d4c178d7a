"""nsfwpy: multipart batches, preprocessing of its own, plain text where a picture is bad."""

from __future__ import annotations

import pytest

from probe import Prober


@pytest.fixture
def here(nsfwpy, monkeypatch):
    monkeypatch.setenv("NSFWPY_BASE", nsfwpy)


def test_a_whole_map_is_found(here, retina, tmp_path):
    prober = Prober("nsfwpy", ledger=tmp_path / "ledger.db")
    result = prober.probe(retina, "nsfw")
    assert result.reference["nsfw"] == pytest.approx(0.316, abs=0.02)
    assert not result.failures
    for answer in result.answers:
        assert answer.outcome["nsfw"] + answer.outcome["sfw"] == pytest.approx(1, abs=1e-5)


def test_one_bad_picture_is_split_out_of_its_batch(here, one_bad_picture):
    one_bad_picture("nsfwpy", 1e-5)
