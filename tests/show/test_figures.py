import io
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from probe.errors import UsageError
from probe.show import figure, overlay, plot
from probe.show.words import drawable

NAN = np.nan
HOSTILE = ["$\\frac", "$", "a_{b}^$x$", "\x1b[31mred\n\t", "猫\u202e", "x" * 10_000, ""]


def grey(width, height):
    return Image.new("RGB", (width, height), (128, 128, 128))


def colours(image):
    return np.asarray(image).astype(int)


def lines_of(ax):
    return " ".join(text.get_text() for text in ax.get_legend().get_texts())


def test_red_speaks_for_the_label_and_blue_against_it(heatmap):
    drawn = colours(overlay(heatmap([[0.5, 0.0, -0.5]], image=grey(3, 1))))
    red, none, blue = drawn[0]
    assert red[0] > red[2] + 40
    assert blue[2] > blue[0] + 40
    assert np.ptp(none) <= 2


def test_the_scale_of_evidence_is_symmetric(heatmap):
    drawn = colours(overlay(heatmap([[0.5, 0.1, -0.1]], image=grey(3, 1))))
    for_it, against = np.ptp(drawn[0, 1]), np.ptp(drawn[0, 2])
    assert abs(for_it - against) < 25
    assert for_it < np.ptp(drawn[0, 0]) - 40


def test_the_stronger_the_value_the_less_of_the_picture_shows(heatmap):
    def contrast(value):
        stripes = np.zeros((2, 2, 3), np.uint8)
        stripes[0] = 255
        over = overlay(heatmap([[value, 1.0]] * 2, image=Image.fromarray(stripes)))
        return np.ptp(colours(over)[:, 0].sum(axis=1))

    assert contrast(0.0) > contrast(0.3) > contrast(0.9) > 0


def test_scores_grow_lighter_from_purple_to_yellow(heatmap):
    drawn = colours(overlay(heatmap([[0.0, 0.2, 0.4]], image=grey(3, 1), kind="score")))
    low, _, high = drawn[0]
    assert high[1] > high[2] + 60
    assert np.ptp(low) <= 2


def test_pixels_without_a_value_are_hatched_and_have_no_colour(heatmap):
    values = np.full((40, 40), 0.5)
    values[:, 20:] = NAN
    drawn = colours(overlay(heatmap(values, image=grey(40, 40))))
    left, right = drawn[:, :20], drawn[:, 20:]
    assert np.ptp(left, axis=(0, 1)).max() == 0
    assert np.ptp(right, axis=2).max() <= 2
    assert len(np.unique(right.reshape(-1, 3), axis=0)) == 2


def test_evidence_within_two_standard_errors_is_dotted_and_has_no_colour(heatmap):
    values = np.full((40, 40), 0.5)
    drawn = heatmap(values, image=grey(40, 40), stderr=np.where(np.arange(40) < 20, 0.2, 0.3))
    drawn = colours(overlay(drawn))
    sure, unsure = drawn[:, :20], drawn[:, 20:]
    assert np.ptp(sure, axis=(0, 1)).max() == 0
    assert np.ptp(sure, axis=2).min() > 40
    assert np.ptp(unsure, axis=2).max() <= 2
    assert len(np.unique(unsure.reshape(-1, 3), axis=0)) == 2
    holes = colours(overlay(heatmap(values * NAN, image=grey(40, 40))))
    assert (holes[:, 20:] != unsure).any()  # not to be taken for what nothing looked at


@pytest.mark.parametrize(
    ("value", "stderr", "coloured"),
    [(0.5, 0.25, True), (-0.5, 0.26, False), (-0.5, 0.1, True), (0.5, NAN, False)],
)
def test_significant_is_two_known_standard_errors_from_zero(heatmap, value, stderr, coloured):
    drawn = heatmap([[value] * 9] * 9, image=grey(9, 9), stderr=np.full((9, 9), stderr))
    assert (np.ptp(colours(overlay(drawn)), axis=2).max() > 40) == coloured


def test_the_scale_reaches_as_far_as_what_is_significant(heatmap):
    drawn = heatmap([[0.9, 0.3, -0.1]], stderr=np.array([[0.5, 0.1, 0.01]]))
    assert list(plot(drawn).figure.axes[-1].get_xlim()) == pytest.approx([-0.3, 0.3])
    drawn = heatmap([[0.9, 0.3]], stderr=np.array([[0.5, 0.2]]))
    assert list(plot(drawn).figure.axes[-1].get_xlim()) == pytest.approx([-0.9, 0.9])


def test_scores_of_windows_are_not_compared_with_zero(heatmap):
    drawn = heatmap([[0.1, 0.2]], kind="score", image=grey(2, 1), stderr=np.ones((1, 2)))
    assert plot(drawn).get_legend() is None


def test_an_overlay_has_the_size_of_the_picture_and_leaves_it_alone(heatmap):
    picture = grey(40, 20)
    before = picture.tobytes()
    drawn = overlay(heatmap(np.eye(5, 10), image=picture, size=(40, 20)))
    assert drawn.size == (40, 20)
    assert drawn.mode == "RGB"
    assert picture.tobytes() == before
    assert np.ptp(colours(drawn)[:4, :4], axis=(0, 1)).max() == 0  # one send pixel, enlarged


def test_a_map_from_a_file_needs_its_picture(heatmap, tmp_path):
    loaded = heatmap([[0.5, 0.1]])
    with pytest.raises(UsageError, match="pass it"):
        overlay(loaded)
    with pytest.raises(UsageError, match="2 x 1 pixels, not of 3 x 3"):
        overlay(loaded, grey(3, 3))
    grey(2, 1).save(tmp_path / "a.png")
    assert overlay(loaded, tmp_path / "a.png") == overlay(loaded, grey(2, 1))


@pytest.mark.parametrize("kind", ["evidence", "score"])
@pytest.mark.parametrize("values", [[[0.0, 0.0]], [[NAN, NAN]], [[0.3, 0.3]], [[NAN, 1e-30]]])
def test_flat_and_empty_maps_are_drawn(heatmap, kind, values):
    drawn = heatmap(values, image=grey(2, 1), kind=kind)
    assert overlay(drawn).size == (2, 1)
    assert figure(drawn).mode == "RGB"


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 5000), (5000, 1), (300, 40), (40, 300)])
@pytest.mark.parametrize("with_picture", [True, False])
def test_figures_of_every_shape_are_of_a_size_to_look_at(heatmap, size, with_picture):
    width, height = size
    values = np.linspace(-1, 1, width * height).reshape(height, width)
    drawn = figure(heatmap(values, image=grey(*size) if with_picture else None))
    assert drawn.mode == "RGB"
    assert 500 <= drawn.width <= 1200
    assert 150 <= drawn.height <= 1300
    reds = (colours(drawn)[:, :, 0] > colours(drawn)[:, :, 2] + 60).sum()
    blues = (colours(drawn)[:, :, 2] > colours(drawn)[:, :, 0] + 60).sum()
    assert min(reds, blues) > 1500  # the map and its scale can be seen


def test_the_picture_stands_in_its_figure_unchanged(heatmap):
    picture = Image.new("RGB", (520, 520), (10, 200, 30))
    drawn = colours(figure(heatmap(np.zeros((4, 4)), image=picture, size=(520, 520))))
    assert (drawn == (10, 200, 30)).all(axis=2).sum() == 520 * 520


def test_figures_name_what_is_hatched(heatmap):
    values = np.full((10, 10), 0.5)
    values[0] = NAN
    values[5, 5] = NAN
    seen = (0.0, 0.1, 1.0, 1.0)
    assert "not seen by the model, not covered" in lines_of(plot(heatmap(values, seen=seen)))
    assert "in no answered window" in lines_of(plot(heatmap(values, kind="score")))
    values[5, 5] = 0.5
    assert lines_of(plot(heatmap(values, seen=seen))) == "not seen by the model"
    values[0] = 0.5
    assert plot(heatmap(values, seen=seen)).get_legend() is None


def test_figures_name_what_is_dotted_and_when_nothing_is_significant(heatmap):
    values, wide = np.full((10, 10), 0.5), np.full((10, 10), 0.3)
    partly = heatmap(values, stderr=np.where(np.arange(10) < 5, 0.1, wide), seen=(0, 0, 1, 1))
    assert lines_of(plot(partly)) == "not significant: within 2 standard errors of zero"
    assert lines_of(plot(heatmap(values, stderr=wide))).startswith("nothing significant")
    values[0] = NAN
    both = lines_of(plot(heatmap(values, stderr=wide)))
    assert both.startswith("not covered by an answer nothing significant")
    small, large = figure(heatmap(np.full((10, 10), 0.5))), figure(heatmap(values, stderr=wide))
    assert small.height < large.height < small.height + 60


def test_a_flat_map_and_an_empty_one_say_so(heatmap):
    assert "flat: no cover moved it" in plot(heatmap([[0.0, 0.0, NAN]])).get_title()
    assert "empty: no variant got a score" in plot(heatmap([[NAN, NAN]])).get_title()
    for values in ([[0.0, 1e-9]], [[0.3, 0.3]]):
        title = plot(heatmap(values)).get_title()
        assert title.endswith("64 answers")
    assert "flat" not in plot(heatmap([[0.0, 0.0]], kind="score")).get_title()


def test_plot_says_label_reference_calls_and_unit(heatmap):
    ax = plot(heatmap([[0.5, -0.2]], image=grey(2, 1)))
    assert isinstance(ax, Axes)
    for word in ("nsfw", "0.655", "64 answers"):
        assert word in ax.get_title()
    bar = ax.images[0].axes.figure.axes[-1]
    assert "score" in bar.get_xlabel() + bar.get_ylabel()
    assert "standard error 0)" in bar.get_xlabel() + bar.get_ylabel()
    assert "calls" not in plot(heatmap([[0.5]], calls=1)).get_title()


def test_the_colour_bar_is_symmetric_for_evidence_and_the_range_for_scores(heatmap):
    def limits(kind):
        ax = plot(heatmap([[0.5, -0.25]], kind=kind))
        bar = ax.figure.axes[-1]
        return list(bar.get_xlim())

    assert limits("evidence") == [-0.5, 0.5]
    assert limits("score") == [-0.25, 0.5]


def test_plot_draws_into_the_axes_it_is_given(heatmap):
    axes = Figure().subplots(1, 2)
    assert plot(heatmap([[0.5, 0.1]], image=grey(2, 1)), axes[1]) is axes[1]
    assert not axes[0].images
    assert axes[1].get_xlim() == (0, 2)
    assert axes[1].get_ylim() == (1, 0)


@pytest.mark.parametrize("label", HOSTILE)
def test_labels_of_strangers_are_drawn_as_text(heatmap, label):
    drawn = heatmap([[0.5, NAN]], label=label, unit=label, image=grey(2, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert figure(drawn).width < 1200
        ax = plot(drawn)
        ax.figure.savefig(io.BytesIO())
    assert len(ax.get_title()) < 120
    assert not any(ord(character) < 32 or ord(character) == 0x202E for character in ax.get_title())


def test_characters_that_the_font_lacks_are_spelled_out():
    assert drawable("猫 né") == "\\u732b né"
    assert drawable("x" * 99, 10) == "xxxxxxxxx…"


def test_drawing_needs_no_pyplot_and_loading_no_matplotlib():
    script = """
        import sys
        from probe.show import overlay, figure, plot, contact_sheet, save_run
        assert "matplotlib" not in sys.modules
        import numpy as np
        from probe.heatmap import Heatmap, Planes
        from probe.types import Canvas
        plane = np.zeros((4, 4), np.float32)
        planes = Planes(plane, plane, plane, plane.astype(np.int32))
        heatmap = Heatmap("x", "score", 0.5, Canvas((4, 4), (4, 4)), planes)
        figure(heatmap)
        plot(heatmap).figure.canvas.draw()
        assert "matplotlib.pyplot" not in sys.modules
    """
    run = [sys.executable, "-c", textwrap.dedent(script)]
    subprocess.run(run, check=True, capture_output=True)


def test_notebooks_show_the_figure(heatmap):
    png = heatmap([[0.5, 0.1]], image=grey(2, 1))._repr_png_()
    with Image.open(io.BytesIO(png)) as shown:
        assert shown.format == "PNG"
