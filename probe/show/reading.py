"""A run read back from its folder, as it was when it ended; whoever wrote the files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from PIL import ImageColor

from probe.errors import ProbeError, UsageError
from probe.image import Picture, open_image
from probe.methods import METHODS
from probe.perturb import parse_fill
from probe.result import Result, check_label, for_label
from probe.show.answers import finite, unpacked
from probe.show.files import ANSWERS, MAX_RECORD, PLACE, SCHEMA
from probe.text import printable
from probe.types import Canvas, Scores

MAX_TABLE = 256 * 2**20
MAX_SIDE = 100_000
MAX_SEND = 50_000_000
MAX_NOTES = 1000
MAX_PLACE = 4096
AGAIN = "run the same command again, which costs no call"


def load_run(folder: Path, image: Any = None) -> Result:
    """The Result that `save_run` wrote into `folder`; its maps are the same bit for bit.

    image: the picture, as anything that `open_image` takes. Without it, it is looked for where it
    was, and by its name in the folder, beside it and in the current one; where it is not found, or
    is another one by now, the Result has no picture.

    Raises UsageError where there is no run, its files are damaged or of another version, or the
    picture that was given is another one.
    """
    record = _read(folder / "run.json", MAX_RECORD)
    if not (folder / ANSWERS).exists():
        raise UsageError(
            f"{_shown(folder)} holds no {ANSWERS}, so its answers cannot be read back: {AGAIN}"
        )
    table = _read(folder / ANSWERS, MAX_TABLE)
    try:
        result = _result(record, table)
        result.heatmap()
    except UsageError as error:
        raise UsageError(f"the run in {_shown(folder)} cannot be read: {error}") from error
    except Exception as error:  # files made to look like a run may raise anything
        raise UsageError(f"the run in {_shown(folder)} is damaged: {AGAIN}") from error
    picture = _picture(folder, result, image)
    if picture is None:
        return result
    return Result(**{**vars(result), "image": picture.image})


def _shown(path: Path) -> str:
    return printable(str(path), 300)


def _read(path: Path, most: int) -> Mapping[str, Any]:
    """A JSON object of this schema, of at most so many bytes."""
    if not path.parent.is_dir():
        raise UsageError(f"no folder {_shown(path.parent)}: give that of a run, as IMG.probe")
    if not path.is_file():
        other = _other(path.parent)
        shown = _shown(path.parent)
        raise UsageError(f"{shown} holds no run: there is no {path.name} in it{other}")
    try:
        if path.stat().st_size > most:
            raise ValueError("too large")
        record = json.loads(path.read_text("utf-8"), parse_constant=_refuse)
        schema = record["schema"]
    except OSError as error:
        raise UsageError(f"cannot read {_shown(path)}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{_shown(path)} is damaged: {AGAIN}") from error
    if schema != SCHEMA:
        raise UsageError(f"{_shown(path)} was written by another version of probe: {AGAIN}")
    return record  # type: ignore[no-any-return]


def _other(folder: Path) -> str:
    """What else lies in the folder, as a hint."""
    kinds = {"compare.json": "comparison", "judge.json": "judgement"}
    return next(
        (
            f", it is that of a {named}; --report of that command writes its page"
            for name, named in kinds.items()
            if (folder / name).is_file()
        ),
        "",
    )


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _result(record: Mapping[str, Any], table: Mapping[str, Any]) -> Result:
    settings, label = dict(record["settings"]), str(record["label"])
    method = settings["method"]
    if method not in METHODS:
        raise UsageError(f"its method {printable(str(method), 60)!r} is none that probe has")
    parse_fill(settings["fill"])
    answers = unpacked(table)
    missing = _number(record["missing"])
    reference = for_label(answers[0].outcome, label, missing)
    if not isinstance(reference, Scores):
        raise ValueError("no score of the unchanged picture")
    check_label(label, tuple(reference))
    canvas = _canvas(record["canvas"])
    return Result(
        image=None,
        canvas=canvas,
        label=label,
        reference=reference,
        answers=answers,
        estimator=partial(METHODS[method].estimator, canvas),
        settings=settings,
        backend=_text(record["backend"]),
        calls=int(record["calls"]),
        requests=int(record["requests"]),
        throttled=int(record["throttled"]),
        cost=_number(record["cost"]),
        currency=_text(record["currency"]),
        seconds=finite(record["seconds"]),
        noise=_number(record["noise"]),
        p_value=_number(record["p_value"]),
        complete=record["complete"] is True,
        missing=missing,
        notes=[str(note) for note in record["notes"][:MAX_NOTES]],
    )


def _canvas(about: Mapping[str, Any]) -> Canvas:
    size, send = _pair(about["size"]), _pair(about["send"])
    x0, y0, x1, y1 = (finite(edge) for edge in about["seen"])
    grid = about["grid"]
    if send[0] > size[0] or send[1] > size[1] or send[0] * send[1] > MAX_SEND:
        raise ValueError("no size that a picture is sent at")
    if not isinstance(grid, int) or not 1 <= grid <= 64:
        raise ValueError("no grid")
    return Canvas(size, send, grid, (x0, y0, x1, y1))


def _pair(value: Sequence[Any]) -> tuple[int, int]:
    width, height = value
    for side in (width, height):
        if not isinstance(side, int) or not 1 <= side <= MAX_SIDE:
            raise ValueError("no size of a picture")
    return width, height


def _number(value: Any) -> float | None:
    return None if value is None else finite(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _picture(folder: Path, result: Result, image: Any) -> Picture | None:
    """The one that was given, or that of its name which lies near and has its pixels."""
    digest = str(result.settings.get("digest"))
    opened = partial(open_image, background=_colour(result.settings), frame=_frame(result.settings))
    if image is not None:
        picture = opened(image)
        if picture.digest != digest or picture.image.size != result.canvas.size:
            raise UsageError(
                f"the run in {_shown(folder)} is of another picture: give the one it was made of"
            )
        return picture
    for path in _places(folder, str(result.settings.get("picture", ""))):
        with suppress(ProbeError, OSError, ValueError):
            if not path.is_file():
                continue
            picture = opened(path)
            if picture.digest == digest and picture.image.size == result.canvas.size:
                return picture
    return None


def _places(folder: Path, picture: str) -> list[Path]:
    """Where a picture of this name may lie: where it was, in the folder, beside it, and here."""
    name, found = os.path.basename(picture), []
    with suppress(OSError):
        if (folder / PLACE).stat().st_size <= MAX_PLACE:
            found.append(folder / os.fsdecode((folder / PLACE).read_bytes()))
    if name not in ("", ".", ".."):
        found += [place / name for place in (folder, folder.resolve().parent, Path())]
    return found


def _colour(settings: Mapping[str, Any]) -> tuple[int, int, int]:
    """What transparent parts were laid on."""
    try:
        red, green, blue, *_ = ImageColor.getrgb(str(settings.get("background", "white")))
    except ValueError:
        return 255, 255, 255
    return red, green, blue


def _frame(settings: Mapping[str, Any]) -> int:
    frame = settings.get("frame", 0)
    return frame if isinstance(frame, int) and frame >= 0 else 0
