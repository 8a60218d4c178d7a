"""Which machines may be spoken to, and what may be sent to them."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from PIL import Image

from probe.api.addresses import address, check_host, checked_url, how_to_type, is_loopback
from probe.api.http import fetch
from probe.backends import resolve
from probe.errors import Unreachable, UsageError
from probe.providers.asking import Desk
from tests.api.hostile import answer, says

METADATA = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "metadata.google.internal",
    "Metadata.Google.Internal.",
]
PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "192.168.1.1",
    "172.16.0.1",
    "100.64.0.1",
    "0.0.0.0",
    "::1",
    "::",
    "fd12::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:0a01:0203::1",
]
PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07::1", "service.example", "::ffff:93.184.215.14"]


@pytest.mark.parametrize("host", METADATA)
@pytest.mark.parametrize("trusted", [True, False])
def test_what_hands_out_keys_of_machines_is_always_refused(host, trusted):
    with pytest.raises(UsageError, match="link-local"):
        check_host(host, trusted)


@pytest.mark.parametrize("host", PRIVATE)
def test_private_networks_are_only_for_what_the_user_typed(host):
    check_host(host, trusted=True)
    with pytest.raises(UsageError, match="where you typed it"):
        check_host(host, trusted=False)


@pytest.mark.parametrize("host", PUBLIC)
@pytest.mark.parametrize("trusted", [True, False])
def test_the_rest_of_the_world_is_open(host, trusted):
    check_host(host, trusted)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("${TINY_BASE:-http://127.0.0.1:8300}/predict", " TINY_BASE=http://127.0.0.1:8300 probe"),
        ("http://${HOST:-10.0.0.1}/v1", "--api URL"),
        ("http://127.0.0.1:8300/predict", "--api URL"),
    ],
)
def test_the_remedy_for_a_private_address_is_exact(url, said):
    assert said in how_to_type(url)


def test_the_first_profile_of_the_docs_works_for_this_machine_as_they_say(
    wild, monkeypatch, tmp_path
):
    page = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text("utf-8")
    example = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0]
    (tmp_path / "ours.toml").write_text(example)
    typed = re.search(r"`(OURS_BASE)=(\S+) probe occlude IMG --api\s\./(ours\.toml)`", page)
    assert typed, "the docs give no command"
    variable, base, name = typed.groups()
    picture = Image.new("RGB", (8, 8), "red")
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UsageError, match=f"{variable}={base} probe"):
        Desk(resolve(str(tmp_path / name))).score(picture)
    server = wild(says(answer(json.dumps({"scores": {"nsfw": 0.9, "neutral": 0.1}}).encode())))
    monkeypatch.setenv(variable, server.url)
    got = Desk(resolve(str(tmp_path / name))).score(picture)
    assert got["nsfw"] == 0.9
    assert server.connections == 1


def resolves(monkeypatch, host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = [(family, socket.SOCK_STREAM, 6, "", (host, port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)


@pytest.mark.parametrize("host", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"])
def test_a_name_that_leads_to_a_refused_address_is_not_connected_to(monkeypatch, host):
    resolves(monkeypatch, host, 80)
    connected = []
    monkeypatch.setattr(socket.socket, "connect", lambda *args: connected.append(args))
    with pytest.raises(UsageError, match="link-local"):
        fetch("GET", "http://harmless.example/", timeout=5, trusted=True)
    assert connected == []


def test_a_name_that_leads_into_a_private_network_is_the_users_to_type(wild, monkeypatch):
    server = wild(says(answer(b"ok")))
    resolves(monkeypatch, "127.0.0.1", server.port)
    with pytest.raises(UsageError, match="where you typed it"):
        fetch("GET", "http://rebound.example/", timeout=5)
    assert server.connections == 0
    assert fetch("GET", "http://rebound.example/", timeout=5, trusted=True).body == b"ok"


def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to(wild, monkeypatch):
    """A name that changes between the check and the connection leads nowhere else."""
    server = wild(says(answer(b"ok")))
    asked = []

    def changing(*args, **options):
        asked.append(args[0])
        host = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, server.port))]

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    assert fetch("GET", "http://rebound.example/", timeout=5, trusted=True).body == b"ok"
    assert asked == ["rebound.example"]


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://a.example", "//a.example", "a", "http://"]
)
def test_only_http_is_spoken(url):
    with pytest.raises(UsageError, match="http:// or https://"):
        fetch("GET", url, timeout=5, trusted=True)


@pytest.mark.parametrize("url", ["http://me:hunter2@a.example/", "http://[::1/?hunter2"])
def test_a_url_that_cannot_be_used_is_not_repeated(url):
    with pytest.raises(UsageError) as caught:
        fetch("GET", url, timeout=5, trusted=True)
    assert "hunter2" not in str(caught.value)


# Keys and plain http


def test_a_key_goes_unencrypted_to_this_machine_alone(monkeypatch):
    tried = []

    def fail(*args, **options):
        tried.append(args[0])
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    key = {"headers": {"X-Key": "hunter2000"}, "secrets": frozenset({"hunter2000"}), "timeout": 5.0}
    for host in ("service.example", "127.evil.example", "localhost.example"):
        with pytest.raises(UsageError, match=f"unencrypted to {host}:80.*--allow-http"):
            fetch("GET", f"http://{host}/", **key)
    assert tried == []
    with pytest.raises(Unreachable):
        fetch("GET", "http://service.example/", **key, allow_http=True)
    with pytest.raises(Unreachable):
        fetch("GET", "https://service.example/", **key)
    with pytest.raises(Unreachable):
        fetch("GET", "http://localhost:9/", **key, trusted=True)
    assert len(tried) == 3


# What a URL of a service looks like


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@127.0.0.1:8000",
        "http://hunter2@127.0.0.1:8000",
        "http://127.0.0.1:8000/?key=hunter2",
        "http://127.0.0.1:8000/#hunter2",
    ],
)
def test_a_url_that_may_hold_a_key_is_refused_by_pointing_to_the_environment(url):
    with pytest.raises(UsageError, match="environment variables") as caught:
        checked_url(url)
    assert "hunter2" not in str(caught.value)


def test_a_url_loses_its_last_slash():
    assert checked_url(" http://127.0.0.1:8000/v1/ ") == "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.9.9.9", True),
        ("http://localhost/v1", True),
        ("https://[::1]:1", True),
        ("//127.0.0.1:80", True),
        ("http://127.evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://10.0.0.1", False),
        ("http://service.example", False),
    ],
)
def test_this_machine_is_told_from_others_by_number_not_by_looks(url, own):
    assert is_loopback(url) is own


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.example", "a.example:80"),
        ("https://a.example/v1", "a.example:443"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_an_address_has_its_port(url, host):
    assert address(url) == host
