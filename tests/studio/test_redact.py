"""Boxes on a picture, the picture that is covered, and what the service says of that very one."""

from __future__ import annotations

import json
import re
from html import unescape
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from probe.mock import serve as serve_model
from probe.testing.planted import Planted
from tests.studio.conftest import PATCH, png


@pytest.fixture
def run(visitor, tagging_server):
    tagging_server.plant(box=PATCH)
    run = visitor.start(picture=visitor.upload(), api=tagging_server.url)
    visitor.finish(run)
    return run


def about(visitor, run):
    return json.loads(
        unescape(re.search(r"data-about='([^']+)'", visitor.page(f"/runs/{run}/redact"))[1])
    )


def test_a_box_is_suggested_for_nothing(visitor, run, tagging_server):
    calls = tagging_server.calls
    found = about(visitor, run)
    x0, y0, x1, y1 = found["suggested"][0]
    px0, py0, px1, py1 = PATCH[0] * 96, PATCH[1] * 64, PATCH[2] * 96, PATCH[3] * 64
    shared = max(0, min(x1, px1) - max(x0, px0)) * max(0, min(y1, py1) - max(y0, py0))
    assert shared >= 0.4 * (px1 - px0) * (py1 - py0)
    assert tagging_server.calls == calls


def test_the_covered_picture_is_shown_scored_and_handed_out(visitor, run, tagging_server):
    calls = tagging_server.calls
    page = visitor.page(f"/runs/{run}/redact")
    assert "at most 1 call" in page
    assert tagging_server.url.removeprefix("http://") in page
    box = [24, 16, 48, 40]
    found = visitor.post(f"/runs/{run}/cover", {"boxes": [box], "fill": "black"}).json()
    assert found["boxes"] == [box]
    assert found["area"] == pytest.approx(24 * 24 / (96 * 64))
    assert tagging_server.calls == calls
    path = f"/runs/{run}/covered/{found['key']}"
    assert visitor.get(f"{path}.webp").headers["content-type"] == "image/webp"
    assert visitor.post(f"{path}/score", {"calls": 0}).status_code == 409
    scored = visitor.post(f"{path}/score", {"calls": 1}).json()
    assert scored["before"]["sent"] == pytest.approx(0.95)
    assert scored["after"]["sent"] == pytest.approx(0.05, abs=0.02)
    assert (scored["calls"], tagging_server.calls) == (1, calls + 1)
    assert visitor.post(f"{path}/score", {"calls": 1}).json()["calls"] == 0
    file = visitor.get(f"{path}/file")
    assert 'filename="planted.redacted.png"' in file.headers["content-disposition"]
    pixels = np.asarray(Image.open(BytesIO(file.content)))
    before = np.asarray(Image.open(BytesIO(png())))
    assert (pixels[16:40, 24:48] == 0).all()
    assert (np.delete(pixels, range(24, 48), 1) == np.delete(before, range(24, 48), 1)).all()


def test_a_jpeg_covers_whole_blocks(visitor, run):
    given = {"boxes": [[25, 17, 47, 39]], "form": "jpg"}
    found = visitor.post(f"/runs/{run}/cover", given).json()
    assert found["boxes"] == [[24, 16, 48, 40]]
    file = visitor.get(f"/runs/{run}/covered/{found['key']}/file")
    assert file.headers["content-type"] == "image/jpeg"
    assert Image.open(BytesIO(file.content)).format == "JPEG"


def test_a_large_picture_is_covered_at_full_size(visitor, tagging_server):
    tagging_server.plant(box=PATCH)
    data = png((1200, 800), (300, 200, 600, 500))
    run = visitor.start(picture=visitor.upload(data), api=tagging_server.url, budget=16)
    visitor.finish(run)
    found = visitor.post(f"/runs/{run}/cover", {"boxes": [[301, 201, 599, 499]]}).json()
    x0, y0, x1, y1 = found["boxes"][0]
    assert (x0 <= 301, y0 <= 201, x1 >= 599, y1 >= 499) == (True,) * 4
    path = f"/runs/{run}/covered/{found['key']}"
    scored = visitor.post(f"{path}/score", {"calls": 2}).json()
    assert set(scored["after"]) == {"sent", "full"}
    assert Image.open(BytesIO(visitor.get(f"{path}/file").content)).size == (1200, 800)


def test_only_the_last_few_covers_are_kept(visitor, run):
    keys = [
        visitor.post(f"/runs/{run}/cover", {"boxes": [[0, 0, 8 + n, 8]]}).json()["key"]
        for n in range(12)
    ]
    kept = [visitor.get(f"/runs/{run}/covered/{key}.webp").status_code for key in keys]
    assert kept == [404] * 2 + [200] * 10


@pytest.mark.parametrize(
    "given",
    [
        [],
        {},
        {"boxes": []},
        {"boxes": [[0, 0, 8]]},
        {"boxes": [[0, 0, 8, True]]},
        {"boxes": [[0, 0, 8.5, 8]]},
        {"boxes": [[8, 0, 8, 8]]},
        {"boxes": [[0, 0, 97, 8]]},
        {"boxes": [[-1, 0, 9, 8]]},
        {"boxes": [[0, 0, 8, 8]] * 51},
        {"boxes": [[0, 0, 8, 8]], "fill": "glitter"},
        {"boxes": [[0, 0, 8, 8]], "fill": 3},
        {"boxes": [[0, 0, 8, 8]], "form": "exe"},
    ],
)
def test_what_is_no_cover_is_refused_in_a_line(visitor, run, given):
    answer = visitor.post(f"/runs/{run}/cover", given)
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("key", ["x", "0" * 16, "..%2f..%2fpicture", "%00" * 16])
def test_no_key_leads_to_another_file(visitor, run, key):
    for more in (".webp", "/file"):
        assert visitor.get(f"/runs/{run}/covered/{key}{more}").status_code == 404


def test_where_the_service_is_gone_the_picture_can_still_be_covered(visitor):
    with serve_model(Planted(), rates=()) as server:
        run = visitor.start(picture=visitor.upload(), api=server.url, budget=8)
        visitor.finish(run)
    page = visitor.page(f"/runs/{run}/redact")
    assert 'data-calls="0"' in page
    assert server.url.removeprefix("http://") in page
    found = visitor.post(f"/runs/{run}/cover", {"boxes": [[0, 0, 8, 8]]}).json()
    path = f"/runs/{run}/covered/{found['key']}"
    assert visitor.get(f"{path}/file").status_code == 200
    assert visitor.post(f"{path}/score", {"calls": 1}).status_code == 502
