"""Audits by hand, without a service."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from probe.audit.effects import effects, is_claimed
from probe.audit.records import Audit, Case, Exemplar, Feature, Look, Trial, Wishes
from probe.evaluate.interval import wilson

BOX = (0.1, 0.2, 0.3, 0.5)
AWAY = (0.6, 0.2, 0.8, 0.5)
SURE = [0.4, 0.5, 0.6, 0.5, 0.45, 0.55, 0.5, 0.5]
NOTHING = [0.01, -0.02, 0.02, -0.01, 0.0, 0.01]
SHOWN = Image.new("RGB", (40, 30), (200, 20, 20))


def made_trials(drops, name="other.png"):
    return [Trial(n, name, 0.9, BOX, AWAY, 1.0 - drop, 1.0) for n, drop in enumerate(drops)]


def made_feature(
    number=1, drops=SURE, without=(1, 20), within=(9, 20), name="party.jpg", words="red, anywhere"
):
    """drops: too few of them make a feature that is not tested. without, within: hits, of."""
    trials = made_trials(drops, name)
    effect = effects([trials], 0)[0]
    if effect is not None:  # as if another were tested beside it
        effect = replace(effect, adjusted=min(1.0, 2 * effect.p))
    claimed = is_claimed(effect)
    case = Case(7, name, None, 0.91, True, "high score")
    shares = wilson(*without), wilson(*within)
    known = claimed and None not in (shares[0].value, shares[1].value)
    missing = 1000 * max(0.0, shares[1].value - shares[0].value) if known else None
    exemplars = [Exemplar(case, BOX, 0.5, SHOWN), Exemplar(case, AWAY, 0.25)]
    look = Look(words, "#ff0000", words.split(", ")[-1], 0.06)
    lacking = [(name, 0.7, BOX)] if without[0] else []
    return Feature(number, look, exemplars, effect, claimed, *shares, missing, lacking)


def made_audit(*features, **changes):
    about = {
        "label": "nsfw",
        "pictures": 100,
        "scored": 100,
        "flagged": 40,
        "truths": (60, 40),
        "probed": 30,
        "regions": 33,
        "looked": 60,
        "calls": 1500,
        "identity": "a service",
        "features": list(features),
    }
    return Audit(Wishes(), **(about | changes))
