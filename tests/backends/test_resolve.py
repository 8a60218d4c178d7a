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
    with pytest.raises(UsageError, match="labels="):
        resolve(path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UsageError, match="not an ONNX file"):
        resolve(str(tmp_path / "notes.txt"))
