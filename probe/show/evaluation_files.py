"""The files of an evaluation."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.evaluate.thinning import thinned
from probe.show.evaluation import evaluation_figure
from probe.show.files import SCHEMA, write_file, write_json
from probe.show.saving import save_figure
from probe.text import inert, printable

if TYPE_CHECKING:
    from probe.evaluate.evaluation import Evaluation


def save_evaluation(
    evaluation: Evaluation, folder: Path, settings: Mapping[str, Any], **about: Any
) -> list[Path]:
    """Write what was found into `folder`, made if need be; returns the files' paths.

    evaluation.png   the figure. evaluation.json: every number, `settings` (what is needed to
                     repeat it) and `about` beside them.
    curves.csv       counts, recall, precision and false-positive rate at 2,000 thresholds at most
                     of each service.
    groups.csv       one row a group, where there are any.

    Raises OutputError when the disk refuses.
    """
    found = evaluation.as_dict()
    record = {"schema": SCHEMA, **found, **about}
    record["settings"] = {**settings, **found["settings"]}
    written = [
        save_figure(evaluation_figure(evaluation), folder / "evaluation.png"),
        write_rows(folder / "curves.csv", _curves(evaluation)),
    ]
    if evaluation.groups:
        written.append(write_rows(folder / "groups.csv", _groups(evaluation)))
    else:
        with suppress(OSError):  # of an evaluation that is written over
            (folder / "groups.csv").unlink()
    written.append(write_json(folder / "evaluation.json", record, indent=1))
    return written


def write_rows(path: Path, rows: Iterator[list[Any]]) -> Path:
    """Numbers with a dot and every digit, text that no spreadsheet will run."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return write_file(path, lambda file: file.write(buffer.getvalue().encode()))


def _curves(evaluation: Evaluation) -> Iterator[list[Any]]:
    yield ["service", "threshold", "tp", "fp", "recall", "fpr", "precision"]
    for one in evaluation.services:
        curve, name = one.curve, inert(printable(one.name))
        columns = (curve.thresholds, curve.tp, curve.fp, curve.tpr, curve.fpr, curve.precision)
        places = thinned(curve)
        for row in zip(*(column[places].tolist() for column in columns), strict=True):
            yield [name, *row]


def _groups(evaluation: Evaluation) -> Iterator[list[Any]]:
    levels = ["threshold", *(f"fpr_{rate:g}" for rate in evaluation.settings["fpr"])]
    names = ["auc", "difference", "average_precision"]
    names += [f"{what}_at_{level}" for level in levels for what in ("recall", "fpr")]
    ends = ("", "_low", "_high")
    yield ["group", "pictures", "positives", *(f"{name}{end}" for name in names for end in ends)]
    for group in evaluation.groups:
        found = [group.auc, group.difference, group.average_precision]
        found += [part for one in group.at for part in (one.recall, one.fpr)]
        cells = [x for one in found for x in one.as_dict().values()]
        yield [inert(printable(group.name)), group.pictures, group.positives, *cells]
