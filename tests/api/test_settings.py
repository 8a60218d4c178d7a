from __future__ import annotations

import pytest

from probe.api import request
from probe.api.profile import catalogue, grammar
from probe.api.profile.settings import Settings
from probe.errors import ProfileError

CANARY = "c4nary-5ecret"


def settings(name, **environ):
    return Settings(catalogue.load(name), environ)


def test_variables_say_whether_they_are_needed_secret_and_set():
    found = settings("clarifai", CLARIFAI_PAT=CANARY).variables
    assert [(v.name, v.needed, v.secret, v.set) for v in found] == [
        ("CLARIFAI_API_BASE", False, False, False),
        ("CLARIFAI_PAT", True, True, True),
    ]
    assert CANARY not in repr(found)


def test_every_place_of_a_profile_is_looked_through_for_variables():
    where = {
        "clarifai-v1": "CLARIFAI_APP_SECRET",
        "api4ai": "API4AI_API_KEY",
        "imagga-nsfw": "IMAGGA_API_SECRET",
        "sightengine": "SIGHTENGINE_API_SECRET",
        "roboflow": "ROBOFLOW_API_KEY",
        "hive": "HIVE_API_KEY",
    }
    for service, name in where.items():
        assert name in [one.name for one in settings(service).variables if one.secret]
        assert settings(service, **{name: CANARY}).secrets == {CANARY}


def test_the_address_of_a_token_is_no_secret():
    found = {one.name: one.secret for one in settings("clarifai-v1").variables}
    assert found == {
        "CLARIFAI_V1_BASE": False,
        "CLARIFAI_APP_ID": True,
        "CLARIFAI_APP_SECRET": True,
    }


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_variable_that_is_not_set_or_empty_is_named(value):
    environ = {} if value is None else {"CLARIFAI_PAT": value}
    mine = settings("clarifai", **environ)
    for ask in (mine.check, lambda: mine.fill("${CLARIFAI_PAT}")):
        with pytest.raises(ProfileError, match=r"clarifai needs .* CLARIFAI_PAT") as caught:
            ask()
        assert caught.value.exit_code == 2


def test_all_missing_variables_are_named_at_once():
    with pytest.raises(ProfileError, match="SIGHTENGINE_API_USER and SIGHTENGINE_API_SECRET"):
        settings("sightengine").check()


def test_a_default_stands_for_what_is_not_set_or_empty():
    for environ in ({}, {"OPENAI_API_KEY": ""}):
        assert settings("openai-chat", **environ).fill("a ${OPENAI_API_KEY:-none}") == "a none"
    assert settings("openmoderate").fill("${OPENMODERATE_API_KEY:-}") == ""


@pytest.mark.parametrize("bad", ["line\nbreak", "ümlaut", "tab\there", "nul\0", "\x1b[31m"])
def test_a_key_that_no_header_may_hold_is_refused_without_showing_it(bad):
    with pytest.raises(ProfileError, match="CLARIFAI_PAT") as caught:
        settings("clarifai", CLARIFAI_PAT=f"{CANARY}{bad}").fill("${CLARIFAI_PAT}")
    assert CANARY not in str(caught.value)


def test_white_space_around_a_key_is_no_part_of_it():
    mine = settings("clarifai", CLARIFAI_PAT=f" {CANARY}\r\n")
    assert mine.fill("Key ${CLARIFAI_PAT}") == f"Key {CANARY}"
    assert mine.secrets == {CANARY}


def test_no_secret_is_in_an_identity_a_representation_or_an_error():
    for name in catalogue.names():
        profile = catalogue.load(name)
        names = [one.name for one in Settings(profile, {}).variables]
        secret = {one.name: one.secret for one in Settings(profile, {}).variables}
        environ = {n: CANARY if secret[n] else "https://x.example" for n in names}
        mine = Settings(profile, environ)
        asked = request.render(profile, mine, [b"x"], "image/png")
        shown = [repr(mine), repr(profile), repr(mine.variables), repr(asked)]
        assert CANARY not in " ".join([*shown, request.identity(profile, mine)])
        for broken in names:
            with pytest.raises(ProfileError) as caught:
                Settings(profile, environ | {broken: "\x1b"}).check()
            assert broken in str(caught.value)
            assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("ftp://x.example", "no http"),
        ("x.example", "no http"),
        ("http://", "no http"),
        ("http://x.example:0", "no http"),
        ("http://x.example:port", "no URL comes out of CLARIFAI_API_BASE"),
        ("http://[::1", "no URL comes out of CLARIFAI_API_BASE"),
        ("https://user:c4nary-5ecret@x.example", "must not hold a user"),
        ("https://x.example?key=c4nary-5ecret", "must not hold a user, a query"),
        ("https://x.example#c4nary-5ecret", "fragment"),
    ],
)
def test_an_address_that_is_none_is_refused_by_the_name_of_its_variable(base, said):
    profile = catalogue.load("clarifai")
    with pytest.raises(ProfileError, match="CLARIFAI_API_BASE") as caught:
        Settings(profile, {"CLARIFAI_API_BASE": base}).address(profile.request.url)
    assert said in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_slash_at_the_end_of_an_address_is_no_part_of_it():
    profile = catalogue.load("torchserve")
    there = Settings(profile, {"TORCHSERVE_BASE": "http://h:1/x//"}).address(profile.request.url)
    assert there == "http://h:1/x/predictions/nsfw"


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("a/b", "/predictions/a/b"),
        ("a?key=1#x", "/predictions/a%3Fkey=1%23x"),
        ("a b%20", "/predictions/a%20b%2520"),
        ("é", "/predictions/%C3%A9"),
    ],
)
def test_a_variable_stays_in_the_path_of_an_address(model, path):
    profile = catalogue.load("torchserve", {"model": model})
    url = Settings(profile, {}).address(profile.request.url)
    assert url == f"http://127.0.0.1:8080{path}"


def test_what_an_address_brings_in_is_not_looked_at_again():
    text = """
name = "mine"
[vars]
model = "m"
[request]
method = "POST"
url = "${MINE_BASE}/{model}"
headers = { A = "${MINE_KEY}" }
body = "raw"
[response]
results = "[@]"
pairs = "@"
"""
    profile = grammar.parse(text, "mine.toml")
    environ = {"MINE_BASE": "http://h/{model}/${MINE_KEY}", "MINE_KEY": CANARY}
    there = Settings(profile, environ).address(profile.request.url)
    assert there == "http://h/{model}/${MINE_KEY}/m"
