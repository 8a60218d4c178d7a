from __future__ import annotations

import base64
import io
import json
from contextlib import ExitStack, closing
from importlib import import_module
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from probe.api.profile import catalogue
from probe.cli import COMMANDS
from probe.cli.tables import limits_of, price_of
from probe.limits import Limits
from probe.mock import serve
from probe.providers.known import providers
from probe.testing.planted import Planted
from tests.api.hostile import Wild, answer

KEY = "pat-0123456789abcdef"


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("CLARIFAI_PAT", "CLARIFAI_API_BASE", "HF_TOKEN", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def wild():
    with ExitStack() as stack:
        yield lambda script: stack.enter_context(closing(Wild(script)))


def reply(body, status="200 OK") -> bytes:
    return answer(json.dumps(body).encode(), status)


@pytest.fixture
def clarifai(monkeypatch):
    """The service clarifai on this machine, with its key set."""
    with serve(Planted(), key=KEY) as server:
        monkeypatch.setenv("CLARIFAI_API_BASE", server.url)
        monkeypatch.setenv("CLARIFAI_PAT", KEY)
        yield server


@pytest.fixture
def mock():
    with serve(Planted()) as server:
        yield server


def row_of(out: str, name: str) -> str:
    return next(line for line in out.splitlines() if line.startswith(f"{name} "))


def test_the_list_says_what_each_needs_takes_and_costs(run, monkeypatch):
    code, out, _ = run("providers")
    assert code == 0
    for name in (*catalogue.names(), "rekognition"):
        assert row_of(out, name)
    row = row_of(out, "clarifai")
    for said in ("128", "CLARIFAI_PAT!", "15/s", "20 MB", "USD (2026)"):
        assert said in row
    monkeypatch.setenv("CLARIFAI_PAT", KEY)
    _, out, err = run("providers")
    assert "CLARIFAI_PAT!" not in out
    assert KEY not in out + err


def test_the_list_for_programs(run, monkeypatch):
    monkeypatch.setenv("IMAGGA_API_KEY", KEY)
    _, out, _ = run("providers", "--json")
    found = {one["name"]: one for one in json.loads(out)["providers"]}
    assert found["clarifai"]["batch"] == 128
    assert found["clarifai"]["price"]["as_of"]
    assert found["azure-content-safety"]["min_side"] == 50
    keys = {one["name"]: one["set"] for one in found["imagga-nsfw"]["variables"] if one["needed"]}
    assert keys == {"IMAGGA_API_KEY": True, "IMAGGA_API_SECRET": False}
    assert KEY not in out


def test_a_profile_of_ones_own_is_listed_also_when_it_is_broken(run, tmp_path):
    folder = tmp_path / "config" / "probe" / "profiles"
    folder.mkdir(parents=True)
    text = catalogue.source_of("oip-json").read_text()
    (folder / "bad\u202e.toml").write_text("max_bacth = 3")
    (folder / "mine.toml").write_text(f"# \u202e\n{text}")
    code, out, _ = run("providers")
    assert code == 0
    assert row_of(out, "mine")
    assert "bad\\u202e" in out
    assert "cannot be used" in out
    code, shown, _ = run("providers", "show", "mine")
    assert code == 0
    assert str(folder / "mine.toml") in shown
    assert "\u202e" not in out + shown


def test_show_says_what_goes_where_and_prints_the_profile(run, monkeypatch):
    monkeypatch.setenv("CLARIFAI_PAT", KEY)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@proxy.example:3128")
    code, out, _ = run("providers", "show", "clarifai", "--set", "model=general-image-recognition")
    assert code == 0
    for said in (
        "https://api.clarifai.com/v2/users/clarifai/apps/main/models/general-image-recognition",
        "CLARIFAI_PAT (set), in header Authorization",
        "CLARIFAI_API_BASE (not set), part of the address",
        "https through http://proxy.example:3128",
        "128 a request",
        str(catalogue.source_of("clarifai")),
        'batch_ok = "contains',
        "no live service was asked",
    ):
        assert said in out
    assert KEY not in out
    assert "hunter2" not in out


def test_show_names_what_is_not_set(run):
    _, out, _ = run("providers", "show", "azure-content-safety")
    assert "CONTENT_SAFETY_KEY (NOT SET, needed), in header Ocp-Apim-Subscription-Key" in out
    assert "${CONTENT_SAFETY_ENDPOINT}/contentsafety" in out
    _, out, _ = run("providers", "show", "picpurify", "--json")
    assert json.loads(out)["places"] == {"PICPURIFY_API_KEY": ["field API_KEY"]}
    _, out, _ = run("providers", "show", "rekognition")
    assert "AWS_SECRET_ACCESS_KEY" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "clarify"], "Did you mean 'clarifai'?"),
        (["show", "rekognitoin"], "Did you mean 'rekognition'?"),
        (["show", "nowhere.toml"], "no such file"),
        (["shwo", "clarifai"], "Did you mean 'show'?"),
        (["show", "clarifai", "--set", "model"], "KEY=VALUE"),
        (["show", "clarifai", "--set", "modle=x"], "Did you mean 'model'?"),
        (["show", "clarifai", "--set", "model=a", "--set", "model=b"], "twice"),
        (["check", "clarifay", "planted.png"], "Did you mean 'clarifai'?"),
        (["check", "skin", "planted.png", "--skip", "bacth"], "Did you mean 'batch'?"),
        (["check", "skin", "nowhere.png"], "nowhere.png"),
        (["detect", "ftp://example.org", "planted.png"], "not the URL of a service"),
    ],
)
def test_mistakes_get_the_nearest_name(run, picture, arguments, says):
    code, _, err = run("providers", *arguments)
    assert code == 2
    assert says in err


def test_no_option_takes_a_key():
    def options(command):
        yield from (flag for one in command.params for flag in one.opts)
        for inner in getattr(command, "commands", {}).values():
            yield from options(inner)

    for name, module in COMMANDS.items():
        if name == "serve":
            continue  # the key that its made-up services ask for is no secret
        command: click.Command = getattr(import_module(module), name)
        for flag in options(command):
            assert not {"key", "token", "secret", "password"} & set(flag.strip("-").split("-"))


def test_check_finds_the_mock_to_do_what_is_stated(run, picture, clarifai):
    code, out, err = run("providers", "check", "clarifai", picture, "--skip", "batch")
    assert code == 0
    found = {line.split()[0]: line.split()[1] for line in out.splitlines()}
    assert found == {
        "contract": "ok",
        "repeat": "ok",
        "order": "ok",
        "min_side": "ok",
        "borders": "unknown",
        "rim": "ok",
    }
    assert f"{clarifai.calls} calls in {clarifai.requests} requests" in err
    _, out, _ = run("providers", "check", "clarifai", picture, "--skip", "batch", "--json")
    about = json.loads(out)
    assert about["exit_code"] == 0
    assert [one["check"] for one in about["checks"]] == list(found)
    assert sum(one["calls"] for one in about["checks"]) == about["calls"]


def test_check_finds_a_batch_that_is_smaller_than_stated(run, picture, monkeypatch):
    with serve(Planted(limits=Limits(batch=4, formats=("png",), labels=("sfw", "nsfw")))) as server:
        monkeypatch.setenv("OIP_BASE", server.url)
        skipped = [word for name in ("rim", "borders", "min_side") for word in ("--skip", name)]
        code, out, _ = run("providers", "check", "oip-json", picture, *skipped)
    assert code in (0, 4)
    assert ("batch     bad" in out) == (code == 4)


REVERSED = """
name = "reversing"
[request]
method = "POST"
url = "${REVERSING_BASE}/score"
body = "json"
template = '{"images": "$items"}'
item = '"{b64}"'
[response]
results = "results"
labels = "keys(@)"
scores = "values(@)"
[limits]
max_batch = 4
"""


def test_check_ends_with_4_where_the_order_is_not_kept(run, picture, wild, monkeypatch, tmp_path):
    def script(server, connection, request):
        images = json.loads(request.partition(b"\r\n\r\n")[2])["images"]
        decoded = [Image.open(io.BytesIO(base64.b64decode(data))) for data in images]
        results = [{"bright": float(np.asarray(one).mean()) / 255} for one in decoded]
        connection.sendall(reply({"results": results[::-1]}))

    monkeypatch.setenv("REVERSING_BASE", wild(script).url)
    (tmp_path / "reversing.toml").write_text(REVERSED)
    code, out, _ = run("providers", "check", "reversing.toml", picture)
    assert code == 4
    assert "order     bad" in out
    code, out, _ = run("providers", "check", "reversing.toml", picture, "--json")
    assert (code, json.loads(out)["exit_code"]) == (4, 4)


def test_check_says_beforehand_what_it_may_cost_and_who_gets_the_key(run, picture, monkeypatch):
    monkeypatch.setenv("CLARIFAI_API_BASE", "https://clarifai.invalid")
    monkeypatch.setenv("CLARIFAI_PAT", KEY)
    code, _, err = run("providers", "check", "clarifai", picture)
    assert code == 4
    first = err.splitlines()[0]
    assert first.startswith("at most 27")
    for said in ("clarifai.invalid:443", "USD (price as of 2026)", "CLARIFAI_PAT"):
        assert said in first
    assert KEY not in err


def test_detect_writes_a_profile_that_works_by_the_command_it_prints(
    run, picture, mock, monkeypatch
):
    url = f"{mock.url}/v2/models/nsfw/infer"
    code, out, err = run("providers", "detect", url, picture, "--out", "found.toml")
    assert (code, out) == (0, "")
    assert "oip-json fits: nsfw 0.95" in err
    hint = next(line for line in err.splitlines() if line.startswith("next: "))
    setting, *command = hint.removeprefix("next: ").split()
    monkeypatch.setenv(*setting.split("=", 1))
    code, out, _ = run(*command[1:], "--budget", 8, "--json", "--codec", "png")
    assert code == 0
    assert json.loads(out)["reference"]["nsfw"] == pytest.approx(0.95)
    code, _, err = run("providers", "detect", url, picture, "--out", "found.toml")
    assert code == 2
    assert "exists" in err


def test_detect_without_a_file_prints_the_profile(run, picture, mock):
    code, out, _ = run("providers", "detect", f"{mock.url}/classify-many", picture)
    assert code == 0
    assert out.startswith('name = "nsfwpy"')
    _, out, _ = run("providers", "detect", mock.url, picture, "--json")
    about = json.loads(out)
    assert (about["contract"], about["profile"], about["calls"]) == ("probe/1", None, 0)


def test_detect_ends_with_4_where_nothing_fits(run, picture, wild):
    server = wild(lambda _, c, request: c.sendall(reply({"detail": "no"}, "404 Not Found")))
    code, out, err = run("providers", "detect", server.url, picture, "--max-calls", 2, "--json")
    assert code == 4
    assert json.loads(out.splitlines()[0])["contract"] is None
    assert "no contract" in err


def test_a_bare_address_that_speaks_something_else_suggests_detect(run, picture, wild):
    server = wild(lambda _, c, request: c.sendall(reply({"detail": "no"}, "404 Not Found")))
    code, _, err = run("occlude", picture, "--api", server.url)
    assert code == 4
    assert f"probe providers detect {server.url} IMG" in err
    assert len(server.requests) == 1


def test_a_dry_run_names_price_host_and_variables_and_sends_nothing(run, picture, monkeypatch):
    code, out, _ = run("occlude", picture, "--api", "clarifai", "--dry-run")
    assert code == 0
    line = out.splitlines()[0]
    for said in (
        "64 calls in",
        "to api.clarifai.com:443",
        "0.128 USD (price as of 2026)",
        "CLARIFAI_PAT (not set)",
    ):
        assert said in line
    _, out, _ = run("occlude", picture, "--api", "clarifai", "--dry-run", "--json")
    assert json.loads(out)["cost"] == pytest.approx(0.128)


def test_a_key_that_is_not_set_is_named_before_anything_is_sent(
    run, picture, clarifai, monkeypatch
):
    monkeypatch.delenv("CLARIFAI_PAT")
    code, _, err = run("occlude", picture, "--api", "clarifai")
    assert code == 2
    assert "CLARIFAI_PAT" in err
    assert clarifai.requests == 0
    _, out, _ = run("ledger", "stats", "--json")
    assert json.loads(out)["outstanding"] == 0


def test_a_wrong_key_takes_one_request(run, picture, clarifai, monkeypatch):
    monkeypatch.setenv("CLARIFAI_PAT", "another-key-0123")
    code, _, err = run("occlude", picture, "--api", "clarifai")
    assert code == 4
    assert "CLARIFAI_PAT" in err
    assert "another-key-0123" not in err
    assert clarifai.calls == 0


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--label", "nsfv"], 2, ["Did you mean 'nsfw'", "sfw"]),
        (["--set", "model=nowhere"], 4, ["Model does not exist"]),
    ],
)
def test_label_and_model_are_told_apart_by_the_reference(
    run, picture, clarifai, options, code, says
):
    got, _, err = run("occlude", picture, "--api", "clarifai", *options)
    assert got == code
    for said in says:
        assert said in err
    assert clarifai.requests <= 1


def test_the_planted_target_is_found_through_a_service(run, picture, clarifai):
    command = ["occlude", picture, "--api", "clarifai", "--codec", "png", "--json"]
    code, out, _ = run(*command)
    about = json.loads(out)
    assert (code, about["calls"], about["failures"]) == (0, 64, 0)
    assert about["requests"] == clarifai.requests <= 3
    x0, y0, x1, y1 = about["strongest"]["box"]
    assert x0 <= 36 <= x1
    assert y0 <= 28 <= y1
    assert about["strongest"]["score"] < 0.3
    assert about["cost"] == pytest.approx(0.128)
    _, out, _ = run(*command)
    assert json.loads(out)["calls"] == 0


def test_hints_repeat_the_settings_of_the_service(run, picture, clarifai):
    model = "model=nsfw-recognition"
    _, out, _ = run("occlude", picture, "--api", "clarifai", "--set", model, "--budget", 8)
    assert f"--set {model}" in out


def docs_table() -> str:
    """The table of docs/services.md, as the profiles say it."""
    rows = ["| name | batch | limits | 1,000 cost | needs | what |", "|---|---|---|---|---|---|"]
    for one in providers({}):
        needs = ", ".join(f"`{v.name}`" for v in one.variables if v.needed)
        cells = (f"`{one.name}`", str(one.limits.batch), limits_of(one.limits))
        rows.append(f"| {' | '.join((*cells, price_of(one.limits, 1000), needs, one.what))} |")
    return "\n".join(rows)


def test_the_table_of_the_docs_is_what_the_profiles_say():
    page = (Path(__file__).parents[2] / "docs" / "services.md").read_text("utf-8")
    assert page.partition("<!-- providers -->\n")[2].partition("\n<!-- end -->")[0] == docs_table()
