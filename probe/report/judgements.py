"""Which judgement of `probe judge` is of a run's map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from probe.errors import UsageError
from probe.result import Result
from probe.show.files import MAX_RECORD
from probe.text import printable

MOST = 200


def judgement_in(folder: Path, result: Result) -> Mapping[str, Any]:
    """The record in the folder of a judgement; UsageError without one of this very map."""
    shown = printable(str(folder), 300)
    record = _read(folder / "judge.json")
    if record is None:
        raise UsageError(f"{shown} holds no judgement: give the folder that probe judge wrote")
    if not _is_of(record, result):
        raise UsageError(f"the judgement in {shown} is of another map: judge this one")
    return record


def judgement_near(folder: Path, result: Result) -> Mapping[str, Any] | None:
    """The newest record of this very map among the judgements that lie beside a run's folder."""
    files = sorted(folder.resolve().parent.glob("*.judge/judge.json"))[:MOST]
    with suppress(OSError):
        files.sort(key=lambda file: -file.stat().st_mtime)
    records = (_read(file) for file in files)
    return next((one for one in records if one is not None and _is_of(one, result)), None)


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_RECORD:
            return None
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("settings"), dict) else None


def _is_of(record: Mapping[str, Any], result: Result) -> bool:
    """A judgement names the plan that made its map, or the map's digest."""
    if record.get("label") != result.label:
        return False
    values = sha256(result.heatmap().values.tobytes()).hexdigest()
    return record["settings"].get("map") in (result.settings.get("plan"), values)
