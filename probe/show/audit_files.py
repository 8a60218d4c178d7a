"""The files of an audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.audit.words import finding, remarks, sides, wanted
from probe.show.evaluation_files import write_rows
from probe.show.files import SCHEMA, write_file, write_json
from probe.text import inert, printable
from probe.types import Region

if TYPE_CHECKING:
    from probe.audit.records import Audit, Feature
    from probe.evaluate.interval import Estimate

EDGES = ("x0", "y0", "x1", "y1")


def save_audit(audit: Audit, folder: Path, settings: Mapping[str, Any]) -> list[Path]:
    """Write what was found into `folder`, made if need be; returns the files' paths.

    features.csv   one row a feature: look, drop with its interval, p-values, how common it is.
    places.csv     one row a place: where a feature was found (`evidence`), and where it was covered
                   to test it (`test`), with the scores; edges in fractions of the picture.
    collect.csv    pictures to collect, what matters most first, with examples of those there are.
    Each also as .parquet. audit.json: all of it but the pictures, and `settings`.

    Raises OutputError when the disk refuses.
    """
    tables = {
        "features": list(_features(audit)),
        "places": list(_places(audit)),
        "collect": list(_collect(audit)),
    }
    written = []
    for name, rows in tables.items():
        written.append(write_rows(folder / f"{name}.csv", iter(rows)))
        written.append(_parquet(folder / f"{name}.parquet", rows))
    written.append(write_json(folder / "audit.json", _record(audit, settings), indent=1))
    return written


def _parquet(path: Path, rows: Sequence[Sequence[Any]]) -> Path:
    import pyarrow
    import pyarrow.parquet

    head, *rest = rows
    columns = list(zip(*rest, strict=True)) if rest else [()] * len(head)
    table = pyarrow.table({name: list(column) for name, column in zip(head, columns, strict=True)})
    return write_file(path, lambda file: pyarrow.parquet.write_table(table, file))


def _features(audit: Audit) -> Iterator[list[Any]]:
    ends = ("", "_low", "_high")
    shares = [f"{name}{end}" for name in ("without", "within") for end in ends]
    drops = [f"drop{end}" for end in ends]
    yield [
        *("feature", "look", "colour", "place", "size", "exemplars", "claimed", "tests"),
        *drops,
        *("p", "p_holm", *shares, "missing_per_1000"),
    ]
    for one in audit.features:
        effect = one.effect
        yield [
            *(one.number, one.look.words, one.look.colour, one.look.place, one.look.size),
            *(len(one.exemplars), one.claimed, len(effect.trials) if effect else 0),
            *(_ends(effect.drop) if effect else (None, None, None)),
            *((effect.p, effect.adjusted) if effect else (None, None)),
            *_ends(one.without),
            *_ends(one.within),
            one.missing,
        ]


def _ends(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    return estimate.value, estimate.low, estimate.high


def _places(audit: Audit) -> Iterator[list[Any]]:
    control = [f"control_{edge}" for edge in EDGES]
    yield [
        *("feature", "kind", "picture", "chosen", "score", "evidence", *EDGES),
        *("covered", "control_covered", "drop", *control),
    ]
    for one in audit.features:
        for found in one.exemplars:
            case = found.case
            yield [
                *(one.number, "evidence", _name(case.name), case.reason, case.score),
                *(found.evidence, *found.box, *[None] * 7),
            ]
        for trial in one.effect.trials if one.effect else ():
            yield [
                *(one.number, "test", _name(trial.name), None, trial.score, None, *trial.box),
                *(trial.covered, trial.controlled, trial.drop, *trial.control),
            ]


def _collect(audit: Audit) -> Iterator[list[Any]]:
    yield [
        *("rank", "feature", "look", "per_1000", "what", "example", *EDGES),
        "have",
    ]
    for rank, one in enumerate(audit.wanted, 1):
        example = one.exemplars[0]
        have = "; ".join(_name(name) for name, _, _ in one.lacking)
        yield [
            *(rank, one.number, one.look.words, one.missing, wanted(one, audit)),
            *(_name(example.case.name), *example.box, have),
        ]


def _name(name: str) -> str:
    return inert(printable(name))


def _record(audit: Audit, settings: Mapping[str, Any]) -> dict[str, Any]:
    without, within = sides(audit)
    return {
        "schema": SCHEMA,
        "finding": finding(audit),
        "notes": remarks(audit),
        **summary(audit),
        "compared": [without, within],
        "features": [_feature(one) for one in audit.features],
        "wanted": [one.number for one in audit.wanted],
        "failures": [
            {"picture": printable(name), "why": printable(why)} for name, why in audit.failures
        ],
        "settings": dict(settings),
    }


def summary(audit: Audit) -> dict[str, Any]:
    """The counts, for programs."""
    return {
        "label": audit.label,
        "pictures": audit.pictures,
        "scored": audit.scored,
        "repeated": audit.repeated,
        "flagged": audit.flagged,
        "truths": {"without": audit.truths[0], "within": audit.truths[1]},
        "probed": audit.probed,
        "regions": audit.regions,
        "looked": audit.looked,
        "claims": len(audit.claims),
        "calls": audit.calls,
        "cost": audit.cost,
        "currency": audit.currency,
        "failed": audit.failed,
        "stopped": None if audit.stopped is None else str(audit.stopped),
    }


def _feature(one: Feature) -> dict[str, Any]:
    effect = one.effect
    return {
        "number": one.number,
        "look": {
            "words": one.look.words,
            "colour": one.look.colour,
            "place": one.look.place,
            "size": one.look.size,
        },
        "claimed": one.claimed,
        "drop": None if effect is None else effect.drop.as_dict(),
        "p": None if effect is None else effect.p,
        "p_holm": None if effect is None else effect.adjusted,
        "tests": 0 if effect is None else len(effect.trials),
        "without": one.without.as_dict(),
        "within": one.within.as_dict(),
        "missing_per_1000": one.missing,
        "exemplars": [_at(e.case.name, e.case.score, e.box) for e in one.exemplars],
        "have": [_at(name, score, box) for name, score, box in one.lacking],
    }


def _at(name: str, score: float, box: Region) -> dict[str, Any]:
    return {"picture": printable(name), "score": score, "box": list(box)}
