"""Figures for papers: what each draws, into given axes and new ones, and the files they become."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import textwrap
import warnings
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from probe import Prober, compare, judge
from probe.errors import OutputError, UsageError
from probe.show import (
    plot,
    plot_comparison,
    plot_convergence,
    plot_curves,
    plot_errors,
    plot_sheet,
    save_figure,
)
from probe.show.spread import error_levels
from probe.show.study import by_effect
from probe.testing.planted import RED, Planted, planted_picture
from probe.types import Failure, Identity, Scores

BOX = (24, 16, 48, 40)
HOSTILE = [
    "<script>alert(1)</script>",
    "</style><svg onload=alert(2)>",
    "javascript:alert(3)",
    "\x1b[31mred\x1b]8;;http://x\x07",
    "\u202egnp.exe \u2067 x",
    "]]> -- --> <!-- <![CDATA[ &amp; &#x3c;",
    "$\\frac",
    "x" * 10_000,
]
FIGURES = ("map", "errors", "sheet", "convergence", "deletion", "insertion", "comparison")


@pytest.fixture(scope="module")
def runs():
    """A planted run of boxes, one of windows, a judgement and a comparison."""
    boxes = Prober(Planted()).probe(planted_picture())
    windows = Prober(Planted()).probe(planted_picture(), method="windows")
    judged = judge(Prober(Planted()), planted_picture(), boxes.heatmap(), budget=40)
    both = [Planted(identity="one"), Planted(red=1200, identity="other")]
    return boxes, windows, judged, compare(planted_picture(), both, budget=32)


@pytest.fixture
def drawn(runs):
    boxes, _, judged, comparison = runs

    def draw(name, ax=None):
        functions = {
            "map": lambda: plot(boxes.heatmap(), ax),
            "errors": lambda: plot_errors(boxes.heatmap(), ax),
            "sheet": lambda: plot_sheet(boxes, ax),
            "convergence": lambda: plot_convergence(boxes, ax=ax),
            "deletion": lambda: plot_curves(judged, "deletion", ax),
            "insertion": lambda: plot_curves(judged, "insertion", ax),
            "comparison": lambda: plot_comparison(comparison, ax),
        }
        return functions[name]()

    return draw


def words(ax):
    """All that is written in and around the axes."""
    texts = [ax.get_title(), ax.get_xlabel(), ax.get_ylabel(), *(t.get_text() for t in ax.texts)]
    legend = ax.get_legend()
    return " ".join([*texts, *(t.get_text() for t in (legend.get_texts() if legend else ()))])


@pytest.mark.parametrize("name", FIGURES)
def test_each_draws_into_the_axes_it_is_given_and_into_new_ones(drawn, name):
    figure = Figure(figsize=(9, 4))
    first, second = figure.subplots(1, 2)
    assert drawn(name, second) is second
    assert not first.has_data()
    assert second.has_data()
    new = drawn(name)
    assert isinstance(new, Axes)
    assert new.figure is not figure
    assert new.get_title()


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_that_is_drawn_leaves_a_new_figure(drawn, name, tmp_path):
    with Image.open(save_figure(drawn(name), tmp_path / "a.png")) as shown:
        pixels = np.asarray(shown.convert("L"))
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert edge.min() == 255


@pytest.mark.parametrize("size", [(96, 64), (64, 96), (160, 40), (40, 160), (60, 60), (300, 20)])
def test_long_labels_stay_within_figures_of_every_shape(heatmap, size):
    values = np.linspace(-1, 1, size[0] * size[1]).reshape(size[1], size[0])
    values[:3] = np.nan
    drawn = heatmap(values, stderr=np.abs(values) * 0.3 + 0.1, label="w" * 50, unit="m" * 20)
    for ax in (plot(drawn), plot_errors(drawn)):
        ax.figure.canvas.draw()
        box = ax.figure.get_tightbbox().transformed(ax.figure.dpi_scale_trans)
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= ax.figure.bbox.x1
        assert box.y1 <= ax.figure.bbox.y1


def test_contours_follow_the_standard_error_and_say_it_in_the_unit(heatmap):
    across = np.tile(np.linspace(0.0, 0.4, 80), (60, 1))
    ax = plot_errors(heatmap(np.ones((60, 80)), stderr=across, unit="points", size=(160, 120)))
    (lines,) = (one for one in ax.collections if hasattr(one, "levels"))
    np.testing.assert_allclose(lines.levels, [0.1, 0.2, 0.3])
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        assert path.vertices[:, 0] == pytest.approx(level / 0.4 * 159, abs=1.5)
    down = np.linspace(0.0, 0.4, 60)[:, None] * np.ones(80)
    (rows,) = (one for one in plot_errors(heatmap(down * 0, stderr=down)).collections)
    for level, path in zip(rows.levels, rows.get_paths(), strict=True):
        assert path.vertices[:, 1] == pytest.approx(level / 0.4 * 59 + 0.5, abs=0.8)
    assert {float(text.get_text()) for text in ax.texts} <= {0.1, 0.2, 0.3}
    assert "lines of equal standard error (points)" in words(ax)
    assert ax.get_xlim() == (0, 160)
    assert ax.get_ylim() == (120, 0)


@pytest.mark.parametrize(
    ("stderr", "said"), [(0.25, "is 0.25 (score) everywhere"), (np.nan, "no standard error")]
)
def test_an_error_without_contours_is_said(heatmap, stderr, said):
    flat = heatmap(np.ones((6, 8)), stderr=np.full((6, 8), stderr))
    assert error_levels(flat).size == 0
    assert said in words(plot_errors(flat))


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (300, 40)])
def test_errors_of_every_shape_are_drawn(heatmap, size, tmp_path):
    width, height = size
    values = np.linspace(-1, 1, width * height).reshape(height, width)
    values[:, : width // 4] = np.nan
    ax = plot_errors(heatmap(values, stderr=np.abs(values)))
    assert save_figure(ax, tmp_path / "a.png").stat().st_size > 1000


def tiles(ax):
    """The pictures of a sheet from left to right and from the top, with their words."""
    return [
        (np.asarray(image.get_array()), text.get_text())
        for image, text in zip(ax.images, ax.texts, strict=True)
    ]


def redness(pixels):
    return float((np.abs(pixels.astype(int) - RED).max(axis=-1) < 60).mean())


def test_a_sheet_shows_what_was_sent_with_its_score(runs):
    for result, brightest in zip(runs[:2], (False, True), strict=True):
        shown = tiles(plot_sheet(result, tiles=12))
        assert len(shown) == 12
        assert shown[0][1] == "#0 whole 0.95"
        for pixels, caption in shown[1:]:
            number, score = caption.removeprefix("#").split()
            outcome = result.answers[int(number)].outcome
            assert float(score) == pytest.approx(outcome["nsfw"], rel=0.01)
            assert (redness(pixels) > 0.001) == (outcome["nsfw"] > 0.06)
        scores = [float(caption.split()[-1]) for _, caption in shown[1:]]
        assert scores == sorted(scores, reverse=brightest)
        assert scores[0] < 0.1 or brightest
        assert scores[0] > 0.9 or not brightest


def test_a_sheet_follows_the_plan_where_asked(runs):
    ax = plot_sheet(runs[1], tiles=7, order="plan", columns=3)
    assert [caption.split()[0] for _, caption in tiles(ax)] == [f"#{n}" for n in range(7)]
    assert f"7 of {len(runs[1].answers)} pictures, in the order of the plan" in words(ax).replace(
        "\n", " "
    )
    left = [round(text.get_position()[0], 6) for text in ax.texts]
    assert left[0] == left[3] == left[6] != left[1]
    everything = plot_sheet(runs[1], tiles=600, order="plan")
    assert len(everything.images) == len(runs[1].answers)


def test_what_has_no_score_comes_last_and_repeats_are_left_out(result):
    answers = result().answers
    hole, box = answers[4], answers[3]
    better = replace(box, outcome=Scores({"nsfw": 0.1, "sfw": 0.9}))
    ranked = result(answers=[*answers[:3], hole, box, better])
    assert by_effect(ranked) == [0, 5, 4, 3]
    assert tiles(plot_sheet(ranked))[-1][1] == "#3 no score"
    assert isinstance(hole.outcome, Failure)
    assert isinstance(answers[1].perturbation, Identity)


def test_a_sheet_needs_the_picture_and_room_for_one(result):
    with pytest.raises(UsageError, match="without its picture"):
        plot_sheet(result(image=None))
    for wrong in ({"tiles": 0}, {"tiles": 10_000}, {"columns": 0}, {"order": "\x1b[31m"}):
        with pytest.raises(UsageError) as error:
            plot_sheet(result(), **wrong)
        assert "\x1b" not in str(error.value)


def test_the_captions_of_a_sheet_do_not_touch(runs):
    for result in runs[:2]:
        ax = plot_sheet(result)
        ax.figure.canvas.draw()
        boxes = [text.get_window_extent() for text in ax.texts]
        assert not any(
            one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[n + 1 :]
        )


def test_curves_are_those_of_the_judgement(runs):
    judged = runs[2]
    for kind in ("deletion", "insertion"):
        ax = plot_curves(judged, kind)
        (own,) = (line for line in ax.lines if line.get_label() == "the map")
        assert [tuple(point) for point in own.get_xydata()] == list(judged.curves[kind].points)
        assert kind in ax.get_title()
    with pytest.raises(UsageError, match="give deletion or insertion"):
        plot_curves(judged, "\x1b[2J")


def test_a_comparison_is_the_difference_on_a_symmetric_scale(runs):
    comparison = runs[3]
    ax = plot_comparison(comparison)
    low, high = ax.figure.axes[-1].get_xlim()
    assert low == -high
    assert "minus" in ax.get_title()
    assert "variants to both" in ax.get_title()
    assert "not shown to differ" in words(ax)
    shown = np.asarray(ax.images[0].get_array()).astype(int)
    reds = (shown[:, :, 0] > shown[:, :, 2] + 60).mean(axis=(0, 1))
    assert reds > 0.01


@pytest.mark.parametrize(
    ("ending", "head"), [("png", b"\x89PNG\r\n"), ("svg", b"<?xml"), ("PDF", b"%PDF-1.")]
)
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_saved_as_its_ending_says(drawn, name, ending, head, tmp_path):
    path = tmp_path / "new" / f"a.{ending}"
    assert save_figure(drawn(name), path) == path
    assert path.read_bytes().startswith(head)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_whole_figure_is_saved_as_well_as_its_axes(runs, tmp_path):
    ax = plot(runs[0].heatmap())
    one, other = save_figure(ax, tmp_path / "a.png"), save_figure(ax.figure, tmp_path / "b.png")
    assert one.read_bytes() == other.read_bytes()
    with Image.open(one) as shown:
        assert shown.width == round(200 * ax.figure.get_size_inches()[0])


def test_no_other_ending_is_written(runs, tmp_path):
    ax = plot(runs[0].heatmap())
    for name in ("a.jpg", "a", "a.svgz", "x.\x1b[31m"):
        with pytest.raises(UsageError, match=r"\.png, \.svg or \.pdf") as error:
            save_figure(ax, tmp_path / name)
        assert str(error.value).isprintable()
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_cannot_be_written_leaves_what_was_there(runs, tmp_path, monkeypatch):
    ax, path = plot(runs[0].heatmap()), tmp_path / "a.svg"
    path.write_text("before")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OutputError, match="cannot write"):
        save_figure(ax, path)
    assert [one.name for one in tmp_path.iterdir()] == ["a.svg"]
    assert path.read_text() == "before"
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        save_figure(ax, tmp_path / "file" / "a.pdf")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_figure_gives_the_same_bytes(drawn, ending, tmp_path):
    for name in FIGURES if ending == "svg" else ("errors", "sheet"):
        first = save_figure(drawn(name), tmp_path / f"one.{ending}").read_bytes()
        assert save_figure(drawn(name), tmp_path / f"two.{ending}").read_bytes() == first
        assert b"Date" not in first
        assert b"matplotlib.org" not in first


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(tmp_path):
    script = """
        import sys
        import numpy as np
        from probe.heatmap import Heatmap, Planes
        from probe.show import plot_errors, save_figure
        from probe.types import Canvas
        plane = np.linspace(-1, 1, 400, dtype=np.float32).reshape(20, 20)
        planes = Planes(plane, np.abs(plane), plane, np.ones((20, 20), np.int32))
        ax = plot_errors(Heatmap("x", "score", 0.5, Canvas((20, 20), (20, 20)), planes))
        for ending in ("svg", "pdf"):
            save_figure(ax, f"{sys.argv[1]}.{ending}")
    """
    digests = []
    for seed in "12":
        run = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / seed)]
        subprocess.run(run, check=True, env={"PYTHONHASHSEED": seed, "HOME": str(tmp_path)})
        files = sorted(tmp_path.glob(f"{seed}.*"))
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert digests[0] == digests[1]
    assert len(digests[0]) == 2


def inert(path):
    """Nothing in the SVG is code, a link or a style that a label brought along."""
    root = ElementTree.parse(path).getroot()
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        assert tag not in ("script", "foreignObject", "iframe", "a", "animate", "set")
        for name, value in element.attrib.items():
            name = name.rpartition("}")[2]
            assert not name.startswith("on")
            if name == "href":
                assert value.startswith(("#", "data:image/png;base64,"))
        if tag == "style":
            assert element.text == "*{stroke-linejoin: round; stroke-linecap: butt}"
    return " ".join(text for element in root.iter() for text in (element.text or "",))


@pytest.mark.parametrize("label", HOSTILE)
def test_labels_of_strangers_are_text_in_every_file(heatmap, result, runs, label, tmp_path):
    values = np.linspace(-1, 1, 12).reshape(3, 4)
    drawn = heatmap(values, label=label, unit=label, stderr=np.abs(values) / 4)
    judged = replace(runs[2], label=label)
    compared = replace(runs[3], names=(label, f"{label} (2)"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ax in (
            plot(drawn),
            plot_errors(drawn),
            plot_sheet(result(labels=(label, "sfw"))),
            plot_convergence(result(labels=(label, "sfw"))),
            plot_curves(judged),
            plot_comparison(compared),
        ):
            assert len(ax.get_title()) < 240
            text = inert(save_figure(ax, tmp_path / "a.svg"))
            assert not any(ord(one) < 32 and one not in "\n\t " for one in text)
            assert not set("\u202e\u2067\x1b") & set(text)
        save_figure(plot_errors(drawn), tmp_path / "a.pdf")


def test_the_words_of_an_svg_can_be_searched(runs, tmp_path):
    text = inert(save_figure(plot(runs[0].heatmap()), tmp_path / "a.svg"))
    assert "nsfw 0.95 for the whole picture" in text
