"""Starts the installed servers, each on a free port of loopback, and surely ends them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPConnection
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 120.0
"""Seconds that a server may take to start."""

Environ = Mapping[str, str]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def status(port: int, path: str) -> int | None:
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
def process(
    command: Sequence[object],
    log: Path,
    ready: Callable[[], bool],
    cwd: Path,
    env: Environ | None = None,
) -> Iterator[None]:
    """A process group of its own, `ready` when this is entered, gone when it is left; `cwd` is
    its home, and where it keeps what is temporary.

    Raises RuntimeError with the end of its log when it ends or takes too long before.
    """
    with log.open("wb") as out:
        running = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env={**os.environ, "HOME": str(cwd), "TMPDIR": str(cwd), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            try:
                running.wait(0.1)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
            said = log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{command[0]} does not start:\n{said}")
        yield
    finally:
        for kind in (signal.SIGTERM, signal.SIGKILL):  # children may outlive the first
            try:
                os.killpg(running.pid, kind)
                running.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


@contextmanager
def server(
    command: Sequence[object], port: int, path: str, scratch: Path, env: Environ | None = None
) -> Iterator[str]:
    """Its URL, once a GET of `path` is answered 200."""
    with process(command, scratch / "log", lambda: status(port, path) == 200, scratch, env):
        yield f"http://127.0.0.1:{port}"


def mlserver(folder: Path, scratch: Path) -> AbstractContextManager[str]:
    port = free_port()
    env = {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(free_port()),
        "MLSERVER_METRICS_PORT": str(free_port()),
        "MLSERVER_PARALLEL_WORKERS": "0",
    }
    command = [folder / "bin/mlserver", "start", HERE / "mlserver"]
    return server(command, port, "/v2/models/nsfw/ready", scratch, env)


def litserve(folder: Path, scratch: Path, port: int = 0) -> AbstractContextManager[str]:
    port = port or free_port()
    command = [folder / "bin/python", HERE / "litserve/serve.py", port]
    return server(command, port, "/health", scratch)


def openmoderate(folder: Path, scratch: Path, borders: str = "trim") -> AbstractContextManager[str]:
    """borders: plain ones are trimmed, as it does by itself, or kept (`keep`)."""
    port = free_port()
    command = [folder / "bin/python", HERE / "openmoderate/serve.py", port, borders]
    return server(command, port, "/health", scratch)


def triton(folder: Path, scratch: Path) -> AbstractContextManager[str]:
    port = free_port()
    command = [folder / "bin/python", HERE / "triton/serve.py", port]
    return server(command, port, "/v2/models/nsfw/ready", scratch)


def nsfwpy(folder: Path, scratch: Path) -> AbstractContextManager[str]:
    port = free_port()
    command = [folder / "bin/python", "-m", "uvicorn", "nsfwpy.api:app"]
    command += ["--host", "127.0.0.1", "--port", port]
    env = {"NSFWPY_ONNX_MODEL": str(folder / "model.onnx")}
    return server(command, port, "/health", scratch, env)


def nsfwjs(folder: Path, scratch: Path) -> AbstractContextManager[str]:
    port = free_port()
    command = ["node", HERE / "nsfwjs/server.js", folder, port]
    return server(command, port, "/ready", scratch)


@contextmanager
def nudenet(folder: Path, scratch: Path) -> Iterator[str]:
    """Two processes, one that answers and one that computes, over files in the recipe's folder."""
    port, log = free_port(), scratch / "loop.log"
    for file in ("predictor.py", "example.py"):
        (scratch / file).write_bytes((HERE / "nudenet" / file).read_bytes())
    env = {"HOST": "127.0.0.1", "PORT": str(port), "WORKERS": "1"}
    env |= {"OPTIMAL_BATCH_SIZE": "4", "ALLOW_PICKLE": "false"}
    command = [folder / "bin/python", "-m", "fastdeploy", "--recipe", scratch]

    def warm() -> bool:
        return "warmup done" in log.read_text(errors="replace")

    with (
        process([*command, "--loop"], log, warm, scratch, env),
        server([*command, "--rest"], port, "/health", scratch, env) as url,
    ):
        yield url


SERVERS = {
    "mlserver": mlserver,
    "litserve": litserve,
    "openmoderate": openmoderate,
    "triton": triton,
    "nsfwpy": nsfwpy,
    "nsfwjs": nsfwjs,
    "nudenet": nudenet,
}
"""name -> a context that gives its URL, from the folder it is installed in and an empty one."""
