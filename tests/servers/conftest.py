"""Real servers, which nobody of this project wrote, with real weights, on loopback.

`tests/servers/install.sh DIR` installs them; PROBE_SERVERS=DIR tells the tests where. A server
that is not installed skips its tests, unless PROBE_ALL_INSTALLED is set: then it fails them.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PATIENCE = 120.0
"""Seconds that a server may take to start."""


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


def folder_of(name):
    folder = Path(os.environ.get("PROBE_SERVERS", "/nowhere")) / name
    if not (folder / "installed").is_file():
        say = f"{name} is not installed: tests/servers/install.sh DIR, then PROBE_SERVERS=DIR"
        if os.environ.get("PROBE_ALL_INSTALLED"):
            pytest.fail(say)
        pytest.skip(say)
    return folder


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def status(port, path):
    """Of a GET; None while nobody listens or answers there."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


@contextmanager
def process(command, log, *, cwd=None, env=None):
    """A process group of its own, all of which is gone afterwards."""
    with log.open("wb") as out:
        running = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=os.environ | {k: str(v) for k, v in (env or {}).items()},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield running
    finally:
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(running.pid, kind)
                running.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def wait_until_ready(running, log, port, path):
    deadline = time.monotonic() + PATIENCE
    while status(port, path) != 200:
        try:
            running.wait(0.1)
            say = "ended"
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline:
                continue
            say = f"is not ready after {PATIENCE:.0f} s"
        pytest.fail(f"{running.args[0]} {say}:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """start(command, port, path, cwd=, env=): runs it until the module's tests are done.

    Returns the URL http://127.0.0.1:PORT when a GET of `path` there answers 200.
    """
    with ExitStack() as stack:

        def launch(command, port, path, **options):
            log = tmp_path_factory.mktemp("server") / "log"
            running = stack.enter_context(process(command, log, **options))
            wait_until_ready(running, log, port, path)
            return f"http://127.0.0.1:{port}"

        yield launch


@pytest.fixture(scope="module")
def mlserver(start):
    folder, port = folder_of("mlserver"), free_port()
    env = {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": port,
        "MLSERVER_GRPC_PORT": free_port(),
        "MLSERVER_METRICS_PORT": free_port(),
        "MLSERVER_PARALLEL_WORKERS": 0,
    }
    command = [folder / "bin/mlserver", "start", HERE / "mlserver"]
    return start(command, port, "/v2/models/nsfw/ready", env=env)


@pytest.fixture(scope="module")
def litserve(start):
    folder, port = folder_of("litserve"), free_port()
    return start([folder / "bin/python", HERE / "litserve/serve.py", port], port, "/health")


@pytest.fixture(scope="module")
def openmoderate(start):
    folder, port = folder_of("openmoderate"), free_port()
    return start([folder / "bin/python", HERE / "openmoderate/serve.py", port], port, "/health")


@pytest.fixture(scope="module")
def triton(start):
    folder, port = folder_of("triton"), free_port()
    command = [folder / "bin/python", HERE / "triton/serve.py", port]
    return start(command, port, "/v2/models/nsfw/ready")


@pytest.fixture(scope="module")
def nsfwpy(start):
    folder, port = folder_of("nsfwpy"), free_port()
    command = [folder / "bin/python", "-m", "uvicorn", "nsfwpy.api:app"]
    command += ["--host", "127.0.0.1", "--port", port]
    return start(command, port, "/health", env={"NSFWPY_ONNX_MODEL": folder / "model.onnx"})


@pytest.fixture(scope="module")
def nsfwjs(start):
    folder, port = folder_of("nsfwjs"), free_port()
    return start(["node", HERE / "nsfwjs/server.js", port], port, "/ready", cwd=folder)


@pytest.fixture(scope="module")
def nudenet(start, tmp_path_factory):
    """Two processes, one that answers and one that computes, over files in the recipe's folder."""
    folder, port = folder_of("nudenet"), free_port()
    recipe = tmp_path_factory.mktemp("recipe")
    for file in ("predictor.py", "example.py"):
        (recipe / file).write_bytes((HERE / "nudenet" / file).read_bytes())
    env = {"HOST": "127.0.0.1", "PORT": port, "WORKERS": 1}
    env |= {"OPTIMAL_BATCH_SIZE": 4, "ALLOW_PICKLE": "false"}
    command = [folder / "bin/python", "-m", "fastdeploy", "--recipe", recipe]
    log = recipe / "loop.log"
    with process([*command, "--loop"], log, cwd=recipe, env=env):
        yield start([*command, "--rest"], port, "/health", cwd=recipe, env=env)
