"""The files of a run: each is written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

import numpy as np
from PIL import Image

from probe.errors import OutputError
from probe.heatmap import Heatmap
from probe.perturb import name
from probe.result import Answer, Result
from probe.show.answers import packed
from probe.show.figure import figure
from probe.text import inert, printable
from probe.types import Failure, Identity, region_of

SCHEMA = 1
ANSWERS = "answers.json"
FILES = ("overlay.png", "map.npy", "map.npz", "scores.csv", ANSWERS, "run.json")
REPORT = "report.html"
MARK = ".plan"
PLACE = ".picture"
MAX_RECORD = 64 * 2**20
MAX_LABELS = 1000
FIXED = ("index", "kind", "x0", "y0", "x1", "y1", "source", "failure")


def save_run(result: Result, folder: Path) -> list[Path]:
    """Write what a run found into `folder`, made if need be; returns the files' paths.

    overlay.png  the figure of the asked label; left out, with a note in run.json, without a
                 picture or any value to draw.
    map.npy      its values, float32 (H, W). map.npz: the whole map, for `Heatmap.load`.
    scores.csv   one row an answer, one column a label; empty where there is no score. Where every
                 answer brings other labels, the first MAX_LABELS of them.
    answers.json all of it exactly, for `Result.load`.
    run.json     everything needed to repeat the run, and what it cost.

    Raises OutputError (what was there before stays) when the disk refuses.
    """
    heatmap = result.heatmap()
    notes = [*result.notes]
    written = []
    known = bool(np.isfinite(heatmap.planes.values).any())
    if result.image is not None and known:
        written.append(save_sheet(figure(heatmap), folder / "overlay.png"))
    else:
        why = "the map is empty" if result.image is not None else "the picture is not at hand"
        notes.append(f"No overlay.png: {why}.")
    written.append(write_file(folder / "map.npy", lambda file: np.save(file, heatmap.values)))
    written.append(write_map(folder / "map.npz", heatmap))
    written.append(write_file(folder / "scores.csv", lambda file: file.write(_table(result))))
    table = {"schema": SCHEMA, **packed(result.answers)}
    written.append(write_json(folder / ANSWERS, table))
    written.append(write_json(folder / "run.json", _record(result, notes), indent=1))
    return written


def save_sheet(image: Image.Image, path: Path) -> Path:
    """Write a drawn picture as PNG; raises OutputError."""
    return write_file(path, lambda file: image.save(file, "PNG"))


def open_folder(folder: Path, record: str = "run.json") -> str | None:
    """Make `folder`, see that it can be written, and read whose results lie in it.

    Returns the digest of their plan, None where none of a run's files is there. Files without
    their `record` (JSON, with the plan in its settings) belong to the plan that `mark_folder`
    noted last: its writing broke off. Those of nobody count as another run's: "". Raises
    OutputError, before anything is paid for.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f".{token_hex(4)}.part"
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise OutputError(
            f"cannot write into {printable(str(folder), 300)}: {error.strerror or error}"
        ) from error
    path = folder / record
    if not any((folder / name).exists() for name in (*FILES, record)):
        return None
    try:
        if not path.exists():
            return (folder / MARK).read_text("utf-8")
        if not path.is_file() or path.stat().st_size > MAX_RECORD:
            return ""
        return str(json.loads(path.read_text("utf-8"))["settings"]["plan"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def mark_folder(folder: Path, plan: str) -> None:
    """Note whose results are about to be written; a page of others goes. Raises OutputError."""
    with suppress(OSError):
        if (folder / MARK).read_text("utf-8") != plan:
            (folder / REPORT).unlink(missing_ok=True)
    write_file(folder / MARK, lambda file: file.write(plan.encode()))


def mark_picture(folder: Path, picture: str) -> None:
    """Note where the picture lies, seen from the folder, for who reads the run back on this
    machine; no file that is handed on says so. Raises OutputError."""
    with suppress(ValueError):  # another drive
        place = os.path.relpath(picture, folder)
        write_file(folder / PLACE, lambda file: file.write(os.fsencode(place)))


def write_file(path: Path, fill: Callable[[IO[bytes]], Any]) -> Path:
    """Fill a new file beside `path` and put it in its place, or leave nothing behind."""
    part = path.with_name(f".{path.name}.{token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "xb") as file:
            fill(file)
        os.replace(part, path)
    except (OSError, OutputError) as error:
        cause = error.__cause__ if isinstance(error, OutputError) else error
        reason = getattr(cause, "strerror", None) or cause
        raise OutputError(f"cannot write {printable(str(path), 300)}: {reason}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def write_map(path: Path, heatmap: Heatmap) -> Path:
    """Write a map for `Heatmap.load`, whole or not at all; raises OutputError."""
    return write_file(path, lambda file: heatmap.save(file.name))


def write_json(path: Path, record: Any, indent: int | None = None) -> Path:
    """Write an object whole or not at all; raises OutputError."""
    text = json.dumps(record, indent=indent, allow_nan=False, default=str)
    return write_file(path, lambda file: file.write(f"{text}\n".encode()))


def _table(result: Result) -> bytes:
    """scores.csv: numbers with a dot and every digit, text that no spreadsheet will run."""
    labels = _columns(result)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*FIXED, *map(_heading, labels)])
    for index, answer in enumerate(result.answers):
        scores = {} if isinstance(answer.outcome, Failure) else answer.outcome
        cells = [repr(scores[label]) if label in scores else "" for label in labels]
        writer.writerow([index, *_about(answer), *cells])
    return buffer.getvalue().encode()


def _columns(result: Result) -> list[str]:
    """The labels in the order in which they came: all of the unchanged picture, of others as many
    as make MAX_LABELS."""
    found = dict.fromkeys(label for answer in result.answers for label in _labels(answer))
    return list(found)[: max(MAX_LABELS, len(result.reference))]


def _labels(answer: Answer) -> list[str]:
    return [] if isinstance(answer.outcome, Failure) else list(answer.outcome)


def _about(answer: Answer) -> list[str]:
    change, outcome = answer.perturbation, answer.outcome
    edges = [""] * 4
    if not isinstance(change, Identity):
        edges = [repr(float(edge)) for edge in region_of(change)]
    failure = ""
    if isinstance(outcome, Failure):
        failure = f"{outcome.kind}: {printable(outcome.message, 300)}"
    return [name(change), *edges, answer.source, inert(failure)]


def _heading(label: str) -> str:
    return inert(f"{label} (label)" if label in FIXED else printable(label))


def _record(result: Result, notes: list[str]) -> dict[str, Any]:
    settings = dict(result.settings)
    if isinstance(settings.get("picture"), str):
        settings["picture"] = os.path.basename(settings["picture"])
    canvas = result.canvas
    return {
        "schema": SCHEMA,
        "settings": settings,
        "backend": result.backend,
        "canvas": {
            "size": canvas.size,
            "send": canvas.send,
            "grid": canvas.grid,
            "seen": canvas.seen,
        },
        "label": result.label,
        "reference": dict(result.reference),
        "missing": result.missing,
        "noise": result.noise,
        "p_value": result.p_value,
        "complete": result.complete,
        "answers": len(result.answers),
        "calls": result.calls,
        "requests": result.requests,
        "throttled": result.throttled,
        "cost": result.cost,
        "currency": result.currency,
        "seconds": result.seconds,
        "failures": [
            {"index": index, "kind": answer.outcome.kind, "message": answer.outcome.message}
            for index, answer in enumerate(result.answers)
            if isinstance(answer.outcome, Failure)
        ],
        "notes": notes,
        "versions": versions(),
    }


def versions() -> dict[str, str | None]:
    """Of what a map hangs on; None for what was not installed as a package."""
    names = {"probe": "image-api-probe", "pillow": "pillow", "numpy": "numpy"}
    return {name: _version(distribution) for name, distribution in names.items()}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
