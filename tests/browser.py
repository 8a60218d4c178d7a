"""Drives pages as a person does, in the Chromium of this machine.

What is not installed skips the tests that need it, unless PROBE_ALL_INSTALLED is set: then it
fails them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SIZES = {"wide": (1280, 900), "phone": (390, 844)}
"""Pixels, width and height."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium of the system, without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        missing = "Chromium, or the package playwright, is not installed"
        if os.environ.get("PROBE_ALL_INSTALLED"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@dataclass
class Watched:
    """A page, what its console complained of, and the requests that left `own`."""

    page: Page
    own: str
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.own, "data:", "blob:", "about:")):
            self.elsewhere.append(request.url)

    def grave(self) -> list[str]:
        """What axe-core finds serious or critical, a line each."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {one['help']}: {node['html'][:200]}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    def check(self) -> None:
        """Nothing was complained of, and no request went elsewhere."""
        assert self.complaints == []
        assert self.elsewhere == []


@contextmanager
def opened(
    browser: Browser, url: str, *, own: str | None = None, size: str = "wide", **context: Any
) -> Iterator[Watched]:
    """A watched page at `url`, in a context of its own.

    own: what every request has to begin with, by default the page itself. size: of SIZES.
    context: as `Browser.new_context` takes it, such as color_scheme="dark".
    """
    width, height = SIZES[size]
    made = browser.new_context(viewport={"width": width, "height": height}, **context)
    try:
        watched = Watched(made.new_page(), own or url)
        watched.watch()
        watched.page.goto(url)
        yield watched
    finally:
        made.close()
