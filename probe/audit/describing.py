"""What is said of each cluster: its look, what it does, how common it is and where it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from probe.audit import effects, looks
from probe.audit.choosing import Board
from probe.audit.likeness import Cluster, Floats, Spot, heart_of
from probe.audit.others import Other
from probe.audit.records import Case, Effect, Exemplar, Feature, Trial
from probe.audit.regions import Evidence
from probe.evaluate.interval import Estimate, wilson
from probe.image import decode
from probe.types import Region

LISTED = 20
"""Pictures that have a feature and lack the label, up to so many."""


@dataclass(frozen=True, eq=False)
class Probed:
    """A picture with its map's regions. small: as it is looked at. copy: to be shown, as JPEG."""

    case: Case
    small: Image.Image
    copy: bytes
    regions: list[Evidence]


@dataclass(frozen=True, eq=False)
class Describer:
    """probed: the pictures that the clusters are of, `vectors` of each. others: those that were
    looked at; samples: which of them were drawn at random, without and with the label. truthful:
    whether that is the truth, not the service's own word."""

    probed: Sequence[Probed]
    vectors: Sequence[Floats]
    others: Sequence[Other]
    samples: tuple[set[int], set[int]]
    board: Board
    seen: Region
    truthful: bool

    def features(
        self, groups: Sequence[Cluster], trials: Sequence[Sequence[Trial]], seed: int
    ) -> list[Feature]:
        """The claimed ones first, the largest sure drop first."""
        results = effects.effects(trials, seed)
        order = sorted(range(len(groups)), key=lambda n: _rank(results[n]))
        return [
            self._feature(number, n, groups[n], results[n]) for number, n in enumerate(order, 1)
        ]

    def _feature(self, number: int, n: int, group: Cluster, effect: Effect | None) -> Feature:
        """n: which of the spots of each picture is the group's."""
        members = self._members(group)
        spots = [
            group.detector.best(self.vectors[one], heart_of(part.core)) for one, part in members
        ]
        without, within = (self._share(n, group, sample) for sample in self.samples)
        claimed = effects.is_claimed(effect)
        return Feature(
            number,
            looks.look([self.probed[one].small for one, _ in members], spots),
            [
                Exemplar(self.probed[one].case, spot.box, part.strength, self._shown(one, spot))
                for (one, part), spot in zip(members, spots, strict=True)
            ],
            effect,
            claimed,
            without,
            within,
            _missing(without, within) if claimed and self.truthful else None,
            self._lacking(n, group),
        )

    def _shown(self, one: int, spot: Spot) -> Image.Image:
        return looks.excerpt(decode(self.probed[one].copy), spot.box)

    def _members(self, group: Cluster) -> list[tuple[int, Evidence]]:
        """Place of the picture and its strongest region, the strongest evidence first."""
        flat = [(n, part) for n, one in enumerate(self.probed) for part in one.regions]
        ranked = sorted((flat[m] for m in group.members), key=lambda one: one[1].strength)
        return sorted(dict(ranked).items(), key=lambda one: -one[1].strength)

    def _having(self, n: int, group: Cluster, sample: set[int]) -> list[Other]:
        drawn = (one for one in self.others if one.index in sample)
        return [one for one in drawn if group.detector.finds(one.spots[n])]

    def _share(self, n: int, group: Cluster, sample: set[int]) -> Estimate:
        of = sum(one.index in sample for one in self.others)
        return wilson(len(self._having(n, group, sample)), of)

    def _lacking(self, n: int, group: Cluster) -> list[tuple[str, float, Region]]:
        scores = self.board.scores
        having = self._having(n, group, self.samples[0])
        having.sort(key=lambda one: -scores[one.index])
        return [
            (one.item.name, scores[one.index], effects.placed(one.spots[n].box, self.seen))
            for one in having[:LISTED]
        ]


def _rank(effect: Effect | None) -> tuple[bool, float]:
    """Claimed ones first, by the low end of the drop; then by how likely they are."""
    if effect is None:
        return True, 2.0
    if effects.is_claimed(effect):
        return False, -(effect.drop.low or 0.0)
    return True, effect.adjusted


def _missing(without: Estimate, within: Estimate) -> float | None:
    """Of 1,000 pictures without the label, how many more would have it if it were as common."""
    p, q = without.value, within.value
    return None if p is None or q is None else 1000 * max(0.0, q - p)
