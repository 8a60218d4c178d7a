"""How soon a map looked as it does in the end."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from probe.decide.comparison import spearman
from probe.heatmap import Heatmap
from probe.result import Result
from probe.show.figure import PLAIN, new_axes, wrapped
from probe.show.words import LABEL, drawable
from probe.text import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST = 8
OWN = "#b2182b"


class Step(NamedTuple):
    """The map of the first `answers` answers, and how alike it ranks the pixels as the last one.

    correlation: Spearman's, over the pixels known to both; None where one of the two is flat
    there or empty.
    """

    answers: int
    heatmap: Heatmap
    correlation: float | None


def convergence(result: Result, label: str | None = None) -> list[Step]:
    """The map of a label after 8, 16, 32 ... answers and after all; costs no call.

    Answers are taken in the order of the plan, the unchanged picture's among them. The last
    step's correlation is 1 by itself. Raises LabelError as `Result.heatmap` does.
    """
    last = result.heatmap(label)
    total = len(result.answers)
    doubled = takewhile(lambda n: n < total, (FIRST << n for n in range(total.bit_length())))
    steps = [(n, replace(result, answers=result.answers[:n]).heatmap(label)) for n in doubled]
    return [Step(n, heatmap, _alike(heatmap, last)) for n, heatmap in [*steps, (total, last)]]


def _alike(one: Heatmap, last: Heatmap) -> float | None:
    first, other = one.planes.values, last.planes.values
    known = np.isfinite(first) & np.isfinite(other)
    return spearman(first[known], other[known])


def plot_convergence(result: Result, label: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw how the map settled into `ax` or a new figure: the rank correlation of the map of the
    first 8, 16, 32 ... answers with the last one, over the number of answers.

    A step whose map was flat or empty has no correlation: it is a cross at zero. Raises LabelError
    as `Result.heatmap` does.
    """
    steps = convergence(result, label)
    known = [(step.answers, step.correlation) for step in steps if step.correlation is not None]
    ax = new_axes(5.2, 3.6) if ax is None else ax
    ax.set_xscale("log", base=2)
    ax.axhline(1.0, color="black", lw=0.8, ls=":")
    ax.plot(*np.array(known).reshape(-1, 2).T, color=OWN, lw=1.8, marker="o", ms=4)
    for answers, correlation in known[:-1]:
        ax.annotate(
            f"{correlation:.2f}",
            (answers, correlation),
            xytext=(3, -5),
            textcoords="offset points",
            ha="left",
            va="top",
            size=8,
        )
    if nothing := [step.answers for step in steps if step.correlation is None]:
        said = "flat or empty: no correlation"
        ax.plot(nothing, [0.0] * len(nothing), "x", color=OWN, clip_on=False, label=said)
        ax.legend(fontsize=8, frameon=False)
    _scale(ax, steps)
    named = drawable(result.label if label is None else label, LABEL)
    total = count(steps[-1].answers, "answer")
    heading = wrapped(f"{named}: how soon the map settled", ax, "medium")
    ax.set_title(heading, fontsize="medium", **PLAIN)
    ax.set_xlabel("answers, the first of the plan", size=9)
    ax.set_ylabel(f"rank correlation with that of {total}", size=9)
    return ax


def _scale(ax: Axes, steps: list[Step]) -> None:
    lowest = min((step.correlation or 0.0 for step in steps), default=0.0)
    ax.set_ylim(min(0.0, lowest) - 0.05, 1.06)
    places = [step.answers for step in steps]
    apart = [n for n in places[:-1] if places[-1] / n > 1.25]
    ax.set_xticks([*apart, places[-1]], [str(n) for n in (*apart, places[-1])])
    ax.set_xticks([], minor=True)
    ax.set_xlim(min(places[0], FIRST) / 1.3, places[-1] * 1.3)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
