from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_test_that_the_table_of_faults_names_is_there():
    named = set(re.findall(r"`(test_\w+)`", (HERE / "faults.md").read_text("utf-8")))
    written = {
        name
        for path in HERE.rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text("utf-8"))
    }
    assert len(named) > 50
    assert named - written == set()
