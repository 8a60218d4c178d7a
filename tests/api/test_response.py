from __future__ import annotations

import json
from email.utils import format_datetime
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.api import secrets
from probe.api.http import Reply
from probe.api.profile import catalogue, grammar
from probe.api.response import items as items_module
from probe.api.response import numbers
from probe.api.response.reader import Reader, Unreadable, WrongScale
from probe.errors import (
    AuthError,
    BackendError,
    ContractError,
    ProbeError,
    ProfileError,
    QuotaExhausted,
    Rejected,
)
from probe.types import Failure, Reading, Scores

FIXTURES = json.loads((Path(__file__).parent / "fixtures.json").read_text("utf-8"))
"""Recorded or documented answers of services, each with the expressions that read it and what
they must give: labels with the service's own numbers and words."""

PROFILES = {
    "clarifai_v2": ["clarifai"],
    "clarifai_v1": ["clarifai-v1"],
    "google_safesearch": ["google-safesearch"],
    "google_labels": ["google-labels"],
    "azure_content_safety": ["azure-content-safety"],
    "azure_cv32_adult": ["azure-vision-adult"],
    "azure_content_moderator": ["azure-content-moderator"],
    "openai_moderation": ["openai-moderation"],
    "openai_chat": ["openai-chat"],
    "sightengine": ["sightengine"],
    "sightengine_failure": ["sightengine"],
    "hive_v2": ["hive"],
    "imagga_categories": ["imagga-nsfw"],
    "imagga_tags": ["imagga-tags"],
    "api4ai": ["api4ai"],
    "picpurify": ["picpurify"],
    "deepai": ["deepai"],
    "huggingface": ["huggingface"],
    "roboflow_single": ["roboflow", "roboflow-hosted"],
    "oip_v2_flat": ["oip-json", "triton-binary"],
    "tfserving_row": ["tfserving"],
    "tfserving_classify": ["tfserving-classify"],
    "kserve_v1": ["kserve-v1"],
    "torchserve": ["torchserve"],
    "openmoderate_batch": ["openmoderate"],
    "nudenet_fastdeploy": ["nudenet-fastdeploy"],
    "nsfwjs_express": ["nsfwjs-express"],
    "nsfwpy_many": ["nsfwpy"],
    "aws_moderation": [],
    "aws_labels": [],
    "moderatecontent": [],
    "roboflow_multilabel": [],
    "bentoml_soft_error_list": [],
}
"""Those without a profile are read by what the fixture itself says."""
PERCENT = {"aws_moderation", "aws_labels", "moderatecontent"}
WITH_PROFILE = [(name, one) for name, those in PROFILES.items() for one in those]


def profile(response="", rest="", item="'\"{b64}\"'", result='pairs = "@"'):
    """A profile for a list of lists of pairs, with more keys in [response] and after it."""
    return grammar.parse(
        f"""
name = "mine"
[request]
method = "POST"
url = "http://127.0.0.1"
headers = {{ X = "${{MINE_KEY}}" }}
body = "json"
template = '{{"images": "$items"}}'
item = {item}
[response]
results = "results"
{result}
{response}
{rest}
""",
        "mine.toml",
    )


def reply(body, status=200, headers=None, bounded=True):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, headers or {}, raw, bounded)


def outcomes(made, body, count=1, **more):
    return Reader(made).outcomes(reply(body, **more), count)


def one(made, *pairs):
    return outcomes(made, {"results": [list(pairs)]})[0]


def test_every_fixture_has_a_profile_or_is_read_by_its_own_words():
    assert PROFILES.keys() == FIXTURES.keys()
    assert len(FIXTURES) == 33
    assert set(catalogue.names()) >= {one for those in PROFILES.values() for one in those}
    assert len({one for those in PROFILES.values() for one in those}) == 29


@pytest.mark.parametrize(("name", "service"), WITH_PROFILE)
def test_a_fixture_is_read_by_its_profile(name, service):
    fixture, made = FIXTURES[name], catalogue.load(service)
    check(made, fixture)


@pytest.mark.parametrize("name", [name for name, those in PROFILES.items() if not those])
def test_a_fixture_without_a_profile_is_read_by_its_own_words(name):
    fixture = FIXTURES[name]
    keys = ("results", "pairs", "labels", "scores", "ok", "error", "code")
    lines = [f"{key} = {json.dumps(fixture[key])}" for key in keys if key in fixture]
    divide = 100 if name in PERCENT else 1
    text = f"""
name = "fixture"
[request]
method = "POST"
url = "http://127.0.0.1"
body = "raw"
[response]
{chr(10).join(lines)}
[scores]
divide = {divide}
"""
    check(grammar.parse(text, name), fixture)


def check(made, fixture):
    expected, reader = fixture["expected"], Reader(made)
    answer = reply(fixture["response"], fixture["http"])
    if fixture["http"] >= 400:
        with pytest.raises(BackendError, match=expected[0]["error"]):
            reader.outcomes(answer, len(expected))
        return
    got = reader.outcomes(answer, len(expected))
    for i, (outcome, wanted) in enumerate(zip(got, expected, strict=True)):
        if "error" in wanted:
            assert isinstance(outcome, Failure)
            assert wanted["error"] in outcome.message
            continue
        assert isinstance(outcome, Scores)
        ordinal, divide = made.scores.ordinal or {}, made.scores.divide
        own = {label: ordinal.get(str(value), value) / divide for label, value in wanted.items()}
        assert {label: outcome[label] for label in own} == pytest.approx(own, abs=1e-12)
        assert set(outcome) - own.keys() <= {"nsfw", "sfw"}
        assert reader.read(outcome.raw, *outcome.part) == outcome
        assert outcome.part == (i, len(expected))


@pytest.mark.parametrize(
    ("service", "nsfw", "sfw"),
    [
        ("clarifai", 0.9, 0.1),
        ("google-safesearch", 0.95, 0.05),
        ("azure-content-safety", 4 / 6, 2 / 6),
        ("sightengine", 0.02, 0.02),
        ("imagga-nsfw", 0.001, 0.999),
        ("picpurify", 0.01, 0.99),
        ("nudenet-fastdeploy", 0.79, 0.21),
        ("nsfwjs-express", 0.02, 0.97),
        ("oip-json", 0.0007, 0.9993),
    ],
)
def test_what_nsfw_and_sfw_are_made_of(service, nsfw, sfw):
    name = next(name for name, those in PROFILES.items() if service in those)
    fixture = FIXTURES[name]
    first = outcomes(
        catalogue.load(service),
        fixture["response"],
        len(fixture["expected"]),
        status=fixture["http"],
    )[0]
    assert list(first)[:2] == ["nsfw", "sfw"]
    assert (first["nsfw"], first["sfw"]) == pytest.approx((nsfw, sfw))


def test_a_reader_is_a_reading():
    assert isinstance(Reader(profile()), Reading)


def test_the_digest_is_of_the_response_side_alone():
    base = profile(rest="[nsfw]\nlabels = ['a']")
    same = profile(
        rest="[nsfw]\nlabels = ['a']\n[limits]\nmax_batch = 7\n[vars]\nm = 'x'",
        item="""'{"m": "{m}", "i": "{b64}"}'""",
    )
    assert Reader(base).digest == Reader(same).digest
    others = [
        profile(rest="[nsfw]\nlabels = ['b']"),
        profile("ok = 'a'", "[nsfw]\nlabels = ['a']"),
        profile(rest="[nsfw]\nlabels = ['a']\n[scores]\ndivide = 100"),
        profile(rest="[nsfw]\nlabels = ['a']\n[sfw]\nlabels = []"),
    ]
    assert len({Reader(each).digest for each in (base, *others)}) == 5


def test_a_corrected_profile_reads_a_kept_body_anew():
    wrong = profile(result="pairs = '[].[name, score]'")
    body = {"results": [[{"label": "a", "score": 0.1}], [{"label": "a", "score": 0.2}]]}
    kept = outcomes(wrong, body, 2)
    assert [failure.kind for failure in kept] == ["invalid", "invalid"]
    right = Reader(profile(result="pairs = '[].[label, score]'"))
    assert [dict(right.read(one.raw, *one.part)) for one in kept] == [{"a": 0.1}, {"a": 0.2}]


def test_what_a_corrected_profile_takes_for_an_error_is_no_answer_any_more():
    body = {"results": [[["a", 0.5]]], "status": "failed", "say": "blurred"}
    raw = outcomes(profile(), body)[0].raw
    stricter = Reader(profile("batch_ok = \"status == 'ok'\"\nerror = 'say'"))
    again = stricter.read(raw, 0, 1)
    assert (again.kind, again.message, again.raw) == ("invalid", "mine: blurred", raw)


def test_bodies_read_in_turns_are_told_apart():
    bodies = [json.dumps({"results": [[["a", p]], [["a", p / 2]]]}).encode() for p in (0.2, 0.6)]
    reader = Reader(profile())
    for _ in range(2):
        assert [dict(reader.read(raw, 1, 2)) for raw in bodies] == [{"a": 0.1}, {"a": 0.3}]
    assert reader.read(bodies[0], 0, 3).kind == "invalid"
    assert reader.read(bodies[0], 0, 2)["a"] == 0.2


# numbers


@pytest.mark.parametrize(
    "score",
    [
        *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"null", b"true", b'"0.5"', b"[]", b"{}"),
        *(b"1" + b"0" * 400, b'{"a": 1, "a": 2}'),
    ],
)
def test_what_is_no_number_is_no_score_of_that_picture_alone(score):
    body = b'{"results": [[["a", ' + score + b']], [["a", 0.5]]]}'
    bad, good = outcomes(profile(), body, 2)
    assert (bad.kind, bad.billed, bad.part) == ("invalid", True, (0, 2))
    assert bad.raw == body
    assert dict(good) == {"a": 0.5}


def test_a_key_that_comes_twice_makes_its_picture_fail_alone():
    made = profile(result="pairs = '[].[label, score]'")
    bad, good = outcomes(
        made,
        b"""{"results": [[{"label": "a", "score": 0.1, "score": 0.9}],
                         [{"label": "a", "score": 0.5}]]}""",
        2,
    )
    assert bad.kind == "invalid"
    assert dict(good) == {"a": 0.5}


@pytest.mark.parametrize("label", [None, 3, "", ["a"], "x" * 201])
def test_what_is_no_name_is_no_label(label):
    assert one(profile(), [label, 0.5]).kind == "invalid"


@pytest.mark.parametrize("score", [1.01, -0.01, 57, 1e300])
def test_scores_that_are_no_probabilities_are_the_profiles_fault(score):
    with pytest.raises(ProfileError, match=r"scores\.divide") as caught:
        one(profile(), ["a", score])
    assert isinstance(caught.value, WrongScale)
    assert (caught.value.exit_code, caught.value.parts) == (2, 1)
    assert b"results" in caught.value.raw
    with pytest.raises(ProfileError, match=r"scores\.divide"):
        Reader(profile()).read(caught.value.raw, 0, 1)


def test_what_rounding_adds_is_allowed():
    assert one(profile(), ["a", 1.0000005], ["b", -0.0000005])["a"] == 1.0000005


def test_percent_is_divided():
    assert dict(one(profile(rest="[scores]\ndivide = 100"), ["a", 25])) == {"a": 0.25}


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("softmax", [0.880797, 0.119203]), ("sigmoid", [0.952574, 0.731059])],
)
def test_logits_become_probabilities(activation, expected):
    got = one(profile(f"activation = '{activation}'"), ["a", 3.0], ["b", 1.0])
    assert [*got.values()] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@settings(deadline=None)
@given(logits=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=5))
def test_no_logit_is_too_large(activation, logits):
    rows = [[f"l{i}", logit] for i, logit in enumerate(logits)]
    got = one(profile(f"activation = '{activation}'"), *rows)
    assert all(0 <= value <= 1 for value in got.values())
    if activation == "softmax":
        assert sum(got.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("word", "score"),
    [("LIKELY", 0.75), ("4", 0.75), (4, 0.75), *((w, None) for w in ("NO", 0.75, True, None))],
)
def test_words_and_levels_are_numbers_by_the_profile(word, score):
    made = profile(rest='[scores]\nordinal = { LIKELY = 0.75, "4" = 0.75 }')
    got = one(made, ["a", word])
    if score is None:
        assert got.kind == "invalid"
        assert "scores.ordinal" in got.message
    else:
        assert dict(got) == {"a": score}


@pytest.mark.parametrize(("flag", "score"), [(True, 0.9), (False, 0.1), (1, None), (None, None)])
def test_confidence_in_a_decision_is_turned_to_the_label(flag, score):
    made = profile(rest="[scores]\nkind = 'decision'")
    got = one(made, ["a", 0.9, flag])
    assert getattr(got, "kind", None) == (None if score else "invalid")
    assert score is None or got["a"] == pytest.approx(score)
    assert one(made, ["a", 0.9]).kind == "invalid"
    assert one(profile(), ["a", 0.9, True]).kind == "invalid"


@pytest.mark.parametrize(("rule", "score"), [("max", 0.6), ("sum", 0.9), ("error", None)])
def test_a_label_that_comes_twice(rule, score):
    got = one(profile(rest=f"[scores]\nduplicate = '{rule}'"), ["a", 0.6], ["a", 0.3])
    assert got.kind == "invalid" if score is None else got["a"] == pytest.approx(score)


def test_the_sum_of_many_boxes_stays_a_score():
    assert one(profile(rest="[scores]\nduplicate = 'sum'"), ["a", 0.6], ["a", 0.6])["a"] == 1


def test_a_label_that_is_missing_is_an_error_or_a_number():
    table = "[nsfw]\nlabels = ['a', 'b']\n[sfw]\nlabels = []"
    strict = one(profile(rest=table), ["a", 0.4])
    assert strict.kind == "invalid"
    assert "'b'" in strict.message
    assert "scores.missing" in strict.message
    assert "c" not in one(profile(rest=f"{table}\n[scores]\nmissing = 0.0"), ["a", 0.4])
    assert one(profile(rest=f"{table}\n[scores]\nmissing = 0.0"), ["a", 0.4])["nsfw"] == 0.4
    assert one(profile(rest=f"{table}\n[scores]\nmissing = 0.5"), ["a", 0.4])["nsfw"] == 0.5


BOTH = "[nsfw]\nlabels = ['a', 'b']\n[sfw]\nlabels = ['c']"


def test_an_answer_of_another_model_stands_by_its_own_labels():
    assert dict(one(profile(rest=BOTH), ["x", 0.4], ["y", 0.6])) == {"x": 0.4, "y": 0.6}
    clarifai = catalogue.load("clarifai", {"model": "moderation-recognition"})
    concepts = [{"name": "explicit", "value": 0.9}, {"name": "safe", "value": 0.1}]
    done = {"code": 10000}
    output = {"status": done, "input": {"id": "i0"}, "data": {"concepts": concepts}}
    got = outcomes(clarifai, {"status": done, "outputs": [output]})
    assert dict(got[0]) == {"explicit": 0.9, "safe": 0.1}


@pytest.mark.parametrize(
    "came", [["a"], ["b"], ["c"], ["a", "b"], ["a", "c"], ["b", "c"], ["a", "x"], ["c", "x", "y"]]
)
def test_a_service_that_drops_some_of_its_labels_is_not_taken_for_another_model(came):
    got = one(profile(rest=BOTH), *[[label, 0.4] for label in came])
    assert got.kind == "invalid"
    assert "scores.missing" in got.message


def test_another_models_labels_are_no_answer_where_sfw_is_the_complement_or_a_number_stands_in():
    complement = "[nsfw]\nlabels = ['a']\n[sfw]\nlabels = []"
    assert one(profile(rest=complement), ["x", 0.4]).kind == "invalid"
    assert one(profile(rest="[nsfw]\nlabels = ['a']"), ["x", 0.4]).kind == "invalid"
    assert one(profile(rest=f"{BOTH}\n[scores]\nmissing = 0.0"), ["x", 0.4])["nsfw"] == 0.0


def test_a_missing_label_is_said_with_those_that_came():
    came = [[f"l{number}", 0.4] for number in range(9)]
    table = "[nsfw]\nlabels = ['a']\n[sfw]\nlabels = []"
    said = one(profile(rest=table), *came).message
    assert "'l0', 'l1'" in said
    assert said.endswith("'l7', ...")
    assert one(profile(rest=table), *came[:8]).message.endswith("'l7'")


def test_no_scores_at_all_are_an_answer_only_where_labels_may_be_missing():
    assert one(profile()).kind == "invalid"
    assert dict(one(profile(rest="[scores]\nmissing = 0.0"))) == {}


def test_a_wrong_shape_is_never_a_score_of_zero():
    made = catalogue.load("huggingface")
    assert made.scores.missing == 0.0
    assert outcomes(made, {"hello": 1})[0].kind == "invalid"
    assert outcomes(made, [{"name": "nsfw", "score": 0.5}])[0].kind == "invalid"


@pytest.mark.parametrize(
    ("table", "nsfw", "sfw"),
    [
        ("[nsfw]\nlabels = ['a', 'b']\n[sfw]\nlabels = []", 0.6, 0.4),
        ("[nsfw]\nlabels = ['a', 'b']\ncombine = 'sum'\n[sfw]\nlabels = []", 0.9, 0.1),
        ("[nsfw]\nlabels = ['a', 'b']\nweights = [0.1, 1]\n[sfw]\nlabels = ['c']", 0.3, 0.8),
        ("[nsfw]\nlabels = ['c']\ncombine = 'complement'\n[sfw]\nlabels = ['c']", 0.2, 0.8),
        ("[nsfw]\nlabels = ['a', 'c']\ncombine = 'sum'\n[sfw]\nlabels = []", 1.0, 0.0),
    ],
)
def test_labels_are_combined(table, nsfw, sfw):
    got = one(profile(rest=table), ["a", 0.6], ["b", 0.3], ["c", 0.8])
    assert (got["nsfw"], got["sfw"]) == pytest.approx((nsfw, sfw))
    assert list(got) == ["nsfw", "sfw", "a", "b", "c"]


def test_a_label_of_the_services_own_called_nsfw_yields_to_the_derived_one():
    got = one(profile(rest="[nsfw]\nlabels = ['nsfw', 'porn']"), ["nsfw", 0.2], ["porn", 0.7])
    assert got["nsfw"] == 0.7


# shapes


def flat(shape, data, count, static="['a', 'b']"):
    made = profile("shape = 'shape'", result=f"labels = {static}\nscores = '@'")
    return outcomes(made, {"results": data, "shape": shape}, count)


def test_a_flat_or_nested_list_is_put_in_rows():
    expected = [{"a": 0.1, "b": 0.2}, {"a": 0.3, "b": 0.4}]
    assert [dict(one) for one in flat([2, 2], [0.1, 0.2, 0.3, 0.4], 2)] == expected
    assert [dict(one) for one in flat([2, 1, 2], [[[0.1, 0.2]], [[0.3, 0.4]]], 2)] == expected


@pytest.mark.parametrize(
    "shape", [None, [], [2, 3], ["2", 2], [True, 2], [True, 4], [-2, -2], [10**30, 2], 4]
)
def test_a_shape_that_does_not_fit_is_an_error_of_the_batch(shape):
    with pytest.raises(Unreadable, match=r"response\.shape"):
        flat(shape, [0.1, 0.2, 0.3, 0.4], 2)


def test_as_many_scores_as_labels():
    assert flat([1, 3], [0.1, 0.2, 0.3], 1)[0].kind == "invalid"


def test_a_json_text_within_the_answer():
    made = profile("decode = 'json'", result="labels = 'keys(@)'\nscores = 'values(@)'")
    assert dict(outcomes(made, {"results": ['{"a": 0.5}']})[0]) == {"a": 0.5}
    for text in ('```{"a": 0.5}```', "", "[" * 2000, '{"a": NaN}'):
        assert outcomes(made, {"results": [text]})[0].kind == "invalid"
    assert outcomes(made, {"results": [{"a": 0.5}]})[0].kind == "invalid"


def test_a_pattern_within_the_answer():
    number = profile("decode = 'regex:[01]\\.\\d+'", result="pairs = \"[['a', to_number(@)]]\"")
    assert dict(outcomes(number, {"results": ["p is 0.87, I think"]})[0]) == {"a": 0.87}
    assert outcomes(number, {"results": ["no idea"]})[0].kind == "invalid"
    named = profile(
        "decode = 'regex:a=(?P<a>\\S+)'",
        result="labels = 'keys(@)'\nscores = 'values(@)[].to_number(@)'",
    )
    assert dict(outcomes(named, {"results": ["a=0.5 b=1"]})[0]) == {"a": 0.5}


def test_messagepack_is_read_and_json_where_an_error_comes_as_such():
    made = catalogue.load("nudenet-fastdeploy")
    fixture = FIXTURES["nudenet_fastdeploy"]
    got = outcomes(made, msgpack.packb(fixture["response"]), 2)
    assert got == outcomes(made, fixture["response"], 2)
    with pytest.raises(BackendError, match="predictor 0"):
        outcomes(made, {"success": False, "reason": "predictor 0"}, 2)
    with pytest.raises(ContractError, match="expected MessagePack"):
        outcomes(made, b"\xc1\xff", 2)


# batches


@pytest.mark.parametrize("items", [1, 3, 0])
def test_a_wrong_count_is_an_error_of_the_batch_and_the_body_is_kept(items):
    body = {"results": [[["a", 0.5]]] * items}
    with pytest.raises(ContractError, match=f"{items} results for 2 pictures") as caught:
        outcomes(profile(), body, 2)
    assert json.loads(caught.value.raw) == body
    assert caught.value.parts == 2


@pytest.mark.parametrize("body", [{"result": []}, {"results": {}}, [], 3, None, {"results": None}])
def test_an_answer_of_another_shape_is_kept(body):
    with pytest.raises(Unreadable, match=r"response\.results") as caught:
        outcomes(profile(), body)
    assert json.loads(caught.value.raw) == body


def echoing(*items, count=2):
    made = profile(
        "id = 'id'", item="""'{"id": "i{index}", "data": "{b64}"}'""", result="pairs = 'p'"
    )
    return outcomes(made, {"results": [{"id": i, "p": [["a", p]]} for i, p in items]}, count)


def test_reordered_answers_are_matched_by_their_ids():
    assert [dict(one) for one in echoing(("i1", 0.1), ("i0", 0.2))] == [{"a": 0.2}, {"a": 0.1}]


def test_a_missing_element_is_missing_alone():
    first, second = echoing(("i1", 0.1))
    assert first.kind == "invalid"
    assert dict(second) == {"a": 0.1}
    assert second.part == (1, 2)


def test_unknown_elements_are_ignored_and_said(caplog):
    got = echoing(("i0", 0.1), ("i7\x1b", 0.9), ("i1", 0.2))
    assert [one["a"] for one in got] == [0.1, 0.2]
    assert "unknown id" in caplog.text
    assert "\x1b" not in caplog.text


def test_duplicates_must_agree():
    assert [one["a"] for one in echoing(("i0", 0.1), ("i0", 0.1), ("i1", 0.2))] == [0.1, 0.2]
    first, second = echoing(("i0", 0.1), ("i0", 0.3), ("i1", 0.2))
    assert first.kind == "invalid"
    assert second["a"] == 0.2


def test_without_ids_of_ours_the_order_is_trusted_and_the_count_held():
    assert [one["a"] for one in echoing(("x9", 0.1), ("x8", 0.2))] == [0.1, 0.2]
    assert [one["a"] for one in echoing((None, 0.1), (None, 0.2))] == [0.1, 0.2]
    with pytest.raises(Unreadable, match="3 results for 2 pictures"):
        echoing(("x", 0.1), ("y", 0.2), ("z", 0.3))


def test_files_are_matched_by_their_names():
    results = [
        {"source": name, "labels": [{"name": "nudity", "confidence": int(name[0]) / 10}]}
        for name in ("2.png", "0.jpg", "1.png")
    ]
    got = outcomes(catalogue.load("openmoderate"), {"results": results}, 3)
    assert [one["nudity"] for one in got] == [0, 0.1, 0.2]


def test_clarifais_answers_are_matched_by_the_ids_that_are_sent():
    body = json.loads(json.dumps(FIXTURES["clarifai_v2"]["response"]))
    body["outputs"].reverse()
    refused, scored = outcomes(catalogue.load("clarifai"), body, 2, status=207)[::-1]
    assert dict(scored) == {"nsfw": 0.9, "sfw": 0.1}
    assert "Download failed" in refused.message


# errors


def error(made, body, status, **more):
    with pytest.raises(ProbeError) as caught:
        outcomes(made, body, status=status, **more)
    return caught.value


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"", b"hello \x1b[31m", b"\xff\xfe"])
def test_what_is_no_json_is_said_with_what_it_is(body):
    wrong = error(profile(), body, 200)
    assert isinstance(wrong, ContractError)
    assert "expected JSON" in str(wrong)
    assert "\x1b" not in str(wrong)
    assert len(str(error(profile(), b"x" * 5000, 200))) < 300


def test_a_byte_order_mark_is_no_fault():
    body = b'\xef\xbb\xbf{"results": [[["a", 0.5]]]}'
    assert dict(outcomes(profile(), body)[0]) == {"a": 0.5}


@pytest.mark.parametrize("depth", [900, 100_000])
def test_deep_json_is_an_error_and_no_crash(depth):
    body = b'{"results": [' + b"[" * depth + b"]" * depth + b"]}"
    try:
        assert outcomes(profile(), body)[0].kind == "invalid"
    except ContractError:
        assert depth > 900


@pytest.mark.parametrize("body", [b'{"results": [[["a", 0.5', b"", b"{", b"\xef\xbb"])
def test_a_body_cut_at_an_unstated_end_is_lost(body):
    got = outcomes(profile(), body, 2, bounded=False)
    assert [(one.kind, one.billed) for one in got] == [("lost", True)] * 2


def test_json_that_ends_too_early_is_lost_whatever_length_was_stated():
    whole = b'{"results": [[["a", 0.5]], [["a", 0.25]]]}'
    for end in range(1, len(whole)):
        got = outcomes(profile(), whole[:end], 2)
        assert [(one.kind, one.billed) for one in got] == [("lost", True)] * 2
    assert isinstance(error(profile(), b'{"results": [}', 200), ContractError)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_ends_the_run(status):
    assert type(error(profile("error = 'e'"), {"e": "who are you"}, status)) is AuthError


def test_the_end_of_the_quota():
    assert type(error(profile(), {}, 402)) is QuotaExhausted


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_named_and_not_followed(status):
    wrong = error(profile(), b"", status, headers={"Location": "https://other.example/\x1bx"})
    assert type(wrong) is Rejected
    assert "https://other.example/" in str(wrong)
    assert "\x1b" not in str(wrong)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (404, Rejected, "address"),
        (405, Rejected, "address"),
        (202, Rejected, "asynchronous"),
        (204, ContractError, "ok_status"),
        (207, ContractError, "ok_status"),
        (413, BackendError, "--side"),
        (400, BackendError, "bad picture"),
        (422, BackendError, "bad picture"),
        (501, BackendError, "bad picture"),
    ],
)
def test_what_a_status_means(status, kind, said):
    wrong = error(profile("error = 'e'"), {"e": "bad picture"}, status)
    assert type(wrong) is kind
    assert said in str(wrong)
    assert f"mine answered {status}" in str(wrong)


@pytest.mark.parametrize(
    ("status", "said"), [(413, "no"), (400, "Too many images"), (413, "too many")]
)
def test_what_is_too_large_may_be_the_pictures_together_or_one_alone(status, said):
    fewer = "fewer pictures a request (limits.max_batch) or a smaller --side"
    with pytest.raises(BackendError) as several:
        outcomes(profile("error = 'e'"), {"e": said}, 2, status=status)
    assert fewer in str(several.value)
    with pytest.raises(BackendError) as single:
        outcomes(profile("error = 'e'"), {"e": said}, 1, status=status)
    assert "fewer" not in str(single.value)
    assert ("--side" in str(single.value)) is (status == 413)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "throttled"), (500, "unavailable"), (502, "unavailable"), (503, "unavailable")],
)
def test_what_is_sent_again(status, kind):
    got = outcomes(profile(), b"Internal Server Error", 3, status=status)
    assert [(one.kind, one.billed) for one in got] == [(kind, False)] * 3
    assert "Internal Server Error" in got[0].message


@pytest.mark.parametrize("status", [400, 403])
def test_a_status_that_the_profile_takes_for_throttling(status):
    made = profile(rest=f"[retry]\nstatuses = [{status}]")
    assert outcomes(made, {}, status=status)[0].kind == "throttled"


@pytest.mark.parametrize("code", ["busy", 7])
def test_codes_come_before_statuses(code):
    table = f"[retry]\ncodes = ['{code}']\nquota_codes = ['out']\nauth_codes = ['who']"
    made = profile("code = 'c'", table)
    for status in (400, 401, 404, 500):
        assert outcomes(made, {"c": code}, status=status)[0].kind == "throttled"
        assert type(error(made, {"c": "out"}, status)) is QuotaExhausted
        assert type(error(made, {"c": "who"}, status)) is AuthError


def test_an_error_within_a_good_status_is_no_answer():
    made = profile(
        "batch_ok = \"status == 'ok'\"\nerror = 'say'\ncode = 'status'",
        "[retry]\ncodes = ['busy']",
    )
    assert "too blurred" in str(error(made, {"status": "failed", "say": "too blurred"}, 200))
    assert outcomes(made, {"status": "busy"})[0].kind == "throttled"
    assert outcomes(made, {"status": "ok", "results": [[["a", 0.5]]]})[0]["a"] == 0.5


def test_a_batch_that_is_neither_good_nor_an_error_is_kept():
    with pytest.raises(Unreadable, match="batch_ok"):
        outcomes(profile("batch_ok = 'status'\nerror = 'say'"), {"results": [[["a", 0.5]]]})


def items(*codes, rest=""):
    made = profile(
        "ok = '!code'\nerror = 'say'\ncode = 'code'",
        "[retry]\ncodes = ['busy']\nquota_codes = ['out']\nauth_codes = ['who']",
        result="pairs = 'p'",
    )
    body = [{"code": code, "say": "words", "p": [["a", 0.5]]} for code in codes]
    return outcomes(made, {"results": body}, len(codes))


def test_an_element_may_fail_alone():
    good, refused, busy = items(None, "junk", "busy")
    assert dict(good) == {"a": 0.5}
    assert (refused.kind, refused.message) == ("refused", "mine: words")
    assert busy.kind == "throttled"


@pytest.mark.parametrize(
    ("flag", "good"), [(0, True), (1, True), ("x", True), (False, False), ("", False), ([], False)]
)
def test_truth_is_that_of_jmespath(flag, good):
    made = profile("ok = 'flag'", result="pairs = 'p'")
    got = outcomes(made, {"results": [{"flag": flag, "p": [["a", 0.5]]}]})[0]
    assert isinstance(got, Scores) == good


def test_a_key_or_quota_that_ends_within_a_batch_loses_no_answer():
    assert [getattr(one, "kind", "scores") for one in items(None, "out", "who")] == [
        "scores",
        "unavailable",
        "unavailable",
    ]
    with pytest.raises(QuotaExhausted, match="words"):
        items("out", "out")
    with pytest.raises(AuthError, match="words"):
        items("who")


def test_words_of_a_service_are_printable_and_short():
    made = profile("error = 'e'")
    for said in ("\x1b[31mred", ["\x1b", "b"], {"a": "\x1b"}, "x" * 5000):
        wrong = str(error(made, {"e": said}, 400))
        assert "\x1b" not in wrong
        assert len(wrong) < 300


@pytest.mark.parametrize("service", ["clarifai", "google-safesearch", "openai-moderation", "hive"])
def test_throttling_of_real_services_is_told(service):
    bodies = {
        "clarifai": {"status": {"code": 11005, "description": "Too Many Requests"}},
        "google-safesearch": {"error": {"code": 429, "message": "Quota", "details": []}},
        "openai-moderation": {"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
        "hive": {"return_code": 429, "message": "Project has been rate limited"},
    }
    made = catalogue.load(service)
    assert outcomes(made, bodies[service], status=429)[0].kind == "throttled"


def test_wrong_keys_and_spent_quotas_of_real_services_are_told():
    google = {"error": {"code": 400, "message": "no", "details": [{"reason": "API_KEY_INVALID"}]}}
    openai = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    clarifai = {"status": {"code": 11009, "description": "API key not found"}}
    assert type(error(catalogue.load("google-labels"), google, 400)) is AuthError
    assert type(error(catalogue.load("openai-moderation"), openai, 429)) is QuotaExhausted
    assert type(error(catalogue.load("clarifai"), clarifai, 401)) is AuthError


# waits


@pytest.mark.parametrize(
    ("hints", "headers", "wait"),
    [
        (["Retry-After"], {"retry-after": "7"}, 7),
        (["Retry-After"], {"Retry-After": "-1"}, None),
        (["Retry-After"], {"Retry-After": "soon"}, None),
        (["Retry-After"], {"Retry-After": "1e9"}, None),
        (["Retry-After"], {"Retry-After": "5, 7"}, None),
        (["Retry-After"], {"Retry-After": "999999999"}, None),
        (["a:ms", "Retry-After"], {"a": "1500", "Retry-After": "9"}, 1.5),
        (["a:ms", "Retry-After"], {"a": "?", "Retry-After": "9"}, 9),
        (["X-Throttle-Wait-Seconds"], {"X-Throttle-Wait-Seconds": "10"}, 10),
        (["ratelimit:t"], {"RateLimit": '"api";r=0;t=55'}, 55),
        (["ratelimit:t"], {"RateLimit": '"a";r=3;t=300, "b";r=0;t=55'}, 55),
        (["ratelimit:t"], {"RateLimit": "t=55"}, None),
        (["b"], {"Retry-After": "9"}, None),
    ],
)
def test_how_long_a_service_asks_to_wait(hints, headers, wait):
    made = profile(rest=f"[retry]\nafter_headers = {json.dumps(hints)}")
    assert outcomes(made, {}, status=429, headers=headers)[0].wait == wait


def test_a_date_is_read_by_the_servers_own_clock():
    from datetime import UTC, datetime, timedelta

    now = datetime(2031, 1, 1, tzinfo=UTC)
    headers = {
        "Date": format_datetime(now, usegmt=True),
        "Retry-After": format_datetime(now + timedelta(seconds=90), usegmt=True),
    }
    assert outcomes(profile(), {}, status=429, headers=headers)[0].wait == 90


@pytest.mark.parametrize(
    ("body", "wait"), [({"in": 20.0}, 20), ({"in": "20"}, None), ({"in": -1}, None), ({}, None)]
)
def test_a_wait_in_the_body(body, wait):
    made = profile(rest="[retry]\nafter_body = 'in'")
    got = outcomes(made, body, status=503)[0]
    assert (got.wait, got.kind) == (wait, "throttled" if wait else "unavailable")
    assert outcomes(made, body, status=503, headers={"Retry-After": "3"})[0].wait == 3


# anything

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=8), one, max_size=3),
    max_leaves=12,
)


@st.composite
def answers(draw):
    """An answer of some service, a part of it replaced by anything."""
    name, service = draw(st.sampled_from(WITH_PROFILE))
    fixture = FIXTURES[name]
    body = json.loads(json.dumps(fixture["response"]))
    places = [(holder, key) for holder, key in walked(body)]
    if draw(st.booleans()) and places:
        holder, key = draw(st.sampled_from(places))
        holder[key] = draw(JSON)
    elif draw(st.booleans()):
        body = draw(JSON)
    return service, body, len(fixture["expected"]), draw(st.sampled_from([200, 207, 429, 400, 500]))


def walked(node):
    """(holder, key) of every value in it."""
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(inner):
        yield node, key
        if isinstance(value, dict | list):
            yield from walked(value)


@settings(max_examples=400, deadline=None)
@given(answers())
def test_nothing_that_a_server_says_is_more_than_an_error(answer):
    service, body, count, status = answer
    reader = Reader(catalogue.load(service))
    answered = reply(body, status)
    try:
        got = reader.outcomes(answered, count)
    except ProbeError:
        got = []
    for outcome in got:
        if isinstance(outcome, Scores):
            assert all(-1e-6 <= value <= 1 + 1e-6 for value in outcome.values())
            assert reader.read(outcome.raw, *outcome.part) == outcome
        elif outcome.raw is not None:
            assert isinstance(reader.read(outcome.raw, *outcome.part), Failure)


@settings(max_examples=200, deadline=None)
@given(service=st.sampled_from(WITH_PROFILE).map(lambda one: one[1]), raw=st.binary(max_size=60))
def test_no_bytes_are_more_than_an_error(service, raw):
    reader = Reader(catalogue.load(service))
    for read in (lambda: reader.outcomes(reply(raw), 1), lambda: [reader.read(raw, 0, 1)]):
        try:
            got = read()
        except ProbeError:
            got = []
        assert all(isinstance(one, Failure | Scores) for one in got)


def test_a_score_out_of_scale_among_good_ones_fails_alone():
    body = {"results": [[["a", 0.5]], [["a", 57]], [["a", 0.1]]]}
    first, bad, last = outcomes(profile(), body, 3)
    assert (dict(first), dict(last)) == ({"a": 0.5}, {"a": 0.1})
    assert (bad.kind, bad.billed, bad.part) == ("invalid", True, (1, 3))
    assert "scores.divide" in bad.message
    assert Reader(profile()).read(bad.raw, 1, 3) == bad


def test_scores_out_of_scale_for_every_picture_are_the_profiles_fault():
    with pytest.raises(WrongScale) as caught:
        outcomes(profile(), {"results": [[["a", 57]], [["a", 43]]]}, 2)
    assert caught.value.parts == 2


@pytest.mark.parametrize(
    "shape", [[10**6] * 9, [1] * 9, [10**9 + 1, 1], [True, 2], [], [10**9] * 700_000]
)
def test_a_shape_has_few_sides_none_of_them_huge(shape):
    with pytest.raises(ContractError, match="the shape is"):
        items_module.reshaped([0.5, 0.5], shape)


def test_a_shape_without_numbers_makes_no_rows():
    assert items_module.reshaped([], [10**9, 0]) == []


def test_a_large_value_is_not_spelt_out_for_a_message():
    class Costly(list):
        def __repr__(self):
            raise AssertionError("spelt out in full")

        def __iter__(self):
            for number, one in enumerate(super().__iter__()):
                assert number < 100, "read in full"
                yield one

    assert len(numbers.shown(Costly(range(1000)))) <= 40
    assert len(numbers.shown("x" * 10**6)) <= 41
    with pytest.raises(numbers.BadItem, match="is no text"):
        list(items_module.rows_of(profile("decode = 'json'").response, Costly(range(1000))))


def test_unknown_ids_are_told_once_an_answer(caplog):
    made = profile("id = 'id'", item="""'{"id": "i{index}", "d": "{b64}"}'""", result="pairs = 'p'")
    results = [{"id": f"x{n}", "p": []} for n in range(50)]
    outcomes(made, {"results": [{"id": "i0", "p": [["a", 0.5]]}, *results]})
    told = [one.getMessage() for one in caplog.records if "unknown id" in one.getMessage()]
    assert len(told) == 1
    assert "50" in told[0]
    assert "x0" in told[0]


def test_a_pattern_is_tried_on_the_first_thousand_characters():
    made = profile("decode = 'regex:[01][.]5'", result="pairs = \"[['a', to_number(@)]]\"")
    near, far = outcomes(made, {"results": ["x" * 900 + "0.5", "x" * 1000 + "0.5"]}, 2)
    assert dict(near) == {"a": 0.5}
    assert "nothing matches" in far.message


def test_a_label_is_masked_however_the_key_in_it_was_spelt(monkeypatch):
    monkeypatch.setattr(secrets, "_known", {"hunter2-secret"})
    spelt = "".join(f"\\u{ord(one):04x}" for one in "hunter2-secret")
    got = outcomes(profile(), f'{{"results": [[["key {spelt}", 0.5]]]}}'.encode())[0]
    assert dict(got) == {"key ***": 0.5}
