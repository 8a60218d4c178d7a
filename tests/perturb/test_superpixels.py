"""Superpixels, and the two designs that switch them on and off."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label

from probe.errors import MissingExtra, UsageError
from probe.perturb import canonical, cells, kernelshap, lime, opacity
from probe.perturb.superpixels import mask, superpixels
from probe.testing.samplers import check_sampler
from probe.types import Box, Canvas, Mask, Scene

CANVAS = Canvas((96, 64), (96, 64), 8)
EMPTY = Box(0, 0, 1, 1)
DESIGNS = [lime, kernelshap]


def scene(size=(96, 64), grid=8, picture=None):
    return Scene(Canvas(size, size, grid), "x", None if picture is None else lambda: picture)


def parts(plan):
    """The superpixels that the masks of a plan are made of, (rows, columns), and which of them
    each mask covers, (superpixels, masks)."""
    masks = [one for one in plan if isinstance(one, Mask)]
    covers = np.stack([np.frombuffer(one.cells, np.uint8) > 0 for one in masks])
    patterns, labels = np.unique(covers, axis=1, return_inverse=True)
    return labels.reshape(masks[0].rows, masks[0].columns), patterns.T


@pytest.mark.parametrize("make", DESIGNS)
@pytest.mark.parametrize("size", [(96, 64), (3, 2), (1, 1), (500, 1), (224, 224)])
def test_they_keep_the_contract_of_samplers(make, size):
    check_sampler(lambda seed: make(scene(size, 1), 63, seed), budget=63)


@pytest.mark.parametrize("grid", [1, 8])
def test_superpixels_are_numbered_cover_all_cells_and_are_no_more_than_asked(grid):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).resize((300, 200))
    for segments in (2, 3, 7, 16, 50):
        found = superpixels(scene((300, 200), grid, picture), segments, 10.0)
        columns, rows = cells(Canvas((300, 200), (300, 200), grid), 64)
        assert found.shape == (rows, columns)
        assert sorted(set(found.ravel())) == list(range(found.max() + 1))
        assert segments / 2 <= found.max() + 1 <= segments


def test_superpixels_follow_the_edges_of_the_picture():
    picture = Image.new("RGB", (192, 192), "black")
    picture.paste("white", (48, 48, 144, 144))
    found = superpixels(scene((192, 192), 8, picture), 9, 10.0)
    inside = np.zeros(found.shape, bool)
    inside[6:18, 6:18] = True
    assert not set(found[inside]) & set(found[~inside])


def test_without_a_picture_they_are_a_regular_grid():
    found = superpixels(scene((160, 160), 1), 16, 10.0)
    sizes = np.bincount(found.ravel())
    assert len(sizes) == 16
    assert sizes.max() <= 1.6 * sizes.min()
    for n in range(16):
        assert label(found == n)[1] == 1


@pytest.mark.parametrize("make", DESIGNS)
def test_masks_cover_whole_superpixels_on_the_grid_of_the_codec(make):
    plan = make(scene(), 63, 0).ask(999)
    labels, covered = parts(plan)
    wanted = superpixels(scene(), 15, 10.0)
    for n in range(wanted.max() + 1):
        assert len(set(labels[wanted == n])) == 1
    assert len(covered) == wanted.max() + 1
    for one in plan[1:]:
        blocks = opacity(one, CANVAS).reshape(8, 8, 12, 8)
        assert (blocks == blocks[:, :1, :, :1]).all()


@pytest.mark.parametrize("make", DESIGNS)
def test_the_same_seed_is_the_same_plan_and_no_mask_comes_twice(make):
    plans = [make(scene(), 63, seed).ask(999) for seed in (0, 0, 1)]
    assert plans[0] == plans[1] != plans[2]
    assert len({canonical(one, CANVAS) for one in plans[0]}) == len(plans[0]) == 63


def test_lime_shows_each_superpixel_half_of_the_time():
    _, covered = parts(lime(scene((160, 160), 1), 2000, 0, segments=16).ask(9999))
    assert len(covered) == 16
    assert covered.mean(1) == pytest.approx(np.full(16, 0.5), abs=0.04)
    assert np.corrcoef(covered)[np.triu_indices(16, 1)] == pytest.approx(np.zeros(120), abs=0.1)


def test_kernelshap_asks_the_empty_picture_once_and_then_pairs_of_complements():
    plan = kernelshap(scene(), 63, 0).ask(999)
    assert plan.count(EMPTY) == 1
    assert plan[0] == EMPTY
    for one, other in zip(plan[1::2], plan[2::2], strict=True):
        assert (opacity(one, CANVAS) ^ opacity(other, CANVAS) == 255).all()


def test_kernelshap_draws_sizes_as_the_shapley_kernel_weighs_them():
    wide = scene((160, 160), 1)
    _, covered = parts(kernelshap(wide, 3001, 0, segments=16).ask(9999))
    sizes = np.bincount(covered.sum(0), minlength=17)
    k = np.arange(1, 16)
    kernel = 1 / (k * (16 - k))
    # the sizes that are exhausted (16 of one, 16 of fifteen, 120 of two ...) are complete
    assert sizes[1] == sizes[15] == 16
    assert sizes[0] == sizes[16] == 0
    free = slice(4, 12)
    assert sizes[1:16][free] / sizes[1:16][free].sum() == pytest.approx(
        kernel[free] / kernel[free].sum(), abs=0.03
    )


def test_kernelshap_ends_with_all_coalitions_where_the_budget_bears_them():
    plan = kernelshap(scene((160, 160), 1), 500, 0, segments=4).ask(9999)
    _, covered = parts(plan)
    assert len(plan) == 2**4 - 1
    assert len({tuple(column) for column in covered.T}) == 2**4 - 2


@pytest.mark.parametrize(
    ("make", "budget", "options", "message"),
    [
        (kernelshap, 20, {"segments": 16}, r"16 superpixels need 31 answers beside the reference "
         r"and the budget leaves 20: raise it by 11, or take at most 10 segments"),
        (lime, 12, {"segments": 16}, "16 superpixels need 16 .* raise it by 4, or take at most 12"),
        (kernelshap, 2, {}, "2 superpixels need 3 .* raise it by 1$"),
        (lime, 1, {}, "2 superpixels need 2 .* raise it by 1$"),
        (lime, 63, {"segments": 1}, "segments must be a whole number from 2 to 200, not 1"),
        (lime, 63, {"segments": 201}, "segments"),
        (lime, 63, {"compactness": 0}, "compactness must be above 0"),
        (kernelshap, 63, {"compactness": float("nan")}, "compactness"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused_before_a_call(make, budget, options, message):
    with pytest.raises(UsageError, match=message):
        make(scene((160, 160), 1), budget, 0, **options)


@pytest.mark.parametrize("make", DESIGNS)
@pytest.mark.parametrize("budget", [4, 15, 31, 63, 255])
def test_by_default_the_budget_decides_how_many(make, budget):
    plan = make(scene((160, 160), 1), budget, 0).ask(9999)
    assert len(plan) <= budget
    assert len(parts(plan)[1]) <= 50


@pytest.mark.parametrize("make", DESIGNS)
@pytest.mark.parametrize("module", ["skimage", "sklearn"])
def test_without_the_extra_the_plan_says_what_to_install(make, module, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "probe.perturb.superpixels.find_spec", lambda name: None if name == module else find(name)
    )
    with pytest.raises(MissingExtra, match=r"pip install 'image-api-probe\[segments\]'"):
        make(scene(), 63, 0)


@pytest.mark.parametrize(
    "code",
    ["import probe.prober", "from probe.cli import main\nmain(['occlude', '--help'])"],
)
def test_the_extra_is_imported_when_needed(code):
    check = f"try:\n {code.replace(chr(10), chr(10) + ' ')}\nexcept SystemExit: pass\n" + (
        "import sys\nprint('heavy:', *{'skimage', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "heavy:"


def test_a_mask_shows_what_it_is_told_to():
    labels = np.array([[0, 1], [0, 2]])
    found = mask(labels, np.array([True, False, True]))
    assert list(found.cells) == [0, 255, 0, 0]
    assert (found.columns, found.smooth) == (2, False)
