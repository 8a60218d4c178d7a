"""Pictures in a row as what the one loop runs: what it asks, sends and knows them by."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import inf
from os import cpu_count
from typing import Any, Literal

from probe.errors import ImageError, UsageError
from probe.image import Picture
from probe.ledger import Question
from probe.perturb import Renderer
from probe.plan import Run
from probe.result import Answer
from probe.types import Failure, Identity, Perturbation, Scores, Variant

AHEAD = min(4, cpu_count() or 1)
"""Pictures that are opened side by side, before their turn."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What was said of one picture.

    index: its place in the list, from 0. digest, size: of its pixels, None of a file that could
    not be opened as a picture. outcome: its scores, or why there are none. source: `sent` in this
    run, known to the `ledger`, or `none` for what was never asked.
    """

    index: int
    digest: str | None
    size: tuple[int, int] | None
    outcome: Scores | Failure
    source: Literal["sent", "ledger", "none"]


@dataclass(frozen=True)
class _Page:
    """A picture made ready, at the size that is sent alone."""

    index: int
    digest: str
    size: tuple[int, int]
    question: Question
    renderer: Renderer


@dataclass
class Album:
    """A sampler of unchanged pictures, their renderer, and their questions.

    sources: what `open_picture` opens, which raises ImageError or UsageError for what is none.
    prepare: fits a picture to the backend. The n-th picture that opens is Identity(repeat=n).
    Only those that are on their way are held, at the size that is sent.
    """

    sources: Iterable[Any]
    open_picture: Callable[[Any], Picture]
    prepare: Callable[[Picture], Run]
    start: int = 0
    _pages: dict[int, _Page] = field(default_factory=dict)
    _refused: dict[int, Failure] = field(default_factory=dict)
    _asked: int = 0
    _read: int = 0

    def __post_init__(self) -> None:
        self._opened = _ahead(self._page, enumerate(self.sources, self.start))

    def ask(self, n: int) -> Sequence[Perturbation]:
        found: list[Perturbation] = []
        while len(found) < n and (page := next(self._opened, None)) is not None:
            if isinstance(page, _Page):
                self._pages[self._asked] = page
                found.append(Identity(repeat=self._asked))
                self._asked += 1
            else:
                self._refused.update(page)
        return found

    def tell(self, perturbation: Perturbation, answer: Scores | Failure) -> None:
        """Nothing hangs on an answer."""

    def question(self, perturbation: Perturbation) -> Question:
        return self._page_of(perturbation).question

    def changes(self, perturbation: Perturbation) -> bool:
        return True

    def variant(self, perturbation: Perturbation) -> Variant:
        return self._page_of(perturbation).renderer.variant(Identity())

    def scored(self, answers: Sequence[Answer]) -> Iterator[Scored]:
        """What is new among the answers, behind what was refused before it in the list."""
        for answer in answers[self._read :]:
            page = self._pages.pop(_number(answer.perturbation))
            self._read += 1
            yield from self.refused(page.index)
            source: Literal["sent", "ledger"] = "sent" if answer.source == "sent" else "ledger"
            yield Scored(page.index, page.digest, page.size, answer.outcome, source)

    def refused(self, before: float = inf) -> Iterator[Scored]:
        """What could not be opened, of the list's places below `before`."""
        for index in sorted(index for index in self._refused if index < before):
            yield Scored(index, None, None, self._refused.pop(index), "none")

    def _page(self, item: tuple[int, Any]) -> _Page | Mapping[int, Failure]:
        index, source = item
        try:
            picture = self.open_picture(source)
        except (ImageError, UsageError) as error:
            return {index: Failure("invalid", str(error))}
        try:
            run = self.prepare(picture)
        except ImageError as error:
            return {index: Failure("invalid", str(error))}
        renderer = Renderer(run.renderer.base, run.canvas, run.renderer.fill)
        question = run.question(Identity())
        return _Page(index, picture.digest, picture.image.size, question, renderer)

    def _page_of(self, perturbation: Perturbation) -> _Page:
        return self._pages[_number(perturbation)]


def _number(perturbation: Perturbation) -> int:
    assert isinstance(perturbation, Identity)
    return perturbation.repeat


def _ahead(work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """What `work` makes of the items, in their order, a few of them at work before their turn."""
    with ThreadPoolExecutor(AHEAD, "probe-open") as pool:
        waiting: deque[Future[Any]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
