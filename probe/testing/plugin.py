"""A pytest plugin: the fixture `tagging_server`, a tagging service with known answers.

def test_upload_is_moderated(tagging_server):
    tagging_server.plant(label="nsfw", box=(.2, .2, .5, .5))
    assert my_product.upload("x.jpg", api=tagging_server.url).status == "held"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from probe.mock import Server
    from probe.types import Region


class TaggingServer:
    """A server on loopback that speaks every known service, and the project's own contract.

    A picture scores 0.95 for the planted label the first time that it is seen, and less the less
    of the planted box is left of it, down to 0.05 (see `probe.mock.PlantedTarget`).
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._regions: dict[str, Region] = {}

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._server.url

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables, dummy keys among them, that point clients of all services here."""
        from probe.mock import environment

        return environment(self.url)

    @property
    def requests(self) -> int:
        """How many requests came to be scored."""
        return self._server.requests

    @property
    def calls(self) -> int:
        """How many pictures were scored: what a service would charge for."""
        return self._server.calls

    @property
    def faulted(self) -> Mapping[str, int]:
        """How often each kind of fault has hit."""
        return self._server.faults

    def plant(self, label: str = "nsfw", box: Region = (0.0, 0.0, 1.0, 1.0)) -> None:
        """From now on pictures score for `label` by how much of `box` they still show.

        box: x0, y0, x1, y1 in fractions. Further labels stand beside the first; all pictures are
        new again. Raises UsageError for a box that is none.
        """
        from probe.mock import PlantedTarget

        regions = {**self._regions, label: box}
        self._server.serve_instead(PlantedTarget(regions))
        self._regions = regions

    def faults(self, plan: str | Mapping[str, str | float] = "", seed: int = 0) -> None:
        """What goes wrong from now on, as `probe serve --faults` takes it; nothing by default."""
        from probe.mock import Faults

        given = Faults.parse(plan, seed) if isinstance(plan, str) else Faults.of(plan, seed)
        self._server.weather(given)


@pytest.fixture
def tagging_server(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TaggingServer]:
    """A tagging service on loopback for one test; the whole picture counts until `.plant`.

    What probe itself asks in the test is kept in a ledger of the test's own.
    """
    from probe.mock import PlantedTarget, serve

    monkeypatch.setenv("PROBE_LEDGER", str(tmp_path_factory.mktemp("probe") / "ledger.db"))
    with serve(PlantedTarget({"nsfw": (0.0, 0.0, 1.0, 1.0)}), rates=()) as server:
        yield TaggingServer(server)
