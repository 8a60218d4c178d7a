"""An audit as one HTML file that needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from probe.audit.words import finding, remarks, said_of, sides, wanted
from probe.report import packing
from probe.report.page import asset, hash_of
from probe.report.templates import templates
from probe.show.files import versions
from probe.text import count, printable

if TYPE_CHECKING:
    from probe.audit.records import Audit, Exemplar, Feature, Trial

SHOWN = 18
"""Exemplars of a feature, and tests, that are on the page."""
NAME = 120
WIDTH = 260
"""Of the line on which drops are drawn."""


def audit_page(audit: Audit, command: str) -> str:
    """The page: what was found, a gallery of each feature with its test, and what to collect."""
    low, high = _range(audit)
    style = asset("report.css") + asset("audit.css")
    without, within = sides(audit)
    return (
        templates("probe.report")
        .get_template("audit.html")
        .render(
            title=f"What {printable(audit.label, 60)} hangs on",
            said=finding(audit),
            notes=remarks(audit),
            features=[_feature(one, audit, low, high) for one in audit.features],
            wanted=[
                {"number": one.number, "said": wanted(one, audit), "have": _have(one)}
                for one in audit.wanted
            ],
            without=without,
            within=within,
            truthful=all(audit.truths),
            facts=_facts(audit),
            failures=[(printable(name, NAME), printable(why, 300)) for name, why in audit.failures],
            command=printable(command, 2000),
            style=style,
            style_hash=hash_of(style),
            width=WIDTH,
            zero=_place(0.0, low, high),
            count=count,
        )
    )


def _range(audit: Audit) -> tuple[float, float]:
    """Of the drops and their intervals, zero among them."""
    drops = [one.effect.drop for one in audit.features if one.effect]
    ends = [end for drop in drops for end in (drop.low, drop.high) if end is not None]
    return min([0.0, *ends]), max([0.1, *ends])


def _place(value: float, low: float, high: float) -> float:
    return round((value - low) / (high - low) * WIDTH, 1)


def _feature(one: Feature, audit: Audit, low: float, high: float) -> dict[str, Any]:
    drop = one.effect.drop if one.effect else None
    line = None
    if drop is not None and drop.value is not None:
        ends = (drop.low or 0.0, drop.value, drop.high or 0.0)
        line = [_place(end, low, high) for end in ends]
    trials = one.effect.trials if one.effect else ()
    return {
        "number": one.number,
        "words": one.look.words,
        "colour": one.look.colour,
        "size": f"{one.look.size:.0%}",
        "claimed": one.claimed,
        "said": said_of(one, printable(audit.label, 60)),
        "drop": drop.said() if drop else "not tested",
        "p": f"{one.effect.adjusted:.2g}" if one.effect else "",
        "line": line,
        "without": one.without.percent(),
        "within": one.within.percent(),
        "pictures": len({found.case.index for found in one.exemplars}),
        "exemplars": [_exemplar(found) for found in one.exemplars[:SHOWN]],
        "more": max(0, len(one.exemplars) - SHOWN),
        "trials": [_trial(trial) for trial in trials],
    }


def _exemplar(found: Exemplar) -> dict[str, Any]:
    case = found.case
    shown = None if found.shown is None else packing.picture(found.shown)
    return {
        "picture": shown,
        "name": printable(case.name, NAME),
        "score": f"{case.score:.3g}",
        "evidence": f"{found.evidence:.2g}",
        "reason": case.reason,
    }


def _trial(trial: Trial) -> tuple[str, ...]:
    numbers = (trial.score, trial.covered, trial.controlled, trial.drop)
    return printable(trial.name, NAME), *(f"{number:.3f}" for number in numbers)


def _have(one: Feature) -> list[tuple[str, str]]:
    return [(printable(name, NAME), f"{score:.3g}") for name, score, _ in one.lacking]


def _facts(audit: Audit) -> list[tuple[str, str]]:
    wishes = audit.wishes
    cost = "no price known" if audit.cost is None else f"{audit.cost:.4g} {audit.currency}"
    reasons: dict[str, int] = {}
    for case in audit.cases:
        reasons[case.reason] = reasons.get(case.reason, 0) + 1
    chosen = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
    rows = [
        ("pictures", f"{audit.pictures:,}, {audit.scored:,} of them with a score"),
        ("at or above the threshold", f"{audit.flagged:,} ({wishes.threshold:g})"),
        ("truth", f"{audit.truths[1]:,} with the label, {audit.truths[0]:,} without"),
        ("probed", f"{audit.probed:,} with {wishes.budget} answers each ({chosen or 'none'})"),
        ("regions of evidence", f"{audit.regions:,}"),
        ("looked at for features", f"{audit.looked:,}"),
        ("service", str(audit.identity or "a Python function")),
        ("calls", f"{audit.calls:,}"),
        ("cost", cost),
        ("seed", str(wishes.seed)),
        ("versions", ", ".join(f"{name}={value}" for name, value in versions().items())),
    ]
    return [(name, printable(value, 400)) for name, value in rows]
