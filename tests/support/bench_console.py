"""The console for benchmarks: `park serve` as a process over a benchmark's services, and somebody who signs in.

Other than a test, a benchmark is not skipped where there is no browser: `missing_console` says what is missing.
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import park_platform
from park_platform.embedded.ports import choose_port
from park_platform.storage.connect import connect
from park_platform.storage.people import make_signin_link
from support.bench_services import BenchServices
from support.browser import Window, missing_browser

if TYPE_CHECKING:
    from playwright.sync_api import Page

PERSON: Final = "bench-operator"
PEOPLE: Final = [{"id": PERSON, "name": {"zh": "测", "en": "bench"}, "role": "operator"}]
_BUILD: Final = Path(park_platform.__file__).parent / "web" / "index.html"
# Two frames later what was changed has been handed to the screen: the first callback runs before its frame is painted.
_WATCH: Final = """
(cell) => {
  window.painted = [];
  const note = () => {
    const text = cell.textContent;
    requestAnimationFrame(() => requestAnimationFrame(() =>
      window.painted.push([text, performance.timeOrigin + performance.now()])));
  };
  new MutationObserver(note).observe(cell, { subtree: true, childList: true, characterData: true });
}
"""


def missing_console() -> str | None:
    """What is missing for a browser to show the console, and how to get it; None when nothing is."""
    if not _BUILD.is_file():
        return "the console is not built: pip install -e ."
    return missing_browser()


@contextmanager
def serving_console(services: BenchServices) -> Generator[str]:
    """A running `park serve`; gives its address."""
    port = choose_port()
    base_url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "PARK_DB_URL": services.database_url("api"),
        "PARK_MQTT_URL": services.broker.url("serve"),
        "PARK_BASE_URL": base_url,
    }
    with (services.folder / "serve.log").open("wb") as log:
        argv = [sys.executable, "-m", "park_wire.command", "serve", "--port", str(port)]
        server = subprocess.Popen(argv, env=environment, stderr=log)
    try:
        _wait_for(base_url, server, services.folder / "serve.log")
        yield base_url
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(base_url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{base_url}/health", timeout=5):  # noqa: S310  # our own address
                return
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, log.read_text("utf-8")[-3_000:]
            assert time.monotonic() < deadline, "park serve does not answer"
            time.sleep(0.2)


def sign_in(services: BenchServices, window: Window) -> "Page":
    """Sign PERSON in by a one-time link; the overview is open then."""
    with connect(services.database_url("api"), "bench") as connection:
        token = make_signin_link(connection, PERSON, 15)
    page = window.page
    page.set_default_timeout(60_000)
    page.goto(f"{window.base_url}/signin/{token}")
    page.get_by_role("button").click()
    page.wait_for_url("**/console/")
    return page


class Painted:
    """When the browser painted what the live value of an asset's first point shows, in its drawer."""

    def __init__(self, page: "Page", asset: str) -> None:
        page.goto(page.url.partition("?")[0] + f"?asset={asset}")
        self._cell = page.get_by_role("dialog").locator(".point-value .number").first
        self._cell.wait_for()
        self._cell.evaluate(_WATCH)
        self._page = page

    def shown_at_us(self, text: str, within_s: float = 20.0) -> float:
        """µs since 1970 UTC at which this text was painted, once it was; fails when it is not in time."""
        found = self._page.wait_for_function(
            "(text) => window.painted.find(([shown]) => shown === text)?.[1]", arg=text, timeout=within_s * 1_000
        )
        painted: float = found.json_value()
        # Only the next one is asked for: the list must not grow with the run.
        self._page.evaluate("window.painted.length = 0")
        return painted * 1_000
