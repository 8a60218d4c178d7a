"""The studio as a person uses it, in a real browser: nothing complains, and nothing leaves."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import contextmanager
from functools import partial
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from probe.studio import serve
from tests.browser import SIZES, opened
from tests.studio.conftest import PATCH, png
from tests.studio.test_runs import by_command, map_of, same

pytestmark = pytest.mark.slow

DROP = """([data, name]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type: 'image/png' }));
  const there = { dataTransfer: carried, bubbles: true, cancelable: true };
  document.getElementById('drop').dispatchEvent(new DragEvent('drop', there));
}"""
HOSTILE = "<img src=x onerror=alert(1)>\u202e.png"


@contextmanager
def visiting(browser, server, **more):
    """The studio's page, watched, from the address that is printed."""
    own = f"http://127.0.0.1:{server.port}/"
    with opened(browser, server.url, own=own, **more) as seen:
        seen.page.wait_for_url(own)
        yield seen


@pytest.fixture
def visit(browser, studio):
    """visit(size=..., color_scheme=...): the studio's page, watched."""
    return partial(visiting, browser, studio)


def drop(page, data, name="planted.png"):
    page.wait_for_selector("#drop")
    page.wait_for_load_state()
    page.evaluate(DROP, [b64encode(data).decode(), name])
    page.wait_for_selector("#preview:not([hidden])")


def choose(page, url):
    page.select_option("select[name=service]", "")
    page.fill("input[name=api]", url)
    page.wait_for_selector("#start:not([disabled])")


def fits(page):
    """Nothing is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def run_id(page):
    return page.url.rsplit("/", 1)[-1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_from_a_picture_to_a_covered_one(visit, gated, ledger, tmp_path, size, scheme):
    with visit(size=size, color_scheme=scheme) as seen:
        page = seen.page
        assert "token" not in page.url
        assert seen.grave() == []
        drop(page, png())
        choose(page, gated.url)
        assert page.inner_text("#cost").startswith("64 answers: 64 calls in ")
        assert "70 calls" in page.inner_text("#bound")
        assert page.locator("#samples img").count() == 6
        assert gated.calls == 0
        assert seen.grave() == []
        assert fits(page)

        page.click("text=Start: 64 calls")
        page.wait_for_url("**/runs/*")
        gated.model.open(6)
        page.wait_for_selector("#map[src*='live/map.png']")
        page.click("#pause")
        gated.model.open(6)
        page.wait_for_selector("text=Paused.")
        assert seen.grave() == []
        assert fits(page)
        page.reload()
        page.wait_for_selector("text=Paused.")
        assert page.evaluate("document.getElementById('map').naturalWidth") == 96
        page.click("#resume")
        gated.model.open()
        page.wait_for_selector("iframe")
        assert same(map_of(ledger, run_id(page)), by_command(tmp_path, gated.url))

        report = page.frame_locator("iframe")
        stage = report.locator(".stage").first
        stage.scroll_into_view_if_needed()
        box = stage.bounding_box()
        place = [(PATCH[n] + PATCH[n + 2]) / 2 for n in (0, 1)]
        stage.hover(position={"x": place[0] * box["width"], "y": place[1] * box["height"]})
        report.locator("ol.evidence li").first.wait_for()
        assert fits(page)
        assert seen.grave() == []

        page.click("text=Redact")
        page.wait_for_selector(".box")
        assert seen.grave() == []
        cover_by_keyboard(page)
        page.click("#cover")
        page.wait_for_selector("#covered:not([hidden])")
        calls = gated.calls
        page.click("#ask")
        page.wait_for_selector("#scores:not([hidden])")
        before, after = page.locator("#scores td").all_inner_texts()
        assert float(before) > 0.9
        assert float(after) < 0.1
        assert gated.calls == calls + 1
        assert fits(page)
        assert seen.grave() == []
        with page.expect_download() as saved:
            page.click("#download")
        assert saved.value.suggested_filename == "planted.redacted.png"
        pixels = np.asarray(Image.open(saved.value.path()))
        assert len(np.unique(pixels[16:40, 24:48].reshape(-1, 3), axis=0)) == 1
        seen.check()


def cover_by_keyboard(page):
    """All boxes but one go; that one is put over the patch: by arrow keys, then by numbers."""
    while page.locator(".box").count() > 1:
        page.locator(".box").last.focus()
        page.keyboard.press("Delete")
    first = page.locator(".box")
    first.focus()
    before = first.get_attribute("aria-label")
    page.keyboard.press("ArrowRight")
    moved = first.get_attribute("aria-label")
    page.keyboard.press("Shift+ArrowDown")
    assert len({before, moved, first.get_attribute("aria-label")}) == 3
    for edge, value in ((0, 0), (1, 0), (2, 48), (3, 40), (0, 24), (1, 16)):
        page.fill(f"#fields0 input[data-edge='{edge}']", str(value))
    label = "Box 1: left 24, top 16, right 48, bottom 40"
    assert first.get_attribute("aria-label") == label


def test_boxes_are_painted_moved_and_sized_with_the_pointer(visit, gated):
    gated.model.open()
    with visit() as seen:
        page = seen.page
        finish(page, gated)
        page.click("text=Redact")
        page.wait_for_selector(".box")
        while page.locator(".box").count():
            page.click("#boxes button >> nth=0")
        assert page.is_disabled("#cover")
        stage = page.locator("#stage").bounding_box()

        def at(x, y):
            page.mouse.move(stage["x"] + x * stage["width"], stage["y"] + y * stage["height"])

        def drag(start, end):
            at(*start)
            page.mouse.down()
            at(*end)
            page.mouse.up()
            return page.get_attribute(".box", "aria-label")

        assert drag((0.25, 0.25), (0.5, 0.5)) == "Box 1: left 24, top 16, right 48, bottom 32"
        assert drag((0.3, 0.3), (0.55, 0.55)) == "Box 1: left 48, top 32, right 72, bottom 48"
        assert drag((0.75, 0.75), (1.0, 1.0)) == "Box 1: left 48, top 32, right 96, bottom 64"
        drag((0.1, 0.1), (0.101, 0.101))
        assert page.locator(".box").count() == 1
        seen.check()


def finish(page, server, name="planted.png", method="multiscale"):
    drop(page, png(), name)
    page.select_option("select[name=method]", method)
    page.fill("input[name=budget]", "16")
    choose(page, server.url)
    page.click("#start")
    page.wait_for_selector("iframe")


def test_by_keyboard_alone_a_run_is_stopped_resumed_and_compared(visit, gated):
    with visit() as seen:
        page = seen.page
        drop(page, png())
        choose(page, gated.url)
        page.focus("#start")
        page.keyboard.press("Enter")
        page.wait_for_url("**/runs/*")
        gated.model.open(4)
        page.wait_for_selector("#map[src*='live/map.png']")
        page.focus("#stop")
        page.keyboard.press("Enter")
        gated.model.open()
        page.wait_for_selector("#again:not([disabled])")
        assert "Stopped." in page.inner_text("main")
        assert seen.grave() == []
        page.focus("#again")
        page.keyboard.press("Enter")
        page.wait_for_selector("#again", state="detached")
        page.wait_for_selector("iframe")
        page.click("text=probe studio")
        finish(page, gated, method="rise")
        page.click("text=probe studio")
        for box in page.locator("input[name=run]").all():
            box.focus()
            page.keyboard.press("Space")
        page.click("text=Compare the two that are ticked")
        heads = page.frame_locator("iframe").locator("section.run h2")
        heads.first.wait_for()
        assert heads.count() == 2
        assert seen.grave() == []
        seen.check()


def test_hostile_names_are_text_and_mistakes_are_said_in_place(visit, gated):
    gated.model.open()
    with visit(size="phone") as seen:
        page = seen.page
        page.set_input_files("#file", {"name": "notes.txt", "mimeType": "", "buffer": b"hello"})
        page.wait_for_selector("#wrong:not([hidden])")
        assert "not a picture" in page.inner_text("#wrong")
        huge = {"name": "huge.png", "mimeType": "", "buffer": b""}
        page.set_input_files("#file", huge)
        page.wait_for_selector("text=is empty")
        complaints, seen.complaints = seen.complaints, []
        assert all("422" in one for one in complaints)
        finish(page, gated, HOSTILE)
        assert "<img src=x onerror=alert(1)>\\u202e.png" in page.inner_text("h1")
        page.click("text=probe studio")
        assert "<img src=x" in page.inner_text(".gallery")
        page.click("text=Pictures that only the ledger knows")
        page.wait_for_selector("text=None.")
        assert seen.grave() == []
        seen.check()


def test_a_closed_studio_is_said_and_another_goes_on(browser, gated, ledger, tmp_path):
    visit = partial(visiting, browser)
    with serve(ledger) as server, visit(server) as seen:
        page = seen.page
        drop(page, png())
        choose(page, gated.url)
        page.click("#start")
        page.wait_for_url("**/runs/*")
        gated.model.wait_until_asked()
        server.end()
        page.wait_for_selector("text=The studio is closing")
        gated.model.open()
        seen.check()
    with serve(ledger) as server, visit(server) as seen:
        page = seen.page
        page.click(".gallery a")
        page.click("#again")
        page.wait_for_selector("#run[data-resume='0'] iframe")
        assert same(map_of(ledger, run_id(page)), by_command(tmp_path, gated.url))
        seen.check()


def test_a_picture_that_is_no_file_of_ours_is_downloaded_whole(visit, gated, ledger):
    """What is handed out is byte for byte what lies in the run's folder."""
    gated.model.open()
    with visit() as seen:
        page = seen.page
        finish(page, gated)
        run = run_id(page)
        page.click("text=Redact")
        page.wait_for_selector(".box")
        page.select_option("#form", "jpg")
        page.click("#cover")
        page.wait_for_selector("#covered:not([hidden])")
        with page.expect_download() as saved:
            page.click("#download")
        (kept,) = (ledger.with_name("ledger.db.studio") / "runs" / run / "redacted").iterdir()
        data = kept.read_bytes()
        assert saved.value.path().read_bytes() == data
        assert Image.open(BytesIO(data)).format == "JPEG"
        request = json.loads((kept.parents[1] / "request.json").read_text())
        assert request["name"] == "planted.png"
        seen.check()
