"""The smallest cover: known answers, what is promised of every redaction, and what goes wrong."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from probe import Prober, from_callable, redact
from probe.decide.redact_picture import finished
from probe.errors import LabelError, LimitReached, UsageError
from probe.image import decode, encode
from probe.limits import Limits
from probe.perturb import Renderer, parse_fill
from probe.types import Canvas, Codec, Failure, Scores

SIZE = (96, 64)
ONE = (30, 20, 54, 40)
LEFT, RIGHT = (6, 20, 24, 44), (66, 24, 84, 48)
SEEDS = np.random.default_rng(5)


def noise_picture(size=SIZE) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (*size[::-1], 3), np.uint8))


PICTURE = noise_picture()


class Target:
    """nsfw out of how much of each patch is still as in PICTURE; sfw is the rest."""

    def __init__(self, patches=(ONE,), combine=np.mean, noise=0.0):
        self.patches, self.combine, self.noise = patches, combine, noise
        self.calls = 0
        self.rng = np.random.default_rng(7)

    def true(self, image) -> float:
        same = (np.asarray(image) == np.asarray(PICTURE)).all(2)
        shown = [same[y0:y1, x0:x1].mean() for x0, y0, x1, y1 in self.patches]
        return 0.05 + 0.9 * float(self.combine(shown))

    def __call__(self, images):
        self.calls += len(images)
        found = [self.true(image) + self.noise * self.rng.normal() for image in images]
        return [{"nsfw": score, "sfw": 1 - score} for score in found]

    def prober(self, **more):
        backend = from_callable(
            self, ["sfw", "nsfw"], question="nsfw", deterministic=not self.noise
        )
        return Prober(backend, **more)


def covered(boxes, size=SIZE):
    mask = np.zeros(size[::-1], bool)
    for x0, y0, x1, y1 in boxes:
        assert 0 <= x0 < x1 <= size[0]
        assert 0 <= y0 < y1 <= size[1]
        mask[y0:y1, x0:x1] = True
    return mask


def share(patches):
    return covered(patches).mean()


def test_one_patch_is_covered_as_far_as_it_has_to_be_and_the_picture_is_scored():
    target = Target()
    found = redact(target.prober(), PICTURE)
    assert found.found
    assert not found.already
    assert (found.label, found.threshold, found.above) == ("nsfw", 0.5, False)
    assert found.reference == pytest.approx({"nsfw": 0.95, "sfw": 0.05})
    assert target.true(found.image) == found.score == found.scores["sent"] < 0.5
    assert found.area == covered(found.boxes).mean() < 0.7 * share([ONE])
    assert target.calls == found.spent.calls <= 64 + 64
    assert found.tried[-1].stage == "final"
    assert {one.stage for one in found.tried} == {"map", "search", "final"}


def test_nothing_but_the_boxes_is_changed_and_in_them_stands_the_fill():
    found = redact(Target().prober(fill="black"), PICTURE)
    mask, pixels = covered(found.boxes), np.asarray(found.image)
    np.testing.assert_array_equal(pixels[~mask], np.asarray(PICTURE)[~mask])
    assert (pixels[mask] == 0).all()


def test_two_places_that_are_enough_each_are_covered_both_and_what_lies_between_is_not():
    target = Target((LEFT, RIGHT), np.max)
    found = redact(target.prober(), PICTURE, below=0.5)
    assert found.found
    assert len(found.boxes) > 1
    bounding = covered([(LEFT[0], LEFT[1], RIGHT[2], RIGHT[3])]).mean()
    assert found.area < 0.75 * bounding


def test_a_saturated_score_needs_more_than_half_of_the_patch():
    target = Target(combine=lambda shown: 1 / (1 + np.exp(-20 * (np.mean(shown) - 0.3))))
    found = redact(target.prober(), PICTURE, below=0.5)
    assert found.found
    assert 0.65 * share([ONE]) < found.area < 1.3 * share([ONE])


def test_a_noisy_service_is_brought_surely_under_the_threshold():
    target = Target(noise=0.03)
    found = redact(target.prober(), PICTURE, below=0.5)
    assert found.found
    assert found.score < 0.5
    assert target.true(found.image) < 0.5


def test_a_score_is_raised_over_a_threshold_just_as_well():
    target = Target()
    found = redact(target.prober(), PICTURE, "sfw", above=0.5)
    assert found.found
    assert found.above
    assert found.score >= 0.5
    assert found.area < 0.7 * share([ONE])


def test_a_score_of_exactly_the_threshold_counts_as_yes():
    flat = Prober(from_callable(lambda images: [{"x": 0.5}] * len(images), ["x"]))
    assert redact(flat, PICTURE, above=0.5).already
    assert not redact(flat, PICTURE, below=0.5).found


def test_a_picture_that_passes_is_left_as_it_is_after_one_call():
    target = Target()
    found = redact(target.prober(), PICTURE, below=0.96)
    assert found.already
    assert found.found
    assert (found.boxes, found.area, target.calls) == ((), 0.0, 1)
    np.testing.assert_array_equal(np.asarray(found.image), np.asarray(PICTURE))


def test_the_threshold_is_the_services_own_and_only_for_its_own_question():
    class Strict(Target):
        identity = None
        limits = Limits(
            batch=32,
            formats=("pixels",),
            labels=("sfw", "nsfw"),
            question="nsfw",
            threshold=0.97,
            deterministic=True,
        )

        def score(self, variants, codec):
            return [Scores(one) for one in self([variant.pixels() for variant in variants])]

    assert redact(Prober(Strict()), PICTURE).threshold == 0.97
    assert redact(Prober(Strict()), PICTURE, "sfw").threshold == 0.5


def test_a_label_that_never_moves_is_said_to_hang_on_nothing():
    found = redact(Prober(from_callable(lambda i: [{"x": 0.9}] * len(i), ["x"])), PICTURE)
    assert not found.found
    assert found.image is None
    assert any("No cover moved the score" in note for note in found.notes)
    with pytest.raises(UsageError, match="nothing to save"):
        found.save("nowhere.png")


def test_what_cannot_be_reached_comes_with_the_closest_that_was():
    found = redact(Target().prober(), PICTURE, below=0.04)
    assert not found.found
    assert found.score == pytest.approx(0.05)
    assert found.area is None
    assert found.score == min(one.score for one in found.tried)


def test_a_cover_that_would_be_too_large_is_not_made_but_told():
    found = redact(Target(((0, 0, 96, 64),)).prober(), PICTURE, below=0.3, max_area=0.2)
    assert not found.found
    assert any("of the picture would do, more than the 20%" in note for note in found.notes)


def test_covers_that_get_no_score_are_no_answer():
    def moody(images):
        whole = np.asarray(PICTURE)
        return [
            {"x": 0.9} if np.array_equal(np.asarray(image), whole) else None for image in images
        ]

    found = redact(Prober(from_callable(moody, ["x"])), PICTURE)
    assert not found.found
    assert found.score is None
    assert found.notes[-1] == "No covered picture got a score."
    assert any(note.startswith("64 covered pictures got no score: ") for note in found.notes)
    assert found.spent.failures == 64


def test_a_service_that_drifts_meanwhile_is_told_of():
    target, start = Target(), 0.0

    def drifting(images):
        nonlocal start
        start += 0.02
        return [{"nsfw": one["nsfw"] - start} for one in target(images)]

    backend = from_callable(drifting, ["nsfw"], deterministic=False, batch=8)
    found = redact(Prober(backend), PICTURE, below=0.3)
    assert any("moved by" in note and "during the run" in note for note in found.notes)


def test_some_failures_are_no_obstacle():
    target = Target()

    def moody(images):
        return [None if score["nsfw"] > 0.7 and i % 3 == 1 else score
                for i, score in enumerate(target(images))]  # fmt: skip

    found = redact(Prober(from_callable(moody, ["sfw", "nsfw"], question="nsfw")), PICTURE)
    assert found.found
    assert target.true(found.image) < 0.5


def test_a_label_that_an_answer_leaves_out_has_the_services_floor():
    class Detector(Target):
        """Names what it sees, and nothing where it sees nothing."""

        identity = None
        limits = Limits(
            batch=32, formats=("pixels",), labels=("nsfw",), missing=0.0, deterministic=True
        )

        def score(self, variants, codec):
            scores = [self.true(variant.pixels()) for variant in variants]
            return [Scores({"nsfw": one} if one > 0.4 else {}) for one in scores]

    found = redact(Prober(Detector()), PICTURE, "nsfw", below=0.3)
    assert found.found
    assert found.score == 0.0
    assert found.spent.failures == 0
    assert found.area < share([ONE])


@pytest.mark.parametrize("levels", [2, 4])
def test_a_service_of_few_levels_is_enough(levels):
    target = Target((LEFT, RIGHT), np.max)

    def coarse(images):
        return [{"x": round(one["nsfw"] * (levels - 1)) / (levels - 1)} for one in target(images)]

    found = redact(Prober(from_callable(coarse, ["x"])), PICTURE, below=0.5)
    assert found.found
    assert found.area < 0.3
    for box in found.boxes:
        rest = [other for other in found.boxes if other != box]
        pixels = np.array(PICTURE)
        pixels[covered(rest)] = 0
        assert coarse([Image.fromarray(pixels)])[0]["x"] >= 0.5, "a box too many"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"below": 1.5}, "below must be between 0 and 1"),
        ({"below": float("nan")}, "below must be between 0 and 1"),
        ({"above": -0.1}, "above must be between 0 and 1"),
        ({"below": 0.0}, "no score is below 0"),
        ({"below": 0.5, "above": 0.5}, "not both"),
        ({"max_area": 2.0}, "max_area must be between"),
        ({"budget": 0}, "budget must be a whole number"),
        ({"boxes": 1.5}, "boxes must be a whole number"),
    ],
)
def test_numbers_that_make_no_sense_are_refused_before_any_call(given, said):
    target = Target()
    with pytest.raises(UsageError, match=said):
        redact(target.prober(), PICTURE, **given)
    assert target.calls == 0


def test_a_budget_that_leaves_nothing_to_search_with_is_refused():
    target = Target()
    with pytest.raises(UsageError, match="it must be at least 7"):
        redact(target.prober(), PICTURE, budget=6)
    assert target.calls == 0


def test_a_label_that_is_not_offered_is_refused():
    with pytest.raises(LabelError, match="Did you mean 'nsfw'"):
        redact(Target().prober(), PICTURE, "nfsw")


def known(target):
    return from_callable(target, ["sfw", "nsfw"], question="nsfw", identity="known 1")


def test_the_same_again_costs_nothing_and_finds_the_same(tmp_path):
    target, ledger = Target(), tmp_path / "ledger.db"
    first = redact(Prober(known(target), ledger=ledger), PICTURE)
    paid = target.calls
    again = redact(Prober(known(target), ledger=ledger), PICTURE)
    assert (target.calls, again.spent.calls) == (paid, 0)
    assert again.boxes == first.boxes
    assert again.data == first.data
    offline = redact(Prober(known(target), ledger=ledger, offline=True), PICTURE)
    assert offline.boxes == first.boxes


def test_a_cap_stops_it_and_going_on_pays_only_the_rest(tmp_path):
    target, whole = Target(), Target()
    redact(Prober(known(whole), ledger=tmp_path / "whole.db"), PICTURE)
    ledger = tmp_path / "ledger.db"
    with pytest.raises(LimitReached) as stopped:
        redact(Prober(known(target), ledger=ledger, max_calls=70), PICTURE)
    assert stopped.value.partial is not None
    assert target.calls == 70
    assert redact(Prober(known(target), ledger=ledger), PICTURE).found
    assert target.calls == whole.calls


box = st.tuples(st.integers(0, 80), st.integers(0, 52), st.integers(6, 40), st.integers(6, 40))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(box, min_size=1, max_size=3),
    st.sampled_from([np.mean, np.max, np.min]),
    st.floats(0.06, 0.94),
    st.integers(7, 40),
    st.integers(1, 3),
)
def test_every_redaction_passes_stays_within_its_budget_and_adds_up(
    boxes, combine, below, budget, most
):
    patches = [(x, y, min(96, x + w), min(64, y + h)) for x, y, w, h in boxes]
    target = Target(patches, combine)
    found = redact(target.prober(), PICTURE, below=below, budget=budget, boxes=most, map_budget=24)
    assert target.calls == found.spent.calls <= 24 + budget
    if found.found:
        assert target.true(found.image) == found.score < below
        assert 0 <= found.area <= 0.5
        assert found.area == covered(found.boxes).mean()
        assert len(found.boxes) <= most
    else:
        assert found.image is None
        assert not found.boxes


class BySize:
    """Takes the full size, too: redness there counts for `more`."""

    identity = None
    limits = Limits(
        batch=32,
        formats=("pixels",),
        labels=("red",),
        max_side=200,
        question="red",
        deterministic=True,
    )

    def __init__(self, more):
        self.more, self.full = more, 0

    def score(self, variants, codec):
        return [self.one(variant.pixels()) for variant in variants]

    def one(self, image) -> Scores | Failure:
        pixels = np.asarray(image).astype(float)
        red = (pixels[..., 0] - pixels[..., 1]).clip(0).mean() / 30
        large = image.size == (192, 128)
        self.full += large
        return Scores({"red": min(1.0, 0.05 + red * (self.more if large else 1.0))})


def red_picture():
    picture = Image.new("RGB", (192, 128), (90, 90, 90))
    picture.paste((255, 20, 20), (40, 40, 100, 80))
    return picture


def test_the_full_size_has_to_pass_too_where_the_service_takes_it():
    service = BySize(more=1.6)
    found = redact(Prober(service, side=96, fill="gray"), red_picture(), below=0.4)
    assert found.found
    assert set(found.scores) == {"sent", "full"}
    assert max(found.scores.values()) < 0.4
    assert found.image.size == (192, 128)
    assert service.one(found.image)["red"] == found.scores["full"]


def test_a_full_size_that_differs_is_covered_further_and_told():
    class Odd(BySize):
        """At full size a little of the red that is left counts for much."""

        def one(self, image):
            red = super().one(image)["red"]
            odd = image.size == (192, 128) and 0.06 < red < 0.6
            return Scores({"red": red + 0.15 if odd else red})

    found = redact(Prober(Odd(1.0), side=96, fill="gray"), red_picture(), below=0.4)
    assert found.found
    assert max(found.scores.values()) < 0.4
    assert any("more was covered" in note for note in found.notes)
    assert sum(one.stage == "final" for one in found.tried) > 1


def test_a_picture_that_passes_only_as_it_is_sent_is_covered_for_its_full_size():
    found = redact(Prober(BySize(more=1.6), side=96, fill="gray"), red_picture(), below=0.75)
    assert found.found
    assert found.boxes
    assert max(found.scores.values()) < 0.75


def test_a_full_size_that_nothing_helps_is_not_found():
    class Never(BySize):
        def one(self, image):
            return Scores({"red": 0.9}) if image.size == (192, 128) else super().one(image)

    found = redact(Prober(Never(1.0), side=96, fill="gray"), red_picture(), below=0.4)
    assert not found.found
    assert found.spent.calls <= 64 + 64


def test_as_jpeg_the_file_itself_is_what_was_scored_and_no_block_leaks():
    class Near(Target):
        """JPEG changes every pixel: what is still nearly as it was counts."""

        def true(self, image):
            difference = np.abs(np.asarray(image).astype(int) - np.asarray(PICTURE)).max(2)
            x0, y0, x1, y1 = ONE
            return 0.05 + 0.9 * float((difference[y0:y1, x0:x1] < 100).mean())

    target = Near()
    found = redact(target.prober(fill="black"), PICTURE, codec=Codec("jpeg", 95))
    assert found.found
    assert Image.open(BytesIO(found.data)).format == "JPEG"
    np.testing.assert_array_equal(np.asarray(decode(found.data)), np.asarray(found.image))
    assert target.true(found.image) == found.score
    assert all(edge % 8 == 0 for edges in found.boxes for edge in edges)
    untouched = np.asarray(decode(encode(PICTURE, Codec("jpeg", 95))))
    mask, pixels = covered(found.boxes), np.asarray(found.image)
    np.testing.assert_array_equal(pixels[~mask], untouched[~mask])
    assert pixels[mask].max() <= 2


@pytest.mark.parametrize(
    ("codec", "boxes"),
    [(Codec("png"), ((24, 20, 34, 38),)), (Codec("jpeg", 95), ((24, 16, 40, 40),))],
)
def test_edges_go_outwards_to_pixels_and_in_a_jpeg_to_blocks(codec, boxes):
    renderer = Renderer(PICTURE, Canvas(SIZE, (72, 48)), parse_fill("black"))
    final = finished(renderer, ((18, 15, 25, 28),), codec)  # 24, 20 to 33.3, 37.3 at full size
    assert final.boxes == boxes


def test_the_picture_comes_out_upright_and_without_metadata(tmp_path):
    turned = PICTURE.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    turned.save(tmp_path / "turned.png", exif=exif)
    target = Target()
    found = redact(target.prober(), tmp_path / "turned.png")
    assert found.found
    with Image.open(found.save(tmp_path / "out" / "redacted.png")) as saved:
        assert saved.size == SIZE
        assert not saved.getexif()
        np.testing.assert_array_equal(np.asarray(saved), np.asarray(found.image))


def test_the_blind_rim_of_a_model_is_never_covered():
    class Middle(Target):
        identity = None
        limits = Limits(
            batch=32,
            formats=("pixels",),
            labels=("sfw", "nsfw"),
            question="nsfw",
            seen=(0.25, 0.25, 0.75, 0.75),
            deterministic=True,
        )

        def score(self, variants, codec):
            return [Scores(one) for one in self([variant.pixels() for variant in variants])]

    found = redact(Prober(Middle([(0, 0, 96, 64)])), PICTURE, below=0.9)
    assert found.found
    for x0, y0, x1, y1 in found.boxes:
        assert 21 <= x0 < x1 <= 75
        assert 13 <= y0 < y1 <= 51
    assert any("what lies outside needs no cover" in note for note in found.notes)


def test_noise_keeps_its_grain_at_full_size():
    found = redact(Prober(BySize(1.0), side=48, fill="noise:3"), red_picture(), below=0.4)
    assert found.found
    x0, y0, x1, y1 = found.boxes[0]
    pixels = np.asarray(found.image)[y0:y1, x0:x1].astype(int)
    same = (pixels[:, 1:] == pixels[:, :-1]).all(2).mean()
    assert same > 0.6


def test_what_is_painted_over_is_painted_from_around_it():
    pytest.importorskip("cv2")
    grey = Image.new("RGB", (96, 64), (90, 120, 150))
    picture = grey.copy()
    picture.paste((255, 20, 20), (40, 20, 60, 40))

    def redness(images):
        pixels = [np.asarray(image).astype(float) for image in images]
        return [{"red": (one[..., 0] - one[..., 1]).clip(0).sum() / 94e3} for one in pixels]

    found = redact(
        Prober(from_callable(redness, ["red"]), fill="inpaint"), picture, below=0.1, boxes=1
    )
    assert found.found
    assert found.area < 0.12
    np.testing.assert_allclose(np.asarray(found.image)[10:14], np.asarray(grey)[10:14])
