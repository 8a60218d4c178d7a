"""What `probe judge` does: find or make the map, ask, say what came out."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from probe.cli.options import make_prober, open_picture
from probe.cli.progress import progress
from probe.cli.repeating import as_given, command_of
from probe.cli.reporting import say_page, write_report
from probe.cli.running import HOLES, allow, held_folder, stem_of
from probe.errors import UsageError
from probe.heatmap import Heatmap
from probe.judging import as_map, check_budget, judge, prepare, read_mask
from probe.methods import DEFAULT
from probe.plan.words import at_most
from probe.progress import in_turn
from probe.show import load_run
from probe.show.files import REPORT
from probe.text import count, printable
from probe.types import Identity

if TYPE_CHECKING:
    from probe.image import Picture
    from probe.judging import Judgement
    from probe.prober import Prober
    from probe.result import Result

NOT_REPEATED = ("made", "mask", "control", "budget", "seed", "method", "map_budget")
MAX_RECORD = 64 * 2**20


def judge_picture(image: str, given: dict[str, Any]) -> int:
    """Returns the exit code. Whatever is wrong with the files is said before anything is sent."""
    if given["scores"]:
        raise UsageError("judge asks as it learns: scores written down beforehand will not do")
    if given["made"] and given["method"]:
        raise UsageError("--map gives a map, --method makes one: leave one of them out")
    picture = open_picture(image, given)
    asked = {name: given[name] for name in ("budget", "seed", "label")}
    if given["control"]:
        asked["control"] = read_map(given["control"], picture)
    mask = read_mask(given["mask"], picture) if given["mask"] else None
    prober, making = make_prober(given), _making(picture, given)
    made: Heatmap | None = None
    run: Result | None = None
    if given["made"]:
        run = _run_behind(given, picture)
        made = read_map(given["made"], picture, given["label"])
        digest, calls = sha256(made.values.tobytes()).hexdigest(), 0
    else:
        plan = prober.plan(**making)
        digest, calls = plan.digest, plan.calls
        unchanged = sum(isinstance(change, Identity) for change in plan.perturbations)
        check_budget(given["budget"], unchanged)
        if not calls:
            run = prober.probe(**making)
            made = run.heatmap()
    if made is None:
        calls += given["budget"] - unchanged
    else:
        calls += prepare(prober, picture, made, **asked).calls()
    line, cost = at_most(calls, prober.backend)
    if given["dry_run"]:
        _announce(prober, picture, line, calls, cost, given["as_json"])
        return 0
    settings = _settings(picture, digest, prober, given)
    with held_folder(stem_of(image), "judge", settings["plan"], given, "judge.json") as folder:
        if calls:
            allow(line, calls, cost, prober.backend.limits.host, given)
        before = None
        if not given["made"]:
            run = before = _make(prober, making, plan.calls, given)
            made = before.heatmap()
        assert made is not None
        task = prepare(prober, picture, made, **asked)
        with progress(given["quiet"], task.answers, prober, missing=task.calls()) as show:
            judgement = judge(prober, picture, made, mask=mask, watch=in_turn(show), **asked)
        return _report(judgement, before, run, settings, image, folder, given)


def _run_behind(given: dict[str, Any], picture: Picture) -> Result | None:
    """The run that --map is the folder of, where its page is asked for."""
    if not given["report"]:
        return None
    if not Path(given["made"]).is_dir():
        raise UsageError("--report shows a run: give --map the folder of one, or leave it out")
    return load_run(Path(given["made"]), picture.image)


def read_map(path: str, picture: Picture, label: str | None = None) -> Heatmap:
    """A run's folder, its map.npz or an array; UsageError where it is of another picture, or of
    another label than asked for."""
    place = Path(path)
    place = place / "map.npz" if place.is_dir() else place
    shown = printable(str(place), 300)
    if not place.is_file():
        raise UsageError(
            f"no map {shown}: give the folder of a run of `probe occlude`, its map.npz, or an "
            "array as .npy"
        )
    if _digest_beside(place) not in (None, picture.digest):
        raise UsageError(f"the map {shown} is of another picture: give the one that it was made of")
    if place.suffix == ".npy":
        try:
            return as_map(np.load(place, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise UsageError(f"{shown} is no array of numbers saved by numpy") from error
    made = Heatmap.load(place)
    if label is not None and made.label != label:
        raise UsageError(
            f"the map {shown} is of {printable(made.label, 60)!r}, not of {printable(label, 60)!r}:"
            " leave --label out, or give a map of that label"
        )
    return made


def _digest_beside(place: Path) -> Any:
    """Of which picture the run's record beside a map says that it is; None without one."""
    record = place.with_name("run.json")
    try:
        if record.stat().st_size > MAX_RECORD:
            return None
        return json.loads(record.read_text("utf-8"))["settings"]["digest"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _making(picture: Picture, given: dict[str, Any]) -> dict[str, Any]:
    """What makes the map where none is given: arguments of Prober.probe."""
    return {
        "image": picture,
        "label": given["label"],
        "method": given["method"] or DEFAULT,
        "budget": given["map_budget"],
        "seed": given["seed"],
    }


def _make(prober: Prober, making: dict[str, Any], missing: int, given: dict[str, Any]) -> Result:
    with progress(given["quiet"], given["map_budget"], prober, missing=missing) as show:
        for result in prober.stream(**making):
            show(result)
    return result


def _settings(
    picture: Picture, digest: str, prober: Prober, given: dict[str, Any]
) -> dict[str, Any]:
    """What is needed to repeat it. plan: the same for the same questions."""
    settings = {
        "digest": picture.digest,
        "map": digest,
        "backend": prober.backend.identity,
        **{name: given[name] for name in ("label", "budget", "seed", "side", "repeats")},
        **{name: given[name] and str(given[name]) for name in ("codec", "mask", "control")},
    }
    plan = sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return {"picture": picture.name, "plan": plan, **settings}


def _announce(
    prober: Prober, picture: Picture, line: str, calls: int, cost: float | None, as_json: bool
) -> None:
    """The dry run, in words or as an object."""
    limits = prober.backend.limits
    about = {
        "schema": 1,
        "picture": picture.name,
        "calls": calls,
        "cost": cost,
        "currency": None if limits.price is None else limits.price.currency,
        "host": limits.host,
        "files": [],
    }
    click.echo(json.dumps(about) if as_json else line)


def _report(
    judgement: Judgement,
    before: Result | None,
    run: Result | None,
    settings: dict[str, Any],
    image: str,
    folder: Path,
    given: dict[str, Any],
) -> int:
    """Files, the sentence for people, the object for programs; what making the map took, which
    is `before`, is counted in. run: whose map it is."""
    from probe.show.curves import save_judgement

    if before is not None:
        judgement = replace(
            judgement,
            notes=[*before.notes, *(n for n in judgement.notes if n not in before.notes)],
            answers=judgement.answers + len(before.answers),
            calls=judgement.calls + before.calls,
            requests=judgement.requests + before.requests,
            cost=None if before.cost is None else (judgement.cost or 0.0) + before.cost,
            failures=judgement.failures + len(before.failures),
            seconds=judgement.seconds + before.seconds,
        )
    files = [str(path) for path in save_judgement(judgement, folder, settings)]
    if given["report"] and run is not None:
        judged, command = judgement.as_dict(), command_of(image)
        files.append(write_report(folder / REPORT, [run], judged=judged, command=command))
    code = HOLES if judgement.failures else 0
    if given["as_json"]:
        about = {name: settings[name] for name in ("picture", "backend")}
        about |= {"exit_code": code, "files": files}
        click.echo(json.dumps({"schema": 1, **judgement.as_dict(), **about}))
    if given["quiet"]:
        return code
    for note in judgement.notes:
        click.echo(f"note: {printable(note)}", err=True)
    aside = given["as_json"]
    click.echo(judgement.verdict, err=aside)
    cost = "" if judgement.cost is None else f", {judgement.cost:.4g} {judgement.currency}"
    click.echo(
        f"curves {printable(files[0])} · {count(judgement.calls, 'call')}{cost}, "
        f"{judgement.seconds:.1f} s · {count(judgement.failures, 'failure')}",
        err=aside,
    )
    say_page(files, aside)
    if image != "-":
        shown, options = printable(shlex.quote(image)), printable(as_given(*NOT_REPEATED))
        more = f" --budget {2 * max(64, judgement.heatmap.answers)}"
        following = f"redact {shown}" if judgement.control.ahead else f"occlude {shown}{more}"
        click.echo(f"next: probe {following}{options}", err=aside)
    return code
