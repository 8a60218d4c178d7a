"""The course of an audit: score all, choose, probe, cluster the evidence, test it elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from probe.audit import choosing, effects
from probe.audit.describing import Describer, Probed
from probe.audit.likeness import Cluster, Detector, Floats, Space, check, clusters
from probe.audit.many import side_by_side
from probe.audit.others import Other, looked_at
from probe.audit.records import Audit, Case, Item, Trial, Wishes
from probe.audit.regions import Evidence, regions
from probe.audit.sight import Cells, Sight, thumbnail
from probe.audit.workers import Alone, Crew
from probe.backends.inner import CELLS
from probe.errors import ImageError, LimitReached, UsageError
from probe.image import encode, scale
from probe.prober import Prober
from probe.result import Result
from probe.scoring import Scored
from probe.text import printable
from probe.types import Codec, Region, Scores

T = TypeVar("T")

MEMBERS = 3
"""Pictures that a cluster is of, at least."""
ENOUGH = 12
"""Answers from which the map of a run that was stopped is used."""
AT_ONCE = 16
SHOWN = 480
"""Longest side of the copies that excerpts for people are cut from."""
LISTED = 20
"""Pictures that could not be used are named, up to so many."""

Watch = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and how much there is."""


def audit(
    prober: Prober,
    items: Iterable[Item],
    wishes: Wishes = Wishes(),  # noqa: B008
    *,
    crew: Crew | None = None,
    seen: Callable[[Item, Scored], object] = lambda item, scored: None,
    watch: Watch = lambda stage, done, total: None,
) -> Audit:
    """Find what a service keys on over many pictures, and test it.

    prober: made with repeats=0, for every picture is asked many times anyway, and with
    through=crew.through where a crew works. items: gone through several times. crew: who runs
    networks and looks at pictures; this process alone by default. seen: called with the score of
    each picture. watch: called on the way.

    Features are found in the pictures that are probed, and tested in others: there they are
    recognised by their look alone, and covered. At a cap the audit reports on what there is, and
    says so in `stopped`. Raises UsageError without a picture that has a score; what Prober.probe
    raises; MissingExtra without scikit-learn, onnx or the default network.
    """
    course = _Course(prober, items, wishes, crew or Alone(), seen, watch)
    course.run()
    return course.found


@dataclass
class _Course:
    prober: Prober
    items: Iterable[Item]
    wishes: Wishes
    crew: Crew
    seen: Callable[[Item, Scored], object]
    watch: Watch
    found: Audit = field(init=False)
    board: choosing.Board = field(default_factory=choosing.Board)

    def __post_init__(self) -> None:
        self.found = Audit(self.wishes)
        self.sight = Sight(1 if self.crew.threads > 1 else None)
        self.rng = np.random.default_rng(self.wishes.seed)

    def run(self) -> None:
        found = self.found
        found.label = self.wishes.label or self.prober.backend.limits.question or ""
        check()
        self.sight.check()
        self._score()
        limits = self.prober.backend.limits
        found.identity = self.prober.backend.identity
        known = self.board.known
        if not len(known):
            raise found.stopped or UsageError(_unscored(found))
        probed = self._probe()
        found.regions = sum(len(one.regions) for one in probed)
        groups, vectors = self._grouped(probed)
        groups = groups[: self.wishes.features]
        others, samples = self._look([group.detector for group in groups], probed)
        trials = self._test(groups, probed, others)
        truthful = all(found.truths)
        describer = Describer(probed, vectors, others, samples, self.board, limits.seen, truthful)
        found.features = describer.features(groups, trials, self.wishes.seed)

    def _score(self) -> None:
        found = self.found
        waiting: deque[Item] = deque()
        scoring = self.prober.scoring(_sources(self.items, waiting))
        for scored in _whole(scoring, found):
            item = waiting.popleft()
            outcome, score = scored.outcome, float("nan")
            if isinstance(outcome, Scores):
                found.label = found.label or max(outcome, key=outcome.__getitem__)
                missing = self.prober.backend.limits.missing
                score = outcome.get(found.label, float("nan") if missing is None else missing)
            else:
                self._failed(item.name, outcome.message)
            self.board.add(score, item.truth, scored.digest or "")
            self.seen(item, scored)
            found.pictures += 1
            self.watch("scoring", found.pictures, 0)
        tally = scoring.tally
        found.calls, found.cost, found.currency = tally.calls, tally.cost, tally.currency
        known = self.board.known
        scores, truths = np.array(self.board.scores), np.array(self.board.truths)
        found.scored = int((~np.isnan(scores)).sum())
        found.repeated = found.scored - len(known)
        found.flagged = int((scores[known] >= self.wishes.threshold).sum())
        found.truths = int((truths[known] == 0).sum()), int((truths[known] == 1).sum())

    def _failed(self, name: str, why: str) -> None:
        self.found.failed += 1
        if len(self.found.failures) < LISTED:
            self.found.failures.append((name, why))

    def _picked(self, indexes: Iterable[int]) -> dict[int, Item]:
        wanted = set(indexes)
        return {n: item for n, item in enumerate(self.items) if n in wanted}

    def _probe(self) -> list[Probed]:
        wishes, found = self.wishes, self.found
        picks = dict(choosing.chosen(self.board, wishes.pictures, wishes.threshold, self.rng))
        items = self._picked(picks)
        cases = [
            Case(n, items[n].name, items[n].source, self.board.scores[n], items[n].truth, picks[n])
            for n in picks
        ]
        found.cases = cases
        probed: list[Probed] = []
        for case, result in self._all(self._map, cases, "probing"):
            if result is not None and result.image is not None and len(result.answers) >= ENOUGH:
                parts = regions(result.heatmap(), CELLS)
                copy = encode(scale(result.image, SHOWN), Codec("jpeg", 85))
                probed.append(Probed(case, thumbnail(result.image), copy, parts))
        found.probed = len(probed)
        return probed

    def _map(self, case: Case) -> Result:
        return self.prober.probe(case.source, self.found.label, budget=self.wishes.budget)

    def _all(
        self, work: Callable[[T], Result], jobs: Sequence[T], stage: str
    ) -> Iterator[tuple[T, Result | None]]:
        """Each job with what is known of it; a cap is noted, and ends none of this."""
        wanted = max(2, 2 * self.prober.backend.limits.concurrency, self.crew.threads)
        done = side_by_side(work, jobs, min(AT_ONCE, wanted))
        try:
            for n, (job, outcome) in enumerate(done, 1):
                result = outcome if isinstance(outcome, Result) else outcome.partial
                if result is not None:
                    self._book(result)
                elif isinstance(outcome, ImageError | UsageError):
                    self._failed(getattr(job, "name", ""), str(outcome))
                self.watch(stage, n, len(jobs))
                yield job, result
        except LimitReached as error:
            self.found.stopped = self.found.stopped or error

    def _book(self, result: Result) -> None:
        found = self.found
        found.calls += result.calls
        if result.cost is not None:
            found.cost, found.currency = (found.cost or 0.0) + result.cost, result.currency

    def _grouped(self, probed: Sequence[Probed]) -> tuple[list[Cluster], list[Floats]]:
        if not any(one.regions for one in probed):
            return [], []
        cells = list(self._watched(self.crew.map(self.sight, (one.small for one in probed))))
        masks = [_evident(one.regions) for one in probed]
        space = Space.fit(cells, masks, self.wishes.seed)
        vectors = [space(one) for one in cells]
        pictures = [n for n, one in enumerate(probed) for _ in one.regions]
        cores = [part.core for one in probed for part in one.regions]
        return clusters(space, vectors, pictures, cores, MEMBERS), vectors

    def _watched(self, cells: Iterable[Cells]) -> Iterator[Cells]:
        for n, one in enumerate(cells, 1):
            self.watch("describing", n, self.found.probed)
            yield one

    def _look(
        self, detectors: Sequence[Detector], probed: Sequence[Probed]
    ) -> tuple[list[Other], tuple[set[int], set[int]]]:
        """Random pictures of each kind, and of the others those with the highest scores."""
        wishes = self.wishes
        without, within = choosing.looked_at(self.board, wishes.looked, wishes.threshold, self.rng)
        samples = set(map(int, without)), set(map(int, within))
        if not detectors:
            return [], samples
        known = self.board.known
        ranked = known[np.argsort(-np.array(self.board.scores)[known], kind="stable")]
        used = {one.case.index for one in probed}
        high = [int(n) for n in ranked if int(n) not in used][: wishes.looked // 2]
        items = self._picked({*samples[0], *samples[1], *high})
        found: list[Other] = []
        for one in looked_at(self.prober, items, detectors, self.sight, self.crew):
            found.append(one)
            self.watch("looking", len(found), len(items))
        self.found.looked = len(found)
        return found, samples

    def _test(
        self, groups: Sequence[Cluster], probed: Sequence[Probed], others: Sequence[Other]
    ) -> list[list[Trial]]:
        """In pictures that were not probed and have the feature, the highest scores first."""
        seen = self.prober.backend.limits.seen
        used = {one.case.index for one in probed}
        jobs: list[_Job] = []
        free = [one for one in others if one.index not in used]
        for n, group in enumerate(groups):
            having = [one for one in free if group.detector.finds(one.spots[n])]
            having.sort(key=lambda one: -self.board.scores[one.index])
            for one in having[: self.wishes.places]:
                box = effects.placed(one.spots[n].box, seen)
                rng = np.random.default_rng((self.wishes.seed, n, one.index))
                other = effects.control(box, seen, rng)
                if other is not None:
                    jobs.append(_Job(n, one.index, one.item.name, one.item.source, box, other))
        trials: list[list[Trial]] = [[] for _ in groups]
        for job, result in self._all(self._cover, jobs, "testing"):
            if result is not None:
                found = effects.trial(job.index, job.name, result, job.box, job.control)
                trials[job.feature] += [found] if found else []
        return trials

    def _cover(self, job: _Job) -> Result:
        method = effects.covers(job.box, job.control)
        return self.prober.probe(job.source, self.found.label, method, budget=3)


@dataclass(frozen=True, slots=True)
class _Job:
    feature: int
    index: int
    name: str
    source: object
    box: Region
    control: Region


def _sources(items: Iterable[Item], waiting: deque[Item]) -> Iterator[object]:
    """What is to be opened, while the rest of each waits for its score."""
    for item in items:
        waiting.append(replace(item, source=None))
        yield item.source


def _unscored(found: Audit) -> str:
    why = [f": {printable(name, 200)}: {printable(said, 300)}" for name, said in found.failures[:1]]
    return "".join(["none of the pictures got a score", *why])


def _whole(scoring: Iterable[Scored], found: Audit) -> Iterator[Scored]:
    """All that was scored before a cap."""
    try:
        yield from scoring
    except LimitReached as error:
        found.stopped = error


def _evident(parts: Sequence[Evidence]) -> NDArray[np.bool_]:
    found = np.zeros((CELLS, CELLS), bool)
    for part in parts:
        found |= part.core > 0
    return found
