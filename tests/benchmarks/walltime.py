"""Wall time of a run against what physics allows, at a service with latency.

    python -m tests.benchmarks.walltime [--latency 0.05 0.2] [--batch 1 16] [--concurrency 8]
                                        [--rate 0 100] [--calls 256] [--side 512] [--repeats 3]

The server is another process that speaks `probe/1`, counts pictures and looks at none; it answers
so many seconds after the whole of a request has arrived. Limit: the largest of requests / rate,
latency x (1 + rounds), the reference being alone in the first round, and N x encoding (one
picture after the other). Ratio: the run's seconds, from `Prober.probe` to its Result, to the
limit, of the best of the repeats; the worst beside it.
"""

from __future__ import annotations

import argparse
import json
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle
from math import ceil
from pathlib import Path
from typing import Any

from PIL import Image

from probe import Prober
from probe.ledger import Ledger
from probe.perturb import Renderer, parse_fill
from probe.types import Box, Canvas, Codec
from tests.benchmarks.overhead import encode_all, picture, seconds

JPEG = Codec("jpeg", 90)


@dataclass(frozen=True)
class Setting:
    """latency in seconds. rate: requests in any second, 0 for any number."""

    latency: float
    batch: int
    concurrency: int
    rate: int = 0

    def limit(self, calls: int, encoding: float) -> float:
        rounds = 1 + ceil(ceil((calls - 1) / self.batch) / self.concurrency)
        requests = 1 + ceil((calls - 1) / self.batch)
        paced = requests / self.rate if self.rate else 0.0
        return max(paced, rounds * self.latency, calls * encoding)


class _Server(socketserver.ThreadingTCPServer):
    """Says 429 to what comes too fast, and counts it."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.setting = setting
        self.refused = self.admitted = 0
        self.scores = cycle(n / 7 for n in range(7))
        self._arrivals: deque[float] = deque()
        self._lock = threading.Lock()

    def admits(self) -> bool:
        now = time.monotonic()
        with self._lock:
            while self._arrivals and self._arrivals[0] <= now - 1:
                self._arrivals.popleft()
            admitted = not self.setting.rate or len(self._arrivals) < self.setting.rate
            if admitted:
                self._arrivals.append(now)
            self.refused += not admitted
            self.admitted += admitted
            return admitted


class _Handler(socketserver.StreamRequestHandler):
    server: _Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline()).strip():
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            body = self.rfile.read(length)
            arrived = time.monotonic()
            if line.startswith(b"GET"):
                self._send("200 OK", self._description())
            elif not self.server.admits():
                self._send("429 Too Many Requests", {"error": {"message": "too fast"}})
            else:
                size = body.count(b'"id"')
                results = [
                    {"id": str(n), "scores": {"nsfw": next(self.server.scores)}}
                    for n in range(size)
                ]
                answer = {"contract": "probe/1", "identity": "clockwork", "results": results}
                time.sleep(max(0.0, arrived + self.server.setting.latency - time.monotonic()))
                self._send("200 OK", answer)

    def _description(self) -> dict[str, Any]:
        setting = self.server.setting
        return {
            "contract": "probe/1",
            "identity": "clockwork",
            "labels": ["nsfw"],
            "formats": ["jpeg"],
            "batch": setting.batch,
            "concurrency": setting.concurrency,
            "rate": [{"requests": setting.rate, "seconds": 1}] if setting.rate else [],
            "refused": self.server.refused,
            "requests": self.server.admitted,
        }

    def _send(self, status: str, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        self.wfile.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)


def counts(url: str) -> tuple[int, int]:
    """Requests that the server answered and turned away so far."""
    with urllib.request.urlopen(url) as reply:
        found = json.load(reply)
    return found["requests"], found["refused"]


@contextmanager
def served(setting: Setting) -> Iterator[str]:
    """The URL of a server in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.walltime", "--serve"]
    process = subprocess.Popen(
        [*command, json.dumps(asdict(setting))], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


def encoding(image: Image.Image, calls: int) -> float:
    """Seconds to render and encode a variant, one after the other, in this process."""
    canvas = Canvas(image.size, image.size, JPEG.grid)
    render = Renderer(image, canvas, parse_fill("mean"))
    boxes = [Box(0.3, 0.3, 0.5 + n / (4 * calls), 0.6) for n in range(min(calls, 64))]
    return seconds(lambda: encode_all([render.render(box) for box in boxes])) / len(boxes)


def run(url: str, image: Image.Image, calls: int, folder: str) -> tuple[float, int]:
    """Seconds of a run and its requests; the ledger is there, and empty."""
    with Ledger(Path(folder) / f"{time.monotonic_ns()}.sqlite") as ledger:
        ledger.check_writable()
        prober = Prober(url, side=max(image.size), codec=JPEG, ledger=ledger)
        started = time.perf_counter()
        result = prober.probe(image, budget=calls)
        took = time.perf_counter() - started
        assert len(result.answers) == calls
        assert not result.failures
        return took, result.requests


def row(setting: Setting, image: Image.Image, calls: int, repeats: int) -> str:
    each = min(encoding(image, calls) for _ in range(3))
    limit = setting.limit(calls, each)
    with served(setting) as url, tempfile.TemporaryDirectory() as folder:
        runs = [run(url, image, calls, folder) for _ in range(repeats)]
    best, requests = min(runs)
    worst = max(took for took, _ in runs)
    rate = f"{setting.rate}/s" if setting.rate else "no"
    return (
        f"| {setting.latency * 1e3:.0f} ms | {setting.batch} | {setting.concurrency} | {rate} | "
        f"{requests} | {limit:.2f} | {best:.2f} | {best / limit:.2f} | {worst / limit:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency", type=float, nargs="+", default=[0.05, 0.2, 0.8])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16, 128])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rate", type=int, nargs="+", default=[0])
    parser.add_argument("--calls", type=int, default=256)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        server = _Server(Setting(**json.loads(arguments.serve)))
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()
    image = picture(arguments.side)
    print("| latency | batch | concurrency | rate | requests | limit, s | run, s | ratio | worst |")
    print("|---|---|---|---|---|---|---|---|---|")
    for latency in arguments.latency:
        for batch in arguments.batch:
            for concurrency in arguments.concurrency:
                for rate in arguments.rate:
                    setting = Setting(latency, batch, concurrency, rate)
                    print(row(setting, image, arguments.calls, arguments.repeats), flush=True)


if __name__ == "__main__":
    main()
