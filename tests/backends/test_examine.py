from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from probe.errors import BackendError, Rejected, UsageError
from probe.limits import Limits
from probe.providers.asking import Desk
from probe.providers.examine import CHECKS, Finding, examine, most_calls
from probe.testing.planted import Planted, planted_picture
from probe.types import Failure, Scores


def same(image: Image.Image) -> Image.Image:
    return image


def trimmed(image: Image.Image) -> Image.Image:
    """Without its border of one colour."""
    pixels = np.asarray(image).astype(int)
    inner = (np.abs(pixels - pixels[0, 0]) > 2).any(axis=-1)
    rows, columns = np.flatnonzero(inner.any(axis=1)), np.flatnonzero(inner.any(axis=0))
    if not len(rows):
        return image
    return image.crop((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))


def middle(share: float):
    """Without `share` of the picture on each of the four sides, as after a squeeze to a square."""

    def cut(image: Image.Image) -> Image.Image:
        x, y = int(image.width * share), int(image.height * share)
        return image.crop((x, y, image.width - x, image.height - y))

    return cut


def square(image: Image.Image) -> Image.Image:
    """The largest square in the middle."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


class Service:
    """Scores what it sees by its colours and where they are; each quirk by an argument."""

    identity = "quirky"

    def __init__(self, sees=same, order=list, least=1, most=8, noise=(), coarse=False, **limits):
        self.limits = Limits(**{"batch": 8, "formats": ("png",), "labels": ("nsfw",), **limits})
        self.sees, self.order, self.least, self.most = sees, order, least, most
        self.noise = itertools.cycle(noise or (0.0,))
        self.coarse = coarse
        self.requests: list[int] = []

    def score(self, variants, codec):
        self.requests.append(len(variants))
        if len(variants) > self.most:
            raise BackendError(f"at most {self.most} pictures")
        return self.order([self.answer(variant.pixels()) for variant in variants])

    def answer(self, image):
        largest = self.limits.max_side or 10_000
        if min(image.size) < self.least or max(image.size) > largest:
            return Failure("refused", f"{image.width} x {image.height} is too small or large")
        pixels = np.asarray(self.sees(image), dtype=float) / 255
        slope = np.linspace(0.5, 1.5, pixels.shape[1])[:, None]
        score = float((pixels * slope * (0.5, 0.2, 0.1)).mean() + next(self.noise))
        return Scores({"nsfw": round(score, 0 if self.coarse else 9)})


def photo() -> Image.Image:
    """Uneven colours, far from grey."""
    y, x = np.mgrid[:240, :360] / 240
    waves = (np.sin(9 * x) + np.cos(7 * y) + 2) / 4
    pixels = np.stack([255 * waves, 90 * waves, 40 * x], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def findings(service: Service, **options) -> dict[str, Finding]:
    desk = Desk(service, sleep=lambda seconds: None)
    found = {one.check: one for one in examine(desk, service.limits, photo(), **options)}
    assert sum(one.calls for one in found.values()) == desk.calls == sum(service.requests)
    return found


def verdicts(found: dict[str, Finding]) -> dict[str, str]:
    return {check: one.verdict for check, one in found.items()}


def test_a_plain_service_is_found_to_be_plain_by_few_calls():
    service = Service()
    found = findings(service)
    assert list(found) == list(CHECKS)
    assert set(verdicts(found).values()) == {"ok"}
    assert sum(service.requests) == 1 + 1 + 4 + 8 + 1 + 2 + 2


@pytest.mark.parametrize(
    "order",
    [
        lambda answers: answers[::-1],
        lambda answers: sorted(answers, key=lambda answer: answer["nsfw"]),
        lambda answers: sorted(answers, key=lambda answer: -answer["nsfw"]),
    ],
    ids=["reversed", "ascending", "descending"],
)
@pytest.mark.parametrize("noise", [(), (0.0, 0.003, -0.002)], ids=["exact", "noisy"])
def test_a_server_that_reorders_its_answers_is_found(order, noise):
    found = findings(Service(order=order, noise=noise))
    assert found["order"].verdict == "bad"
    assert "another order" in found["order"].said


def test_a_server_that_trims_borders_is_found():
    found = findings(Service(sees=trimmed))
    assert found["borders"].verdict == "note"
    assert "trimmed" in found["borders"].said
    assert found["rim"].verdict == "ok"
    assert verdicts(findings(Service(sees=trimmed), trims=True))["borders"] == "note"
    assert verdicts(findings(Service(sees=trimmed), trims=False))["borders"] == "bad"
    assert verdicts(findings(Service(), trims=True))["borders"] == "bad"


def pixel(image: Image.Image) -> Image.Image:
    """One pixel of its mean colour."""
    mean = np.asarray(image, dtype=float).mean(axis=(0, 1)).round().astype(int)
    return Image.new("RGB", (1, 1), tuple(mean.tolist()))


def grey(image: Image.Image) -> Image.Image:
    return pixel(image).convert("L").convert("RGB")


@pytest.mark.parametrize("sees", [pixel, grey])
@pytest.mark.parametrize("noise", [(), (0.0, 0.0004, -0.0002, 0.0001)], ids=["exact", "noisy"])
def test_a_server_that_looks_at_the_mean_colour_alone_trims_nothing(sees, noise):
    found = findings(Service(sees=sees, noise=noise))
    assert found["borders"].verdict == "ok"
    assert found["borders"].calls == 3
    assert verdicts(findings(Service(sees=sees, noise=noise), trims=True))["borders"] == "bad"
    looks_twice = Service(sees=lambda image: pixel(trimmed(image)), noise=noise)
    assert "trimmed" in findings(looks_twice)["borders"].said


@pytest.mark.parametrize("share", [0.04, 0.07, 0.1, 0.14, 0.2])
def test_a_server_that_cuts_the_middle_out_is_found_with_how_much(share):
    found = findings(Service(sees=middle(share)))
    assert found["rim"].verdict == "note"
    assert "all four sides" in found["rim"].said
    said = float(found["rim"].said.split("%")[0].split()[-1]) / 100
    assert said <= share + 0.005 <= said + 0.07
    assert found["borders"].verdict == "ok"


@pytest.mark.parametrize("sees", [middle(0.1), trimmed, same])
def test_noise_is_not_taken_for_an_effect(sees):
    noise = (0.0, 0.0004, -0.0002, 0.0001)
    found = findings(Service(sees=sees, noise=noise))
    exact = findings(Service(sees=sees))
    for check in ("order", "borders", "rim"):
        assert found[check].verdict == exact[check].verdict


def test_the_framed_picture_is_no_larger_than_the_service_takes():
    assert verdicts(findings(Service(max_side=200)))["borders"] == "ok"


def test_a_server_that_looks_at_a_square_is_found():
    found = findings(Service(sees=square))
    assert found["rim"].verdict == "note"
    assert "left and right" in found["rim"].said


def test_noise_is_measured():
    found = findings(Service(noise=(0.0, 0.01)))
    assert found["repeat"].verdict == "note"
    assert "0.01" in found["repeat"].said
    assert "repeat" in findings(Service(noise=(0.0, 0.01), deterministic=True))


@pytest.mark.parametrize("most", [1, 2, 5, 7])
def test_a_smaller_batch_than_stated_is_found(most):
    found = findings(Service(most=most), skip=("order",))
    assert found["batch"].verdict == "bad"
    largest = {1: "no two", 2: "2 pictures", 5: "4 pictures", 7: "4 pictures"}[most]
    assert largest in found["batch"].said
    assert f"at most {most}" in found["batch"].said


@pytest.mark.parametrize(("least", "said"), [(2, 2), (3, 8), (50, 50), (80, 80), (150, 208)])
def test_the_smallest_side_is_found(least, said):
    found = findings(Service(least=least))
    assert found["min_side"].verdict == "bad"
    assert f"{said} x {said} taken" in found["min_side"].said
    if least == 50:
        assert verdicts(findings(Service(least=50, min_side=50)))["min_side"] == "ok"


def test_scores_in_coarse_steps_tell_nothing_rather_than_something_wrong():
    found = verdicts(findings(Service(coarse=True)))
    assert found["order"] == found["borders"] == found["rim"] == "unknown"


def test_one_picture_a_request_needs_no_calls_for_batches():
    service = Service(batch=1)
    found = findings(service)
    assert found["order"].calls == found["batch"].calls == 0
    assert set(service.requests) == {1}


def test_a_batch_that_fails_is_said():
    def failing(answers):
        return answers if len(answers) == 1 else [Failure("invalid", "worn out")] * len(answers)

    found = findings(Service(order=failing))
    assert found["order"].verdict == found["batch"].verdict == "bad"
    assert "worn out" in found["order"].said


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"sees": middle(0.2)},
        {"sees": middle(0.04)},
        {"sees": trimmed},
        {"most": 1},
        {"least": 150},
        {"coarse": True},
        {"batch": 1},
        {"batch": 128, "most": 100},
        {"deterministic": True},
        {"least": 205, "min_side": 60},
    ],
)
def test_no_more_calls_than_were_told_beforehand(quirks):
    service = Service(**quirks)
    findings(service)
    assert sum(service.requests) <= most_calls(service.limits)
    skipped = Service(**quirks)
    findings(skipped, skip=("batch", "rim"))
    assert sum(skipped.requests) <= most_calls(skipped.limits, ("batch", "rim"))


def test_a_picture_without_a_score_ends_it_after_one_call():
    service = Service(least=10_000)
    with pytest.raises(BackendError, match="too small"):
        findings(service)
    assert service.requests == [1]


def test_a_check_that_there_is_not():
    with pytest.raises(UsageError, match="Did you mean 'batch'"):
        findings(Service(), skip=("bacth",))


def test_planted_red_has_an_order_but_no_borders():
    backend = Planted(limits=Limits(batch=4, formats=("png",), labels=("sfw", "nsfw")))
    desk = Desk(backend)
    found = {one.check: one for one in examine(desk, backend.limits, planted_picture())}
    assert verdicts(found) == {
        "contract": "ok",
        "repeat": "ok",
        "order": "ok",
        "batch": "ok",
        "min_side": "ok",
        "borders": "unknown",
        "rim": "ok",
    }
    assert backend.asked == desk.calls


class Busy:
    identity = "busy"
    limits = Limits(formats=("png",))

    def __init__(self, *failures):
        self.answers = [*failures, Scores({"a": 1.0})]

    def score(self, variants, codec):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [answer]


def test_a_busy_service_is_waited_for():
    waits = []
    throttled = Failure("throttled", "slow down", wait=7.0)
    desk = Desk(Busy(throttled, Failure("lost", "gone")), sleep=waits.append)
    assert desk.score(photo()) == Scores({"a": 1.0})
    assert waits == [7.0, 2.0]
    assert desk.calls == 3
    desk = Desk(Busy(*[throttled] * 5), sleep=waits.append)
    assert desk.score(photo()) == throttled
    assert desk.calls == 3


def test_what_ends_a_run_ends_an_examination():
    desk = Desk(Busy(Rejected("no such model")))
    with pytest.raises(Rejected, match="no such model"):
        desk.score(photo())
    desk = Desk(Busy(BackendError("too large")))
    assert desk.score(photo()) == Failure("refused", "too large")
