"""Real processes: killed at any moment, forked, and two at once."""

import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from probe.ledger import Ledger, Question, stats, verify
from probe.types import Scores

WRITER = """
import sys
from probe.ledger import Ledger, Question
from probe.types import Scores
path, name, start, count, batch = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
ledger = Ledger(path)
print("ready", flush=True)
sys.stdin.readline()
for n in range(start, start + count, batch):
    asked = [Question("i", str(k), "f", (1, 2), "png", 1, "b") for k in range(n, n + batch)]
    ledger.exchange([], intended=asked, host="h")
    pairs = [(q, Scores({name: float(q.change)}, raw=b"x" * 500)) for q in asked]
    told, _ = ledger.exchange(pairs, host="h")
    print(n, *{label for scores in told for label in scores}, flush=True)
if "close" in sys.argv:
    ledger.close()
"""


def writer(path, name, start, count, batch=1, *more) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, path, name, str(start), str(count), str(batch), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def question(n: int) -> Question:
    return Question("i", str(n), "f", (1, 2), "png", 1, "b")


def finish(process: subprocess.Popen[str]) -> list[str]:
    lines = process.stdout.read().splitlines()
    process.stdout.close()
    process.stdin.close()
    process.wait()
    return [line for line in lines if line]


def test_a_process_killed_at_any_moment_loses_no_answer_it_had_stored(path):
    chance = random.Random(4)
    stored: set[int] = set()
    start = 0
    for _ in range(8):
        batch = chance.choice([1, 4])
        process = writer(path, "a", start, 4000, batch)
        go(process)
        for _ in range(chance.randrange(1, 40)):
            stored.add(int(process.stdout.readline().split()[0]))
        os.kill(process.pid, signal.SIGKILL)
        whole = [line for line in finish(process) if line.endswith(" a")]
        stored |= {int(line.split()[0]) for line in whole}
        assert process.returncode == -signal.SIGKILL
        with Ledger(path) as ledger:
            assert len(ledger.lookup([question(n) for n in stored])) == len(stored)
            sent = [question(n) for n in range(max(stored), max(stored) + 3 * batch)]
            assert ledger.exchange([], intended=sent)[1] <= batch, (
                "more unknown than were in flight"
            )
            known = len(ledger.lookup([question(n) for n in range(start, start + 4000)]))
            assert known % batch == 0, "half a transaction"
        start = max(stored) + 100
    assert verify(path).ok


def test_two_processes_with_the_same_and_with_other_questions_both_finish(path):
    same = [writer(path, name, 0, 150) for name in ("a", "b")]
    other = [writer(path, name, 1000 * k, 150) for k, name in ((1, "c"), (2, "d"))]
    for process in (*same, *other):
        go(process)
    told = [finish(process) for process in (*same, *other)]
    assert [process.returncode for process in (*same, *other)] == [0] * 4
    assert [len(lines) for lines in told] == [150] * 4
    assert told[0] == told[1], "they did not agree on the answers"
    assert stats(path).answers == 450
    assert verify(path).ok


def test_two_processes_that_both_make_the_ledger(path):
    for _ in range(3):
        processes = [writer(path, name, 0, 2, 1, "close") for name in ("a", "b")]
        for process in processes:
            go(process)
        told = [finish(process) for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        assert told[0] == told[1]
        for file in path.parent.iterdir():
            file.unlink()


SENDER = """
import sys
from probe.ledger import Ledger, Question
asked = [Question("i", str(n), "f", (1, 2), "png", 1, "b") for n in range(3)]
Ledger(sys.argv[1]).exchange([], intended=asked, host="h")
print("sent", flush=True)
sys.stdin.readline()
"""


def test_what_another_process_has_in_flight_is_unknown_only_when_it_is_dead(path):
    process = subprocess.Popen(
        [sys.executable, "-c", SENDER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "sent\n"
    asked = [question(n) for n in range(3)]
    with Ledger(path) as ledger:
        if os.path.exists("/proc/self/stat"):
            assert stats(path).outstanding == 0
            assert ledger.exchange([], intended=asked[:1], host="h")[1] == 0
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert stats(path).outstanding == 3, "a process that nobody has waited for yet is dead, too"
        finish(process)
        assert ledger.exchange([], intended=asked[1:], host="h")[1] == 2
        assert stats(path).outstanding == 3, "of an earlier run"


def test_a_number_that_another_process_has_by_now_is_not_the_one_that_sent():
    from probe.ledger.process import elsewhere, mark

    parent = mark(os.getppid())
    if parent is None or not elsewhere(parent):
        pytest.skip("no /proc, or nobody above")
    number, start, boot = parent.split()
    assert not elsewhere(f"{number} {int(start) - 1} {boot}")
    assert not elsewhere(f"{number} {start} {boot[::-1]}"), "before the machine was started anew"
    assert not elsewhere(mark()), "this process's own earlier runs"
    for foreign in (None, "", "x", "-1", "0", "\u0663", "9" * 30, f"{number}"):
        assert not elsewhere(foreign)


def test_a_process_that_ends_without_closing_leaves_no_log(path):
    process = writer(path, "a", 0, 3)
    go(process)
    finish(process)
    assert sorted(file.name for file in path.parent.iterdir()) == ["ledger.db", "ledger.db-lock"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_ledger_works_on_both_sides_of_a_fork(path):
    ledger = Ledger(path)
    memory = Ledger(None)
    for each in (ledger, memory):
        each.exchange([(question(0), Scores({"a": 0.0}))])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(20)
            ledger.exchange([(question(1), Scores({"a": 1.0}))])
            memory.exchange([(question(1), Scores({"a": 1.0}))])
            with ThreadPoolExecutor(1) as pool:
                assert len(pool.submit(ledger.lookup, [question(0), question(1)]).result()) == 2
            ledger.close()
            code = 0
        finally:
            os._exit(code)
    for n in range(2, 30):
        ledger.exchange([(question(n), Scores({"a": float(n)}))])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(ledger.lookup([question(n) for n in range(30)])) == 30
    assert memory.lookup([question(0), question(1)]) == {question(0): Scores({"a": 0.0})}
    ledger.close()
    assert verify(path).ok


def test_files_are_closed_with_the_ledger(path):
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc")
    before = count()
    for n in range(20):
        with Ledger(path) as ledger:
            ledger.exchange([(question(n), Scores({"a": 1.0}))])
    assert count() == before
    Ledger(path).lookup([question(1)])
    assert count() == before, "a forgotten ledger stays open"
