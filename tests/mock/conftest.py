from __future__ import annotations

from types import SimpleNamespace

import pytest

from probe.mock import Faults
from probe.mock.faults import Dice
from probe.mock.message import Asked
from probe.mock.router import Router
from probe.mock.scorer import Scorer
from tests.mock.spoken import backend


@pytest.fixture
def desk():
    """desk(...): a router with a clock that stands still, `.pauses` and `.dice`."""

    def make(model=None, faults="", seed=0, key=None, rates=()):
        made = SimpleNamespace(now=0.0, pauses=[])
        made.dice = Dice(faults if isinstance(faults, Faults) else Faults.parse(faults, seed))
        made.router = Router(
            Scorer(model or backend()),
            made.dice,
            key=key,
            clock=lambda: made.now,
            pause=made.pauses.append,
            rates=rates,
        )
        made.post = made.router.post
        made.get = lambda path: made.router.get(Asked("GET", path, {}))
        return made

    return make
