"""Where runs are started, stopped and found again. Every method may take a while: none is called
on the event loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from probe.backends.connection import Connection
from probe.errors import ProbeError, UsageError
from probe.image import Picture
from probe.studio.folder import Folder, RunFolder
from probe.studio.live import Live
from probe.studio.pictures import THUMB, Upload, Uploads, shown
from probe.studio.wish import Offer, Wish
from probe.text import count, printable


class Busy(ProbeError):
    """Another run has the service, or the cost is another one by now."""

    exit_code = 5


class Desk:
    """folder: held. ledger: the file with the answers."""

    def __init__(self, folder: Folder, ledger: Path, connection: Connection) -> None:
        self.folder = folder
        self.ledger = ledger
        self.connection = connection
        self.uploads = Uploads(folder.uploads)
        self._live: dict[str, Live] = {}
        self._taken: set[str] = set()
        self._closed = False
        self._lock = Lock()

    def offer(self, wish: Wish, picture: Picture) -> Offer:
        """What it would do and cost; raises what `Prober.plan` raises."""
        return Offer.of(wish, picture, self.ledger, self.connection)

    def offer_again(self, run: RunFolder) -> Offer:
        """The same request as before."""
        return self.offer(wish_of(run), run.picture())

    def start(self, upload: Upload, offer: Offer, shown_calls: int) -> RunFolder:
        """shown_calls: what the user saw before the click. Raises Busy where it is more now."""
        _check_shown(offer, shown_calls)
        request = {
            "name": upload.name,
            "digest": upload.digest,
            "size": list(upload.size),
            "wish": offer.wish.record(),
        }
        with self._taking(offer.who):
            thumb = shown(offer.picture.image, THUMB)
            run = self.folder.new_run(request, upload.path.read_bytes(), thumb)
            self._launch(Live(run, offer, self._over))
        return run

    def resume(self, run: RunFolder, offer: Offer, shown_calls: int) -> None:
        """The same request again: answers that the ledger has cost nothing. Raises Busy."""
        _check_shown(offer, shown_calls)
        with self._taking(offer.who):
            if self.live(run.id) is not None:
                raise Busy("it is running already")
            live = Live(run, offer, self._over)
            run.reopen()
            self._launch(live)

    def delete(self, run: RunFolder) -> None:
        """Its picture, map and pages; answers stay in the ledger. Raises Busy while it runs."""
        if self.live(run.id) is not None:
            raise Busy("this run is going on: stop it first")
        run.delete()

    def live(self, id: str) -> Live | None:
        """The run while it is going on."""
        with self._lock:
            return self._live.get(id)

    @contextmanager
    def borrowed(self, who: str) -> Iterator[None]:
        """A service for one call; raises Busy where a run has it."""
        with self._taking(who):
            try:
                yield
            finally:
                with self._lock:
                    self._taken.discard(who)

    def close(self) -> None:
        """Stop what runs; returns when all of it is saved."""
        with self._lock:
            self._closed = True
            running = list(self._live.values())
        for live in running:
            live.stop()
        for live in running:
            live.thread.join()

    @contextmanager
    def _taking(self, who: str) -> Iterator[None]:
        """The service is taken when the block ends well; its run gives it back."""
        with self._lock:
            if self._closed:
                raise Busy("the studio is closing")
            if who in self._taken:
                raise Busy(
                    f"a run with {printable(who, 100)} is going on: wait until it ends, or stop it"
                )
            self._taken.add(who)
        try:
            yield
        except BaseException:
            with self._lock:
                self._taken.discard(who)
            raise

    def _launch(self, live: Live) -> None:
        with self._lock:
            self._live[live.run.id] = live
        live.thread.start()

    def _over(self, live: Live) -> None:
        with self._lock:
            self._live.pop(live.run.id, None)
            self._taken.discard(live.offer.who)


def wish_of(run: RunFolder) -> Wish:
    """What a run asked; raises UsageError where that is damaged."""
    request: dict[str, Any] = run.request
    try:
        return Wish.read(request["wish"])
    except (KeyError, UsageError) as error:
        raise UsageError(f"the run {run.id} is damaged: what it asked cannot be read") from error


def _check_shown(offer: Offer, shown_calls: int) -> None:
    if offer.plan.calls > shown_calls:
        raise Busy(
            f"the cost is another one by now: {count(offer.plan.calls, 'call')}, "
            f"not {shown_calls:,}; look at it and start again"
        )
