"""Fits what the user asked of a run to the picture and to what the backend takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import ceil, floor, inf, sqrt
from typing import Any

from probe.api.transport.sending import ENVELOPE
from probe.errors import ImageError, UsageError
from probe.image import Picture, encode, scaled_size
from probe.limits import Limits
from probe.methods import ALONE, Method
from probe.perturb import RENDER_VERSION, Fill, Renderer
from probe.plan.run import AUTO, Run
from probe.result import check_label
from probe.types import (
    Canvas,
    Codec,
    Identity,
    Order,
    Perturbation,
    Region,
)

MOST = 256


@dataclass(frozen=True)
class Wishes:
    """What the user asked of a run: the arguments of Prober and of its methods.

    budget: AUTO ends when the map is settled, after MOST answers at most; None asks about the
    unchanged picture alone, once. full: at its full size, too, where the service takes that.
    """

    label: str | None
    method: Method
    options: Mapping[str, Any]
    budget: int | str | None
    seed: int
    fill: Fill
    side: int
    codec: Codec | None
    repeats: int | None
    offline: bool
    full: bool = True


def prepare(picture: Picture, limits: Limits, identity: str | None, wishes: Wishes) -> Run:
    """Fit the wishes to the picture and to what the backend takes.

    Raises UsageError, LabelError or ImageError for what cannot be met, before any call.
    """
    check_label(wishes.label, limits.labels)
    for name, number in (("budget", wishes.budget), ("seed", wishes.seed), ("side", wishes.side)):
        if (name, number) == ("budget", AUTO) or (number is None and wishes.method is ALONE):
            continue
        if not isinstance(number, int) or isinstance(number, bool):
            raise UsageError(f"{name} must be a whole number, not {number!r}")
    options = wishes.method.settle(wishes.options)
    if wishes.budget == AUTO and not wishes.method.anytime:
        raise UsageError(
            f"{wishes.method.name} has no budget of auto, as only all of it is a plan: "
            "give a number, or take multiscale"
        )
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
    both = wishes.full and send != size and _takes(limits, picture, codec)
    order = _order(wishes, limits, both_sizes=both)
    settings = {
        "digest": picture.digest,
        "method": wishes.method.name,
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
    run = Run(
        picture=picture,
        canvas=canvas,
        codec=codec,
        renderer=Renderer(picture.image, canvas, wishes.fill, limits.min_side),
        method=wishes.method,
        label=wishes.label,
        order=order,
        limits=limits,
        identity=identity,
        settings={"picture": picture.name, "plan": plan} | settings,
    )
    run.sampler()  # whatever is wrong with its options is said before the first call
    return run


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


def _seen(region: Region, send: tuple[int, int]) -> Region:
    """The region in whole send pixels, one wider on each side: there resampling may reach."""
    x0, y0, x1, y1 = region
    width, height = send
    left, top = (max(0, floor(low * side) - 1) for low, side in ((x0, width), (y0, height)))
    right, bottom = (min(side, ceil(up * side) + 1) for up, side in ((x1, width), (y1, height)))
    return left / width, top / height, right / width, bottom / height


def _order(wishes: Wishes, limits: Limits, both_sizes: bool) -> Order:
    """Split the budget: the reference, its full-size twin and its repeats, the variants."""
    if wishes.budget is None:
        return Order(0, [Identity(full=True)] if both_sizes else [], [], wishes.offline)
    repeats = wishes.repeats
    if repeats is None:
        repeats = 0 if limits.deterministic else 2
    again = [Identity(repeat=number) for number in range(1, repeats)]
    opening: list[Perturbation] = [Identity(full=True), *again] if both_sizes else [*again]
    closing = [Identity(repeat=repeats)] if repeats else []
    unchanged = 1 + len(opening) + len(closing)
    budget = MOST if isinstance(wishes.budget, str) else wishes.budget
    if budget <= unchanged:
        raise UsageError(
            f"the budget is {budget}: it must be at least {unchanged + 1} "
            f"(the unchanged picture {unchanged} x and one variant)"
        )
    return Order(budget - unchanged, opening, closing, wishes.offline)
