"""The figures of an evaluation: how good scores are over a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from probe.errors import UsageError
from probe.evaluate.thinning import thinned
from probe.show.figure import PLAIN, new_axes
from probe.show.words import LABEL, drawable
from probe.text import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from probe.evaluate.evaluation import Evaluation, Service
    from probe.evaluate.groups import Group

COLOURS = ("#0072B2", "#D55E00")
"""Blue and vermilion, told apart by everybody (Okabe and Ito, "Color Universal Design", 2008)."""
LINES = ("-", (0, (5, 1.5)))
GREY = "#6f6f6f"
PANEL, HEIGHT = 4.1, 4.5
MOST_GROUPS = 15
INSET = (0.4, 0.1, 0.56, 0.5)


def evaluation_figure(evaluation: Evaluation) -> Figure:
    """ROC, precision and recall, calibration, and with groups their areas, side by side.

    The first service is blue, a second one vermilion and dashed; bands and bars are intervals of
    95 %, of each point by itself. `save_figure` writes it as PNG, SVG or PDF.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: list[Callable[[Evaluation, Axes], Axes]] = [
        plot_roc,
        plot_precision_recall,
        plot_calibration,
    ]
    if evaluation.groups:
        panels.append(plot_groups)
    size = (PANEL * len(panels), HEIGHT)
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(_headline(evaluation), size=11, **PLAIN)
    for plot, ax in zip(panels, figure.subplots(1, len(panels)), strict=True):
        plot(evaluation, ax)
    return figure


def _headline(evaluation: Evaluation) -> str:
    share = evaluation.prevalence.value or 0
    return (
        f"{drawable(evaluation.label, LABEL)}: {count(evaluation.pictures, 'picture')}, "
        f"{share:.1%} positive"
    )


def plot_roc(evaluation: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw the ROC curves into `ax` or a new figure, with a look at few false positives, on a
    logarithmic scale; dots are the thresholds for the stated rates."""
    ax = new_axes(PANEL, HEIGHT) if ax is None else ax
    ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    near = ax.inset_axes(INSET)
    least = 1 / max(10, min(evaluation.negatives, 10_000))
    for number, one in enumerate(evaluation.services):
        for place in (ax, near):
            _roc(one, number, place)
    near.set_xscale("log")
    near.set_xlim(least, 1)
    near.set_ylim(0, 1.02)
    near.tick_params(labelsize=6.5, pad=1)
    near.set_title("few false positives", size=7, pad=2)
    said = [f"AUC {one.auc.said()}" for one in evaluation.services]
    rates = ", ".join(f"{100 * rate:.3g}%" for rate in evaluation.settings["fpr"][:4])
    x = "false-positive rate" + (f" (dots: at most {rates})" if rates else "")
    return _framed(ax, said, x, "true-positive rate (recall)")


def _roc(one: Service, number: int, ax: Axes) -> None:
    curve, colour = one.curve, COLOURS[number]
    places = thinned(curve)
    x, y = np.append(0, curve.fpr[places]), np.append(0, curve.tpr[places])
    ax.fill_between(*one.bands.roc.T, color=colour, alpha=0.18, lw=0)
    ax.plot(x, y, color=colour, lw=1.4, ls=LINES[number])
    chosen = [at for at in one.at_fpr if at.threshold.value is not None]
    spots = [(at.fpr.value, at.recall.value) for at in chosen]
    if spots:
        ax.plot(*zip(*spots, strict=True), "o", color=colour, ms=4, zorder=3)


def plot_precision_recall(evaluation: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw precision against recall into `ax` or a new figure; the dotted line is a guess."""
    ax = new_axes(PANEL, HEIGHT) if ax is None else ax
    ax.axhline(evaluation.prevalence.value or 0, color=GREY, lw=0.8, ls=":")
    for number, one in enumerate(evaluation.services):
        places, colour = thinned(one.curve), COLOURS[number]
        ax.fill_between(*one.bands.precision.T, color=colour, alpha=0.18, lw=0)
        ax.plot(
            *(one.curve.tpr[places], one.curve.precision[places]),
            color=colour,
            lw=1.4,
            ls=LINES[number],
            drawstyle="steps-pre" if len(places) < 200 else "default",
            label=drawable(one.name, LABEL),
        )
    if len(evaluation.services) > 1:
        legend = ax.legend(fontsize=8, loc="lower left", framealpha=0.85, edgecolor="none")
        for text in legend.get_texts():
            text.set_parse_math(False)
    said = [f"average precision {one.average_precision.said()}" for one in evaluation.services]
    return _framed(ax, said, "recall", "precision")


def plot_calibration(evaluation: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw, for pictures of like scores, the share that is positive against the mean score, into
    `ax` or a new figure; calibrated scores lie on the dotted line."""
    ax = new_axes(PANEL, HEIGHT) if ax is None else ax
    ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    for number, one in enumerate(evaluation.services):
        bins = one.calibration.bins
        shares = np.array([_ends(bin_.share.as_dict()) for bin_ in bins])
        ax.errorbar(
            [bin_.score for bin_ in bins],
            shares[:, 0],
            yerr=np.abs(shares[:, 1:] - shares[:, :1]).T,
            color=COLOURS[number],
            ls=LINES[number],
            lw=1.0,
            elinewidth=1.2,
            marker="o",
            ms=3.5,
            capsize=2,
            clip_on=False,
        )
    said = [
        f"ECE {one.calibration.ece:.3f}, Brier {one.brier.said()}" for one in evaluation.services
    ]
    return _framed(ax, said, "mean score", "share that is positive")


def _ends(estimate: Mapping[str, float | None]) -> list[float]:
    return [np.nan if x is None else x for x in estimate.values()]


def plot_groups(evaluation: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw the first service's area under the ROC curve in each group, with its interval, into
    `ax` or a new figure; the dotted line is that of all pictures.

    More than 15 groups: those with the most pictures. Raises UsageError without groups.
    """
    if not evaluation.groups:
        raise UsageError("the evaluation was made without groups: there are none to draw")
    ax = new_axes(PANEL, HEIGHT) if ax is None else ax
    ranked = sorted(evaluation.groups, key=lambda group: -group.pictures)
    chosen = set(map(id, ranked[:MOST_GROUPS]))
    groups = [group for group in evaluation.groups if id(group) in chosen]
    for row, group in enumerate(groups):
        value, low, high = _ends(group.auc.as_dict())
        ax.plot([low, high], [row, row], color=COLOURS[0], lw=1.4)
        ax.plot([value], [row], "o", color=COLOURS[0], ms=5)
    whole = evaluation.services[0].auc
    ax.axvline(whole.value or 0, color=GREY, lw=0.8, ls=":")
    ax.set_yticks(range(len(groups)), [_group_name(group) for group in groups], size=8)
    for text in ax.get_yticklabels():
        text.set_parse_math(False)
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_box_aspect(1)
    ax.margins(x=0.08)
    more = len(evaluation.groups) - len(groups)
    title = "AUC by group" + (f", without {count(more, 'smaller one')}" if more else "")
    ax.set_title(title, size=9)
    ax.set_xlabel(f"AUC of {drawable(evaluation.services[0].name, LABEL)}", size=8, **PLAIN)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _group_name(group: Group) -> str:
    name = drawable(group.name, 20) if group.name else "(none)"
    return f"{name}\n{group.pictures:,}, {group.positives / group.pictures:.0%} pos."


def _framed(ax: Axes, said: Sequence[str], x: str, y: str) -> Axes:
    """Axes of 0..1, under a line for each service in its colour."""
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)
    ax.set_box_aspect(1)
    ax.set_xlabel(x, size=8)
    ax.set_ylabel(y, size=8)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    for number, line in enumerate(said):
        ax.text(
            0.5,
            1.02 + 0.055 * (len(said) - 1 - number),
            line,
            ha="center",
            va="bottom",
            size=9,
            transform=ax.transAxes,
            color=COLOURS[number] if len(said) > 1 else "black",
        )
    return ax
