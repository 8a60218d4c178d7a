"""probe serve: what it serves, and what it says about it."""

from __future__ import annotations

import re

import pytest
import requests

from probe import mock
from probe.api.profile import catalogue


@pytest.fixture
def served(run, monkeypatch):
    """served(arguments): what the command said, and what `look(server)` found while it ran."""

    def call(*arguments, look=lambda server: None):
        found = []

        def forever(backend, host, port, ready, **ways):
            with mock.serve(backend, host, 0, **ways) as server:
                ready(server)
                found.append(look(server))
            raise KeyboardInterrupt

        monkeypatch.setattr(mock, "serve_forever", forever)
        return (*run("serve", *arguments), *(found or [None]))

    return call


def test_it_says_where_it_listens_and_how_to_try_it(served):
    code, out, err, url = served("skin", look=lambda server: server.url)
    assert code == 0
    assert out == f"serving skin at {url} (Ctrl-C ends it)\n"
    assert f"probe occlude IMG --api {url}" in err
    assert "stopped" in err
    assert served("skin", "--quiet")[:3] == (0, "", "")


def test_a_planted_region_is_served_with_its_labels(served):
    arguments = ("--plant", "nsfw=.2,.2,.5,.5", "--plant", "a=b=0,0,1,1")
    _, out, _, described = served(*arguments, look=lambda s: requests.get(s.url, timeout=20).json())
    assert "a planted nsfw and a=b" in out
    assert described["labels"] == ["nsfw", "a=b", "sfw"]
    assert described["question"] == "nsfw"


def test_faults_and_their_seed_are_taken(served):
    def weather(server):
        return server._dice.faults

    *_, faults = served("skin", "--faults", "429=0.1,reset=0.05x2", "--seed", 7, look=weather)
    assert faults == mock.Faults.parse("429=0.1,reset=0.05x2", 7)


def test_the_variables_of_a_service_are_printed_as_a_shell_takes_them(served):
    _, out, _, url = served(
        "skin", "--env", "clarifai", "--env", "openai-moderation", look=lambda server: server.url
    )
    assert out.splitlines()[1:] == [
        f"export CLARIFAI_API_BASE={url} CLARIFAI_PAT=any",
        f"export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=any",
    ]


def test_a_key_comes_from_a_variable_and_is_printed_nowhere(served, monkeypatch):
    monkeypatch.setenv("MY_KEY", "canary-4711")
    code, out, err, key = served(
        "skin", "--key-env", "MY_KEY", "--env", "rekognition", look=lambda server: server.key
    )
    assert (code, key) == (0, "canary-4711")
    assert "canary" not in out + err
    assert 'AWS_ACCESS_KEY_ID="$MY_KEY"' in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--key-env", "NOT_SET_HERE"], "NOT_SET_HERE is not set"),
        (["skin", "--env", "clarify"], "Did you mean 'clarifai'?"),
        (["skin", "--plant", "nsfw=0,0,1,1"], "leave out 'skin'"),
        (["--plant", "nsfw"], "nsfw=.2,.2,.5,.5"),
        (["--plant", "=0,0,1,1"], "a label before the region"),
        (["--plant", "nsfw=0,0,1"], "four fractions"),
        (["--plant", "nsfw=0,0,1,nan"], "fractions from 0 to 1"),
        (["skin", "--faults", "rest=1"], "Did you mean 'reset'?"),
        (["scin"], "Did you mean 'skin'?"),
    ],
)
def test_mistakes_are_usage_errors(served, arguments, says):
    code, out, err, _ = served(*arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_all_services_are_listed(run):
    code, out, _ = run("serve", "--list")
    assert code == 0
    listed = [re.split(r"\s{1,}", line)[0] for line in out.splitlines()]
    assert listed == sorted({*catalogue.names(), "probe", "rekognition"})
