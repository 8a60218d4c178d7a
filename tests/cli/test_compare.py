"""probe compare, as people and programs meet it."""

from __future__ import annotations

import json
import os

import pytest
from PIL import Image

from probe import Heatmap
from probe.limits import Limits, Price
from probe.mock import serve
from probe.testing.planted import Planted

TWO = ["--codec", "png", "--api", "skin", "--api"]


@pytest.fixture
def server():
    with serve(Planted()) as running:
        yield running


def files(folder):
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def test_a_person_reads_what_differs_where_the_files_are_and_what_it_cost(run, picture, server):
    code, out, _ = run("compare", picture, *TWO, server.url)
    assert code == 0
    found, maps, following = out.splitlines()
    assert found.startswith(f"skin: nsfw 0, {server.url}: nsfw 0.9")
    assert "They differ on " in found
    assert "px (" in found
    assert maps.startswith("maps planted.compare/compare.png · skin 64 calls · ")
    assert maps.endswith(f"{server.url} 64 calls · 0 failures")
    again = f"planted.png --api skin --api {server.url} --codec png --unit share"
    assert following == f"next: probe compare {again}"
    names = ["a.npz", "b.npz", "compare.json", "compare.png", "pairs.csv"]
    assert files("planted.compare") == names
    with Image.open("planted.compare/compare.png") as drawn:
        assert drawn.width > 600
    assert Heatmap.load("planted.compare/b.npz", Image.open(picture)).overlay().size == (96, 64)


def test_the_same_command_again_costs_nothing_and_keeps_its_folder(run, picture, server):
    run("compare", picture, *TWO, server.url, "--budget", 8)
    asked = server.calls
    code, out, _ = run("compare", picture, *TWO, server.url, "--budget", 8)
    assert (code, server.calls) == (0, asked)
    assert "skin 0 calls" in out
    code, out, _ = run("compare", picture, *TWO, server.url, "--budget", 9)
    assert "planted-2.compare" in out
    code, _, err = run(
        "compare", picture, *TWO, server.url, "--budget", 9, "--out", "planted.compare"
    )
    assert code == 2
    assert "holds the results of another run" in err


def test_a_program_gets_one_object(run, picture, server):
    code, out, _ = run("compare", picture, *TWO, server.url, "--budget", 8, "--json")
    found = json.loads(out)
    assert found["exit_code"] == code == 0
    assert found["schema"] == 1
    assert found["calls"] == found["answers"] == 16
    assert found["label"] == ["nsfw", "nsfw"]
    assert found["reference"][1]["nsfw"] == pytest.approx(0.95, abs=0.02)
    assert found["names"] == ["skin", server.url]
    assert [one["calls"] for one in found["services"]] == [8, 8]
    assert set(found["agreement"]) == {"score", "share"}
    assert all(os.path.exists(path) for path in found["files"])
    for key in ("requests", "cost", "failures", "seconds", "rank_correlation", "strongest"):
        assert key in found


def test_a_dry_run_says_what_each_would_cost_and_sends_nothing(run, picture):
    limits = Limits(
        batch=8, labels=("sfw", "nsfw"), question="nsfw", price=Price(0.25, "EUR", "2026-10")
    )
    with serve(Planted(limits=limits)) as server:
        code, out, _ = run("compare", picture, *TWO, server.url, "--budget", 8, "--dry-run")
        assert code == 0
        skin, other, sheet = out.splitlines()
        assert skin.startswith("skin: ")
        assert other.startswith(f"{server.url}: 8 calls in 2 requests")
        assert "2 EUR (price as of 2026-10)" in other
        assert sheet == "sheet planted.plan.png"
        code, out, _ = run("compare", picture, *TWO, server.url, "--dry-run", "--json")
        plans = json.loads(out)["plans"]
        assert [plan["cost"] for plan in plans] == [None, 16.0]
        assert server.calls == 0
        assert not os.path.exists("planted.compare")
        code, out, _ = run("compare", picture, *TWO, server.url, "--budget", 8, "--json")
        found = json.loads(out)
        assert (found["cost"], found["currency"]) == (2.0, "EUR")
        assert [one["cost"] for one in found["services"]] == [None, 2.0]


@pytest.mark.parametrize("given", [[], ["--api", "skin"], ["--api", "skin"] * 3])
def test_two_services_are_asked_for(run, picture, given):
    code, _, err = run("compare", picture, *given)
    assert code == 2
    assert f"--api is given {len(given) // 2} x" in err
    assert "--api local --api skin" in err


def test_labels_are_for_both_or_in_order(run, picture, server):
    code, out, _ = run(
        "compare", picture, *TWO, server.url, "--budget", 8, "--label", "sfw", "--label", "nsfw"
    )
    assert code == 0
    assert out.startswith("skin: sfw 1, ")
    code, _, err = run("compare", picture, *TWO, server.url, "--label", "nsfw", "--label", "x")
    assert code == 2
    assert f"{server.url}: no label 'x'" in err
    code, _, err = run("compare", picture, *TWO, server.url, *["--label", "x"] * 3)
    assert code == 2
    assert "3 labels for two services" in err


def test_one_service_with_two_settings_is_two(run, picture, server, monkeypatch):
    monkeypatch.setenv("CLARIFAI_API_BASE", server.url)
    monkeypatch.setenv("CLARIFAI_PAT", "any-key")
    same = ["compare", picture, "--api", "clarifai", "--api", "clarifai", "--budget", 8]
    code, _, err = run(*same)
    assert code == 2
    assert "are the same model" in err
    code, out, _ = run(*same, "--set", "2:model=general-image-recognition", "--dry-run")
    assert code == 0
    assert out.splitlines()[0].startswith("clarifai: ")
    assert out.splitlines()[1].startswith("clarifai model=general-image-recognition: ")
    code, _, err = run(*same, "--set", "2:nonsense=1")
    assert code == 2
    assert "nonsense" in err


def test_the_failed_service_is_named_and_the_command_goes_on(run, picture, server):
    code, _, err = run("compare", picture, *TWO, "http://127.0.0.1:9", "--budget", 8)
    assert code == 4
    assert "probe: http://127.0.0.1:9: " in err
    code, _, err = run("compare", picture, *TWO, server.url, "--max-calls", 20)
    assert code == 5
    assert "to go on: probe compare planted.png" in err
    code, _, _ = run("compare", picture, *TWO, server.url)
    assert code == 0
    assert server.calls == 64


def test_holes_of_one_end_with_three(run, picture):
    class Moody(Planted):
        def score(self, variants, codec):
            from probe.types import Failure

            outcomes = super().score(variants, codec)
            return [Failure("refused", "no") if n % 3 == 1 else o for n, o in enumerate(outcomes)]

    with serve(Moody()) as server:
        code, _, err = run("compare", picture, *TWO, server.url, "--budget", 20)
    assert code == 3
    assert f"note: {server.url}: " in err
    assert "got no score" in err
