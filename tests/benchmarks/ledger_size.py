"""What an answer takes in the ledger, with and without its raw body, and how fast it is stored.

    [PROBE_POSTGRES=postgresql://...] python -m tests.benchmarks.ledger_size [--answers 4000]

The bodies are answers of twenty concepts as Clarifai's API writes them (about 2 kB of JSON, every
one with other values and identifiers). One transaction stores a batch of 8 and notes the next.
PROBE_POSTGRES names a database without tables to measure, too; it is left without any.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
import zlib
from pathlib import Path

from probe.errors import LedgerError
from probe.ledger import Ledger, Question, place_of, stats
from probe.ledger.opening import open_store
from probe.ledger.server_schema import TABLES
from probe.types import Scores

BATCH = 8
WORDS = [
    "people",
    "adult",
    "portrait",
    "woman",
    "man",
    "beach",
    "sea",
    "summer",
    "travel",
    "vacation",
    "sand",
    "water",
    "leisure",
    "outdoors",
    "nature",
    "fashion",
    "swimwear",
    "skin",
    "model",
    "one",
]
IMAGE = "ab" * 32


def body(chance: random.Random) -> tuple[dict[str, float], bytes]:
    scores = {word: round(chance.random(), 7) for word in WORDS}
    concepts = [
        {"id": f"ai_{chance.getrandbits(32):08x}", "name": name, "value": value, "app_id": "main"}
        for name, value in sorted(scores.items(), key=lambda item: -item[1])
    ]
    output = {
        "id": f"{chance.getrandbits(128):032x}",
        "status": {"code": 10000, "description": "Ok"},
        "created_at": "2026-11-27T10:00:00.123456789Z",
        "model": {"id": "general-image-recognition", "name": "Image Recognition"},
        "input": {"id": f"{chance.getrandbits(128):032x}", "data": {"image": {}}},
        "data": {"concepts": concepts},
    }
    return scores, json.dumps({"status": {"code": 10000}, "outputs": [output]}).encode()


def answers(count: int) -> list[tuple[Question, Scores]]:
    chance = random.Random(0)
    found = []
    for n in range(count):
        scores, raw = body(chance)
        change = f"box {8 * (n % 50)} {8 * (n // 50)} 48 64"
        question = Question(IMAGE, change, "mean", (512, 400), "jpeg:90", 1, "clarifai general")
        found.append((question, Scores(scores, raw)))
    return found


def measure(
    where: str | Path, pairs: list[tuple[Question, Scores]], raw: bool
) -> tuple[float, int]:
    """Answers stored a second, and bytes on the disk."""
    with Ledger(where, raw=raw) as ledger:
        ledger.check_writable()
        started = time.perf_counter()
        for start in range(0, len(pairs), BATCH):
            later = [question for question, _ in pairs[start + BATCH : start + 2 * BATCH]]
            ledger.exchange(pairs[start : start + BATCH], intended=later, host="api.example")
        seconds = time.perf_counter() - started
    return len(pairs) / seconds, stats(place_of(where)).bytes


def is_new(server: str) -> bool:
    try:
        stats(place_of(server))
    except LedgerError as error:
        return "there is no ledger" in str(error)
    return False


def drop(server: str) -> None:
    store = open_store(place_of(server))
    with store.writing() as connection:
        connection.exec_driver_sql(f"DROP TABLE {', '.join(TABLES)}")
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=4000)
    pairs = answers(parser.parse_args().answers)
    sizes = [len(scores.raw or b"") for _, scores in pairs]
    packed = sum(len(zlib.compress(scores.raw or b"")) for _, scores in pairs)
    print(f"body: {sum(sizes) / len(sizes):.0f} bytes, {sum(sizes) / packed:.2f} times its packed")
    server = os.environ.get("PROBE_POSTGRES")
    if server and not is_new(server):
        parser.error("PROBE_POSTGRES must be a database without tables")
    with tempfile.TemporaryDirectory() as folder:
        for raw in (True, False):
            said = "with raw bodies" if raw else "without"
            rate, size = measure(Path(folder) / f"{raw}.db", pairs, raw)
            print(f"SQLite {said}: {size / len(pairs):.0f} bytes and {rate:.0f} a second")
            if server:
                rate, size = measure(server, pairs, raw)
                print(f"PostgreSQL {said}: {size / len(pairs):.0f} bytes and {rate:.0f} a second")
                drop(server)


if __name__ == "__main__":
    main()
