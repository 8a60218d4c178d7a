"""What a notebook shows of a run and of a map."""

from __future__ import annotations

import io
from base64 import b64decode
from html.parser import HTMLParser

import pytest
from PIL import Image

from probe import Prober
from probe.finding import finding
from probe.testing.planted import Planted, planted_picture

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "</p></style>",
    "\x1b[31mred",
    "\u202egnp.exe",
    "x" * 10_000,
]


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.found, self.words = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words += data


def picture(elements):
    source = elements.found[0][1]["src"]
    return Image.open(io.BytesIO(b64decode(source.removeprefix("data:image/png;base64,"))))


def test_a_run_is_its_figure_and_what_was_found():
    result = Prober(Planted()).probe(planted_picture())
    shown = Elements(result._repr_html_())
    assert [tag for tag, _ in shown.found] == ["img", "p"]
    assert shown.words == finding(result)
    assert shown.found[0][1]["alt"] == "Map of nsfw over the picture"
    assert picture(shown).size == Image.open(io.BytesIO(result._repr_png_())).size


def test_a_map_is_its_figure_and_a_line(heatmap):
    shown = Elements(heatmap([[0.5, 0.1]])._repr_html_())
    assert shown.words == "nsfw 0.655 for the whole picture · 64 answers"
    assert shown.found[0][1]["alt"] == "Map of nsfw without its picture"


def test_it_can_be_read_on_a_dark_page(heatmap):
    shown = Elements(heatmap([[0.5, 0.1]])._repr_html_())
    assert picture(shown).convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    assert "color:" not in shown.found[1][1]["style"]


@pytest.mark.parametrize("label", HOSTILE)
def test_labels_of_strangers_are_text(heatmap, result, label):
    for text in (heatmap([[0.5]], label=label)._repr_html_(), result((label, "b"))._repr_html_()):
        shown = Elements(text)
        assert [tag for tag, _ in shown.found] == ["img", "p"]
        assert not any(name.startswith("on") for _, about in shown.found for name in about)
        assert not set("\x1b\u202e") & set(text)
        assert len(shown.words) < 400
