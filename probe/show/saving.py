"""Figures as files for papers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.errors import UsageError
from probe.show.files import write_file
from probe.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

DOTS = 200  # pixels an inch, of a PNG and of pictures in the others
BARE: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""What each format would say of its own making, which differs from day to day, left out."""
SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "probe", "pdf.fonttype": 42}


def save_figure(drawn: Axes | Figure | SubFigure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG (200 pixels an inch), SVG or PDF, as the path's ending says.

    Of an axes its whole figure is written. The text of an SVG is text, to be searched and set in
    other letters, and that of a PDF carries its font (TrueType). The same figure gives the same
    bytes, for no date is in them.

    The file is written whole or not at all; its folder is made if need be. Raises UsageError for
    another ending and OutputError when the disk refuses.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    path = Path(path)
    ending = path.suffix.lower().removeprefix(".")
    if ending not in BARE:
        said = printable(path.name, 100)
        raise UsageError(f"cannot tell the format of {said!r}: end it in .png, .svg or .pdf")
    figure = drawn if isinstance(drawn, Figure) else drawn.get_figure(root=True)
    if figure is None:
        raise UsageError("these axes have left their figure: there is nothing to write")
    with rc_context(SETTINGS):
        return write_file(
            path,
            lambda file: figure.savefig(file, format=ending, dpi=DOTS, metadata=BARE[ending]),
        )
