"""What `probe deconv --toward` does: change, check by the black box and another service, say what
moved where."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.cli.looking import RECORD, facts, finish, opened, outside, settings_of, whole
from probe.cli.options import make_backend, open_picture, sending_of
from probe.cli.running import allow, held_folder, stem_of
from probe.colours import called
from probe.errors import Interrupted, LedgerError, OutputError, ProbeError, UsageError
from probe.image import Picture, scale
from probe.inside.change import Change, change
from probe.inside.colours import Place
from probe.inside.network import WhiteBox
from probe.methods import ALONE
from probe.plan.words import at_most
from probe.prober import Prober
from probe.show import save_sheet
from probe.show.files import write_file, write_json
from probe.show.panels import panels, signed
from probe.show.places import Shown, places_page
from probe.text import printable

if TYPE_CHECKING:
    from PIL import Image

    from probe.result import Result

PAGE = "places.png"
OTHERS: dict[str, Any] = {"settings": (), "codec": None, "max_calls": None, "max_cost": None}
"""Options that mean the service of --also where there is one, and what the network has then."""


@dataclass
class _Told:
    """A change, what was asked of it, and what another service says of before and after."""

    found: Change
    asked: Sequence[Result]
    settings: dict[str, Any]
    started: float
    others: list[Result] = field(default_factory=list)

    def ask(self, other: Prober, side: int) -> None:
        for one in (self.found.before, self.found.after):
            self.others.append(other.score(scale(one, side)))

    def record(self) -> dict[str, Any]:
        found, asked = self.found, [*self.asked, *self.others]
        return {
            **facts(found.label, found.scores[0], asked, perf_counter() - self.started),
            "after": dict(found.scores[1]),
            "controls": found.controls,
            "strength": found.strength,
            "largest": found.largest,
            "delta_e": {"mean": found.delta_e[0], "largest": found.delta_e[1]},
            "places": [one.as_dict() for one in found.places],
            "also": [dict(one.reference) for one in self.others] or None,
            "settings": self.settings,
        }

    def lines(self) -> list[str]:
        lines = words(self.found)
        if self.others:
            says = " to ".join(
                ", ".join(f"{printable(k, 60)} {v:.3g}" for k, v in [*one.reference.items()][:5])
                for one in self.others
            )
            whom, moves = printable(self.settings["also"], 60), len(self.others) > 1
            lines.append(
                f"{whom} {'goes from' if moves else 'says of the picture before:'} {says}."
            )
        return lines


def look_toward(image: str, given: dict[str, Any]) -> int:
    """Returns the exit code. Whatever is wrong with the arguments is said before anything is sent;
    what was found is on the disk before another service is asked."""
    picture = open_picture(image, given)
    own = {**given, **OTHERS} if given["also"] else given
    backend, network = opened(own)
    network.index(given["toward"])
    other = _another(picture, given) if given["also"] else None
    settings = settings_of(picture, network, given, ("toward", "strength", "seed", "also"))
    with held_folder(f"{stem_of(image)}.toward", "deconv", settings["plan"], given, RECORD) as at:
        told = _changed(picture, network, outside(backend, own, max(picture.image.size)), settings)
        files = save_change(told.found, at)
        following = f"probe occlude {printable(shlex.quote(files[1]))}"
        about: dict[str, Any] = {"following": following, "image": image, "given": given}
        if other is not None:
            write_json(at / RECORD, whole(told.record()), indent=1)
            try:
                told.ask(other, given["side"])
            except (ProbeError, Interrupted) as error:
                error.partial = error.partial or [*told.others, *told.asked][0]
                with suppress(OutputError):  # why it stopped is to be told, and all else is written
                    finish(told.record(), files, at, told.lines(), code=error.exit_code, **about)
                raise
        return finish(told.record(), files, at, told.lines(), **about)


def _changed(
    picture: Picture, network: WhiteBox, prober: Prober, settings: dict[str, Any]
) -> _Told:
    asked: list[Result] = []
    started = perf_counter()

    def score(shown: Image.Image) -> Mapping[str, float]:
        asked.append(prober.score(shown))
        return asked[-1].reference

    toward, strength, seed = (settings[name] for name in ("toward", "strength", "seed"))
    found = change(network, picture.image, toward, score, strength=strength, seed=seed)
    return _Told(found, asked, settings, started)


def _another(picture: Picture, given: dict[str, Any]) -> Prober:
    """The service of --also, after consent: one call before and one after, of which the ledger
    may know the first."""
    service = make_backend(given["also"], given)
    prober = Prober(service, **sending_of(given))
    alone: Any = None  # once, without repeats
    plan = prober.plan(Picture(scale(picture.image, given["side"])), None, ALONE, budget=alone)
    if plan.calls and given["offline"]:
        raise LedgerError(
            f"offline, and what {printable(given['also'], 60)} says is not in the ledger: run once "
            "without --offline"
        )
    line, cost = at_most(plan.calls + 1, service)
    if plan.calls:
        _check_caps(cost, given)
    if not given["offline"]:
        allow(line, plan.calls + 1, cost, service.limits.host, given)
    return prober


def _check_caps(cost: float | None, given: dict[str, Any]) -> None:
    """A cap that two calls would break is said before the first."""
    calls, money = given["max_calls"], given["max_cost"]
    if calls is not None and calls < 2:
        raise UsageError(f"--also takes two calls, and --max-calls allows {calls}")
    if money is not None and cost is None:
        raise UsageError(
            f"--max-cost needs a price, and {printable(given['also'], 60)} states none: cap the "
            "calls, with --max-calls"
        )
    if money is not None and cost is not None and money < cost:
        raise UsageError(f"--also takes two calls for {cost:.4g}, and --max-cost allows {money:g}")


def words(found: Change) -> list[str]:
    """What was changed, what that did, what chance does, and what moved where."""
    before, after = (scores[found.label] for scores in found.scores)
    label = printable(found.label, 60)
    low, high = min(found.controls), max(found.controls)
    lines = [
        f"{label} {'goes' if after > before else 'does not rise: it goes'} from {before:.3g} to "
        f"{after:.3g} when no channel moves by more than "
        f"{found.largest} of 255 (mean colour difference {found.delta_e[0]:.1f}, largest "
        f"{found.delta_e[1]:.1f}).",
        f"Random changes as large give {low:.3g} to {high:.3g}.",
    ]
    if not found.places:
        return [*lines, "What moved: nothing that could be seen."]
    for one in found.places:
        x0, y0, x1, y1 = one.box
        first, second = one.colours
        lines.append(
            f"{one.number}, {one.where} ({x0},{y0}-{x1},{y1} px): {one.words}, {first} to "
            f"{second}, by {one.delta_e:.1f}; with this alone undone {label} is {one.undone:.3g}."
        )
    return lines


def save_change(found: Change, folder: Path) -> list[str]:
    """overlay.png (before, change, after), after.png at full size, change.npy in levels, and
    places.png where there are any."""
    before, after = (scores[found.label] for scores in found.scores)
    label = printable(found.label, 28)
    shown = [
        (f"before: {label} {before:.3g}", found.before),
        (f"the change, up to {found.largest} of 255", signed(found.difference, found.strength)),
        (f"after: {label} {after:.3g}", found.after),
    ]
    lines = [words(found)[1]]
    lines += [
        f"{one.number} {one.where}: {one.words}; {_undone(one, found)}" for one in found.places
    ]
    page = panels(f"toward {label}", shown, lines=lines, marks=[one.mask for one in found.places])
    written = [
        save_sheet(page, folder / "overlay.png"),
        save_sheet(found.after, folder / "after.png"),
        write_file(folder / "change.npy", lambda file: np.save(file, found.difference)),
    ]
    if found.places:
        title = f"what moved toward {label} {after:.3g}: before, after"
        rows = [_shown(one, found) for one in found.places]
        page = places_page(title, found.before, found.after, rows)
        written.append(save_sheet(page, folder / PAGE))
    else:
        (folder / PAGE).unlink(missing_ok=True)
    return [str(path) for path in written]


def _undone(place: Place, found: Change) -> str:
    label, after = found.label, found.scores[1][found.label]
    return f"undone alone: {printable(label, 28)} {after:.3g} to {place.undone:.3g}"


def _shown(place: Place, found: Change) -> Shown:
    x0, y0, x1, y1 = place.box
    first, second = (called(colour) for colour in (place.before, place.after))
    lines = (
        f"{first}{'' if first == second else f' to {second}'}",
        f"{place.turned}, by {place.delta_e:.1f}",
        f"{x0},{y0}-{x1},{y1} px",
        _undone(place, found),
    )
    return Shown(place.mask, place.box, f"{place.where}: {place.words}", lines, place.colours)
