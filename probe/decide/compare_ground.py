"""What two services can both be asked: one size, one codec, one list of variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from PIL import Image

from probe.decide.compare_runs import blamed
from probe.errors import UsageError
from probe.image import Picture, decode
from probe.limits import Limits
from probe.methods import Method
from probe.perturb import FixedDesign
from probe.perturb.geometry import pixels
from probe.plan import Plan
from probe.prober import Prober
from probe.types import (
    WHOLE,
    Backend,
    Codec,
    Failure,
    Identity,
    Perturbation,
    Scene,
    Scores,
    Variant,
    Window,
)


@dataclass(frozen=True)
class Contender:
    """One of the two: `prober.probe(**wanted)` asks it what the other is asked too."""

    name: str
    prober: Prober
    wanted: Mapping[str, Any]
    plan: Plan


@dataclass(frozen=True)
class Wish:
    """What the user asked of a comparison, apart from who is compared.

    options: of the method. prober: further arguments of both Probers.
    """

    picture: Picture
    method: Method
    budget: int
    seed: int
    options: Mapping[str, Any]
    side: int
    codec: Codec | None
    prober: Mapping[str, Any]


def settle(
    names: Sequence[str], backends: Sequence[Backend], labels: Sequence[str | None], wish: Wish
) -> tuple[Contender, Contender]:
    """Fit both to the strictest of their limits; nothing is sent yet.

    Raises UsageError for what cannot be the same for both, and whatever `Prober.plan` raises.
    """
    if wish.method.learns:
        raise UsageError(
            f"{wish.method.name} learns from the answers, so that each service would get variants "
            "of its own: compare by multiscale or grid"
        )
    if not isinstance(wish.budget, int):
        raise UsageError(
            f"the same variants go to both, so the budget is a number, not {wish.budget!r}"
        )
    limits = [
        blamed(name, partial(_limits, backend))
        for name, backend in zip(names, backends, strict=True)
    ]
    identities = [backend.identity for backend in backends]
    if identities[0] is not None and identities[0] == identities[1]:
        raise UsageError(
            f"{names[0]} and {names[1]} are the same model: compare two, or two settings of one"
        )
    codecs = common_codecs(names, limits, wish.codec)
    asked = [
        backend if codec.format in own.formats else Received(backend)
        for backend, codec, own in zip(backends, codecs, limits, strict=True)
    ]

    def fitted(side: int, method: Method, options: Mapping[str, Any]) -> list[Contender]:
        shared = {"image": wish.picture, "budget": wish.budget, "seed": wish.seed, **options}
        found = []
        for name, backend, codec, label in zip(names, asked, codecs, labels, strict=True):
            prober = Prober(backend, side=side, codec=codec, **wish.prober)
            wanted = {**shared, "method": method, "label": label}
            plan = blamed(name, partial(prober.plan, **wanted))
            found.append(Contender(name, prober, wanted, plan))
        return found

    pair = fitted(wish.side, wish.method, wish.options)
    sends = [one.plan.renderer.canvas.send for one in pair]
    side = wish.side
    if sends[0] != sends[1]:
        side = min(max(send) for send in sends)
        pair = fitted(side, wish.method, wish.options)
    design = same_variants(pair, wish, limits)
    fixed = replace(wish.method, sampler=lambda scene, budget, seed: FixedDesign(design))
    first, second = fitted(side, fixed, {})
    return first, second


def _limits(backend: Backend) -> Limits:
    """Of a server they are what it says of itself, so asking may fail."""
    return backend.limits


def common_codecs(
    names: Sequence[str], limits: Sequence[Limits], wish: Codec | None
) -> tuple[Codec, Codec]:
    """How the variants travel to each, so that both see the same pixels.

    A local model, which takes pixels, can be given what any codec leaves of them.
    """
    formats = [() if own.formats == ("pixels",) else own.formats for own in limits]
    wanted = (wish.format,) if wish else next(filter(None, formats), ("pixels",))
    for form in wanted:
        if all(form in own or not own for own in formats):
            codec = wish or Codec(form)
            exact = codec.format in ("png", "pixels")
            first, second = (Codec() if exact and not own else codec for own in formats)
            return first, second
    taken = " and ".join(
        f"{name} takes {', '.join(own.formats)}" for name, own in zip(names, limits, strict=True)
    )
    asked = f", not {wish} for both" if wish else ": no codec is common to them"
    raise UsageError(f"{taken}{asked}")


def same_variants(
    pair: Sequence[Contender], wish: Wish, limits: Sequence[Limits]
) -> list[Perturbation]:
    """The method's design of the size that both budgets hold, for what either of them sees."""
    canvases = [one.plan.renderer.canvas for one in pair]
    if canvases[0].send != canvases[1].send:
        shown = " and ".join(
            f"{one.name} {canvas.send[0]} x {canvas.send[1]}"
            for one, canvas in zip(pair, canvases, strict=True)
        )
        raise UsageError(f"the picture cannot be sent at one size to both: {shown} px")
    count = min(
        sum(not isinstance(change, Identity) for change in one.plan.perturbations) for one in pair
    )
    canvas = canvases[0]
    if canvases[0].seen != canvases[1].seen:
        canvas = replace(canvas, seen=WHOLE)
    scene = Scene(canvas, picture=lambda: pair[0].plan.renderer.base)
    design = [*wish.method.plan(scene, count, wish.seed, **wish.options).ask(count)]
    sides = [own.min_side for own in limits]
    if sides[0] != sides[1] and any(_shortest(change, scene) < max(sides) for change in design):
        raise UsageError(
            f"windows below {max(sides)} px would be enlarged for one service and not for the "
            "other: take larger ones (--size)"
        )
    return design


def _shortest(change: Perturbation, scene: Scene) -> float:
    """The shorter side of what is sent, where that is not the whole picture."""
    if not isinstance(change, Window):
        return float("inf")
    x0, y0, x1, y1 = pixels(change, scene.canvas)
    return min(x1 - x0, y1 - y0)


class Received:
    """A local model that is given what a service receives: pixels as the codec leaves them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __repr__(self) -> str:
        return repr(self._backend)

    @property
    def identity(self) -> str | None:
        return self._backend.identity

    @property
    def limits(self) -> Limits:
        return replace(self._backend.limits, formats=("jpeg", "png"))

    def score(self, variants: Sequence[Variant], codec: Codec) -> Sequence[Scores | Failure]:
        received = [_Decoded(variant, codec) for variant in variants]
        return self._backend.score(received, Codec())


@dataclass(frozen=True)
class _Decoded:
    variant: Variant
    codec: Codec

    @property
    def perturbation(self) -> Perturbation:
        return self.variant.perturbation

    def pixels(self) -> Image.Image:
        return decode(self.variant.encode(self.codec))

    def encode(self, codec: Codec) -> bytes:
        return self.variant.encode(codec)
