"""What an evaluation found, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from probe.evaluate.interval import Estimate
from probe.text import count, printable

if TYPE_CHECKING:
    from probe.evaluate.evaluation import Evaluation, Service
    from probe.evaluate.groups import Group

FEW = 20
FEW_FALSE = 5
LIKELY = 0.05


def finding(found: Evaluation) -> str:
    label = printable(found.label, 60)
    if found.comparison is None:
        (one,) = found.services
        return f"{label}: {_service(one)}{_chosen(one)}."
    said = "; ".join(f"{printable(one.name, 60)} {_service(one)}" for one in found.services)
    return f"{label}: {said}. {_compared(found)}"


def _service(one: Service) -> str:
    return f"AUC {one.auc.said()}, average precision {one.average_precision.said()}"


def _chosen(one: Service) -> str:
    """What the first of the stated rates comes to."""
    if not one.at_fpr:
        return ""
    at = one.at_fpr[0]
    rate = f"{100 * (at.stated or 0):.4g}%"
    if at.threshold.value is None:
        return f"; no threshold keeps {rate} false positives"
    return (
        f"; at {rate} false positives the threshold is {at.threshold.value:.3g} and "
        f"{at.recall.percent()} are found"
    )


def _compared(found: Evaluation) -> str:
    assert found.comparison is not None
    gap, p = found.comparison.auc, found.comparison.p_auc
    names = [printable(one.name, 60) for one in found.services]
    if gap.value is None or p is None:
        return "Whether they differ is not known."
    if p >= LIKELY:
        return f"They are not told apart: the AUC differs by {gap.said()}, p {p_said(p)}."
    ahead, by = names[0], gap
    if gap.value < 0:
        ahead, by = names[1], _turned(gap)
    return f"{ahead} is ahead by {by.said()} in AUC, p {p_said(p)}."


def _turned(gap: Estimate) -> Estimate:
    value, low, high = (None if x is None else -x for x in (gap.value, gap.high, gap.low))
    return Estimate(value, low, high)


def p_said(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def remarks(found: Evaluation) -> list[str]:
    """What people should know beside the finding."""
    return [*_few(found), *_thin(found), *_calibration(found), *_of_groups(found)]


def _few(found: Evaluation) -> Iterator[str]:
    for number, kind in ((found.positives, "positive"), (found.negatives, "negative")):
        if number < FEW:
            yield f"Only {count(number, f'{kind} picture')}: the intervals are rough."


def _thin(found: Evaluation) -> Iterator[str]:
    rates = [rate for rate in found.settings["fpr"] if rate * found.negatives < FEW_FALSE]
    if rates:
        said = " and ".join(f"{100 * rate:.4g}%" for rate in rates)
        yield (
            f"{said} of {count(found.negatives, 'negative picture')} is less than "
            f"{FEW_FALSE} pictures: a threshold for that says little."
        )


def _calibration(found: Evaluation) -> Iterator[str]:
    for one in found.services:
        ece, luck = one.calibration.ece, one.calibration.ece_by_chance
        if ece > max(3 * luck, 0.02):
            yield (
                f"{printable(one.name, 60)} is not calibrated: its scores are off by {ece:.3f} on "
                f"average (perfect ones by {luck:.3f} here), so 0.8 does not mean that 8 of 10 are."
            )


def _of_groups(found: Evaluation) -> Iterator[str]:
    if not found.groups:
        return
    bare = [group for group in found.groups if group.auc.value is None]
    if bare:
        yield f"All pictures are of one kind in {_listed(bare)}: no AUC there."
    apart = [group for group in found.groups if group.stands_out]
    if len(found.groups) - len(bare) > 1:
        said = "; ".join(f"{_name(one)} by {one.difference.said()}" for one in apart[:5])
        yield (
            f"The AUC differs from that of all pictures in {said}."
            if apart
            else "No group's AUC is shown to differ from that of all pictures."
        )


def _listed(groups: list[Group]) -> str:
    more = f" and {len(groups) - 5:,} more" if len(groups) > 5 else ""
    return ", ".join(_name(one) for one in groups[:5]) + more


def _name(group: Group) -> str:
    return repr(printable(group.name, 40)) if group.name else "the rows without a group"
