"""What `probe evaluate` does: read, measure, say what came out."""

from __future__ import annotations

import json
import os
import shlex
import time
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import click

from probe.cli.repeating import as_given, command_of
from probe.cli.running import held_folder, stem_of
from probe.errors import UsageError
from probe.evaluate import Evaluation, Sample, evaluate, read_sample
from probe.evaluate.metrics import library
from probe.evaluate.mistakes import worst
from probe.text import count, printable

ASKED = ("truth", "labels", "positive", "negative", "against", "group")
KNOWN = ("nsfw", "sfw")
"""Labels of the default service, which `probe occlude` asks."""


def evaluate_table(path: str, given: dict[str, Any]) -> int:
    """Returns the exit code."""
    start = time.perf_counter()
    sample = read_sample(path, **{name: given[name] for name in ASKED})
    library()
    settings = _settings(path, sample, given)
    with held_folder(
        stem_of(path), "evaluate", settings["plan"], given, "evaluation.json"
    ) as folder:
        found = evaluate(
            sample.truth,
            sample.scores,
            label=sample.label,
            names=sample.names,
            groups=sample.groups,
            group_names=sample.group_names,
            **{name: given[name] for name in ("fpr", "threshold", "bootstrap", "seed")},
        )
        about: dict[str, Any] = {
            "left_out": [one.as_dict() for one in sample.left_out],
            "mistakes": worst(sample, given["threshold"]),
        }
        files = _save(found, folder, settings, about)
    seconds = time.perf_counter() - start
    if given["as_json"]:
        about |= {"seconds": round(seconds, 3), "exit_code": 0, "files": files}
        click.echo(json.dumps({"schema": 1, **found.as_dict(), **about}))
    if not given["quiet"]:
        _say(found, sample, files, seconds, path, given)
    return 0


def _save(
    found: Evaluation, folder: Path, settings: dict[str, Any], about: dict[str, Any]
) -> list[str]:
    from probe.show.evaluation_files import save_evaluation

    return [str(path) for path in save_evaluation(found, folder, settings, **about)]


def _settings(path: str, sample: Sample, given: dict[str, Any]) -> dict[str, Any]:
    """What is needed to repeat it. plan: the same for the same question to the same tables."""
    files = [os.path.basename(file) for file in sample.files]
    settings: dict[str, Any] = {
        **{name: given[name] for name in ASKED},
        "against": files[1] if len(files) > 1 else given["against"],
        "words": sample.words,
        "services": list(sample.names),
        "digests": [_digest(file) for file in sample.files],
    }
    asked = {name: given[name] for name in ("fpr", "threshold", "bootstrap", "seed")}
    plan = sha256(json.dumps({**settings, **asked}, sort_keys=True).encode()).hexdigest()
    return {"tables": files, "plan": plan, "command": command_of(path), **settings}


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"cannot read {printable(path, 300)}: {error.strerror}") from error


def _say(
    found: Evaluation,
    sample: Sample,
    files: list[str],
    seconds: float,
    path: str,
    given: dict[str, Any],
) -> None:
    """The sentences for people; on stderr where stdout has the object for programs."""
    aside = given["as_json"]
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{found.finding} {_counts(sample)}", err=aside)
    click.echo(f"figure {printable(files[0])} · {seconds:.1f} s", err=aside)
    if following := _next(found, sample, path, given):
        click.echo(f"next: probe {following}", err=aside)


def _counts(sample: Sample) -> str:
    """`428,271 pictures, 12 rows without a score left out.`"""
    said = count(len(sample.truth), "picture")
    if not sample.left_out:
        return f"{said}."
    parts = [f"{one.rows:,} {one.said}" for one in sample.left_out]
    return f"{said}; left out: {', '.join(parts)}."


def _next(found: Evaluation, sample: Sample, path: str, given: dict[str, Any]) -> str:
    """Why the worst mistake at hand got its score, where there is one and the default service
    knows the label; else the same with the threshold that was found."""
    mistakes = worst(sample, given["threshold"])
    for mistake in [*mistakes["false_positives"], *mistakes["misses"]]:
        place = _found(mistake["picture"], Path(path).parent)
        if place and sample.label in KNOWN:
            return printable(f"occlude {shlex.quote(place)} --label {sample.label}")
    chosen = found.services[0].at_fpr[0].threshold.value
    if chosen is None or chosen == given["threshold"]:
        return ""
    options = f"{as_given('threshold')} --threshold {chosen!r}"
    return printable(f"evaluate {shlex.quote(path)}{options}")


def _found(picture: str, beside: Path) -> str | None:
    """Where a picture lies, by its name in the table."""
    with suppress(OSError, ValueError):  # a name that no disk takes
        for place in (Path(picture), beside / picture):
            if picture and place.is_file():
                return str(place)
    return None
