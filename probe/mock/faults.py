"""Weather for a server: what goes wrong, how often, and by a seed.

    Faults.parse("429=0.1,503=0.02x3,reset=0.05,latency=0.2,quota=500", seed=7)

Chances are of a request; `x3` lets the same pictures meet it three times in a row. Kinds:

429         too many requests, with a hint of any sort; `429-seconds`, `429-date`, `429-ms`,
            `429-ratelimit`, `429-body`, `429-none` for one sort of hint alone
503         the service's own "unavailable"
reset       scored and paid, then the connection is reset before the answer
cut         scored and paid, then the connection is reset in the middle of the answer
truncated   a whole answer over HTTP whose JSON ends too early
html        a page instead of JSON
partial     the element of one picture is missing
item        one picture fails alone, for a while
reorder     the elements are in another order (where answers carry ids)
missing     the label asked about is missing in one element
nan         the score of one picture is no number
all         every kind above in equal shares, together as often as this

and numbers that are no chances: `latency` in seconds (or `0.1-0.3`), `wait` in seconds that hints
ask for (1), `quota` and `drift`: after how many pictures scored no more are, or by another model.
`in_a_row`: how often at most the same picture may be hit without a break (1).

What hits a request is decided by the seed, the pictures in it and how often these were seen
together, so neither by threads nor by the order of arrival.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from threading import Lock

from probe.errors import UsageError, nearest

HINTS = ("seconds", "date", "ms", "ratelimit", "body", "none")
SHARED = (
    *("429", "503", "reset", "cut", "truncated", "html"),
    *("partial", "item", "reorder", "missing", "nan"),
)
"""What `all` stands for: everything that ends in an answer when the request is sent again."""
KINDS = (*SHARED, *(f"429-{hint}" for hint in HINTS))
NUMBERS = ("latency", "wait", "quota", "drift", "in_a_row")

_CHANCE = re.compile(r"(\d+(?:\.\d+)?)(?:x(\d{1,3}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Faults:
    """chances: kind -> how probable, and how often in a row. latency: seconds from, to."""

    chances: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    seed: int = 0
    latency: tuple[float, float] = (0.0, 0.0)
    wait: float = 1.0
    quota: int | None = None
    drift: int | None = None
    in_a_row: int = 1

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Faults:
        """Faults out of `kind=number,...`; raises UsageError that names what is wrong."""
        pairs = [piece.partition("=") for piece in text.replace(" ", "").split(",") if piece]
        return cls.of({name: value for name, _, value in pairs}, seed)

    @classmethod
    def of(cls, given: Mapping[str, str | float], seed: int = 0) -> Faults:
        """The same out of a mapping: {"429": 0.1, "503": "0.02x3", "latency": 0.2}."""
        chances: dict[str, tuple[float, int]] = {}
        numbers: dict[str, str] = {}
        for name, value in given.items():
            if name in NUMBERS:
                numbers[name] = str(value)
            elif name in KINDS or name == "all":
                chance, times = _chance(name, str(value))
                kinds = SHARED if name == "all" else (name,)
                for kind in kinds:
                    chances[kind] = (chance / len(kinds), times)
            else:
                known = (*KINDS, "all", *NUMBERS)
                raise UsageError(
                    f"no fault is called {name!r}.{nearest(name, known)} Known: {', '.join(known)}"
                )
        if sum(chance for chance, _ in chances.values()) > 1 + 1e-9:
            raise UsageError("the chances of all faults together are more than 1")
        return cls(
            chances,
            seed,
            _range(numbers.get("latency", "0")),
            _number("wait", numbers.get("wait", "1")),
            _count("quota", numbers.get("quota")),
            _count("drift", numbers.get("drift")),
            _count("in_a_row", numbers.get("in_a_row")) or 1,
        )


def _chance(name: str, value: str) -> tuple[float, int]:
    found = _CHANCE.fullmatch(value)
    if not found or float(found[1]) > 1 or found[2] == "0":
        raise UsageError(f"{name}={value}: expected a chance from 0 to 1, as 0.1 or 0.1x3")
    return float(found[1]), int(found[2] or 1)


def _number(name: str, value: str) -> float:
    if not re.fullmatch(r"\d{1,6}(\.\d{1,9})?", value, re.ASCII):
        raise UsageError(f"{name}={value}: expected seconds, as 0.2")
    return float(value)


def _count(name: str, value: str | None) -> int | None:
    if value is not None and not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise UsageError(f"{name}={value}: expected a whole number")
    return None if value is None else int(value)


def _range(value: str) -> tuple[float, float]:
    low, dash, high = value.partition("-")
    seconds = _number("latency", low), _number("latency", high if dash else low)
    if seconds[0] > seconds[1]:
        raise UsageError(f"latency={value}: expected seconds from-to, as 0.1-0.3")
    return seconds


@dataclass(frozen=True, slots=True)
class Fault:
    """What hits a request. turn: a number by which it chooses among the pictures."""

    kind: str
    turn: int

    @property
    def hint(self) -> str:
        """How a 429 says how long to wait."""
        _, _, named = self.kind.partition("-")
        return named or HINTS[self.turn % len(HINTS)]


class Dice:
    """The faults of one server: what it has seen and what has hit."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.counts: Counter[str] = Counter()
        self._lock = Lock()
        self._seen: Counter[bytes] = Counter()
        self._streak: dict[bytes, int] = {}
        self._burst: dict[bytes, tuple[Fault, int]] = {}
        self._taken = 0

    def draw(
        self, pictures: Sequence[bytes], possible: Sequence[str]
    ) -> tuple[Fault | None, float]:
        """What hits a request with these pictures, of the kinds that can, and its latency."""
        own = {blake2b(picture, digest_size=8).digest() for picture in pictures}
        together = blake2b(b"".join(sorted(own)), digest_size=16).digest()
        with self._lock:
            turn = self._seen[together]
            self._seen[together] += 1
            random = self._random(together, turn)
            fault = self._held(own) or self._rolled(own, random)
            if fault is not None and fault.kind.partition("-")[0] not in possible:
                fault = None
            self._note(own, fault)
            low, high = self.faults.latency
            return fault, low + (high - low) * (random >> 64) / 2**64

    def take(self, pictures: int) -> bool:
        """Whether the quota allows these; they are taken from it if it does."""
        quota = self.faults.quota
        with self._lock:
            if quota is not None and self._taken + pictures > quota:
                self.counts["quota"] += 1
                return False
            self._taken += pictures
            return True

    def drifted(self) -> bool:
        """Whether another model answers by now."""
        drift = self.faults.drift
        with self._lock:
            if drift is None or self._taken <= drift:
                return False
            self.counts["drift"] += 1
            return True

    def _random(self, together: bytes, turn: int) -> int:
        """128 bits by the seed, the pictures, and how often they were seen."""
        key = f"{self.faults.seed} {turn} ".encode() + together
        return int.from_bytes(blake2b(key, digest_size=16).digest(), "big")

    def _held(self, own: set[bytes]) -> Fault | None:
        return next(
            (self._burst[picture][0] for picture in sorted(own) if picture in self._burst), None
        )

    def _rolled(self, own: set[bytes], random: int) -> Fault | None:
        if any(self._streak.get(picture, 0) >= self.faults.in_a_row for picture in own):
            return None
        at = (random & (2**64 - 1)) / 2**64
        for kind, (chance, _) in self.faults.chances.items():
            at -= chance
            if at < 0:
                return Fault(kind, random >> 96)
        return None

    def _note(self, own: set[bytes], fault: Fault | None) -> None:
        if fault is None:
            for picture in own:
                self._streak.pop(picture, None)
                self._burst.pop(picture, None)
            return
        self.counts[fault.kind] += 1
        times = self.faults.chances[fault.kind][1]
        for picture in own:
            self._streak[picture] = self._streak.get(picture, 0) + 1
            _, left = self._burst.pop(picture, (fault, times))
            if left > 1:
                self._burst[picture] = (fault, left - 1)
