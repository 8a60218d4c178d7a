"""Real Dask clusters: workers that die, schedulers that go, one rate and one cap for all."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from probe import Prober
from probe.audit import Item, Wishes, Workers, audit
from probe.audit.many import side_by_side
from probe.errors import LimitReached, Rejected, UsageError
from probe.ledger import Ledger, stats
from probe.limits import Limits
from probe.mock import serve
from probe.result import Result
from probe.testing.planted import Planted, planted_picture
from probe.types import Codec
from tests.audit.pictures import cutouts, dataset
from tests.benchmarks.walltime import Setting, counts, served

pytestmark = pytest.mark.slow

PNG = Codec("png")
LIMITS = Limits(batch=4, formats=("png",), labels=("sfw", "nsfw"), question="nsfw", concurrency=4)


class Gated(Planted):
    """Holds every request from the `first` on until the gate opens."""

    def __init__(self, first=2, **options):
        super().__init__(limits=LIMITS, **options)
        self.gate, self.held = threading.Event(), threading.Event()
        self._first, self._requests = first, 0

    def score(self, variants, codec):
        self._requests += 1
        if self._requests >= self._first:
            self.held.set()
            assert self.gate.wait(60)
        return super().score(variants, codec)


@contextmanager
def in_background(work):
    """Its outcome is in the list when the block ends."""
    found = []

    def run():
        try:
            found.append(work())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield found
    thread.join(60)
    assert not thread.is_alive()


def probed_while_workers_die(prober, target, workers, budget):
    """All of them are killed while the target holds their requests; no answer is missing."""
    with in_background(lambda: prober.probe(planted_picture(), budget=budget)) as found:
        assert target.held.wait(60)
        for pid in workers.client.run(os.getpid).values():
            os.kill(pid, signal.SIGKILL)
        target.gate.set()
    (result,) = found
    assert isinstance(result, Result), result
    assert not result.failures
    return result


def test_the_cluster_answers_as_this_process_and_is_closed_to_others(tmp_path):
    with serve(Planted(limits=LIMITS)) as server, Workers(2, threads=2) as workers:
        assert workers.threads == 4
        far = Prober(server.url, ledger=Ledger(None), repeats=0, through=workers.through)
        alone = Prober(server.url, ledger=Ledger(None), repeats=0)
        one, other = (prober.heatmap(planted_picture(), budget=21) for prober in (far, alone))
        assert np.array_equal(one.planes.values, other.planes.values, equal_nan=True)
        assert list(workers.map(abs, range(-20, 0))) == list(range(20, 0, -1))
        address = workers.client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        assert is_turned_away(int(address.rpartition(":")[2]))


def is_turned_away(port):
    """Whether one who has no key of the cluster gets no word out of its scheduler."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as plain:
        try:
            with context.wrap_socket(plain) as stranger:
                stranger.settimeout(10)
                return not stranger.recv(1000)
        except (ssl.SSLError, ConnectionError):
            return True


def test_a_killed_worker_loses_no_answer_and_every_call_is_counted(tmp_path):
    path = tmp_path / "ledger.db"
    target = Gated()
    with serve(target) as server, Workers(2, threads=2) as workers, Ledger(path) as ledger:
        prober = Prober(server.url, ledger=ledger, repeats=0, through=workers.through)
        result = probed_while_workers_die(prober, target, workers, budget=25)
        assert len(result.answers) == 25
        assert result.calls >= server.calls >= 25
        assert result.calls - 25 <= LIMITS.batch * LIMITS.concurrency
        assert stats(path).outstanding == 0
        assert prober.probe(planted_picture(), budget=25).calls == 0


CLIENT = """
import sys
from pathlib import Path
from probe import Prober
from probe.audit import Item, Wishes, Workers, audit
from probe.ledger import Ledger
from tests.audit.pictures import dataset

def main():
    url, path = sys.argv[1:]
    images, _, truth = dataset("mark", 24, 0)
    items = [Item(str(n), image, bool(truth[n])) for n, image in enumerate(images)]
    with Workers(2, threads=2) as workers, Ledger(path) as ledger:
        prober = Prober(url, ledger=ledger, repeats=0, through=workers.through)
        print("ready", flush=True)
        found = audit(prober, items, Wishes(pictures=12, budget=17, places=8), crew=workers)
        print("done", found.calls, flush=True)

if __name__ == "__main__":
    main()
"""


def test_a_client_killed_at_any_moment_pays_again_for_what_was_in_flight_alone(tmp_path):
    script, path = tmp_path / "client.py", tmp_path / "ledger.db"
    script.write_text(CLIENT)
    chance = np.random.default_rng(3)
    deaths = 0
    with serve(Planted(red=700, limits=LIMITS)) as server:
        for _ in range(40):
            process = subprocess.Popen(
                [sys.executable, str(script), server.url, str(path)],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.getcwd()},
                start_new_session=True,
            )
            assert process.stdout.readline() == "ready\n"
            goal = server.calls + int(chance.integers(20, 90))
            while process.poll() is None and server.calls < goal:
                time.sleep(0.001)
            finished = process.poll() is not None
            if not finished:
                os.killpg(process.pid, signal.SIGKILL)
                deaths += 1
            last = process.stdout.read()
            process.stdout.close()
            process.wait()
            found = stats(path)
            flying = LIMITS.batch * LIMITS.concurrency * (deaths + 1)
            assert found.answers <= server.calls <= found.answers + flying
            if finished:
                break
        assert last.startswith("done")
        assert deaths >= 2
        assert found.outstanding == 0


def test_one_cap_for_all_workers(tmp_path):
    with serve(Planted(limits=LIMITS)) as server, Workers(2, threads=2) as workers:
        prober = Prober(
            server.url, ledger=Ledger(None), repeats=0, max_calls=50, through=workers.through
        )
        images = cutouts(20)
        with pytest.raises(LimitReached, match="the cap of 50 calls"):
            list(side_by_side(lambda image: prober.probe(image, budget=17), images, 8))
        assert server.calls == 50


def test_one_rate_for_all_workers():
    with served(Setting(latency=0.02, batch=4, concurrency=8, rate=12)) as url:
        with Workers(4, threads=2) as workers:
            prober = Prober(url, ledger=Ledger(None), repeats=0, through=workers.through)
            found = list(side_by_side(lambda image: prober.probe(image, budget=17), cutouts(8), 8))
        assert not any(result.throttled for _, result in found)
        requests = sum(result.requests for _, result in found)
        assert counts(url) == (requests, 0)
        assert sum(result.calls for _, result in found) == 8 * 17


@contextmanager
def dask(*words):
    process = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextmanager
def running_cluster():
    address = f"tcp://127.0.0.1:{free_port()}"
    port = address.rpartition(":")[2]
    with (
        dask("dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard") as one,
        dask("dask_worker", address, "--nthreads", "2", "--no-dashboard", "--host", "127.0.0.1"),
    ):
        yield address, one


def test_a_scheduler_that_runs_already_and_is_lost_in_the_middle(tmp_path):
    path = tmp_path / "ledger.db"
    target = Gated(first=3)
    with serve(target) as server, running_cluster() as (address, scheduler):
        with Workers(scheduler=address) as workers, Ledger(path) as ledger:
            prober = Prober(server.url, ledger=ledger, repeats=0, through=workers.through)
            with in_background(lambda: prober.probe(planted_picture(), budget=25)) as found:
                assert target.held.wait(60)
                scheduler.kill()
                target.gate.set()
        (error,) = found
        assert isinstance(error, Rejected), error
        assert error.exit_code == 3
        assert "the same command goes on" in str(error)
        kept = stats(path).answers
        assert kept >= 1
        with Ledger(path) as ledger:
            again = Prober(server.url, ledger=ledger, repeats=0).probe(planted_picture(), budget=25)
        assert again.calls == 25 - kept


def test_a_shared_scheduler_does_not_send_twice_what_a_lost_worker_had(tmp_path):
    """It would hand the task out anew, and nobody would have counted that."""
    target = Gated()
    with serve(target) as server, running_cluster() as (address, _):
        with Workers(scheduler=address) as workers, Ledger(None) as ledger:
            prober = Prober(server.url, ledger=ledger, repeats=0, through=workers.through)
            result = probed_while_workers_die(prober, target, workers, budget=13)
        assert result.calls >= server.calls >= 13


def test_a_scheduler_that_does_not_answer_is_said():
    with pytest.raises(UsageError, match="no Dask scheduler with workers at tcp://"):
        Workers(scheduler=f"tcp://127.0.0.1:{free_port()}", patience=1.0).__enter__()


def test_an_audit_by_workers_finds_what_one_alone_finds(tmp_path):
    images, _, truth = dataset("mark", 60, 0)
    items = [Item(str(n), image, bool(truth[n])) for n, image in enumerate(images)]
    wishes = Wishes(pictures=16, budget=25, places=8)
    found = []
    with serve(Planted(red=700, limits=LIMITS)) as server:
        alone = Prober(server.url, ledger=Ledger(None), repeats=0, codec=PNG)
        found.append(audit(alone, items, wishes))
        with Workers(2, threads=2) as workers:
            far = Prober(
                server.url, ledger=Ledger(None), repeats=0, codec=PNG, through=workers.through
            )
            found.append(audit(far, items, wishes, crew=workers))
    drops = [[one.effect and one.effect.drop for one in audit.features] for audit in found]
    assert drops[0] == drops[1]
    assert found[0].claims
