"""A run made ready, and what it would do and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from probe.api.transport.sending import ENVELOPE
from probe.errors import ContractError
from probe.estimate.settling import Settling
from probe.image import Picture, encode
from probe.ledger import Ledger, Question
from probe.limits import Limits
from probe.loop import checks, phases
from probe.methods import Method
from probe.perturb import RENDER_VERSION, Renderer, canonical
from probe.result import check_label, for_label
from probe.types import (
    Canvas,
    Codec,
    Failure,
    Identity,
    Order,
    Perturbation,
    Sampler,
    Scene,
    Scores,
    Window,
)

REQUEST_SECONDS = 0.5
LOCAL_SECONDS = 0.01
AUTO = "auto"
"""The budget that ends when the map is settled."""
MANY = 1 << 20
"""More than is asked at once."""


@dataclass(frozen=True)
class Plan:
    """What a run would do, known before anything is paid.

    method: its name. answers: how many the map uses. known: how many of them the ledger has.
    calls: images to send at most, without retries. requests, bytes: what that means on the wire;
    the bytes are those of the unchanged picture for every call. cost: None where no price is known.
    at_most: some of it hangs on answers to come, and all of these are the most that it may be.
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
    at_most: bool
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
    label: str | None
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
        if isinstance(perturbation, Identity):
            return ""
        if not isinstance(perturbation, Window):
            return str(self.renderer.fill)
        return f"min_side:{self.limits.min_side}" if self.limits.min_side > 1 else ""

    def sampler(self, label: str | None = None) -> Sampler:
        """A new one, as it stands before the first answer."""
        scene = Scene(self.canvas, label, lambda: self.renderer.base)
        budget = self.order.variants - len(checks(self.order))
        seed, options = self.settings["seed"], self.settings["options"]
        sampler = self.method.plan(scene, budget, seed, **options)
        if self.settings["budget"] != AUTO:
            return sampler
        mapped = label or ""
        estimator = partial(self.method.estimator, self.canvas, mapped)
        return Settling(sampler, estimator, mapped, budget)

    def read(self, outcome: Scores | Failure, label: str) -> Scores | Failure:
        """What an answer says of a label: scores that hold it, or why there is none."""
        return for_label(outcome, label, self.limits.missing)

    def first(self, n: int) -> Sequence[Perturbation]:
        """What is asked right behind the reference, as far as that hangs on no answer."""
        ask, _ = phases(self.order, self.sampler())
        return ask(n)

    def perturbations(self, ledger: Ledger) -> tuple[list[Perturbation], dict[Question, Scores]]:
        """What the run asks, the reference first, and what of it is known: of a method that
        learns as far as the ledger has the answers."""
        asked: list[Perturbation] = [Identity()]
        known = ledger.lookup([self.question(Identity())])
        reference = known.get(self.question(Identity()))
        label = None if reference is None else choose_label(self.label, self.limits, reference)
        sampler = self.sampler(label)
        if reference is not None and label is not None:
            sampler.tell(Identity(), self.read(reference, label))
        for ask in phases(self.order, sampler):
            while proposals := ask(MANY):
                asked += proposals
                known |= ledger.lookup([self.question(change) for change in proposals])
                if reference is not None and label is not None:
                    self._tell(sampler, proposals, known, reference, label)
        return asked, known

    def _tell(
        self,
        sampler: Sampler,
        proposals: Sequence[Perturbation],
        known: Mapping[Question, Scores],
        reference: Scores,
        label: str,
    ) -> None:
        """What is known of the proposals, up to the first that is not."""
        for change in proposals:
            answer = known.get(self.question(change))
            if answer is None and not self.renderer.changes(change):
                answer = reference
            if answer is None:
                return
            sampler.tell(change, self.read(answer, label))

    def plan(self, ledger: Ledger) -> Plan:
        perturbations, known = self.perturbations(ledger)
        missing = [
            p
            for p in perturbations
            if self.question(p) not in known
            and (isinstance(p, Identity) or self.renderer.changes(p))
        ]
        unplanned = self._unplanned(len(perturbations)) if missing else 0
        calls, price, host = len(missing) + unplanned, self.limits.price, self.limits.host
        size = 0
        if self.codec.format != "pixels" and missing:
            size = len(encode(self.renderer.base, self.codec))
        first = min(1, calls)
        requests = first + -(-(calls - first) // _batch(self.limits, size))
        return Plan(
            method=self.settings["method"],
            answers=len(perturbations) + unplanned,
            known=len(known),
            calls=calls,
            requests=requests,
            bytes=calls * size,
            cost=None if price is None else price.of(calls),
            currency=None if price is None else price.currency,
            host=host,
            seconds=calls * LOCAL_SECONDS if host is None else _seconds(self.limits, requests),
            digest=self.settings["plan"],
            at_most=unplanned > 0,
            perturbations=tuple(perturbations),
            renderer=self.renderer,
        )

    def _unplanned(self, planned: int) -> int:
        """How many more a method that learns may ask, once it has answers."""
        learns = self.method.learns or self.settings["budget"] == AUTO
        return self.order.answers - planned if learns else 0


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
