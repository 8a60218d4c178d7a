"""A run that was saved is the run that comes back, and no file makes anything else come back."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import zlib
from base64 import b64decode, b64encode
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from probe import Prober, Result, from_callable
from probe.errors import UsageError
from probe.heatmap import Heatmap
from probe.methods import METHODS
from probe.result import Answer
from probe.show import load_run
from probe.show.answers import packed, unpacked
from probe.show.files import mark_picture
from probe.types import Box, Failure, Identity, Keep, Mask, Scores, Window
from tests.runs import brightness, photo, probed

FIELDS = (
    *("label", "reference", "backend", "calls", "requests", "throttled", "cost", "currency"),
    *("seconds", "noise", "p_value", "complete", "missing"),
)
PLANES = ("values", "stderr", "mean_score", "coverage")


def same(one, other):
    """The two hold the same answers, words and maps, to the last bit."""
    for name in FIELDS:
        assert getattr(one, name) == getattr(other, name), name
    assert list(one.answers) == list(other.answers)
    for label in one.labels:
        first, second = one.heatmap(label), other.heatmap(label)
        for plane in PLANES:
            assert getattr(first, plane).tobytes() == getattr(second, plane).tobytes()
        assert (first.calls, first.answers) == (second.calls, second.answers)
        assert first.p_value == second.p_value
    return True


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"score"}))
def test_a_run_of_every_method_comes_back_bit_for_bit(method, tmp_path):
    run = probed(labels=("patch", "half"), method=method, budget=90, seed=3)
    run.save(tmp_path)
    loaded = Result.load(tmp_path, run.image)
    assert same(run, loaded)
    assert loaded.image.tobytes() == run.image.tobytes()
    saved = Heatmap.load(tmp_path / "map.npz")
    assert saved.values.tobytes() == loaded.heatmap().values.tobytes()
    assert saved.stderr.tobytes() == loaded.heatmap().stderr.tobytes()


def test_failures_noise_and_what_was_left_out_come_back(tmp_path):
    shaky = np.random.default_rng(5)

    def score(images):
        found = brightness(images)
        return [
            {"patch": share + shaky.normal(0, 0.01)}
            if share > 0.4
            else Failure("refused", "no\n\x1b[31m", billed=True)
            for share in found
        ]

    prober = Prober(from_callable(score, ["patch"]), repeats=2)
    run = prober.probe(photo(), "patch", budget=30)
    assert run.failures
    assert run.noise
    run.save(tmp_path)
    assert same(run, Result.load(tmp_path))


edges = st.floats(-2, 2, allow_nan=False)
scores = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def regions(draw):
    (x0, x1), (y0, y1) = (sorted((draw(edges), draw(edges))) for _ in "xy")
    return x0, y0, x1, y1


changes = st.one_of(
    st.builds(Identity, st.integers(0, 9), st.just(False)),
    st.just(Identity(full=True)),
    *(st.builds(lambda r, kind=kind: kind(*r), regions()) for kind in (Box, Window, Keep)),
    st.builds(
        lambda columns, rows, seed, region, smooth: Mask(
            random.Random(seed).randbytes(columns * rows), columns, region, smooth
        ),
        *(st.integers(1, 20), st.integers(1, 20), st.integers(0, 99), regions(), st.booleans()),
    ),
)
outcomes = st.one_of(
    st.dictionaries(st.text(max_size=8), scores, max_size=4).map(Scores),
    st.builds(
        lambda kind, message, billed: Failure(kind, message, billed=billed),
        st.sampled_from(["refused", "invalid", "lost", "throttled", "unavailable"]),
        *(st.text(max_size=20), st.booleans()),
    ),
)
rows = st.builds(Answer, changes, outcomes, st.sampled_from(["sent", "ledger", "same"]))


@given(st.lists(rows, min_size=1, max_size=8))
def test_any_answers_come_back_exactly(answers):
    assert unpacked(json.loads(json.dumps(packed(answers)))) == answers


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "run"
    probed(labels=("patch", "half"), method="rise", budget=12).save(folder)
    return folder


def spoilt(saved, tmp_path, name, record):
    folder = tmp_path / "spoilt"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(saved, folder)
    content = record if isinstance(record, str) else json.dumps(record)
    (folder / name).write_text(content, "utf-8")
    return folder


def spots(value, path=()):
    """The way to everything that a record holds."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from spots(value[key], (*path, key))


OTHERS = [None, [], {}, "", "x", -1, 0, 1e308, 10**30, True, [1, 2], {"kind": "box"}, "../../x"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=120
)
@given(st.data())
def test_whatever_the_files_say_it_is_a_run_or_one_line(saved, tmp_path, data):
    name = data.draw(st.sampled_from(["run.json", "answers.json"]))
    record = json.loads((saved / name).read_text("utf-8"))
    *path, last = data.draw(st.sampled_from([spot for spot in spots(record) if spot]))
    place = record
    for key in path:
        place = place[key]
    if data.draw(st.booleans()):
        place[last] = copy.deepcopy(data.draw(st.sampled_from(OTHERS)))
    else:
        del place[last]
    with suppress(UsageError):
        result = load_run(spoilt(saved, tmp_path, name, record))
        assert np.isfinite(result.reference[result.label])


@pytest.mark.parametrize("name", ["run.json", "answers.json"])
@pytest.mark.parametrize(
    "text", ["", "[]", "nothing", '{"schema": 1}', '{"schema": NaN}', "[" * 100_000]
)
def test_a_damaged_file_is_named_and_what_to_do(saved, tmp_path, name, text):
    folder = spoilt(saved, tmp_path, name, text)
    with pytest.raises(UsageError, match="is damaged: run the same command again, which costs no"):
        load_run(folder)


def test_what_another_version_wrote_is_not_guessed_at(saved, tmp_path):
    for name in ("run.json", "answers.json"):
        record = json.loads((saved / name).read_text("utf-8")) | {"schema": 2}
        with pytest.raises(UsageError, match="was written by another version of probe"):
            load_run(spoilt(saved, tmp_path, name, record))


def test_a_folder_from_before_answers_were_kept_says_how_to_get_them(saved, tmp_path):
    folder = spoilt(saved, tmp_path, "answers.json", "")
    (folder / "answers.json").unlink()
    with pytest.raises(UsageError, match=r"holds no answers\.json.*costs no call"):
        load_run(folder)


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"no folder .*nowhere"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"holds no run: there is no run\.json"):
        load_run(tmp_path)
    (tmp_path / "compare.json").write_text("{}")
    with pytest.raises(UsageError, match="it is that of a comparison"):
        load_run(tmp_path)


def test_masks_that_would_fill_the_memory_are_refused(saved, tmp_path, monkeypatch):
    record = json.loads((saved / "answers.json").read_text("utf-8"))
    masks = [row["change"] for row in record["answers"] if row["change"]["kind"] == "mask"]
    cells = sum(len(zlib.decompress(b64decode(mask["cells"]))) for mask in masks)
    monkeypatch.setattr("probe.show.answers.MAX_CELLS", cells)
    assert load_run(saved)
    monkeypatch.setattr("probe.show.answers.MAX_CELLS", cells - 1)
    with pytest.raises(UsageError, match="is damaged"):
        load_run(saved)
    monkeypatch.undo()
    masks[0]["cells"] = b64encode(zlib.compress(bytes(2**28))).decode()
    with pytest.raises(UsageError, match="is damaged"):
        load_run(spoilt(saved, tmp_path, "answers.json", record))


def test_the_picture_is_found_near_the_run_by_its_pixels(tmp_path, monkeypatch):
    path = tmp_path / "shots" / "a.png"
    path.parent.mkdir()
    photo().save(path)
    folder = tmp_path / "out" / "a.probe"
    run = Prober(from_callable(lambda images: [{"x": 1.0} for _ in images], ["x"])).probe(
        path, budget=8
    )
    run.save(folder)
    assert load_run(folder).image is None
    for place in (folder, folder.parent):
        shutil.copy(path, place / "a.png")
        assert load_run(folder).image is not None
        (place / "a.png").unlink()
    monkeypatch.chdir(path.parent)
    assert load_run(folder).image is not None
    Image.new("RGB", (120, 80)).save(path)
    assert load_run(folder).image is None
    with pytest.raises(UsageError, match="is of another picture"):
        load_run(folder, path)
    path.write_text("no picture any more")
    assert load_run(folder).image is None


def test_a_picture_over_a_colour_is_opened_as_it_was(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGBA", (40, 30), (200, 10, 10, 100)).save(path)
    backend = from_callable(lambda images: [{"x": 1.0} for _ in images], ["x"])
    run = Prober(backend, background=(0, 0, 255)).probe(path, budget=8)
    run.save(tmp_path / "a.probe")
    record = json.loads((tmp_path / "a.probe" / "run.json").read_text("utf-8"))
    assert load_run(tmp_path / "a.probe").image is None
    record["settings"]["background"] = "#0000ff"
    (tmp_path / "a.probe" / "run.json").write_text(json.dumps(record))
    assert load_run(tmp_path / "a.probe").image is not None


def test_a_pipe_of_the_pictures_name_is_not_waited_for(saved, tmp_path):
    record = json.loads((saved / "run.json").read_text("utf-8"))
    record["settings"]["picture"] = "pipe"
    folder = spoilt(saved, tmp_path, "run.json", record)
    os.mkfifo(folder / "pipe")
    assert load_run(folder).image is None


def test_a_picture_of_another_size_is_another_picture(saved, tmp_path):
    record = json.loads((saved / "run.json").read_text("utf-8"))
    record["canvas"]["size"] = [240, 160]
    folder = spoilt(saved, tmp_path, "run.json", record)
    with pytest.raises(UsageError, match="is of another picture"):
        load_run(folder, photo())


def test_where_the_picture_was_is_known_beside_what_is_handed_on(tmp_path, monkeypatch):
    place = tmp_path / "far" / "a.png"
    place.parent.mkdir()
    photo().save(place)
    backend = from_callable(lambda images: [{"x": 1.0} for _ in images], ["x"])
    folder = tmp_path / "out" / "a.probe"
    Prober(backend).probe(place, budget=8).save(folder)
    monkeypatch.chdir(tmp_path)
    mark_picture(folder, "far/a.png")
    assert load_run(folder).image is not None
    (folder / ".picture").write_bytes(b"/dev/zero")
    assert load_run(folder).image is None
    (folder / ".picture").write_bytes(b"\0" * 10**6)
    assert load_run(folder).image is None
