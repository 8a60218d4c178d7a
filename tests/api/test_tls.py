"""Which certificates are trusted, and what is said where none can be."""

from __future__ import annotations

import socket

import pytest

from probe.api.http import Lost, fetch
from probe.errors import ContractError, Rejected, Unreachable, UsageError
from tests.api.hostile import CERTIFICATES, answer, reset, says

CA = str(CERTIFICATES / "ca.pem")


def get(url, **options):
    return fetch("GET", url, timeout=5.0, trusted=True, **options)


@pytest.fixture(autouse=True)
def no_certificates_of_the_environment(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        ("expired.pem", "expired"),
        ("elsewhere.pem", "not valid for '127.0.0.1'"),
        ("self.pem", "self-signed certificate"),
    ],
)
def test_a_wrong_certificate_ends_it_with_a_way_out_and_nothing_is_sent(wild, certificate, said):
    server = wild(says(answer(b"ok")), certificate=certificate)
    with pytest.raises(Rejected, match=f"no safe connection to 127.*{said}.*--ca-file"):
        get(server.url, ca_file=CA)
    assert (server.requests, server.connections) == ([], 1)


def test_an_authority_that_nobody_knows_is_trusted_by_its_file_alone(wild):
    server = wild(says(answer(b"ok")), certificate="valid.pem")
    for _ in range(2):
        with pytest.raises(Rejected, match="issuer certificate"):
            get(server.url)
        assert get(server.url, ca_file=CA).body == b"ok"
    own = wild(says(answer(b"ok")), certificate="self.pem")
    assert get(own.url, ca_file=str(CERTIFICATES / "self.pem")).body == b"ok"


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environment_may_name_the_file(wild, monkeypatch, name):
    server = wild(says(answer(b"ok")), certificate="valid.pem")
    monkeypatch.setenv(name, CA)
    assert get(server.url).body == b"ok"
    with pytest.raises(Rejected):
        get(server.url, ca_file=str(CERTIFICATES / "self.pem"))


def test_a_file_of_certificates_that_cannot_be_used_is_named(wild, tmp_path):
    server = wild(says(answer(b"ok")), certificate="valid.pem")
    with pytest.raises(UsageError, match=r"nowhere\.pem.*No such file"):
        get(server.url, ca_file=str(tmp_path / "nowhere.pem"))
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(UsageError, match=r"no certificates in .*empty\.pem.*none"):
        get(server.url, ca_file=str(empty))
    assert server.connections == 0


def test_tls_to_a_plain_port_is_not_tried_without(wild):
    def script(server, connection, hello):
        connection.sendall(answer(b"what?", "400 Bad Request"))

    server = wild(script)
    server._read = lambda connection: connection.recv(65536)
    with pytest.raises(Rejected, match=r"no safe connection to 127.*is it http://"):
        get(server.url.replace("http", "https"))
    assert server.connections == 1
    assert server.requests[0].startswith(b"\x16\x03")


@pytest.mark.parametrize("end", [reset, lambda connection: connection.shutdown(socket.SHUT_RDWR)])
def test_a_port_that_closes_on_tls_is_no_connection(wild, end):
    server = wild(lambda self, connection, hello: end(connection))
    server._read = lambda connection: connection.recv(65536)
    with pytest.raises(Unreachable, match="is it http://"):
        get(server.url.replace("http", "https"))


def test_a_port_that_is_silent_on_tls_is_no_connection(wild):
    server = wild(lambda self, connection, hello: self.stop.wait())
    with pytest.raises(Unreachable, match="did not answer in time"):
        fetch("GET", server.url.replace("http", "https"), timeout=0.2, trusted=True)


def test_plain_http_to_a_tls_port_gets_no_answer(wild):
    server = wild(says(answer(b"ok")), certificate="valid.pem")
    with pytest.raises((ContractError, Lost)):
        get(server.url.replace("https", "http"))
    assert server.requests == []


@pytest.mark.parametrize("end", [reset, lambda connection: connection.close()])
def test_what_ends_after_the_request_may_be_billed_over_tls_too(wild, end):
    server = wild(lambda self, connection, request: end(connection), certificate="valid.pem")
    with pytest.raises(Lost, match="without an answer") as caught:
        get(server.url, ca_file=CA)
    assert caught.value.billed
    assert (len(server.requests), server.connections) == (1, 1)


def test_a_drip_over_tls_ends_at_the_deadline(wild):
    def drip(server, connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        while not server.stop.wait(0.005):
            connection.sendall(b" ")

    server = wild(drip, certificate="valid.pem")
    with pytest.raises(Lost, match=r"did not finish its answer within 0\.3 s"):
        fetch("GET", server.url, timeout=0.3, trusted=True, ca_file=CA)


def test_connections_are_kept_over_tls_too(wild):
    server = wild(says(answer(b"ok")), certificate="valid.pem")
    for _ in range(3):
        get(server.url, ca_file=CA)
    assert (len(server.requests), server.connections) == (3, 1)
