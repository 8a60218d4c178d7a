"""Signals back to the pixels: by hand, by property, and beside captum's own."""

import captum.attr
import numpy as np
import pytest
import torch
from torch import nn

from probe.errors import UsageError
from probe.image import open_image
from probe.inside import signals
from probe.inside.frame import frame
from tests.inside.nets import white_box

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class OneLayer(nn.Module):
    """Red alone through a filter [1, -1] and a rectifier, max-pooled by two; two classes."""

    def __init__(self, weights=((1.0, 1.0), (1.0, -1.0))):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, (1, 2), bias=False)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d((1, 2))
        self.last = nn.Linear(2, 2, bias=False)
        self.conv.weight.data = torch.zeros(1, 3, 1, 2)
        self.conv.weight.data[0, 0, 0] = torch.tensor([1.0, -1.0])
        self.last.weight.data = torch.tensor(weights)

    def forward(self, x):
        return self.last(self.pool(self.relu(self.conv(x)))[:, :, 0].flatten(1))


X = torch.zeros(1, 3, 1, 5)
X[0, 0, 0] = torch.tensor([5.0, 3.0, 4.0, 1.0, 2.0])
# filter: 2, -1, 3, -1; rectified 2, 0, 3, 0; pooled: 2 from place 0, 3 from place 2


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (0, [1, -1, 1, -1, 0]),  # both switches carry 1
        (1, [1, -1, 0, 0, 0]),  # the second carries -1, which the rectifier stops
    ],
)
def test_a_deconvolution_network_by_hand(target, expected):
    network = white_box(OneLayer(), 5)
    found = signals.deconvnet(network, X, target)
    assert found[0, 0, 0].tolist() == expected
    assert not found[0, 1:].any()


def test_a_switch_carries_what_the_rectifier_had_stopped_where_guided_does_not():
    network = white_box(OneLayer(), 5)
    x = X.clone()
    x[0, 0, 0] = torch.tensor([1.0, 2.0, 3.0, 9.0, 5.0])  # filter: -1, -1, -6, 4
    # rectified 0, 0, 0, 4; the first pool's switch is its first place, where the filter gave -1
    assert signals.deconvnet(network, x, 0)[0, 0, 0].tolist() == [1, -1, 0, 1, -1]
    assert signals.guided(network, x, 0)[0, 0, 0].tolist() == [0, 0, 0, 1, -1]


def test_a_single_activation_of_a_layer_by_hand():
    network = white_box(OneLayer(), 5)
    units = signals.strongest(network, X, "pool", 9)
    assert units == [((0, 0, 1), 3.0)]
    found = signals.feature(network, X, "pool", units[0][0])
    assert found[0, 0, 0].tolist() == [0, 0, 1, -1, 0]


def deep():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(8 * 36, 2),
    )  # fmt: skip


SAMPLE = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("unit", [(0, 0, 0), (3, 2, 3), (7, 5, 5), (5, 1, 4)])
def test_one_activation_comes_from_within_its_receptive_field(unit):
    network = white_box(deep(), 24)
    found = signals.feature(network, SAMPLE, "5", unit)[0].abs().sum(0)
    _, row, column = unit
    inside = torch.zeros(24, 24, dtype=torch.bool)
    # pool 2, conv 3, pool 2, conv 3: 4 n - 3 to 4 n + 6
    inside[max(0, 4 * row - 3) : 4 * row + 7, max(0, 4 * column - 3) : 4 * column + 7] = True
    assert found.any()
    assert not found[~inside].any()


@pytest.mark.parametrize("target", [0, 1])
def test_guided_deconvolution_and_gradient_are_captums(target):
    network = white_box(deep(), 24)
    for mine, theirs in (
        (signals.guided, captum.attr.GuidedBackprop),
        (signals.deconvnet, captum.attr.Deconvolution),
        (signals.gradient, captum.attr.InputXGradient),
    ):
        expected = theirs(deep().eval()).attribute(SAMPLE.clone().requires_grad_(), target)
        found = mine(network, SAMPLE, target)
        found = found * SAMPLE if mine is signals.gradient else found
        torch.testing.assert_close(found.detach(), expected.detach())


def test_integrated_gradients_are_captums_and_add_up():
    network, baseline = white_box(deep(), 24), torch.zeros_like(SAMPLE)
    found, gap, steps = signals.integrated(network, SAMPLE, 1, baseline)
    expected = captum.attr.IntegratedGradients(deep().eval()).attribute(
        SAMPLE, baseline, 1, n_steps=steps
    )
    torch.testing.assert_close(found.float(), expected.float(), atol=1e-6, rtol=1e-4)
    difference = (network.module(SAMPLE) - network.module(baseline))[0, 1]
    assert found.sum().item() == pytest.approx(difference.item(), rel=0.01)
    assert gap <= 0.01


def test_integrated_gradients_of_the_default_network_add_up(nsfw):
    laid = frame(open_image("examples/retina.jpg").image, nsfw.preprocessing)
    x = nsfw.input(laid.image)
    baseline = torch.zeros_like(x)
    found, gap, _ = signals.integrated(nsfw, x, 1, baseline)
    difference = (nsfw.module(x) - nsfw.module(baseline))[0, 1]
    assert found.sum().item() == pytest.approx(difference.item(), rel=0.01)
    assert gap <= 0.01


def test_smoothgrad_hangs_on_its_seed_alone():
    network = white_box(deep(), 24)
    before = torch.random.get_rng_state()
    one = signals.smoothgrad(network, SAMPLE, 1, seed=4, samples=4)
    assert torch.equal(one, signals.smoothgrad(network, SAMPLE, 1, seed=4, samples=4))
    assert not torch.equal(one, signals.smoothgrad(network, SAMPLE, 1, seed=5, samples=4))
    assert torch.equal(before, torch.random.get_rng_state())


def test_layer_maps_by_hand():
    network = white_box(OneLayer(), 5)
    # of class 1: maps 2 and 3 at the pool, gradients 1 and -1: their mean is 0
    assert not signals.gradcam(network, X, 1, "pool").any()
    # of class 0: mean gradient 1, so the map itself, enlarged from 2 to 5 columns
    x = X.expand(1, 3, 1, 5)
    assert signals.gradcam(network, x, 0, "pool").max() == 3
    # each place by its own gradient: 2 * 1 and 3 * max(0, -1)
    assert signals.layercam(network, x, 1, "pool").max() == 2


def test_a_network_without_rectifiers_has_no_deconvolution():
    network = white_box(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), 8)
    with pytest.raises(UsageError, match="no ReLU"):
        signals.deconvnet(network, torch.zeros(1, 3, 8, 8), 0)
    assert np.isfinite(signals.gradient(network, torch.zeros(1, 3, 8, 8), 0).numpy()).all()
