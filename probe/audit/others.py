"""Pictures that had no part in finding the features, looked at for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from PIL import Image

from probe.audit.likeness import Detector, Spot
from probe.audit.records import Item
from probe.audit.sight import Sight, thumbnail
from probe.audit.workers import Crew
from probe.errors import ProbeError
from probe.prober import Prober


@dataclass(frozen=True, slots=True)
class Other:
    """index: its place in the list. spots: of each detector, where it is most like it."""

    index: int
    item: Item
    spots: list[Spot]


def looked_at(
    prober: Prober,
    items: dict[int, Item],
    detectors: Sequence[Detector],
    sight: Sight,
    crew: Crew,
) -> Iterator[Other]:
    """Each picture that can still be opened, by its place in the list."""
    work = partial(_spots, sight, tuple(detectors))
    for index, spots in crew.map(work, _readable(prober, items)):
        yield Other(index, items[index], spots)


def _readable(prober: Prober, items: dict[int, Item]) -> Iterator[tuple[int, Image.Image]]:
    """Thumbnails of those that can still be opened."""
    for n, item in items.items():
        with suppress(ProbeError):
            yield n, thumbnail(prober.opened(item.source).image)


def _spots(
    sight: Sight, detectors: Sequence[Detector], picture: tuple[int, Image.Image]
) -> tuple[int, list[Spot]]:
    """Runs in a worker."""
    index, small = picture
    vectors = detectors[0].space(sight(small))
    return index, [detector.best(vectors) for detector in detectors]
