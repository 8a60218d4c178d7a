"""Two services on one page: their maps on one scale, and where they differ."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from probe.decide.comparison import Comparison
from probe.errors import UsageError
from probe.heatmap import Heatmap
from probe.perturb import name as change_name
from probe.result import Result
from probe.show.figure import (
    DOTS,
    MARGIN,
    PLAIN,
    drawn,
    fitted,
    keys_of,
    mappable,
    panel,
    resized,
    show_map,
)
from probe.show.files import save_sheet, write_file, write_json, write_map
from probe.show.paint import Scale, blanks, unsure
from probe.show.words import LABEL, drawable, number
from probe.text import count, inert, printable
from probe.types import Scores, region_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST, THINNEST, NARROWEST = 440, 40, 340
HEAD, CAPTION, BAR = 44, 26, 66
SHARED = ("picture", "digest", "method", "budget", "seed", "fill", "side")
LETTER = 6.4  # pixels of a character of a caption, about


def comparison_figure(comparison: Comparison) -> Image.Image:
    """A finished picture, RGB, about 950 pixels wide: both maps on one scale above, the picture
    and the first map minus the second below.

    Evidence within two standard errors of zero is dotted and has no colour, and so is the
    difference where it is within two standard errors of both.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    one, other = comparison.maps
    difference = comparison.difference
    size = fitted(one.canvas.size, LONGEST, THINNEST)
    scale, apart = shared_scale(one, other), Scale.of(difference)
    shown = [
        (_heading(comparison, 0, size), panel(one, size, scale)),
        (_heading(comparison, 1, size), panel(other, size, scale)),
        ("the picture", _picture(one, size)),
        (" minus ".join(drawable(name, 24) for name in comparison.names), panel(difference, size)),
    ]
    keys = keys_of(_hatched(one, other), _dotted(one, other, difference))
    cell = max(size[0], NARROWEST)
    width = 2 * cell + 3 * MARGIN
    row = CAPTION + size[1] + BAR
    height = HEAD + 2 * row + 22 * len(keys) + 8

    drawing = Figure(figsize=(width / DOTS, height / DOTS), dpi=DOTS, facecolor="white")
    canvas = FigureCanvasAgg(drawing)
    centred: dict[str, Any] = {"ha": "center", "va": "center", **PLAIN}
    drawing.text(0.5, 1 - 22 / height, headline(comparison), size=11, **centred)
    for place, (caption, image) in enumerate(shown):
        middle = MARGIN + cell / 2 + (place % 2) * (cell + MARGIN)
        top = HEAD + (place // 2) * row
        drawing.text(middle / width, 1 - (top + 12) / height, caption, size=9.5, **centred)
        x, y = round(middle - size[0] / 2), height - top - CAPTION - size[1]
        drawing.figimage(np.asarray(image), x, y, origin="upper")
    words = f"drop when covered ({one.unit}); red speaks for the label, blue against"
    if one.kind == "score":
        words = f"mean score, windows sent alone ({one.unit})"
    _bar(drawing, scale, HEAD + row - BAR + 12, words)
    first, second = (drawable(name, 24) for name in comparison.names)
    words = f"difference ({one.unit}); red where {first} hangs more on it, blue where {second} does"
    _bar(drawing, apart, HEAD + 2 * row - BAR + 12, words)
    if keys:
        drawing.legend(handles=keys, loc="lower center", frameon=False, fontsize=9)
    return drawn(canvas)


def plot_comparison(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the first map minus the second over the picture into `ax` or a new figure.

    The scale is symmetric about zero; where the two are not shown to differ, within two standard
    errors of both, there are dots and no colour.
    """
    first, second = (drawable(name, 24) for name in comparison.names)
    difference = comparison.difference
    heading = f"{first} minus {second}\n{headline(comparison)}"
    measure = f"difference ({difference.unit}); red where {first} hangs more on it, blue {second}"
    dotted = "not shown to differ: within 2 standard errors of both"
    keys = keys_of(_hatched(difference), dotted if unsure(difference).any() else "")
    return show_map(difference, ax, heading, measure, keys)


def shared_scale(one: Heatmap, other: Heatmap) -> Scale:
    """The scale that holds the colours of both."""
    scales = Scale.of(one), Scale.of(other)
    low, high = min(scale.low for scale in scales), max(scale.high for scale in scales)
    return Scale(low, high, one.kind)


def headline(comparison: Comparison) -> str:
    """How alike they are, in one line."""
    parts = [f"the same {count(len(comparison.pairs), 'variant')} to both"]
    ranks, agreement = comparison.rank_correlation, comparison.agreement
    parts.append("a flat map" if ranks is None else f"rank correlation {ranks:.2f}")
    if agreement == 1:
        parts.append("not shown to differ")
    elif agreement is not None:
        parts.append(f"differ on {1 - agreement:.0%} of what both see")
    return " · ".join(parts)


def _heading(comparison: Comparison, which: int, size: tuple[int, int]) -> str:
    name, label = comparison.names[which], comparison.labels[which]
    said = f": {drawable(label, LABEL)} {number(comparison.references[which])}"
    room = int(max(size[0], NARROWEST) / LETTER)
    return drawable(name, room - len(said)) + said


def _picture(heatmap: Heatmap, size: tuple[int, int]) -> Image.Image:
    if heatmap.image is None:
        return Image.new("RGB", size, "white")
    return resized(heatmap.image, size)


def _hatched(*maps: Heatmap) -> str:
    return ", ".join(dict.fromkeys(word for heatmap in maps for word in blanks(heatmap)))


def _dotted(one: Heatmap, other: Heatmap, difference: Heatmap) -> str:
    words = []
    if unsure(one).any() or unsure(other).any():
        words.append("not significant (above)")
    if unsure(difference).any():
        words.append("not shown to differ (below)")
    return f"{', '.join(words)}: within 2 standard errors" if words else ""


def _bar(drawing: Figure, scale: Scale, top: int, words: str) -> None:
    width, height = drawing.get_size_inches() * DOTS
    long = min(width - 2 * MARGIN, 480)
    place = ((width - long) / 2 / width, 1 - (top + 10) / height, long / width, 10 / height)
    axes = drawing.add_axes(place)
    colorbar = drawing.colorbar(mappable(scale), cax=axes, orientation="horizontal")
    colorbar.set_label(words, size=9, labelpad=1, **PLAIN)
    colorbar.ax.tick_params(labelsize=8, pad=1)
    colorbar.outline.set_visible(False)


def save_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write what a comparison found into `folder`, made if need be; returns the files' paths.

    compare.png   the figure. a.npz, b.npz: the two maps in scores, for `Heatmap.load`.
    pairs.csv     one row a variant, with the score of each.
    compare.json  everything else.

    Raises OutputError when the disk refuses.
    """
    plain = replace(comparison, unit="score")
    written = [save_sheet(comparison_figure(comparison), folder / "compare.png")]
    for letter, heatmap in zip("ab", plain.maps, strict=True):
        written.append(write_map(folder / f"{letter}.npz", heatmap))
    table = _table(comparison)
    written.append(write_file(folder / "pairs.csv", lambda file: file.write(table)))
    written.append(write_json(folder / "compare.json", comparison_record(comparison), indent=1))
    return written


def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """What was found, for programs; the same keys whatever was found."""
    return {
        "schema": 1,
        "names": list(comparison.names),
        "variants": len(comparison.pairs),
        "rank_correlation": comparison.rank_correlation,
        "rank_correlation_of_scores": comparison.rank_correlation_of_scores,
        "agreement": {unit: _agreement(comparison, unit) for unit in ("score", "share")},
        "strongest": comparison.strongest,
        "services": [
            _service(*one) for one in zip(comparison.names, comparison.results, strict=True)
        ],
        "settings": {**_shared(comparison), "unit": comparison.unit, "plan": comparison.plan},
        "notes": comparison.notes,
    }


def _agreement(comparison: Comparison, unit: Any) -> float | None:
    try:
        return replace(comparison, unit=unit).agreement
    except UsageError:  # there are no shares of a score of 0
        return None


def _service(name: str, result: Result) -> dict[str, Any]:
    return {
        "name": name,
        "backend": result.backend,
        "label": result.label,
        "reference": dict(result.reference),
        "noise": result.noise,
        "p_value": result.p_value,
        "calls": result.calls,
        "answers": len(result.answers),
        "requests": result.requests,
        "cost": result.cost,
        "currency": result.currency,
        "failures": len(result.failures),
        "seconds": round(result.seconds, 3),
        "codec": result.settings["codec"],
    }


def _shared(comparison: Comparison) -> dict[str, Any]:
    """What is the same for both."""
    settings = comparison.results[0].settings
    return {name: settings[name] for name in SHARED}


def _table(comparison: Comparison) -> bytes:
    """pairs.csv: numbers with a dot and every digit, text that no spreadsheet will run."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["kind", "x0", "y0", "x1", "y1", *(inert(printable(name)) for name in comparison.names)]
    )
    for pair in comparison.pairs:
        change = pair[0].perturbation
        edges = [repr(float(edge)) for edge in region_of(change)]
        scores = [
            repr(outcome[result.label])
            for answer, result in zip(pair, comparison.results, strict=True)
            if isinstance(outcome := result.outcome(answer), Scores)
        ]
        writer.writerow([change_name(change), *edges, *scores])
    return buffer.getvalue().encode()
