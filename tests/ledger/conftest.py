from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from probe.ledger import Ledger, Question
from probe.types import Scores

BASE = Question("ab" * 32, "box 0 0 8 8", "mean", (512, 400), "jpeg:90", 1, "onnx:abc")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.db"


@pytest.fixture
def ask() -> Callable[..., Question]:
    """ask(3): the third question of one picture; other fields by name."""
    return lambda n=0, **other: replace(BASE, change=f"box {n} 0 8 8", **other)


@pytest.fixture
def filled(path: Path, ask: Callable[..., Question]) -> list[tuple[Question, Scores]]:
    """Twenty answers with bodies on record at `path`; from two pictures and two hosts."""
    pairs = [
        (
            ask(n, image=("ab" if n < 10 else "cd") * 32),
            Scores({"nsfw": n / 3, "sfw": 1 - n / 3}, raw=b'{"body": %d}' % n),
        )
        for n in range(20)
    ]
    with Ledger(path) as ledger:
        ledger.exchange(pairs[:10], host="one.example")
        ledger.exchange(pairs[10:], host="two.example")
    return pairs
