"""What an audit found, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean

from probe.audit.effects import FEWEST
from probe.audit.records import Audit, Feature
from probe.text import count, printable

FEW = 20


def finding(audit: Audit) -> str:
    """What the score hangs on, or that nothing was found."""
    label = printable(audit.label, 60)
    if audit.claims:
        names = "; ".join(one.look.words for one in audit.claims)
        first = audit.claims[0]
        what = "it" if len(audit.claims) == 1 else f"the first ({first.look.words})"
        told = _tested(first, label, what)
        return f"{label} hangs on {names}. {told} {_stands(audit, first)}".strip()
    tested = sum(one.effect is not None for one in audit.features)
    if tested:
        were = "was" if tested == 1 else "were"
        return (
            f"Nothing was found on which {label} hangs: {count(tested, 'kind')} of evidence "
            f"{were} recognised in other pictures, and covering them there cost no more than "
            "covering boxes elsewhere."
        )
    if audit.features:
        return (
            f"Nothing can be said of {label}: the evidence has kinds, but too few other pictures "
            "show them to test it."
        )
    return f"Nothing was found on which {label} hangs: the evidence of no three pictures is alike."


def _tested(feature: Feature, label: str, what: str = "it") -> str:
    if feature.effect is None:
        return ""
    places = count(len(feature.effect.trials), "other picture")
    return (
        f"Covering {what} lowers {label} by {feature.effect.drop.said()} more than "
        f"covering a box of the same size elsewhere, in {places}."
    )


def _stands(audit: Audit, feature: Feature) -> str:
    without, within = sides(audit)
    parts = [
        f"{share.percent()} of those that {side}"
        for share, side in ((feature.without, without), (feature.within, within))
        if share.value is not None
    ]
    return f"It stands in {' and in '.join(parts)}." if parts else ""


def sides(audit: Audit) -> tuple[str, str]:
    """Which pictures are compared: by the truth, or by the service's word where none is known."""
    label = printable(audit.label, 60)
    if sum(audit.truths):
        return f"are truly not {label}", f"truly are {label}"
    return f"score below {audit.wishes.threshold:g}", f"score {audit.wishes.threshold:g} or more"


def said_of(feature: Feature, label: str) -> str:
    """One feature, in a sentence."""
    effect = feature.effect
    if effect is None:
        return f"Not tested: it stands in fewer than {FEWEST} other pictures with room beside it."
    claim = _tested(feature, label)
    levels = (
        mean(getattr(trial, name) for trial in effect.trials)
        for name in ("score", "covered", "controlled")
    )
    means = "On average {:.3f} unchanged, {:.3f} covered, {:.3f} with the control covered.".format(
        *levels
    )
    if feature.claimed:
        return f"{claim} {means}"
    no = f"No claim (p = {effect.adjusted:.2g} after Holm): {claim[:1].lower()}{claim[1:]}"
    return f"{no} {means}"


def wanted(feature: Feature, audit: Audit) -> str:
    """What to collect, in a sentence."""
    without, _ = sides(audit)
    return (
        f"Pictures that {without} and show {feature.look.words}: "
        f"{feature.missing:.0f} more of every 1,000"
    )


def remarks(audit: Audit) -> list[str]:
    """What a reader has to know beside it."""
    return list(_remarks(audit))


def _remarks(audit: Audit) -> Iterator[str]:
    label = printable(audit.label, 60)
    if audit.stopped is not None:
        yield f"It ended early: {printable(str(audit.stopped), 300)}; this is of what there is."
    if audit.failed:
        yield f"{count(audit.failed, 'picture')} could not be used."
    if audit.repeated:
        verbs = "equals another, and counts" if audit.repeated == 1 else "equal others, and count"
        yield f"{count(audit.repeated, 'picture')} {verbs} once."
    no, yes = audit.truths
    if not no + yes:
        at = f"{audit.wishes.threshold:g}"
        yield (
            f"No truth is known: pictures that score below and above {at} are compared, and what "
            "is missing cannot be told."
        )
    elif not (no and yes):
        only = f"truly {label}" if yes else f"truly not {label}"
        yield f"All pictures are {only}: what is missing from the others cannot be told."
    if audit.probed and audit.probed < FEW:
        were = "was" if audit.probed == 1 else "were"
        yield f"Only {count(audit.probed, 'picture')} {were} probed: rare features are missed."
    if audit.looked and any(one.effect is None for one in audit.features):
        yield "Of features that could not be tested nothing is known: a larger list would help."
