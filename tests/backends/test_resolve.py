import re
import shutil
from contextlib import nullcontext

import pytest

import probe
from probe.api.profile import catalogue
from probe.backends import resolve
from probe.backends.connection import Connection
from probe.backends.http import Http
from probe.backends.local import local
from probe.backends.onnx import Onnx
from probe.backends.rekognition import Rekognition
from probe.backends.service import Service
from probe.backends.skin import Skin
from probe.errors import BackendError, ProfileError, UsageError
from probe.testing.planted import Planted
from probe.types import Codec


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
        ("clarifay", "Did you mean 'clarifai'"),
        ("rekognitoin", "Did you mean 'rekognition'"),
        ("google-safe-search", "Did you mean 'google-safesearch'"),
        ("nowhere.toml", r"nowhere\.toml: no such file"),
        ("127.0.0.1:8000", "http://127"),
        ("nowhere.onnx", r"nowhere\.onnx: No such file"),
        (lambda images: [], "from_callable"),
        (3, "not int"),
        ("http://user:hunter2@host/", "environment"),
        ("http://user:hunter2@127.0.0.1:8501/v1/models/nsfw:predict", "environment"),
        ("http://127.0.0.1:8000/v2/models/nsfw/infer?key=hunter2", "environment"),
    ],
)
def test_what_is_no_backend_says_what_would_be(spec, says):
    with pytest.raises(UsageError, match=says) as error:
        resolve(spec)
    assert "hunter2" not in str(error.value)


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


def test_a_service_is_named_by_its_profile_or_the_file_of_one(tmp_path):
    assert resolve("clarifai").profile.name == "clarifai"
    shutil.copy(catalogue.source_of("clarifai"), tmp_path / "mine.toml")
    assert resolve(tmp_path / "mine.toml").identity == resolve("clarifai").identity
    assert isinstance(resolve("rekognition", {"operation": "labels"}), Rekognition)
    tags = probe.service("clarifai", model="general-image-recognition")
    assert tags.identity == resolve("clarifai", {"model": "general-image-recognition"}).identity
    assert tags.identity != resolve("clarifai").identity


@pytest.mark.parametrize(
    ("url", "name", "model"),
    [
        ("http://127.0.0.1:8080/v2/models/mine/infer", "oip-json", "mine"),
        ("http://localhost:1/v1/images:annotate", "google-safesearch", None),
        ("http://127.0.0.1:8000/v1/moderate/batch", "openmoderate", None),
        ("http://[::1]:8080/predictions/cats", "torchserve", "cats"),
    ],
)
def test_a_url_is_spoken_to_by_the_profile_that_knows_its_path(url, name, model):
    backend = resolve(url)
    assert isinstance(backend, Service)
    assert backend.profile.name == name
    assert model is None or backend.profile.vars["model"] == model
    assert url in backend.identity


def test_a_url_that_several_profiles_know_alike_asks_which():
    with pytest.raises(UsageError, match=r"kserve-v1 and tfserving.*detect"):
        resolve("http://127.0.0.1:8501/v1/models/nsfw:predict")


def test_no_key_goes_to_a_host_because_of_its_path():
    path = "/v2/users/clarifai/apps/main/models/nsfw-recognition/outputs"
    assert isinstance(resolve(f"https://elsewhere.example{path}"), Http)
    assert resolve(f"https://api.clarifai.com{path}").profile.name == "clarifai"


@pytest.mark.parametrize(
    ("spec", "vars", "says"),
    [
        ("clarifai", {"modle": "x"}, "Did you mean 'model'"),
        ("skin", {"model": "x"}, "skin has no variables to set: model"),
        ("net.onnx", {"model": "x"}, "no variables"),
        ("http://127.0.0.1:8000", {"model": "x"}, "no profile knows the path"),
        ("http://127.0.0.1:8000/v2/models/a/infer", {"modle": "x"}, "Did you mean 'model'"),
        (Planted(), {"model": "x"}, "Planted has no variables"),
    ],
)
def test_variables_that_there_are_not(spec, vars, says):
    with pytest.raises(UsageError, match=says):
        resolve(spec, vars)


def test_variables_that_are_given_go_before_those_of_a_url():
    backend = resolve("http://127.0.0.1:8000/v2/models/a/infer", {"model": "b"})
    assert "/v2/models/b/infer" in backend.identity


def test_a_broken_profile_of_ones_own_is_named_with_its_key(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(catalogue.source_of("clarifai").read_text().replace("max_batch", "max_bacth"))
    with pytest.raises(ProfileError, match=r"mine\.toml.*max_bacth.*Did you mean 'max_batch'"):
        resolve(path)


def test_an_object_is_not_asked_anything_to_be_recognised():
    class Asked:
        @property
        def identity(self):
            raise AssertionError

        limits = identity

        def score(self, variants, codec): ...

    asked = Asked()
    assert resolve(asked) is asked


def test_patience_and_certificates_reach_what_speaks_http(wild, sample):
    server = wild(lambda server, connection, request: server.stop.wait())
    patience = Connection(timeout=0.05)
    for path in ("", "/v2/models/nsfw/infer"):
        backend = resolve(server.url + path, connection=patience)
        with pytest.raises(Exception, match=r"0\.05 s") if not path else nullcontext():
            [outcome] = backend.score([sample(codec=Codec("png"))], Codec("png"))
            assert "0.05 s" in outcome.message
    with pytest.raises(UsageError, match=r"nowhere\.pem"):
        resolve("https://127.0.0.1:1", connection=Connection(ca_file="nowhere.pem")).limits  # noqa: B018


def test_a_server_that_does_not_speak_as_its_path_says_gets_a_hint(wild, reply, sample):
    server = wild(lambda _, c, request: c.sendall(reply({"error": "no"}, "400 Bad Request")))
    backend = resolve(f"{server.url}/v2/models/nsfw/infer")
    with pytest.raises(BackendError, match=r"triton-binary can be spoken there.*detect"):
        backend.score([sample(codec=Codec("png"))], Codec("png"))


def test_a_profile_in_the_config_folder_may_name_a_server_of_ones_own_network(
    wild, reply, sample, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "probe" / "profiles"
    folder.mkdir(parents=True)
    server = wild(lambda _, connection, request: connection.sendall(reply([{"cat": 0.5}])))
    text = catalogue.source_of("nsfwpy").read_text().partition("[nsfw]")[0]
    (folder / "mine.toml").write_text(re.sub(r"\$\{NSFWPY_BASE[^}]*\}", server.url, text))
    [outcome] = resolve("mine").score([sample(codec=Codec("png"))], Codec("png"))
    assert dict(outcome) == {"cat": 0.5}
