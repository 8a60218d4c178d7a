"""The runs that a redaction is made of, and what each tells the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from probe.decide.redact_picture import Final
from probe.decide.redact_record import Spent, Tried
from probe.decide.search import Goal, Ground, Known, Search
from probe.decide.search_moves import Cover
from probe.estimate import CoveringMean
from probe.image import Picture
from probe.methods import Method
from probe.perturb import Renderer, opacity, parse_fill, pixels
from probe.prober import Prober
from probe.result import Result
from probe.types import Box, Identity, Perturbation, Sampler, Scene, Scores, Window

Watch = Callable[[Result], object]


class Work:
    """alone: the result of the unchanged picture. watch: called with every Result."""

    def __init__(self, prober: Prober, alone: Result, seed: int, watch: Watch) -> None:
        assert alone.image is not None
        self.prober = prober
        self.alone = alone
        self.seed = seed
        self.watch = watch
        self.spent = Spent()
        self.spent.add(alone)
        self.picture = Picture(alone.image, (), str(alone.settings["picture"]))
        fill = parse_fill(alone.settings["fill"])
        self.renderer = Renderer(alone.image, alone.canvas, fill)
        watch(alone)

    def map(self, budget: int) -> Result:
        """The answers that guide the search: those of the default method's map."""
        stream = self.prober.stream(self.picture, self.alone.label, budget=budget, seed=self.seed)
        for result in stream:
            self.watch(result)
        self.spent.add(result, repeated=len(self.alone.answers))
        return result

    def search(
        self, ground: Ground, goal: Goal, mapped: Result, budget: int
    ) -> tuple[Search, Result]:
        """A search for up to `budget` covers, done, and its run."""
        known = known_from(mapped, ground)
        made: list[Search] = []

        def sampler(scene: Scene, budget: int, seed: int) -> Sampler:
            made.append(Search(ground, goal, known, budget, seed))
            return made[-1]

        method = Method(
            "redact",
            "the smallest cover that changes the decision",
            sampler,
            partial(CoveringMean, kind="evidence"),
            learns=True,
        )
        unchanged = sum(isinstance(a.perturbation, Identity) for a in mapped.answers)
        stream = self.prober.stream(self.picture, goal.label, method, budget + unchanged, self.seed)
        for result in stream:
            self.watch(result)
        self.spent.add(result, repeated=unchanged)
        return made[-1], result

    def verify(self, final: Final) -> dict[str, float]:
        """What the finished picture scores, by size."""
        result = self.prober.score(Picture(final.image, (), self.picture.name), self.alone.label)
        self.watch(result)
        self.spent.add(result)
        return by_size(result)


def by_size(result: Result) -> dict[str, float]:
    """What the unchanged picture of a result scores as it is sent and, where it was shown, at
    full size."""
    scores = {"sent": result.reference[result.label]}
    for answer in result.answers:
        outcome = result.outcome(answer)
        full = isinstance(answer.perturbation, Identity) and answer.perturbation.full
        if full and isinstance(outcome, Scores):
            scores["full"] = outcome[result.label]
    return scores


def tried(result: Result, stage: str, covers: Mapping[Perturbation, Cover]) -> list[Tried]:
    """The covers of a run. covers: those of several boxes, in send pixels."""
    (width, height), (w, h) = result.canvas.size, result.canvas.send
    found = []
    for answer in result.answers:
        row = result.describe(answer)
        if isinstance(answer.perturbation, Identity):
            continue
        boxes = [row["box"]] if row["kind"] == "box" else []
        if row["kind"] == "mask":
            boxes = [
                [
                    round(edge * full / sent)
                    for edge, full, sent in zip(box, (width, height) * 2, (w, h) * 2, strict=True)
                ]
                for box in covers.get(answer.perturbation, ())
            ]
        found.append(Tried([(*box,) for box in boxes], row["area"], row["score"], stage))
    return found


def known_from(result: Result, ground: Ground) -> list[Known]:
    """The scored covers of a map, in the search's terms."""
    known = []
    for answer in result.answers:
        outcome = result.outcome(answer)
        change = answer.perturbation
        if isinstance(outcome, Scores) and not isinstance(change, Identity | Window):
            shares = ground.lattice.mean(opacity(change, result.canvas))
            box = pixels(change, result.canvas) if isinstance(change, Box) else None
            known.append(Known(shares, outcome[result.label], ground.seen_of(box)))
    return known
