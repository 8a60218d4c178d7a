"""Which regions are alike, and where else such a thing stands.

Cells are described relative to what is usual: whitened by the covariance of cells without
evidence, so that what is rare in the pictures weighs much and their common ground nothing
(Hariharan, Malik and Ramanan, "Discriminative Decorrelation for Clustering and Classification",
ECCV 2012). That regions of evidence are clustered and then tested follows Ghorbani, Wexler, Zou
and Kim, "Towards Automatic Concept-based Explanations", NeurIPS 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.audit.sight import Cells
from probe.backends.inner import CELLS, CHANNELS
from probe.errors import MissingExtra
from probe.types import Region

Floats = NDArray[np.float32]

COMPONENTS = 24
"""Principal components of the layer that are kept."""
SMOOTH = 3
"""A cell is described by the mean of so many by so many around it."""
SAMPLE = 20_000
"""Cells that the space is fitted to, at most."""
APART = 0.5
"""Clusters are merged up to this mean cosine distance."""
HEART = 0.2
"""Of a region's cells those count that belong to it by this share of the most."""
COSINE = 0.5
"""A cell is like a cluster where its cosine with it is at least this."""
PRESENT = 0.6
"""... and goes as far along it as this share of what its members do, in the middle."""
ROUNDS = 3
MARGIN = 2
"""Cells around what is found that belong to its box: a cell tells of its neighbours, too."""


def check() -> None:
    """Raise MissingExtra without scikit-learn."""
    if find_spec("sklearn") is None:
        raise MissingExtra("scikit-learn", "audit")


@dataclass(frozen=True)
class Space:
    """Cells to vectors in which the usual has no direction. float32 throughout."""

    mean: Floats
    scale: Floats
    components: Floats
    centre: Floats
    whiten: Floats

    @classmethod
    def fit(cls, seen: Sequence[Cells], evidence: Sequence[NDArray[np.bool_]], seed: int) -> Space:
        """seen: of pictures. evidence: (CELLS, CELLS) of each, where it has some."""
        from sklearn.covariance import LedoitWolf
        from sklearn.decomposition import PCA

        flat = np.concatenate([cells.reshape(-1, cells.shape[-1]) for cells in seen])
        mean, scale = flat.mean(axis=0), flat.std(axis=0) + 1e-6
        rng = np.random.default_rng(seed)
        some = flat[rng.permutation(len(flat))[:SAMPLE]]
        layer = ((some - mean) / scale)[:, :CHANNELS]
        with np.errstate(invalid="ignore"):  # cells that are all equal vary in nothing
            pca = PCA(min(COMPONENTS, len(layer)), svd_solver="full").fit(layer)
        share = np.sqrt(pca.explained_variance_.sum()) or 1.0
        plain = cls(
            mean, scale, _f4(pca.components_ / share), np.zeros(1, "f4"), np.eye(1, dtype="f4")
        )
        usual = np.concatenate(
            [plain.smoothed(cells)[~mask] for cells, mask in zip(seen, evidence, strict=True)]
        )
        usual = usual[rng.permutation(len(usual))[:SAMPLE]]
        fitted = LedoitWolf().fit(usual)
        values, vectors = np.linalg.eigh(fitted.covariance_)
        whiten = vectors / np.sqrt(np.maximum(values, 1e-9))
        return cls(mean, scale, plain.components, fitted.location_.astype("f4"), _f4(whiten))

    def smoothed(self, cells: Cells) -> Floats:
        """(CELLS, CELLS, components + 6)."""
        from scipy.ndimage import uniform_filter

        scaled = (cells - self.mean) / self.scale
        layer = scaled[..., :CHANNELS] @ self.components.T
        colours = scaled[..., CHANNELS:] / np.sqrt(cells.shape[-1] - CHANNELS)
        joined = np.concatenate([layer, colours], axis=-1)
        return _f4(uniform_filter(joined, (SMOOTH, SMOOTH, 1), mode="nearest"))

    def __call__(self, cells: Cells) -> Floats:
        """(CELLS, CELLS, d), of mean 0 and covariance 1 where nothing is."""
        return _f4((self.smoothed(cells) - self.centre) @ self.whiten)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in a picture something is most like a cluster. score: how far along its direction.
    peak: x, y of the likest cell. box: around it and what goes half as far. In fractions."""

    score: float
    peak: tuple[float, float]
    box: Region


@dataclass(frozen=True)
class Detector:
    """Finds in a picture what a cluster's members have in common.

    direction: unit vector of the space. present: how far along it a cell has to go. reach: how far
    the evidence of the members reaches from their peaks, in the middle: left, up, right and down,
    in fractions of the picture.
    """

    space: Space
    direction: Floats
    present: float
    reach: Region = (0.0, 0.0, 0.0, 0.0)

    def scores(self, vectors: Floats) -> Floats:
        """(CELLS, CELLS): how far each cell goes along the direction; 0 where it points away."""
        along = vectors @ self.direction
        lengths = np.linalg.norm(vectors, axis=-1) + 1e-9
        return _f4(np.where(along >= COSINE * lengths, np.maximum(along, 0), 0))

    def best(self, vectors: Floats, within: NDArray[np.bool_] | None = None) -> Spot:
        """The spot with the highest score. within: (CELLS, CELLS), where its peak has to lie.

        Its box holds what is alike and what the members' evidence reaches over: a thing need not
        look the same all over.
        """
        from scipy.ndimage import label

        scores = self.scores(vectors)
        peaks = scores if within is None else np.where(within, scores, -1)
        row, column = np.unravel_index(int(peaks.argmax()), scores.shape)
        top = float(scores[row, column])
        parts, _ = label(scores >= max(top / 2, 1e-6))
        rows, columns = np.nonzero(parts == parts[row, column] if top else parts == -1)
        if not len(rows):
            rows, columns = np.array([row]), np.array([column])
        x0, x1 = columns.min() - MARGIN, columns.max() + 1 + MARGIN
        y0, y1 = rows.min() - MARGIN, rows.max() + 1 + MARGIN
        peak = (float(column) + 0.5) / CELLS, (float(row) + 0.5) / CELLS
        ends = [edge + by for edge, by in zip(peak * 2, self.reach, strict=True)]
        alike = [edge / CELLS for edge in (x0, y0, x1, y1)]
        first = [max(0.0, min(pair)) for pair in zip(alike[:2], ends[:2], strict=True)]
        last = [min(1.0, max(pair)) for pair in zip(alike[2:], ends[2:], strict=True)]
        return Spot(top, peak, (float(first[0]), float(first[1]), float(last[0]), float(last[1])))

    def finds(self, spot: Spot) -> bool:
        return spot.score >= self.present


@dataclass(frozen=True)
class Cluster:
    """members: numbers of the regions. detector: finds the like."""

    members: tuple[int, ...]
    detector: Detector


def clusters(
    space: Space,
    vectors: Sequence[Floats],
    pictures: Sequence[int],
    cores: Sequence[Floats],
    least: int,
) -> list[Cluster]:
    """Regions that are alike, in at least `least` pictures each; the largest first.

    vectors: (CELLS, CELLS, d) of each picture. pictures: in which of them each region lies.
    cores: (CELLS, CELLS) of each region. What is alike to no other is in no cluster.
    """
    if len(cores) < least:
        return []
    hearts = [heart_of(core) for core in cores]
    inside = [vectors[n][heart] for n, heart in zip(pictures, hearts, strict=True)]
    rarest = np.stack([some[np.argmax((some**2).sum(axis=1))] for some in inside])
    found: list[Cluster] = []
    for members in sorted(_alike(rarest), key=lambda members: -len(members)):
        detector = _detector(space, [inside[n] for n in members], rarest[members])
        own = Cluster(tuple(map(int, members)), detector)
        same = next((one for one in found if _covers(one, own, vectors, pictures, hearts)), None)
        if same is None:
            found.append(own)
        else:
            found[found.index(same)] = Cluster((*same.members, *own.members), same.detector)
    return [
        replace(one, detector=_reaching(one, vectors, pictures, cores))
        for one in found
        if len({pictures[n] for n in one.members}) >= least
    ]


def _reaching(
    one: Cluster, vectors: Sequence[Floats], pictures: Sequence[int], cores: Sequence[Floats]
) -> Detector:
    found = []
    for n in one.members:
        x, y = one.detector.best(vectors[pictures[n]], heart_of(cores[n])).peak
        rows, columns = np.nonzero(cores[n] > 0)
        edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        found.append(np.array(edges) / CELLS - (x, y, x, y))
    left, up, right, down = map(float, np.median(found, axis=0))
    return replace(one.detector, reach=(left, up, right, down))


def heart_of(core: Floats) -> NDArray[np.bool_]:
    """(CELLS, CELLS): the cells that count, of how much each belongs to a region."""
    heart: NDArray[np.bool_] = core >= HEART * core.max()
    return heart


def _covers(
    one: Cluster,
    other: Cluster,
    vectors: Sequence[Floats],
    pictures: Sequence[int],
    hearts: Sequence[NDArray[np.bool_]],
) -> bool:
    """Whether one finds its like at most places where the other found its own."""
    spots = [one.detector.best(vectors[pictures[n]], hearts[n]) for n in other.members]
    return 2 * sum(map(one.detector.finds, spots)) >= len(spots)


def _alike(rows: Floats) -> list[NDArray[np.intp]]:
    from sklearn.cluster import AgglomerativeClustering

    some = np.flatnonzero(rows.any(axis=1))  # what is as usual is alike to nothing
    if len(some) < 2:
        return [some] if len(some) else []
    model = AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=APART
    )
    labels = model.fit_predict(rows[some])
    return [some[labels == label] for label in np.unique(labels)]


def _detector(space: Space, hearts: Sequence[Floats], chosen: Floats) -> Detector:
    """Each member is known by the cell of its heart that is most like the others'."""
    direction = _unit(chosen.mean(axis=0))
    for _ in range(ROUNDS):
        chosen = np.stack([heart[np.argmax(heart @ direction)] for heart in hearts])
        direction = _unit(chosen.mean(axis=0))
    middle = float(np.median(chosen @ direction))
    return Detector(space, direction, PRESENT * middle)


def _unit(vector: Floats) -> Floats:
    return _f4(vector / (np.linalg.norm(vector) + 1e-9))


def _f4(values: NDArray[Any]) -> Floats:
    found: Floats = values.astype(np.float32)
    return found
