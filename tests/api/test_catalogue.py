from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import probe
from probe.api.profile import catalogue
from probe.api.profile.settings import ENV, Settings
from probe.errors import ProfileError

SHIPPED = Path(probe.__file__).parent / "profiles"
MINE = """
name = "mine"
[request]
method = "POST"
url = "http://127.0.0.1:1/mine/score"
body = "raw"
[response]
results = "[@]"
pairs = "@"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The user's own folder of profiles, empty."""
    monkeypatch.setattr("platformdirs.user_config_dir", lambda name: str(tmp_path / name))
    folder = tmp_path / "probe/profiles"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.toml")))
def test_a_shipped_profile_says_what_it_is(name):
    profile = catalogue.load(name)
    assert profile.name == name
    assert 5 < len(profile.doc) < 110
    assert profile.source.startswith("https://")
    assert profile.limits.price is None or profile.limits.price.as_of
    assert profile.limits.question in (None, "nsfw")
    assert (profile.nsfw is None) == (profile.sfw is None)


def test_every_shipped_profile_can_be_pointed_elsewhere():
    for path in SHIPPED.glob("*.toml"):
        profile = catalogue.load(path.stem)
        assert re.match(ENV, profile.request.url), path.stem
        token = profile.request.token
        assert token is None or re.match(ENV, token.url)
        if token is None and profile.limits.price is None:
            continue
        host = urlsplit(Settings(profile, {}).address(profile.request.url)).scheme
        assert host == "https"


def test_names_are_those_shipped_and_ones_own(folder):
    shipped = catalogue.names()
    assert len(shipped) == 29
    (folder / "mine.toml").write_text(MINE)
    assert catalogue.names() == tuple(sorted((*shipped, "mine")))
    assert catalogue.load("mine").request.body == "raw"
    assert catalogue.source_of("mine") == folder / "mine.toml"


def test_ones_own_profile_goes_before_one_that_is_shipped(folder):
    (folder / "clarifai.toml").write_text(MINE.replace('"mine"', '"clarifai"'))
    assert catalogue.load("clarifai").request.body == "raw"
    assert catalogue.source_of("clarifai").parent == folder
    assert catalogue.names().count("clarifai") == 1


def test_a_profile_by_its_path(tmp_path):
    (tmp_path / "x.toml").write_text(MINE)
    assert catalogue.load(str(tmp_path / "x.toml")).name == "mine"


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("clarify", "clarifai"), ("google-safe-search", "google-safesearch"), ("HIVE", "hive")],
)
def test_a_mistyped_name_gets_the_nearest_one(folder, typo, meant):
    with pytest.raises(ProfileError, match=f"Did you mean '{meant}'") as caught:
        catalogue.load(typo)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["../profiles/clarifai", "/etc/passwd", "", "\x1b", "a/b"])
def test_a_name_is_no_path(folder, name):
    with pytest.raises(ProfileError, match="no profile is called"):
        catalogue.source_of(name)


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    (tmp_path / "large.toml").write_bytes(b"#" * (64 * 1024 + 1))
    (tmp_path / "broken.toml").write_text("name =\n")
    os.mkfifo(tmp_path / "pipe.toml")
    for name, said in {
        "none": "no such file",
        "folder": "no such file",
        "pipe": "no such file",
        "latin": "not TOML",
        "large": "larger than 64 KiB",
        "broken": "line 1",
    }.items():
        with pytest.raises(ProfileError, match=f"{name}.toml.*{said}"):
            catalogue.load(str(tmp_path / f"{name}.toml"))


def test_variables_are_set_and_mistyped_ones_named():
    assert catalogue.load("clarifai", {"model": "x"}).vars["model"] == "x"
    assert catalogue.load("clarifai", {"model": "x"}).vars["app"] == "main"
    with pytest.raises(ProfileError, match=r"no variable 'modle'\. Did you mean 'model'"):
        catalogue.load("clarifai", {"modle": "x"})
    with pytest.raises(ProfileError, match=r"no variable 'model'\. Known: none"):
        catalogue.load("hive", {"model": "x"})
    for value in ("", "a\nb", "\x1b[31m"):
        with pytest.raises(ProfileError, match="model="):
            catalogue.load("clarifai", {"model": value})


@pytest.mark.parametrize(
    ("url", "name", "own"),
    [
        (
            "http://127.0.0.1:8000/v2/users/me/apps/a/models/m/outputs",
            "clarifai",
            {"user": "me", "app": "a", "model": "m"},
        ),
        ("https://api.clarifai.com/v1/tag/", "clarifai-v1", {}),
        ("http://localhost:1/v1/moderations", "openai-moderation", {}),
        ("http://127.0.0.1:1/hf-inference/models/a/b", "huggingface", {"model": "a/b"}),
        ("http://10.0.0.7:8080/v2/models/cat/infer", "oip-json", {"model": "cat"}),
        ("http://tf:8501/v1/models/m%20x:predict", "kserve-v1", {"model": "m x"}),
        ("https://api.imagga.com/v2/categories/x", "imagga-nsfw", {"categorizer": "x"}),
        ("http://127.0.0.1:1/contentsafety/image:analyze", "azure-content-safety", {}),
    ],
)
def test_a_url_tells_the_profile_and_its_variables(url, name, own):
    found = catalogue.at(url)[0]
    assert found.name == name
    assert found.vars == own
    assert Settings(found, {}).address(found.request.url) == url
    assert not [one for one in Settings(found, {}).variables if not one.secret]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/",
        "http://127.0.0.1:8000/a/b",
        "http://127.0.0.1:8000/v2/models//infer",
        "http://127.0.0.1:8000/prefix/v1/moderations",
        "ftp:///v1/moderations",
        "http://[::1",
    ],
)
def test_other_urls_tell_nothing(url):
    assert catalogue.at(url) == []


def test_a_key_goes_to_no_other_host_because_of_a_path():
    assert catalogue.at("https://evil.example/v1/moderations") == []
    assert catalogue.at("https://api.openai.com/v1/moderations")[0].name == "openai-moderation"
    assert catalogue.at("https://api.openai.com.evil.example/v1/moderations") == []
    assert catalogue.at("http://api.openai.com/v1/moderations") == []


def test_a_path_that_is_all_variables_is_only_known_at_home():
    found = catalogue.at("https://serverless.roboflow.com/p/3")
    assert [(one.name, one.vars) for one in found] == [
        ("roboflow-hosted", {"project": "p", "version": "3"})
    ]
    assert catalogue.at("http://127.0.0.1:9001/p/3") == []


def test_a_token_is_asked_for_where_the_pictures_go():
    found = catalogue.at("http://127.0.0.1:9001/v1/tag/")[0]
    assert found.request.token.url == "http://127.0.0.1:9001/v1/token/"


def test_a_variable_that_comes_twice_in_a_path_is_the_same(folder):
    text = MINE.replace("/mine/score", "/{m}/mine/{m}")
    text = text.replace("[request]", '[vars]\nm = "x"\n[request]')
    (folder / "mine.toml").write_text(text)
    assert catalogue.at("http://127.0.0.1:1/a/mine/a")[0].vars == {"m": "a"}
    assert catalogue.at("http://127.0.0.1:1/a/mine/b") == []


def test_a_broken_profile_of_ones_own_hides_no_other(folder):
    (folder / "broken.toml").write_text("name =")
    assert catalogue.at("http://127.0.0.1:1/nsfw")[0].name == "nsfwjs-express"


def test_a_profile_of_ones_own_is_found_by_its_url(folder):
    (folder / "mine.toml").write_text(MINE)
    assert [one.name for one in catalogue.at("http://other:5/mine/score")] == ["mine"]
