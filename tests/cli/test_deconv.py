"""probe deconv and probe compare --map, by the words they say and the files they write."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from probe import Heatmap

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
        assert about["colours"][0]["words"]
        with Image.open(RETINA) as one, Image.open("retina.toward.deconv/after.png") as other:
            before, after = (np.asarray(i.convert("RGB"), int) for i in (one, other))
        assert np.abs(after - before).max() == about["largest"]
        scored = run("occlude", "retina.toward.deconv/after.png", "--json", "--quiet")[1]
        assert json.loads(scored)["reference"]["sfw"] == pytest.approx(about["after"]["sfw"])

    def test_toward_a_label_as_another_service_sees_it(self, run):
        arguments = ("--toward", "sfw", "--also", "skin", "--json", "--quiet")
        about = json.loads(run("deconv", RETINA, *arguments)[1])
        assert len(about["also"]) == 2
        assert all("nsfw" in one for one in about["also"])

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
