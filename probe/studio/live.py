"""A run that is going on: in a thread of its own, over `Prober.stream`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Lock, Thread
from typing import Any, cast

from PIL import Image

from probe.api.secrets import redacted
from probe.errors import Interrupted, LimitReached, OutputError, ProbeError
from probe.progress import Progress
from probe.report.packing import small
from probe.result import Result
from probe.signals import stop_thread
from probe.studio.drawing import SIDE, Drawn, draw, thumb
from probe.studio.folder import RunFolder
from probe.studio.wish import Offer, ceiling
from probe.text import printable

STOPPED = "stopped in the studio"
OVER = ("complete", "stopped", "failed")


@dataclass(frozen=True)
class Ending:
    """state: `complete`, `stopped` (the same request goes on) or `failed`. said: why."""

    state: str
    said: str = ""


class Live:
    """state: starting, running, pausing, paused, stopping; then how it ended.

    Only the last Result is held. Paused, nothing more is sent; what is on its way then arrives and
    is put on record when the run goes on or is stopped.
    """

    def __init__(self, run: RunFolder, offer: Offer, ended: Callable[[Live], None]) -> None:
        self.run = run
        self.offer = offer
        self.picture: Image.Image = small(offer.picture.image, SIDE)
        self.result: Result | None = None
        self.version = 0
        self.state = "starting"
        self.said = ""
        self._progress = Progress(
            offer.plan.answers, offer.plan.calls, throttling=lambda: offer.prober.throttling
        )
        self._before = run.ended or {}
        self._wanted = "go"
        self._changed = Condition()
        self._drawn: tuple[Result, Drawn] | None = None
        self._drawing = Lock()
        self._ended = ended
        self.thread = Thread(target=self._work, name=f"probe-studio-{run.id}", daemon=True)

    @property
    def over(self) -> bool:
        return self.state in OVER

    def pause(self) -> None:
        self._want("pause", {"starting": "pausing", "running": "pausing"})

    def go_on(self) -> None:
        self._want("go", {"pausing": "running", "paused": "running"})

    def stop(self) -> None:
        """What has arrived is kept and saved; what is on its way is waited for."""
        with self._changed:
            if self._wanted == "stop" or self.over:
                return
            self._wanted, self.state = "stop", "stopping"
            self._tell()
        stop_thread(self.thread.ident, Interrupted(STOPPED))

    def drawn(self) -> Drawn | None:
        """The last maps, drawn if need be; None before the first answer."""
        with self._drawing:
            result = self.result
            if result is not None and (self._drawn is None or self._drawn[0] is not result):
                self._drawn = result, draw(result, self.picture)
            return None if self._drawn is None else self._drawn[1]

    def view(self) -> dict[str, Any]:
        """How it stands, for the page."""
        with self._changed:
            state, said, result, version = self.state, self.said, self.result, self.version
        plan = self.offer.plan
        found = {
            "state": state,
            "said": said,
            "version": version,
            "line": "" if result is None else self._progress.line(result),
            "answers": 0,
            "total": plan.answers,
            "calls": 0,
            "most": ceiling(plan.calls),
            "requests": 0,
            "cost": None,
            "currency": plan.currency,
            "failures": 0,
            "seconds": 0.0,
        }
        return found if result is None else found | _numbers(result)

    def _want(self, wanted: str, states: dict[str, str]) -> None:
        with self._changed:
            if self.state in states:
                self._wanted, self.state = wanted, states[self.state]
                self._tell()

    def _tell(self) -> None:
        self.version += 1
        self._changed.notify_all()

    def _work(self) -> None:
        result: Result | None = None
        try:
            result = self._follow()
            ending = Ending("complete")
        except (ProbeError, Interrupted) as error:
            result = error.partial
            goes_on = isinstance(error, (Interrupted, LimitReached))
            said = "" if str(error) == STOPPED else one_line(error)
            ending = Ending("stopped" if goes_on else "failed", said)
        except Exception as error:
            ending = Ending("failed", f"a bug of ours, {type(error).__name__}: {one_line(error)}")
        try:
            self._keep(result, ending)
        except Exception as error:
            ending = Ending("failed", one_line(error))
            with suppress(ProbeError):
                if self.run.path.is_dir():
                    self.run.write_json("ended.json", vars(ending))
        self._ended(self)
        with self._changed:
            self.result = result or self.result
            self.state, self.said = ending.state, ending.said
            self._tell()

    def _follow(self) -> Result:
        offer = self.offer
        made = offer.prober.stream(**offer.wish.arguments(offer.picture))
        stream = cast("Generator[Result, None, None]", made)
        for result in stream:
            with self._changed:
                self.result = result
                if self.state == "starting":
                    self.state = "running"
                self._tell()
            if not result.complete and not self._may_go_on():
                stream.throw(Interrupted(STOPPED))
        return result

    def _may_go_on(self) -> bool:
        """Waits while it is paused; False where it is to stop."""
        with self._changed:
            if self._wanted == "pause":
                self.state = "paused"
                self._tell()
            self._changed.wait_for(lambda: self._wanted != "pause")
            return self._wanted == "go"

    def _keep(self, result: Result | None, ending: Ending) -> None:
        if not self.run.path.is_dir():
            raise OutputError("the folder of this run is gone: its answers are in the ledger")
        record: dict[str, Any] = {"state": ending.state, "said": ending.said}
        if result is not None:
            result.save(self.run.path)
            self.run.write("thumb.webp", thumb(result))
            record |= _numbers(result) | {"total": self.offer.plan.answers}
            for sum_ in ("calls", "requests", "cost", "seconds"):
                if record[sum_] is not None:
                    record[sum_] += self._before.get(sum_) or 0
        self.run.write_json("ended.json", record)


def _numbers(result: Result) -> dict[str, Any]:
    """What a result has come to; texts are printable."""
    failures = result.failures
    return {
        "answers": len(result.answers),
        "label": printable(result.label, 200),
        "score": result.reference[result.label],
        "calls": result.calls,
        "requests": result.requests,
        "cost": result.cost,
        "currency": result.currency,
        "failures": len(failures),
        "failed": one_line(failures[-1].outcome.message) if failures else "",  # type: ignore[union-attr]
        "seconds": result.seconds,
    }


def one_line(error: object) -> str:
    """In one line, without any key."""
    return printable(redacted(" ".join(str(error).split())), 500)
