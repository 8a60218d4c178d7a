"""The page of a run in a browser, used as a person does, and held against the run itself."""

from __future__ import annotations

import re
from contextlib import contextmanager

import numpy as np
import pytest

from probe.perturb import opacity, pixels
from probe.report import page, save_report
from probe.report.maps import Places
from probe.text import printable
from probe.types import Identity, Mask
from tests.browser import SIZES, opened
from tests.runs import HOSTILE, PATCH, photo, probed

pytestmark = pytest.mark.slow
LABELS = ("patch", "half", "quarter")


@pytest.fixture(scope="module")
def result():
    return probed(labels=LABELS, image=photo(360, 240), budget=96)


@pytest.fixture(scope="module")
def path(result, tmp_path_factory):
    return save_report(page(result), tmp_path_factory.mktemp("page") / "report.html")


@contextmanager
def ready(browser, path, **about):
    """The page once its script has drawn the map; nothing may be said, asked or fetched."""
    with opened(browser, path.as_uri(), **about) as watched:
        asked = []
        watched.page.on("dialog", lambda dialog: asked.append(dialog.message))
        watched.page.wait_for_selector("body[data-ready]")
        yield watched
        watched.check()
        assert asked == []


def hover(view, x, y):
    """Point at a place in fractions of the picture, as a person with a mouse."""
    stage = view.page.locator(".stage").first
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    view.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])


def said(view, pattern):
    """What stands about the spot, once it matches."""
    view.page.wait_for_function(
        "pattern => new RegExp(pattern).test(document.querySelector('.spot').textContent)",
        arg=pattern,
    )
    return view.page.locator(".spot").first.inner_text()


def shown(view):
    """The numbers of the variants that stand as evidence, in their order."""
    items = view.page.locator(".evidence").first.locator("li")
    return [int(item.get_attribute("data-n")) for item in items.all()]


def place(result, x, y):
    """The send pixel that the page answers for at a place in fractions."""
    places, (width, height) = Places.of(result.canvas.send), result.canvas.send
    column = min(len(places.columns) - 1, int(x * width / places.step))
    row = min(len(places.rows) - 1, int(y * height / places.step))
    return int(places.columns[column]), int(places.rows[row])


def covering(result, column, row):
    """The numbers of the answers whose change holds a send pixel."""
    found = []
    for number, answer in enumerate(result.answers):
        change = answer.perturbation
        if isinstance(change, Identity):
            continue
        if isinstance(change, Mask):
            holds = opacity(change, result.canvas)[row, column] >= 128
        else:
            x0, y0, x1, y1 = pixels(change, result.canvas)
            holds = x0 <= column < x1 and y0 <= row < y1
        if holds:
            found.append(number)
    return found


def number(text):
    return float(text.replace("\u2212", "-"))


def middle():
    x0, y0, x1, y1 = PATCH
    return (x0 + x1) / 2, (y0 + y1) / 2


@pytest.mark.parametrize("at", [middle(), (0.1, 0.9), (0.999, 0.001)])
def test_hovering_shows_the_variants_that_changed_the_spot_by_effect(browser, path, result, at):
    column, row = place(result, *at)
    wanted = covering(result, column, row)
    heatmap, reference = result.heatmap(), result.reference["patch"]
    with ready(browser, path) as view:
        hover(view, *at)
        text = said(view, rf"{len(wanted)} answers? changed or showed")
        numbers = shown(view)
        moved = {n: abs(reference - result.answers[n].outcome["patch"]) for n in wanted}
        assert numbers == sorted(wanted, key=lambda n: (-moved[n], n))[: len(numbers)]
        assert len(numbers) == min(24, len(wanted))
        value, error = (
            float(heatmap.planes.values[row, column]),
            float(heatmap.planes.stderr[row, column]),
        )
        first, second = re.match(r"(\S+) ± (\S+)", text).groups()
        assert number(first) == pytest.approx(value, abs=2e-3)
        assert number(second) == pytest.approx(error, abs=2e-3)
        captions = view.page.locator(".evidence").first.locator("figcaption strong").all()
        scores = [number(one.inner_text()) for one in captions]
        expected = [result.answers[n].outcome["patch"] for n in numbers]
        assert scores == pytest.approx(expected, abs=1e-2)


def test_masks_and_windows_are_evidence_too(browser, tmp_path):
    for method in ("rise", "windows", "keep"):
        run = probed(image=photo(180, 120), method=method, budget=64)
        file = save_report(page(run), tmp_path / f"{method}.html")
        wanted = covering(run, *place(run, *middle()))
        with ready(browser, file) as view:
            hover(view, *middle())
            said(view, r"answers? changed or showed")
            numbers = shown(view)
            assert numbers
            strangers = set(numbers) - set(wanted)
            assert len(strangers) <= (len(numbers) // 10 if method == "rise" else 0)


def test_the_label_picker_changes_map_spot_and_evidence(browser, path, result):
    column, row = place(result, *middle())
    with ready(browser, path) as view:
        hover(view, *middle())
        said(view, "for patch at")
        before = view.page.locator("canvas.map").first.screenshot()
        view.page.locator("select.label").select_option(label="quarter")
        text = said(view, "for quarter at")
        value = float(result.heatmap("quarter").planes.values[row, column])
        assert number(text.split(" ")[0]) == pytest.approx(value, abs=2e-3)
        assert "quarter" in view.page.locator(".means").first.inner_text()
        view.page.locator("input[value=score]").check()
        assert "mean score of quarter" in view.page.locator(".means").first.inner_text()
        view.page.locator("input[value=stderr]").check()
        assert "standard error" in view.page.locator(".means").first.inner_text()
        assert view.page.locator("canvas.map").first.screenshot() != before


def test_the_slider_fades_the_map_and_bares_the_picture(browser, path):
    with ready(browser, path) as view:
        slider = view.page.locator("input.opacity")
        slider.focus()
        slider.press("Home")
        opacity_of = "element => getComputedStyle(element).opacity"
        assert view.page.locator("canvas.map").evaluate(opacity_of) == "0"
        filter_of = "element => getComputedStyle(element).filter"
        assert view.page.locator("img.picture").evaluate(filter_of) == "none"
        slider.press("End")
        assert view.page.locator("canvas.map").evaluate(opacity_of) == "1"


def test_the_keyboard_alone_reaches_and_moves_everything(browser, path):
    with ready(browser, path) as view:
        focused = "() => document.activeElement.className || document.activeElement.type"
        seen = []
        while len(seen) < 30 and (not seen or seen[-1] != "stage"):
            view.page.keyboard.press("Tab")
            seen.append(view.page.evaluate(focused))
        assert {"label", "radio", "opacity", "stage"} <= set(seen)
        outline = "() => getComputedStyle(document.activeElement).outlineStyle"
        assert view.page.evaluate(outline) == "solid"
        view.page.keyboard.press("ArrowRight")
        first = said(view, r"at \d+, \d+ px")
        view.page.keyboard.press("Shift+ArrowRight")
        view.page.wait_for_function(
            "text => document.querySelector('.spot').innerText !== text", arg=first
        )
        there = [int(n) for n in re.search(r"at (\d+), (\d+) px", first).groups()]
        text = view.page.locator(".spot").inner_text()
        here = [int(n) for n in re.search(r"at (\d+), (\d+) px", text).groups()]
        assert here[1] == there[1]
        assert 10 <= here[0] - there[0] <= 20
        view.page.keyboard.press("Enter")
        hover(view, 0.05, 0.05)
        assert view.page.locator(".spot").inner_text() == text
        view.page.locator(".stage").focus()
        view.page.keyboard.press("Escape")
        hover(view, 0.9, 0.9)
        view.page.wait_for_function(
            "text => document.querySelector('.spot').innerText !== text", arg=text
        )


def test_a_tap_holds_the_spot_on_a_phone(browser, path):
    with ready(browser, path, size="phone", has_touch=True, is_mobile=True) as view:
        stage = view.page.locator(".stage").first
        stage.scroll_into_view_if_needed()
        box = stage.bounding_box()
        x, y = middle()
        view.page.touchscreen.tap(box["x"] + x * box["width"], box["y"] + y * box["height"])
        said(view, "changed or showed")
        assert shown(view)
        wide = view.page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= SIZES["phone"][0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(browser, path, size, scheme):
    with ready(browser, path, size=size, color_scheme=scheme) as view:
        hover(view, *middle())
        said(view, "changed or showed")
        for summary in view.page.locator("summary").all():
            summary.click()
        assert view.grave() == []


def test_the_spot_is_the_same_in_every_run_of_a_page(browser, result, tmp_path):
    other = probed(labels=LABELS, image=photo(360, 240), method="windows")
    file = save_report(page([result, other], names=["one", "other"]), tmp_path / "both.html")
    with ready(browser, file) as view:
        hover(view, *middle())
        said(view, "changed or showed")
        view.page.wait_for_function(
            "() => /changed or showed/.test(document.querySelectorAll('.spot')[1].textContent)"
        )
        texts = [one.inner_text() for one in view.page.locator(".spot").all()]
        places = [re.search(r"at (\d+), (\d+) px", text).groups() for text in texts]
        assert places[0] == places[1]


def test_runs_of_one_picture_stand_beside_each_other_where_there_is_room(browser, result, tmp_path):
    file = save_report(page([result, result], names=["one", "other"]), tmp_path / "both.html")
    with ready(browser, file) as view:
        one, other = (stage.bounding_box() for stage in view.page.locator(".stage").all())
        assert one["y"] == other["y"]
        assert one["x"] + one["width"] < other["x"]
    with ready(browser, file, size="phone") as view:
        one, other = (stage.bounding_box() for stage in view.page.locator(".stage").all())
        assert one["x"] == other["x"]
        assert one["y"] + one["height"] < other["y"]


def test_hostile_words_are_text_and_nothing_of_them_runs(browser, tmp_path):
    labels = ["patch", *HOSTILE]
    run = probed(labels=labels, image=photo(60, 40), budget=16)
    run.settings["picture"] = "<img src=x onerror=alert(1)>.png"
    run.settings["command"] = "</pre><script>alert(1)</script>"
    for hostile in HOSTILE:
        text = page(run, said=hostile, names=[hostile])
        with ready(browser, save_report(text, tmp_path / "hostile.html")) as view:
            assert view.page.locator("h2").first.inner_text() == printable(hostile, 60)
            for number in range(min(3, len(labels))):
                view.page.locator("select.label").select_option(index=number)
            assert view.page.locator("script").count() == 2
            assert view.page.locator("img[src=x]").count() == 0
            assert view.page.evaluate("() => document.documentElement.scrollWidth") <= 1280


def test_without_scripts_the_map_is_still_there(browser, path):
    with opened(browser, path.as_uri(), java_script_enabled=False) as view:
        picture = view.page.locator("noscript img, img.wide").first
        assert picture.is_visible()
        assert not view.page.locator(".board").first.is_visible()


def test_it_prints_with_the_map_and_without_controls(browser, path):
    with ready(browser, path) as view:
        view.page.emulate_media(media="print")
        assert not view.page.locator(".tools").first.is_visible()
        assert view.page.locator(".stage").first.is_visible()
        assert view.page.locator(".strongest").first.is_visible()


def test_the_colours_are_those_of_the_value(browser, path, result):
    """Red where it speaks for the label, and more than where the map is nearest to zero."""
    values = result.heatmap().planes.values
    height, width = values.shape
    column, row = place(result, *middle())
    assert values[row, column] > 0.3
    y, x = np.unravel_index(np.argmin(np.abs(values)), values.shape)
    pixels_at = """places => { const map = document.querySelector('canvas.map');
        const all = map.getContext('2d').getImageData(0, 0, map.width, map.height).data;
        return places.map(([x, y]) => { const i = 4 * (Math.floor(y * map.height) * map.width
            + Math.floor(x * map.width)); return [...all.slice(i, i + 4)]; }); }"""
    with ready(browser, path) as view:
        places = [middle(), ((x + 0.5) / width, (y + 0.5) / height)]
        patch, pale = view.page.evaluate(pixels_at, places)
        assert patch[0] > patch[2] + 60
        assert patch[3] > 100 > pale[3]
