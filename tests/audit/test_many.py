"""Many runs side by side: their order, what ends them, and what is left of them."""

from __future__ import annotations

import threading
import time

import pytest

from probe import signals
from probe.audit import many
from probe.audit.many import side_by_side
from probe.errors import BackendError, ImageError, Interrupted, LimitReached, UsageError
from probe.signals import caught


def threads():
    return [one for one in threading.enumerate() if one.name.startswith("probe-many")]


def until_stopped(partial=None, begun=None):
    """A run that waits until it is told to stop, and brings what it has."""
    told = threading.Event()
    with caught(lambda interrupted: told.set()):
        if begun is not None:
            begun.wait(10)
        assert told.wait(10), "nobody said stop"
    error = Interrupted("stopped")
    error.partial = partial
    raise error


def test_results_come_in_the_order_of_the_jobs():
    second = threading.Event()

    def work(job):
        if job == 0:
            assert second.wait(10)
        if job == 1:
            second.set()
        return job * 10

    assert list(side_by_side(work, range(9), 3)) == [(n, n * 10) for n in range(9)]
    assert list(side_by_side(work, [], 3)) == []


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_are_held_or_at_work_than_said(at_once):
    lock, working, most, pulled = threading.Lock(), [0], [0], [0]

    def work(job):
        with lock:
            working[0] += 1
            most[0] = max(most[0], working[0])
        time.sleep(0.001)
        with lock:
            working[0] -= 1
        return job

    def jobs():
        for n in range(20):
            pulled[0] += 1
            yield n

    for given, _ in enumerate(side_by_side(work, jobs(), at_once), 1):
        assert pulled[0] - given <= at_once
    assert most[0] <= at_once
    assert given == 20


@pytest.mark.parametrize("error", [ImageError("no picture"), UsageError("no such label")])
def test_a_picture_that_cannot_be_used_ends_nothing(error):
    def work(job):
        if job == 2:
            raise error
        return job

    found = list(side_by_side(work, range(6), 2))
    assert found == [(0, 0), (1, 1), (2, error), (3, 3), (4, 4), (5, 5)]


@pytest.mark.parametrize("error", [BackendError("it broke"), LimitReached("the cap")])
def test_an_error_that_ends_a_run_ends_all_and_is_raised_after_what_was_found(error):
    begun, asked = threading.Barrier(3), []

    def work(job):
        asked.append(job)
        if job == 0:
            begun.wait(10)
            raise error
        if job < 3:
            until_stopped(f"half of {job}", begun)
        return job

    running, found = side_by_side(work, range(8), 3), []
    found += [next(running) for _ in range(8)]
    with pytest.raises(type(error), match=str(error)):
        next(running)
    assert found[:3] == [(0, error), (1, "half of 1"), (2, "half of 2")]
    assert [outcome for _, outcome in found[3:]] == [error] * 5
    assert sorted(asked) == [0, 1, 2], "nothing begins after that"
    assert not threads()


def test_a_stopped_run_without_anything_says_what_stopped_it():
    begun, error = threading.Barrier(2), LimitReached("the cap")

    def work(job):
        if job == 0:
            begun.wait(10)
            raise error
        until_stopped(None, begun)

    running = side_by_side(work, range(2), 2)
    assert [next(running), next(running)] == [(0, error), (1, error)]
    with pytest.raises(LimitReached):
        next(running)


class Stuck:
    """Job 0 is done at once, all others work until they are stopped."""

    def __init__(self, at_once):
        self.begun, self.stopped = threading.Barrier(at_once + 1), []

    def __call__(self, job):
        if job == 0:
            return job
        try:
            until_stopped(None, self.begun)
        except Interrupted:
            self.stopped.append(job)
            raise


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), ValueError("in the consumer")])
def test_whatever_happens_to_the_one_who_asks_the_threads_are_stopped(error):
    work = Stuck(2)
    found = side_by_side(work, range(50), 2)
    assert next(found) == (0, 0)
    work.begun.wait(10)
    if error is None:
        found.close()
    else:
        with pytest.raises(type(error)):
            found.throw(error)
    assert sorted(work.stopped) == [1, 2]
    assert not threads()


def test_a_run_that_has_not_begun_to_send_is_stopped_when_it_does(monkeypatch):
    told, begun, error = threading.Event(), threading.Barrier(2), LimitReached("the cap")

    def stop_thread(*given):
        heard = signals.stop_thread(*given)
        told.set()
        return heard

    monkeypatch.setattr(many, "stop_thread", stop_thread)

    def work(job):
        begun.wait(10)
        if job == 0:
            raise error
        assert told.wait(10)
        until_stopped("a little")

    found = side_by_side(work, range(2), 2)
    assert [next(found), next(found)] == [(0, error), (1, "a little")]


def test_a_bug_in_a_run_comes_out_and_stops_the_others():
    begun = threading.Barrier(2)

    def work(job):
        if job == 0:
            begun.wait(10)
            raise ZeroDivisionError
        until_stopped(None, begun)

    with pytest.raises(ZeroDivisionError):
        list(side_by_side(work, range(2), 2))
    assert not threads()


def test_the_jobs_may_fail_themselves():
    def jobs():
        yield 1
        raise OSError("the list is gone")

    with pytest.raises(OSError, match="the list is gone"):
        list(side_by_side(lambda job: job, jobs(), 4))
    assert not threads()
