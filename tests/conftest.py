from __future__ import annotations

import pytest
from hypothesis import settings

from tests.browser import browser as browser

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    """No test reads or writes the user's ledger."""
    monkeypatch.setenv("PROBE_LEDGER", str(tmp_path / "default-ledger.db"))
