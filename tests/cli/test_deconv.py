"""probe deconv and probe compare --map, by the words they say and the files they write."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from probe import Heatmap, Prober
from probe.errors import Interrupted, LimitReached
from probe.limits import Limits, Price
from probe.mock import serve
from probe.testing.planted import Planted
from probe.types import Failure

RETINA = Path(__file__).parents[2] / "examples" / "retina.jpg"
INSTALLED = all(find_spec(name) for name in ("torch", "captum", "onnx"))


@pytest.mark.parametrize(
    "command", [["deconv"], ["compare", "--map", "occlude", "--map", "deconv"]]
)
def test_without_the_extra_one_line_says_what_to_install(run, picture, monkeypatch, command):
    def absent(name):
        return None if name in ("torch", "captum") else find_spec(name)

    monkeypatch.setattr("probe.inside.find_spec", absent)
    code, out, err = run(command[0], picture, *command[1:])
    assert code == 2
    assert err.count("\n") == 1
    assert "torch (to look into a network) is not installed" in err
    assert "pip install 'image-api-probe[inside]'" in err
    assert out == ""


@pytest.fixture
def inside():
    if not INSTALLED:
        say = "the extra inside is not installed"
        if os.environ.get("PROBE_ALL_INSTALLED"):
            pytest.fail(say)
        pytest.skip(say)


@pytest.mark.slow
@pytest.mark.usefixtures("inside")
class TestInside:
    def test_a_view_writes_its_map_and_pictures(self, run):
        code, out, _ = run("deconv", RETINA, "--json", "--quiet")
        about = json.loads(out)
        assert code == 0
        assert about["label"] == "nsfw"
        assert about["difference"] < 1e-5
        assert about["calls"] == about["answers"] == 1
        heatmap = Heatmap.load("retina.deconv/map.npz")
        assert heatmap.values.shape == (460, 365)
        assert np.array_equal(np.load("retina.deconv/map.npy"), heatmap.values)
        for name in ("overlay.png", "signal.png"):
            with Image.open(f"retina.deconv/{name}") as drawn:
                drawn.load()
        assert all(Path(name).exists() for name in about["files"])
        again = json.loads(run("deconv", RETINA, "--json", "--quiet")[1])
        assert again["calls"] == 0
        assert json.loads(Path("retina.deconv/deconv.json").read_text())["about"] == again["about"]

    def test_a_layers_strongest_maps(self, run):
        code, out, err = run("deconv", RETINA, "--layer", "Relu_47", "--view", "guided")
        assert code == 0, err
        assert "the strongest maps of Relu_47" in out
        assert Path("retina.guided.deconv/maps.png").exists()

    def test_how_much_of_the_picture_is_enough(self, run):
        code, out, err = run("deconv", RETINA, "--view", "extremal", "--json")
        about = json.loads(out)["about"]
        assert code == 0
        assert about["areas"] == [0.03, 0.08, 0.2, 0.4]
        assert about["kept"][1] > 0.9 > 0.3 > about["covered"][1]
        assert f"8% of the picture alone {about['kept'][1]:.3g}, without it" in err

    def test_layers_are_listed(self, run):
        code, out, _ = run("deconv", RETINA, "--layers")
        assert code == 0
        assert "Relu_48\t1024 maps of 7 x 7" in out.splitlines()

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--layer", "Relu_477"], "no layer 'Relu_477'. Did you mean 'Relu_47'?"),
            (["--label", "nsfv"], "no label 'nsfv'. Did you mean 'nsfw'?"),
            (["--toward", "cat"], "no label 'cat'"),
            (["--view", "gradcm"], "no view 'gradcm'. Did you mean 'gradcam'?"),
            (["--view", "integrated", "--layer", "Relu"], "looks at no layer"),
            (["--api", "skin"], "cannot be looked into"),
        ],
    )
    def test_what_cannot_be_is_said_in_one_line(self, run, arguments, says):
        code, out, err = run("deconv", RETINA, *arguments)
        assert code == 2
        assert says in err
        assert err.count("\n") == 1
        assert out == ""

    def test_a_network_that_does_not_convert_names_its_operator(self, run, tmp_path):
        from onnx import TensorProto, helper

        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 4, 4))
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        node = helper.make_node("Einsum", ["x"], ["y"], name="mix", equation="nchw->nc")
        graph = helper.make_graph([node], "g", [x], [y])
        opset = helper.make_opsetid("", 13)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
        (tmp_path / "net.toml").write_text('labels = ["r", "g", "b"]\nsize = [4, 4]\n')
        code, _, err = run("deconv", RETINA, "--api", "net.onnx", "--label", "r")
        assert code == 2
        assert "no conversion of the operator Einsum (node mix)" in err

    @pytest.mark.parametrize("fit", ["pad", "squeeze"])
    def test_a_picture_of_one_column(self, run, fit):
        Image.new("RGB", (1, 5000), (200, 90, 80)).save("thin.png")
        code, _, err = run("deconv", "thin.png", "--fit", fit)
        assert code == 0, err
        assert Heatmap.load("thin.deconv/map.npz").values.shape == (5000, 1)

    def test_toward_a_label(self, run):
        code, out, _ = run("deconv", RETINA, "--toward", "sfw", "--json", "--quiet")
        about = json.loads(out)
        assert code == 0
        assert about["reference"]["sfw"] < 0.4
        assert about["after"]["sfw"] > 0.8
        assert max(about["controls"]) < about["after"]["sfw"]
        assert about["largest"] <= about["strength"] == 12
        assert about["delta_e"]["mean"] < 3
        assert about["calls"] == 6 + len(about["places"])
        with Image.open(RETINA) as one, Image.open("retina.toward.deconv/after.png") as other:
            before, after = (np.asarray(i.convert("RGB"), int) for i in (one, other))
        assert np.abs(after - before).max() == about["largest"]
        scored = run("occlude", "retina.toward.deconv/after.png", "--json", "--quiet")[1]
        assert json.loads(scored)["reference"]["sfw"] == pytest.approx(about["after"]["sfw"])

    def test_what_moved_where_can_be_read(self, run):
        code, out, _ = run("deconv", RETINA, "--toward", "sfw")
        assert code == 0
        record = json.loads(Path("retina.toward.deconv/deconv.json").read_text())
        places = record["places"]
        assert [one["number"] for one in places] == list(range(1, len(places) + 1))
        assert 1 <= len(places) <= 4
        assert [one["undone"] for one in places] == sorted(one["undone"] for one in places)
        assert places[0]["undone"] < record["after"]["sfw"]
        lines = [line for line in out.splitlines() if line[0] in "1234"]
        for place, line in zip(places, lines, strict=True):
            x0, y0, x1, y1 = place["box"]
            x, y = place["peak"]
            assert 0 <= x0 <= x < x1 <= 365
            assert 0 <= y0 <= y < y1 <= 460
            first, second = place["colours"]
            assert line == (
                f"{place['number']}, {place['place']} ({x0},{y0}-{x1},{y1} px): {place['words']}, "
                f"{first} to {second}, by {place['delta_e']:.1f}; with this alone undone sfw is "
                f"{place['undone']:.3g}."
            )
        for name in ("overlay.png", "places.png"):
            with Image.open(f"retina.toward.deconv/{name}") as drawn:
                assert drawn.width > 700

    def test_two_maps_of_one_network(self, run):
        arguments = ("--map", "occlude", "--map", "gradcam", "--json", "--quiet")
        code, out, _ = run("compare", RETINA, *arguments)
        about = json.loads(out)
        assert code == 0
        assert [one["name"] for one in about["maps"]] == ["occlude", "gradcam"]
        assert about["rank_correlation_of_parts"] > 0
        assert all(one["judgement"]["budget"] == 40 for one in about["maps"])
        assert Path("retina.compare/compare.png").exists()
        assert run("compare", RETINA, *arguments)[0] == 0
        own = ("--map", "retina.compare/a.npz", "--map", "retina.compare/a.npz", "--json")
        same = json.loads(run("compare", RETINA, *own, "--quiet")[1])
        assert same["rank_correlation"] == pytest.approx(1)

    def test_maps_that_are_not_there(self, run):
        code, _, err = run("compare", RETINA, "--map", "occlude", "--map", "decon")
        assert code == 2
        assert "no map 'decon'. Did you mean 'deconv'?" in err
        code, _, err = run("compare", RETINA, "--map", "occlude")
        assert code == 2
        assert "twice" in err


@pytest.fixture
def write_network(run, inside):
    """write_network(...): net.onnx, of whatever nodes lead from x to y; here the mean colours."""
    from onnx import TensorProto, helper

    def write(*nodes):
        shape = (1, 3, 32, 32)
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        means = [
            helper.make_node("GlobalAveragePool", ["x"], ["means"]),
            helper.make_node("Flatten", ["means"], ["y"]),
        ]
        graph = helper.make_graph([*nodes] or means, "graph", [x], [y])
        opsets = [helper.make_opsetid("", 13)]
        content = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
        Path("net.onnx").write_bytes(content)
        Path("net.toml").write_text(
            'labels = ["r", "g", "b"]\nsize = [32, 32]\nscale = 0.00392156862745098\n'
        )

    return write


@pytest.fixture
def server():
    limits = Limits(
        batch=8, labels=("sfw", "nsfw"), question="nsfw", price=Price(0.25, "EUR", "2026-10")
    )
    with serve(Planted(limits=limits)) as running:
        yield running


@pytest.mark.slow
class TestAnother:
    """--also: two calls to a service over a wire, of which none is lost."""

    @pytest.fixture(autouse=True)
    def network(self, write_network):
        write_network()

    def toward(self, run, picture, *arguments):
        given = ("--api", "net.onnx", "--toward", "g", *arguments, "--json")
        code, out, err = run("deconv", picture, *given)
        return code, [json.loads(line) for line in out.splitlines()], err

    @pytest.fixture
    def also(self, server):
        return ("--also", server.url, "--codec", "png")

    def test_it_is_asked_twice_and_then_never_again(self, run, picture, server, also):
        code, (about,), err = self.toward(run, picture, *also)
        assert (code, about["exit_code"], server.calls) == (0, 0, 2)
        assert (about["cost"], len(about["also"])) == (0.5, 2)
        assert about["also"][0] == pytest.approx({"nsfw": 0.95, "sfw": 0.05})
        assert about["also"][1]["nsfw"] == pytest.approx(0.05)
        assert f"{server.url} goes from sfw 0.05, nsfw 0.95 to sfw 0.95, nsfw 0.05.\n" in err
        record = json.loads(Path("planted.toward.deconv/deconv.json").read_text())
        assert record["also"] == about["also"]
        code, (again,), _ = self.toward(run, picture, *also)
        assert (code, again["calls"], again["cost"], server.calls) == (0, 0, 0, 2)
        assert again["also"] == about["also"]
        code, (again,), _ = self.toward(run, picture, *also, "--max-calls", 0, "--offline")
        assert (code, again["also"], server.calls) == (0, about["also"], 2)
        code, (other,), _ = self.toward(run, picture, *also, "--strength", 3, "--max-calls", 1)
        assert (code, other["cost"], server.calls) == (0, 0.25, 3)

    def test_a_large_picture_is_sent_once_at_the_size_asked_for(self, run, picture, server, also):
        with Image.open(picture) as small:
            small.resize((960, 640)).save("large.png")
        code, (about,), _ = self.toward(run, "large.png", *also, "--side", 96)
        assert (code, server.calls) == (0, 2)
        with Image.open("large.toward.deconv/after.png") as after:
            assert after.size == (960, 640)
        assert about["also"][0]["nsfw"] < 1

    @pytest.mark.parametrize(
        ("caps", "says"),
        [
            (("--max-calls", 0), "two calls, and --max-calls allows 0"),
            (("--max-calls", 1), "two calls, and --max-calls allows 1"),
            (("--max-cost", 0.49), "two calls for 0.5, and --max-cost allows 0.49"),
            (("--offline",), "is not in the ledger"),
        ],
    )
    def test_too_low_a_cap_is_refused_before_anything_is_sent(
        self, run, picture, server, also, caps, says
    ):
        code, (about,), err = self.toward(run, picture, *also, *caps)
        assert code == (7 if caps == ("--offline",) else 2)
        assert says in about["error"]["message"]
        assert err.count("\n") == 1
        assert (server.calls, server.requests) == (0, 0)
        assert not Path("planted.toward.deconv").exists()

    def test_caps_that_two_calls_keep_are_no_hindrance(self, run, picture, server, also):
        code, (about,), _ = self.toward(run, picture, *also, "--max-calls", 2, "--max-cost", 0.5)
        assert (code, server.calls, about["cost"]) == (0, 2, 0.5)
        assert about["calls"] > 2

    def test_a_cap_on_cost_needs_a_price(self, run, picture):
        with serve(Planted()) as server:
            code, (about,), _ = self.toward(
                run, picture, "--also", server.url, "--codec", "png", "--max-cost", 1
            )
            assert (code, server.calls) == (2, 0)
        assert "states none: cap the calls" in about["error"]["message"]

    def test_an_address_where_nobody_is_ends_it_before_anything_is_looked_for(self, run, picture):
        code, (about,), _ = self.toward(run, picture, "--also", "http://127.0.0.1:9")
        assert (code, about["error"]["exit_code"]) == (4, 4)
        assert not Path("planted.toward.deconv").exists()

    def test_what_leaves_the_machine_is_said_before(self, run, picture, server, also, monkeypatch):
        monkeypatch.setattr("probe.cli.running._leaves_the_machine", lambda host: bool(host))
        _, _, err = self.toward(run, picture, *also)
        assert err.startswith("at most 2 calls · to 127.0.0.1:")
        assert "0.5 EUR (price as of 2026-10)" in err.splitlines()[0]
        _, _, err = self.toward(run, picture, *also, "--strength", 3)
        assert err.startswith("at most 1 call · to 127.0.0.1:")

    def test_a_service_that_fails_in_the_middle_loses_nothing(self, run, picture):
        class Once(Planted):
            def score(self, variants, codec):
                outcomes = super().score(variants, codec)
                return [Failure("refused", "enough")] if self.asked > 1 else outcomes

        with serve(Once()) as server:
            code, (about, error), err = self.toward(
                run, picture, "--also", server.url, "--codec", "png"
            )
        assert (code, about["exit_code"], error["error"]["exit_code"]) == (4, 4, 4)
        assert "enough" in error["error"]["message"]
        assert "to go on: probe deconv planted.png" in err
        assert f"{server.url} says of the picture before: " in err
        assert about["after"]["g"] > about["reference"]["g"]
        assert len(about["also"]) == 1
        record = json.loads(Path("planted.toward.deconv/deconv.json").read_text())
        assert (record["also"], record["after"]) == (about["also"], about["after"])
        assert all(Path(name).exists() for name in about["files"])

    @pytest.mark.parametrize(
        ("error", "expected"),
        [(LimitReached("no more"), 5), (Interrupted("stopped by SIGINT"), 130)],
    )
    def test_all_is_on_the_disk_before_the_service_is_asked(
        self, run, picture, server, also, monkeypatch, error, expected
    ):
        asking, found = Prober.score, []

        def stopped(self, image, label=None):
            if self.backend.limits.host is None:
                return asking(self, image, label)
            folder = Path("planted.toward.deconv")
            found.append(json.loads((folder / "deconv.json").read_text()))
            found.extend(folder / name for name in ("overlay.png", "after.png", "change.npy"))
            assert all(path.exists() for path in found[1:])
            raise error

        monkeypatch.setattr(Prober, "score", stopped)
        code, (about, _), err = self.toward(run, picture, *also)
        assert (code, about["exit_code"]) == (expected, expected)
        assert "to go on: probe deconv planted.png" in err
        assert found[0]["after"] == about["after"]
        assert found[0]["also"] is about["also"] is None

    def test_a_label_that_hangs_on_nothing(self, run, picture, write_network):
        from onnx import helper

        write_network(
            helper.make_node("GlobalAveragePool", ["x"], ["means"]),
            helper.make_node("Sub", ["means", "means"], ["none"]),
            helper.make_node("Flatten", ["none"], ["y"]),
        )
        code, out, _ = run("deconv", picture, "--api", "net.onnx", "--toward", "r")
        assert code == 0
        assert out.startswith("r does not rise: it goes from 0 to 0 when no channel moves by more")
        assert "What moved: nothing that could be seen." in out
        assert not Path("planted.toward.deconv/places.png").exists()
