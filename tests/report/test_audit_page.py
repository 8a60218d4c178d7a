"""The page of an audit."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from probe.errors import LimitReached
from probe.report import save_report
from probe.report.audit import SHOWN, audit_page
from tests.audit.made import NOTHING, made_audit, made_feature
from tests.browser import opened
from tests.report.reader import Elements
from tests.runs import HOSTILE


def several(name="party.jpg", **changes):
    return made_audit(
        made_feature(name=name),
        made_feature(2, drops=NOTHING, words="blue, top left", name=name),
        made_feature(3, drops=[0.1], within=(0, 0), words="grey, the centre", name=name),
        **changes,
    )


@pytest.mark.parametrize("audit", [several(), made_audit()], ids=["features", "none"])
def test_no_script_is_there_or_allowed_and_nothing_is_fetched(audit):
    elements = Elements(audit_page(audit, "probe audit photos"))
    policy = next(a["content"] for _, a in elements.found if a.get("http-equiv"))
    digest = b64encode(sha256(elements.inside["style", None].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )
    for tag, attributes in elements.found:
        assert tag not in ("script", "link", "iframe", "object", "base", "form")
        assert "style" not in attributes
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith(("data:image/", "#feature"))


def test_it_says_what_was_found():
    text = audit_page(several(), "probe audit photos --tests 8")
    assert "<h1>What nsfw hangs on</h1>" in text
    assert "3 features found in the evidence" in text
    assert "nsfw hangs on red, anywhere. Covering it lowers nsfw by 0.50 (0.45 to 0.55)" in text
    assert "400 more of every 1,000" in text
    assert "not tested" in text
    assert "after Holm): covering it lowers nsfw" in text
    assert "party.jpg: score 0.91, evidence 0.5, high score" in text
    assert "probe audit photos --tests 8" in text
    assert "<td>1,500</td>" in text
    assert text.count('class="claimed"') == 1
    assert text.count('class="verdict claimed"') == 1
    links = {a["href"] for tag, a in Elements(text).found if tag == "a"}
    places = {a["id"] for tag, a in Elements(text).found if tag == "section" and "id" in a}
    assert links == {f"#{place}" for place in places} == {"#feature1", "#feature2", "#feature3"}


def test_the_line_of_a_drop_has_its_interval_and_zero():
    text = audit_page(made_audit(made_feature(drops=[-0.2, -0.1, 0.0, 0.1, -0.2, -0.1])), "")
    found = [a for tag, a in Elements(text).found if tag in ("line", "circle")]
    zero, span, dot = found
    assert zero["x1"] == zero["x2"]
    assert 0 <= float(span["x1"]) < float(dot["cx"]) < float(span["x2"]) <= 260
    assert float(dot["cx"]) < float(zero["x1"])


def test_nothing_found_is_a_page_too():
    text = audit_page(made_audit(failures=[("x.png", "no picture")], failed=1), "probe audit x")
    assert "the evidence of no three pictures is alike" in text
    assert "Nothing that was found is rarer there." in text
    assert "x.png: no picture" in text
    assert "<table class=" not in text


def test_of_many_places_some_are_shown_and_the_rest_is_counted():
    one = made_feature()
    object.__setattr__(one, "exemplars", one.exemplars[:1] * (SHOWN + 1))
    text = audit_page(made_audit(one), "")
    assert text.count("<figure>") == SHOWN
    assert "1 more place in places.csv" in text


@pytest.mark.parametrize("hostile", [*HOSTILE, "\udcff"])
def test_whatever_comes_from_outside_is_text(hostile):
    audit = several(name=hostile, label=hostile, identity=hostile, failures=[(hostile, hostile)])
    audit.stopped = LimitReached(hostile)
    text = audit_page(audit, hostile)
    plain = several(name="a", label="a", identity="a", failures=[("a", "a")])
    plain.stopped = LimitReached("a")
    tags = [tag for tag, _ in Elements(text).found]
    assert tags == [tag for tag, _ in Elements(audit_page(plain, "a")).found]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    assert len(text) < 150_000


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out_on_a_phone_or_a_wide_screen(browser, tmp_path, scheme):
    long = "x" * 300 + ".png"
    audit = several(name=long, label="y" * 80, identity="z" * 300, failures=[(long, long)])
    path = save_report(audit_page(audit, "probe audit " + "w" * 400), tmp_path / "report.html")
    with opened(browser, path.as_uri(), size="phone", color_scheme=scheme) as view:
        for summary in view.page.locator("summary").all():
            summary.click()
        view.page.locator("details.about > summary").click()
        for width in (360, 1200):
            view.page.set_viewport_size({"width": width, "height": 800})
            wide = view.page.evaluate("() => document.documentElement.scrollWidth")
            assert wide <= width
            assert view.grave() == []
        view.check()
