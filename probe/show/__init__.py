"""Pictures of a map and files of a run. matplotlib is imported only when something is drawn."""

from probe.show.figure import figure, plot
from probe.show.files import mark_folder, open_folder, save_run, save_sheet
from probe.show.paint import overlay
from probe.show.sheet import Tile, contact_sheet, sheet_of

__all__ = [
    "Tile",
    "contact_sheet",
    "figure",
    "mark_folder",
    "open_folder",
    "overlay",
    "plot",
    "save_run",
    "save_sheet",
    "sheet_of",
]
