"""A real browser for tests: Debian's Chromium, driven by playwright, and everything that a page complained about.

with open_browser() as browser, Window(browser, park.park.base_url) as window:
    window.page.goto(link)
    …
    assert window.complaints == []
"""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from support.needs import skip_or_fail

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

Language = Literal["zh-CN", "en-GB"]
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
# The page itself can't be asked after it has refused something.
_WATCH_POLICY: Final = """
window.refusals = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.refusals.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


def missing_browser() -> str | None:
    """What is missing for a browser and how to get it; None when nothing is."""
    if _program() is None:
        return "there is no Chromium; on Debian: apt-get install chromium"
    if find_spec("playwright") is None:
        return "playwright is not installed: pip install -e '.[dev]'"
    return None


def _program() -> str | None:
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


@contextmanager
def open_browser() -> Generator["Browser"]:
    """A headless browser until the block ends. Skips the test where there is none."""
    missing = missing_browser()
    if missing is not None:
        skip_or_fail("browser", missing)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - installed only where tests run

    with sync_playwright() as playwright:
        # Chromium's own sandbox does not work for root.
        browser = playwright.chromium.launch(executable_path=_program(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Window:
    """One person's browser window. `complaints`: console errors, failed scripts, requests to another host."""

    browser: "Browser"
    base_url: str
    language: Language = "zh-CN"
    width: int = 1366
    height: int = 768
    complaints: list[str] = field(default_factory=list[str])

    def __enter__(self) -> "Window":
        size = {"width": self.width, "height": self.height}
        self._context: BrowserContext = self.browser.new_context(
            locale=self.language,
            viewport=size,  # pyright: ignore[reportArgumentType]  # a dict is what it takes
        )
        self._context.add_init_script(_WATCH_POLICY)
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("request", self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.close()

    def refusals(self) -> list[str]:
        """What the page's content security policy has refused since the page was loaded."""
        found: list[str] = self.page.evaluate("window.refusals")
        return found

    def _hear(self, message: "ConsoleMessage") -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def _look(self, request: "Request") -> None:
        url = urlsplit(request.url)
        if url.scheme not in {"data", "blob"} and url.netloc != urlsplit(self.base_url).netloc:
            self.complaints.append(f"foreign request: {request.url}")
