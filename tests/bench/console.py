"""The console's first load and first paint in a real browser whose cache is empty, over a park of 450 assets.

`first_load_kb` is what came over the wire, compressed as served, until the overview of somebody who is signed in had
loaded; `first_paint_ms` is the browser's first-contentful-paint of that page. On loopback: no network is in it.
"""

import statistics
import sys
from typing import TYPE_CHECKING, Any, Final

from park_platform.storage.connect import connect
from park_platform.storage.park import apply_park
from support.bench_console import PEOPLE, missing_console, serving_console, sign_in
from support.bench_park import park_of
from support.bench_services import BenchServices, bench_services
from support.browser import Window, open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LOADS: Final = 5
GATEWAY: Final = "bench-0"
POINTS: Final = 2_000
# Sizes as sent, with headers. What the API answers is data of the park and no part of the console.
_LOADED: Final = """
() => {
  const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const own = all.filter((entry) => !new URL(entry.name).pathname.startsWith("/api/"));
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return { bytes: own.reduce((sum, entry) => sum + entry.transferSize, 0), files: own.length, paint: paint.startTime };
}
"""


def run() -> dict[str, Any]:
    """Load the overview five times, each in a new window."""
    missing = missing_console()
    if missing is not None:
        sys.stderr.write(f"the console is not measured: {missing}\n")
        return {"first_load_kb": None, "first_load_files": None, "first_paint_ms": None, "loads": 0}
    with bench_services([GATEWAY]) as services:
        with connect(services.database_url("owner"), "bench") as connection:
            apply_park(connection, park_of([GATEWAY], POINTS, {}, PEOPLE))
        with serving_console(services) as base_url, open_browser() as browser:
            loads = [_load(services, browser, base_url) for _ in range(LOADS)]
    return {
        "first_load_kb": round(statistics.median(load["bytes"] for load in loads) / 1_000, 1),
        "first_load_files": max(load["files"] for load in loads),
        "first_paint_ms": round(statistics.median(load["paint"] for load in loads), 1),
        "first_paint_max_ms": round(max(load["paint"] for load in loads), 1),
        "loads": LOADS,
    }


def _load(services: BenchServices, browser: "Browser", base_url: str) -> dict[str, float]:
    with Window(browser, base_url) as window:
        page = sign_in(services, window)
        session = page.context.new_cdp_session(page)
        session.send("Network.clearBrowserCache")  # pyright: ignore[reportUnknownMemberType]
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})  # pyright: ignore[reportUnknownMemberType]
        page.goto(f"{base_url}/console/")
        page.locator("[data-asset]").first.wait_for()
        loaded: dict[str, float] = page.evaluate(_LOADED)
        return loaded
