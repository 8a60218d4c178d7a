"""Pictures of a map and files of a run. matplotlib is imported only when something is drawn."""

from probe.show.comparison import plot_comparison
from probe.show.convergence import convergence, plot_convergence
from probe.show.curves import plot_curves
from probe.show.evaluation import (
    evaluation_figure,
    plot_calibration,
    plot_groups,
    plot_precision_recall,
    plot_roc,
)
from probe.show.figure import figure, plot
from probe.show.files import mark_folder, open_folder, save_run, save_sheet
from probe.show.paint import overlay
from probe.show.reading import load_run
from probe.show.saving import save_figure
from probe.show.sheet import Tile, contact_sheet, sheet_of
from probe.show.spread import plot_errors
from probe.show.study import plot_sheet
from probe.show.terminal import preview

__all__ = [
    "Tile",
    "contact_sheet",
    "convergence",
    "evaluation_figure",
    "figure",
    "load_run",
    "mark_folder",
    "open_folder",
    "overlay",
    "plot",
    "plot_calibration",
    "plot_comparison",
    "plot_convergence",
    "plot_curves",
    "plot_errors",
    "plot_groups",
    "plot_precision_recall",
    "plot_roc",
    "plot_sheet",
    "preview",
    "save_figure",
    "save_run",
    "save_sheet",
    "sheet_of",
]
