"""Everything that is settled before the first call: one picture, one method, one backend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil, floor, inf, sqrt
from typing import Any

from probe.api.transport.sending import ENVELOPE
from probe.errors import ContractError, ImageError, UsageError
from probe.image import Picture, encode, scaled_size
from probe.ledger import Ledger, Question
from probe.limits import Limits
from probe.loop import checks, phases
from probe.methods import Method
from probe.perturb import RENDER_VERSION, Fill, Renderer, canonical
from probe.result import check_label
from probe.types import (
    Box,
    Canvas,
    Codec,
    Identity,
    Order,
    Perturbation,
    Region,
    Sampler,
    Scores,
    Window,
)

REQUEST_SECONDS = 0.5
LOCAL_SECONDS = 0.01
MANY = 1 << 20
"""More than is asked at once."""


@dataclass(frozen=True)
class Plan:
    """What a run would do, known before anything is paid.

    method: its name. answers: how many the map uses. known: how many of them the ledger has.
    calls: images to send at most, without retries. requests, bytes: what that means on the wire;
    the bytes are those of the unchanged picture for every call. cost: None where no price is known.
    seconds: a guess at half a second a request, no faster than the service's rate, or 10 ms an
    answer of a local network.
    digest: the same for the same plan, whatever label is looked at.
    """

    method: str
    answers: int
    known: int
    calls: int
    requests: int
    bytes: int
    cost: float | None
    currency: str | None
    host: str | None
    seconds: float
    digest: str
    perturbations: tuple[Perturbation, ...]
    renderer: Renderer = field(repr=False)


@dataclass(frozen=True)
class Run:
    """A run made ready; nothing is sent yet."""

    picture: Picture
    canvas: Canvas
    codec: Codec
    renderer: Renderer
    method: Method
    sampler: Sampler
    order: Order
    limits: Limits
    identity: str | None
    settings: Mapping[str, Any]

    def question(self, perturbation: Perturbation) -> Question:
        return Question(
            image=self.picture.digest,
            change=canonical(perturbation, self.canvas),
            fill=self._filled(perturbation),
            send=self.canvas.send,
            codec=str(self.codec),
            render=RENDER_VERSION,
            backend=self.identity or "",
        )

    def _filled(self, perturbation: Perturbation) -> str:
        """What else than the change itself decides about the pixels that are sent."""
        if isinstance(perturbation, Box):
            return str(self.renderer.fill)
        enlarged = isinstance(perturbation, Window) and self.limits.min_side > 1
        return f"min_side:{self.limits.min_side}" if enlarged else ""

    def first(self, n: int) -> Sequence[Perturbation]:
        """What is asked right behind the reference, as far as that hangs on no answer."""
        seed, options = self.settings["seed"], self.settings["options"]
        sampler = _sampler(self.method, self.canvas, self.order, seed, options)
        ask, _ = phases(self.order, sampler)
        return ask(n)

    def perturbations(self) -> list[Perturbation]:
        """All that the run asks, the reference first."""
        asked: list[Perturbation] = [Identity()]
        for ask in phases(self.order, self.sampler):
            while proposals := ask(MANY):
                asked += proposals
        return asked

    def plan(self, ledger: Ledger) -> Plan:
        perturbations = self.perturbations()
        known = ledger.lookup([self.question(p) for p in perturbations])
        missing = [
            p
            for p in perturbations
            if self.question(p) not in known
            and (isinstance(p, Identity) or self.renderer.changes(p))
        ]
        calls, price, host = len(missing), self.limits.price, self.limits.host
        size = 0
        if self.codec.format != "pixels" and missing:
            size = len(encode(self.renderer.base, self.codec))
        first = min(1, calls)
        requests = first + -(-(calls - first) // _batch(self.limits, size))
        return Plan(
            method=self.settings["method"],
            answers=len(perturbations),
            known=len(known),
            calls=calls,
            requests=requests,
            bytes=calls * size,
            cost=None if price is None else price.of(calls),
            currency=None if price is None else price.currency,
            host=host,
            seconds=calls * LOCAL_SECONDS if host is None else _seconds(self.limits, requests),
            digest=self.settings["plan"],
            perturbations=tuple(perturbations),
            renderer=self.renderer,
        )


@dataclass(frozen=True)
class Wishes:
    """What the user asked of a run: the arguments of Prober and of its methods."""

    label: str | None
    method: Method
    name: str
    options: Mapping[str, Any]
    budget: int
    seed: int
    fill: Fill
    side: int
    codec: Codec | None
    repeats: int | None
    offline: bool


def prepare(picture: Picture, limits: Limits, identity: str | None, wishes: Wishes) -> Run:
    """Fit the wishes to the picture and to what the backend takes.

    Raises UsageError, LabelError or ImageError for what cannot be met, before any call.
    """
    check_label(wishes.label, limits.labels)
    for name, number in (("budget", wishes.budget), ("seed", wishes.seed), ("side", wishes.side)):
        if not isinstance(number, int) or isinstance(number, bool):
            raise UsageError(f"{name} must be a whole number, not {number!r}")
    options = wishes.method.settle(wishes.options)
    size = picture.image.size
    side = min(wishes.side, limits.max_side or wishes.side)
    send = scaled_size(size, side)
    while limits.max_pixels is not None and send[0] * send[1] > limits.max_pixels and side > 1:
        side = min(side - 1, ceil(side * sqrt(limits.max_pixels / (send[0] * send[1]))))
        send = scaled_size(size, side)
    if min(send) < limits.min_side:
        raise ImageError(
            f"the picture is sent at {send[0]} x {send[1]} px, and the service takes no side "
            f"below {limits.min_side}: enlarge it first"
        )
    codec = wishes.codec or Codec(limits.formats[0])
    if codec.format not in limits.formats:
        taken = ", ".join(limits.formats)
        raise UsageError(f"the backend takes {taken}, not {codec}: leave the codec out")
    canvas = Canvas(size, send, codec.grid, _seen(limits.seen, send))
    both = send != size and _takes(limits, picture, codec)
    order = _order(wishes, limits, both_sizes=both)
    settings = {
        "digest": picture.digest,
        "method": wishes.name,
        "options": options,
        "budget": wishes.budget,
        "seed": wishes.seed,
        "fill": str(wishes.fill),
        "side": side,
        "codec": str(codec),
        "repeats": order.repeats,
        "render": RENDER_VERSION,
        "backend": identity,
    }
    plan = sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return Run(
        picture=picture,
        canvas=canvas,
        codec=codec,
        renderer=Renderer(picture.image, canvas, wishes.fill, limits.min_side),
        method=wishes.method,
        sampler=_sampler(wishes.method, canvas, order, wishes.seed, options),
        order=order,
        limits=limits,
        identity=identity,
        settings={"picture": picture.name, "plan": plan} | settings,
    )


def _sampler(
    method: Method, canvas: Canvas, order: Order, seed: int, options: Mapping[str, Any]
) -> Sampler:
    return method.plan(canvas, order.variants - len(checks(order)), seed, **options)


def _takes(limits: Limits, picture: Picture, codec: Codec) -> bool:
    """Whether the service takes the picture at its full size."""
    width, height = picture.image.size
    if max(width, height) > (limits.max_side or inf) or width * height > (limits.max_pixels or inf):
        return False
    one, most = limits.max_bytes or inf, limits.max_request_bytes or inf
    if codec.format == "pixels" or one == most == inf:
        return True
    size = len(encode(picture.image, codec))
    return size <= one and size * limits.inflation + ENVELOPE <= most


def _batch(limits: Limits, size: int) -> int:
    """How many pictures of so many bytes go into a request."""
    if limits.max_request_bytes is None or not size:
        return limits.batch
    room = limits.max_request_bytes // (size * limits.inflation + ENVELOPE)
    return max(1, min(limits.batch, int(room)))


def _seconds(limits: Limits, requests: int) -> float:
    """The reference alone, the others side by side, and no faster than the rate."""
    rounds = min(1, requests) + -(-max(0, requests - 1) // limits.concurrency)
    paced = (requests * rate.seconds / rate.requests for rate in limits.rate)
    return max(rounds * REQUEST_SECONDS, *paced, 0.0)


def _seen(region: Region, send: tuple[int, int]) -> Region:
    """The region in whole send pixels, one wider on each side: there resampling may reach."""
    x0, y0, x1, y1 = region
    width, height = send
    left, top = (max(0, floor(low * side) - 1) for low, side in ((x0, width), (y0, height)))
    right, bottom = (min(side, ceil(up * side) + 1) for up, side in ((x1, width), (y1, height)))
    return left / width, top / height, right / width, bottom / height


def _order(wishes: Wishes, limits: Limits, both_sizes: bool) -> Order:
    """Split the budget: the reference, its full-size twin and its repeats, the variants."""
    repeats = wishes.repeats
    if repeats is None:
        repeats = 0 if limits.deterministic else 2
    again = [Identity(repeat=number) for number in range(1, repeats)]
    opening: list[Perturbation] = [Identity(full=True), *again] if both_sizes else [*again]
    closing = [Identity(repeat=repeats)] if repeats else []
    unchanged = 1 + len(opening) + len(closing)
    if wishes.budget <= unchanged:
        raise UsageError(
            f"the budget is {wishes.budget}: it must be at least {unchanged + 1} "
            f"(the unchanged picture {unchanged} x and one variant)"
        )
    return Order(wishes.budget - unchanged, opening, closing, wishes.offline)


def choose_label(label: str | None, limits: Limits, reference: Scores) -> str:
    """The label asked for, else the backend's own question, else the highest score.

    A label that the reference's answer leaves out is known where a number stands for it.
    """
    offered = tuple(reference)
    if limits.missing is not None:
        offered = tuple(dict.fromkeys((*reference, *limits.labels)))
    check_label(label, offered)
    if label is not None:
        return label
    if limits.question in offered:
        return str(limits.question)
    if not reference:
        raise ContractError("the service found no label in the picture: name the one you ask for")
    return max(reference, key=lambda known: reference[known])
