"""The vendors' own clients against `probe.mock`, on loopback.

`pip install -r tests/vendors/requirements.txt` installs them. A client that is not installed skips
its tests, unless PROBE_ALL_INSTALLED is set: then it fails them.
"""

from __future__ import annotations

import importlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from PIL import Image

from probe import mock
from probe.image import encode
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec

HERE = Path(__file__).parent
KEY = "right"


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.filterwarnings("ignore"))  # of others' code


@pytest.fixture(scope="session")
def need():
    """need(module, ...): the modules; skips, or fails, where one is not installed."""

    def load(*names):
        try:
            loaded = [importlib.import_module(name) for name in names]
        except ImportError as error:
            say = f"{error}: pip install -r tests/vendors/requirements.txt"
            if os.environ.get("PROBE_ALL_INSTALLED"):
                pytest.fail(say)
            pytest.skip(say)
        return loaded[0] if len(loaded) == 1 else loaded

    return load


@pytest.fixture(scope="session")
def pictures():
    """As PNG: `planted`, whose score is 0.95, `blank`, 0.05, and `junk`, which is no picture."""
    return SimpleNamespace(
        planted=encode(planted_picture((192, 128), (48, 32, 96, 80)), Codec("png")),
        blank=encode(Image.new("RGB", (192, 128), (90, 90, 90)), Codec("png")),
        tiny=encode(Image.new("RGB", (20, 20), (90, 90, 90)), Codec("png")),
        junk=b"this is no picture",
    )


@pytest.fixture
def serve():
    """serve(faults=""): a context with the planted model behind every service's contract."""

    def start(faults=""):
        weather = mock.Faults.parse(faults, 1) if faults else None
        return mock.serve(Planted(48 * 48), faults=weather, key=KEY)

    return start


@pytest.fixture
def url(serve):
    with serve() as running:
        yield running.url


@pytest.fixture
def throttled(serve):
    """The URL of a server that answers nothing but its "too many requests"."""
    with serve("429=1,in_a_row=1000") as running:
        yield running.url


class _Capture(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.chunks() if "Content-Length" not in self.headers else self.whole()
        headers = {name.lower(): value for name, value in self.headers.items()}
        kept = SimpleNamespace(path=self.path, headers=headers, body=body)
        self.server.kept.append(kept)
        answer = json.dumps(self.server.answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def whole(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def chunks(self):
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, *args):
        pass


@pytest.fixture
def captured():
    """captured(send, answer): the one request that send(url) makes, answered with `answer`."""

    def capture(send, answer):
        with ThreadingHTTPServer(("127.0.0.1", 0), _Capture) as server:
            server.daemon_threads = True
            server.kept, server.answer = [], answer
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                send(f"http://127.0.0.1:{server.server_port}")
            finally:
                server.shutdown()
                thread.join()
        (kept,) = server.kept
        return kept

    return capture


@pytest.fixture
def rendered():
    """rendered(profile, environ, *pictures): what probe itself would send."""
    from probe.api import request
    from probe.api.profile import catalogue
    from probe.api.profile.settings import Settings

    def render(name, environ, *images):
        profile = catalogue.load(name)
        made = request.render(profile, Settings(profile, environ), images, "image/png")
        parts = urlsplit(made.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {name.lower(): value for name, value in made.headers.items()}
        return SimpleNamespace(path=path, headers=headers, body=made.body)

    return render
