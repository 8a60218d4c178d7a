"""What a page asks for: which picture to whom, how, and within what cost."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from probe.backends import NAMES, resolve
from probe.backends.connection import Connection
from probe.errors import UsageError
from probe.image import Picture
from probe.methods import DEFAULT, METHODS
from probe.plan import Plan
from probe.plan.words import describe
from probe.prober import Prober
from probe.report.packing import picture as data_uri
from probe.report.packing import small
from probe.text import count, pairs, printable
from probe.types import Backend, Identity

MOST_ANSWERS = 4096
LONGEST = 500
"""Characters of what is typed."""
SAMPLES = 6
SAMPLE_SIDE = 120


@dataclass(frozen=True)
class Wish:
    """settings: variables of the service's profile, never a key. budget: answers, or auto."""

    api: str = "local"
    settings: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None
    method: str = DEFAULT
    budget: int | str = 64
    seed: int = 0
    fill: str = "mean"

    @classmethod
    def read(cls, given: Any) -> Wish:
        """From JSON, as a page sends it or `record` wrote it; raises UsageError for no wish."""
        if not isinstance(given, dict):
            raise UsageError("a request is a JSON object")
        texts = {name: _text(given, name) for name in ("api", "method", "fill", "label")}
        wish = cls(
            api=texts["api"] or cls.api,
            settings=_settings(given.get("settings")),
            label=texts["label"] or None,
            method=texts["method"] or DEFAULT,
            budget=_budget(given.get("budget", 64)),
            seed=_whole(given.get("seed", 0), "seed"),
            fill=texts["fill"] or cls.fill,
        )
        if wish.method not in METHODS:
            raise UsageError(f"no method {printable(wish.method, 60)!r}")
        return wish

    def record(self) -> dict[str, Any]:
        return asdict(self)

    def command(self, name: str) -> str:
        """What asks the same on the command line."""
        words = ["probe", "occlude", name, "--method", self.method, "--api", self.api]
        for key, value in self.settings.items():
            words += ["--set", f"{key}={value}"]
        if self.label is not None:
            words += ["--label", self.label]
        words += ["--budget", str(self.budget), "--seed", str(self.seed), "--fill", self.fill]
        return shlex.join(words)

    def backend(self, connection: Connection) -> Backend:
        """Raises UsageError where nobody is meant, Unreachable where a server is not there."""
        if self.api in NAMES and not self.settings:
            return _own(self.api)
        return resolve(self.api, self.settings, connection)

    def arguments(self, picture: Picture) -> dict[str, Any]:
        """What Prober.plan and Prober.stream are called with."""
        return {
            "image": picture,
            "label": self.label,
            "method": self.method,
            "budget": self.budget,
            "seed": self.seed,
        }


@lru_cache(maxsize=len(NAMES))
def _own(name: str) -> Backend:
    """Those that hang on nothing outside are made once: a network takes a moment to load."""
    return resolve(name)


@dataclass(frozen=True)
class Offer:
    """What a wish would do and cost. prober: held to `ceiling` calls, retries included."""

    wish: Wish
    picture: Picture
    plan: Plan
    backend: Backend
    prober: Prober

    @classmethod
    def of(cls, wish: Wish, picture: Picture, ledger: Path, connection: Connection) -> Offer:
        """Calls nobody but for what a server says of itself. Raises what `Prober.plan` raises."""
        backend = wish.backend(connection)
        prober = Prober(backend, fill=wish.fill, ledger=ledger)
        plan = prober.plan(**wish.arguments(picture))
        capped = Prober(
            prober.backend, fill=wish.fill, ledger=ledger, max_calls=ceiling(plan.calls)
        )
        return cls(wish, picture, plan, prober.backend, capped)

    @property
    def who(self) -> str:
        """Whose calls these are: two runs at once would overrun a service's rate."""
        return self.plan.host or self.wish.api

    def record(self) -> dict[str, Any]:
        """For the page."""
        plan, limits = self.plan, self.backend.limits
        return {
            "line": describe(plan, self.backend),
            "bound": bound(plan.calls, self.backend),
            "answers": plan.answers,
            "known": plan.known,
            "calls": plan.calls,
            "lacks": [printable(name, 100) for name in lacking(self.backend)],
            "labels": [printable(label, 200) for label in limits.labels[:500]],
            "question": printable(limits.question or "", 200),
            "notes": list(self.picture.notes),
        }

    def samples(self) -> list[str]:
        """A few of the covered pictures that would be sent, as data URIs."""
        renderer = self.plan.renderer
        changes = [one for one in self.plan.perturbations if not isinstance(one, Identity)]
        return [
            data_uri(small(renderer.variant(change).pixels(), SAMPLE_SIDE), 60)
            for change in changes[:: max(1, len(changes) // SAMPLES)][:SAMPLES]
        ]


def lacking(backend: Backend) -> list[str]:
    """The environment variables that it needs and that are not set."""
    used = getattr(backend, "variables", ())
    return [one.name for one in used if one.needed and not one.set]


def ceiling(calls: int) -> int:
    """The most calls that may be made where so many are planned: a tenth more, and four at least,
    for what has to be sent again."""
    return calls + max(4, calls // 10) if calls else 0


def bound(calls: int, backend: Backend) -> str:
    """What is not exceeded, in words."""
    if not calls:
        return "Nothing is sent: the ledger has every answer."
    most, price = ceiling(calls), backend.limits.price
    spent = "" if price is None else f", {price.of(most):.4g} {printable(price.currency)}"
    return f"It ends at {count(most, 'call')}{spent} at the latest, retries included."


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST:
        raise UsageError(f"{name} is a text of at most {LONGEST} characters")
    return value.strip() if name != "label" else value


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise UsageError(f"{name} is a whole number from 0")
    return value


def _budget(value: Any) -> int | str:
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_ANSWERS:
        raise UsageError(f"the budget is a number of answers, up to {MOST_ANSWERS:,}, or auto")
    return value


def _settings(value: Any) -> dict[str, str]:
    """KEY=VALUE, one a line, or a mapping."""
    if value is None:
        return {}
    if isinstance(value, dict):
        value = "\n".join(f"{key}={text}" for key, text in value.items())
    if not isinstance(value, str) or len(value) > 10 * LONGEST:
        raise UsageError("settings are KEY=VALUE, one a line")
    return pairs(filter(None, map(str.strip, value.splitlines())), "the setting")
