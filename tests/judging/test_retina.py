from __future__ import annotations

from pathlib import Path

import pytest

from probe import Prober, judge

RETINA = Path(__file__).parents[2] / "examples" / "retina.jpg"


@pytest.mark.slow
def test_forty_answers_judge_the_retina_as_all_steps_do(tmp_path):
    prober = Prober("local", ledger=tmp_path / "ledger.db")
    heat = prober.heatmap(RETINA)
    whole, few = (judge(prober, RETINA, heat, budget) for budget in (145, 40))
    assert whole.control.ahead
    assert few.control.ahead
    assert few.calls == 0  # its steps and copies are among those of the larger budget
    for kind, far in (("deletion", 0.03), ("insertion", 0.06)):
        assert abs(few.curves[kind].area - whole.curves[kind].area) < far
        assert few.curves[kind].stderr < far
