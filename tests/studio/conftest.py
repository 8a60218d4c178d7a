from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from threading import Semaphore
from urllib.parse import urlsplit

import pytest
import requests

from probe.mock import PlantedTarget
from probe.mock import serve as serve_model
from probe.studio import serve
from probe.testing.planted import planted_picture

PATIENCE = 30
PATCH = (0.25, 0.25, 0.5, 0.625)


def png(size=(96, 64), box=(24, 16, 48, 40)) -> bytes:
    file = BytesIO()
    planted_picture(size, box).save(file, "PNG")
    return file.getvalue()


class Visitor:
    """Speaks to a studio as its own page does."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.base = f"{parts.scheme}://{parts.netloc}"
        self.session = requests.Session()
        self.session.headers["Origin"] = self.base
        self.session.get(url, timeout=PATIENCE).raise_for_status()

    def get(self, path, **more):
        return self.session.get(self.base + path, timeout=PATIENCE, **more)

    def post(self, path, given=None, **more):
        return self.session.post(self.base + path, json=given, timeout=PATIENCE, **more)

    def page(self, path):
        answer = self.get(path, headers={"Accept": "text/html"})
        answer.raise_for_status()
        return answer.text

    def upload(self, data=None, name="planted.png"):
        answer = self.session.post(
            f"{self.base}/pictures", params={"name": name}, data=data or png(), timeout=PATIENCE
        )
        answer.raise_for_status()
        return answer.json()["id"]

    def plan(self, **wish):
        answer = self.post("/plan", wish)
        answer.raise_for_status()
        return answer.json()

    def start(self, **wish):
        answer = self.post("/runs", {**wish, "calls": self.plan(**wish)["calls"]})
        answer.raise_for_status()
        return answer.json()["id"]

    def resume(self, run):
        offer = self.post(f"/runs/{run}/plan").json()
        self.post(f"/runs/{run}/resume", {"calls": offer["calls"]}).raise_for_status()
        return offer

    def news(self, run):
        """The events of a run while it is going on, as they come."""
        with self.get(f"/runs/{run}/events", stream=True) as answer:
            for line in answer.iter_lines(chunk_size=1):
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def until(self, run, *states):
        """The first event in one of these states."""
        return next(event for event in self.news(run) if event["state"] in states)

    def finish(self, run):
        """How it ended, whether somebody watched or not."""
        for _ in self.news(run):
            pass
        return self.get(f"/runs/{run}", headers={"Accept": "text/html"}).text


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "studio" / "ledger.db"


@pytest.fixture
def studio(ledger):
    """A studio on a ledger of the test's own."""
    with serve(ledger) as server:
        yield server


@pytest.fixture
def visitor(studio):
    return Visitor(studio.url)


class Gated(PlantedTarget):
    """Answers no request before it is let through; `refusal` is what it says instead, if set."""

    def __init__(self):
        super().__init__({"nsfw": PATCH})
        self.limits = replace(self.limits, batch=4)
        self.gate, self.asked = Semaphore(0), Semaphore(0)
        self.refusal = None

    def score(self, variants, codec):
        self.asked.release()
        assert self.gate.acquire(timeout=PATIENCE)
        if self.refusal is not None:
            return [self.refusal for _ in variants]
        return super().score(variants, codec)

    def open(self, requests=1000):
        self.gate.release(requests)

    def wait_until_asked(self):
        assert self.asked.acquire(timeout=PATIENCE)


@pytest.fixture
def gated():
    """gated.model waits, gated.url is where."""
    model = Gated()
    with serve_model(model, rates=()) as server:
        server.model = model
        try:
            yield server
        finally:
            model.open()


@contextmanager
def served(ledger):
    with serve(ledger) as server:
        yield Visitor(server.url)
