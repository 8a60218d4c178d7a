import shutil

import pytest

from probe.backends import resolve
from probe.backends.http import Http
from probe.backends.local import local
from probe.backends.onnx import Onnx
from probe.backends.skin import Skin
from probe.errors import UsageError
from probe.testing.planted import Planted


def test_names_urls_and_objects_mean_their_backends():
    assert isinstance(resolve("local"), Onnx)
    assert isinstance(resolve("skin"), Skin)
    assert isinstance(resolve("http://127.0.0.1:1"), Http)
    assert isinstance(resolve("HTTPS://example.org/x"), Http)
    planted = Planted()
    assert resolve(planted) is planted


def test_a_copy_of_the_default_weights_is_known_by_its_content(tmp_path):
    path = tmp_path / "mine.onnx"
    shutil.copy(local().path, path)
    assert resolve(path).identity == resolve(str(path)).identity == local().identity


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("lokal", "Did you mean 'local'"),
        ("nowhere.onnx", r"nowhere\.onnx: No such file"),
        (lambda images: [], "from_callable"),
        (3, "not int"),
        ("http://user:hunter2@host/", "environment"),
    ],
)
def test_what_is_no_backend_says_what_would_be(spec, says):
    with pytest.raises(UsageError, match=says):
        resolve(spec)


def test_other_networks_need_their_facts(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"something")
    with pytest.raises(UsageError, match=r"net\.toml beside it \(labels"):
        resolve(path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UsageError, match="not an ONNX file"):
        resolve(str(tmp_path / "notes.txt"))


def test_a_toml_file_beside_a_network_states_its_facts(tmp_path):
    path = tmp_path / "mine.onnx"
    shutil.copy(local().path, path)
    (tmp_path / "mine.toml").write_text(
        """
        labels = ["sfw", "nsfw"]
        layout = "NHWC"
        size = [224, 224]
        resize = [256, 256]
        jpeg = 75
        channels = "BGR"
        mean = [104, 117, 123]
        question = "nsfw"
        """
    )
    stated = resolve(path)
    assert stated.identity == local().identity
    assert stated.limits == local().limits


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("labels = ", "is not TOML"),
        ("size = [8, 8]", "labels is missing"),
        ('labels = ["a"]\nlayuot = "NCHW"', "Did you mean 'layout'"),
        ('labels = "ab"', "labels must be list"),
        ("labels = [1, 2]", "labels must hold str"),
        ('labels = ["a"]\nsize = [8.5, 8]', "size must hold int"),
        ('labels = ["a"]\nscale = true', "scale must be float or int"),
        ('labels = ["a"]\nlayout = "CHW"', "layout must be one of"),
        ('labels = ["a"]\nsize = [8]', "size must be"),
        ('labels = ["a"]\nmean = [1]', "mean and std must be three"),
        ('labels = ["a"]\nquestion = "b"', "question 'b'"),
    ],
)
def test_a_mistake_in_the_facts_is_named(tmp_path, text, says):
    (tmp_path / "net.onnx").write_bytes(b"something")
    (tmp_path / "net.toml").write_text(text)
    with pytest.raises(UsageError, match=says):
        resolve(tmp_path / "net.onnx")
