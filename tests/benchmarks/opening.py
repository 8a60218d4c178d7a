"""How fast the page of a run opens, and how fast it answers a hover, in Chromium.

    python -m tests.benchmarks.opening [--budget 256] [--times 7] [--hovers 300]

The run is that of examples/retina.jpg by the local network. Opening: from the start of the
navigation until the map is drawn and can be hovered, each time in a new context. Hover: what the
page computes and lays out for a new spot, within the frame that shows it; a frame of 60 a second
has 16.7 ms. Ratio: to an empty page of the same browser, opened in turn.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from probe import Prober
from probe.report import page, save_report

PICTURE = Path(__file__).parents[2] / "examples" / "retina.jpg"
HOVER = """async (hovers) => {
  const stage = document.querySelector('.stage'), box = stage.getBoundingClientRect();
  const times = [];
  for (let n = 0; n < hovers; n++) {
    const at = { clientX: box.left + box.width * ((n * 0.618034) % 1),
      clientY: box.top + box.height * ((n * 0.754878) % 1), bubbles: true, pointerType: 'mouse' };
    times.push(await new Promise((done) => {
      let start;
      requestAnimationFrame(() => { start = performance.now(); });
      stage.dispatchEvent(new PointerEvent('pointermove', at));
      requestAnimationFrame(() => { document.body.offsetHeight; done(performance.now() - start); });
    }));
  }
  return times;
}"""


def opened(browser: Browser, address: str, ready: str) -> float:
    """Milliseconds until `ready` is there."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    view = context.new_page()
    start = time.perf_counter()
    view.goto(address, wait_until="commit")
    view.wait_for_selector(ready, state="attached")
    seconds = time.perf_counter() - start
    context.close()
    return 1000 * seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=int, default=256)
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--hovers", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        result = Prober("local", ledger=Path(folder) / "ledger.db").probe(
            PICTURE, budget=given.budget
        )
        start = time.perf_counter()
        text = page(result)
        made = time.perf_counter() - start
        path = save_report(text, Path(folder) / "report.html")
        empty = Path(folder) / "empty.html"
        empty.write_text("<!doctype html><title>empty</title><body data-ready>")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        pairs = [
            (
                opened(browser, path.as_uri(), "body[data-ready]"),
                opened(browser, empty.as_uri(), "body"),
            )
            for _ in range(given.times)
        ]
        view = browser.new_page(viewport={"width": 1280, "height": 900})
        view.goto(path.as_uri())
        view.wait_for_selector("body[data-ready]")
        hovers = sorted(view.evaluate(HOVER, given.hovers))
        browser.close()
    opening, bare = (sorted(one) for one in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"{len(result.answers)} answers, {len(text.encode()) / 1e6:.2f} MB, made in {made:.2f} s")
    print(
        f"opening: median {statistics.median(opening):.0f} ms, longest {opening[-1]:.0f} ms; "
        f"an empty page {statistics.median(bare):.0f} ms; ratio {ratio:.1f}"
    )
    print(
        f"hover: median {statistics.median(hovers):.1f} ms, 95% below "
        f"{hovers[int(0.95 * len(hovers))]:.1f} ms, longest {hovers[-1]:.1f} ms"
    )


if __name__ == "__main__":
    main()
