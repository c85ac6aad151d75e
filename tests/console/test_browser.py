"""The console in a real browser over a real park: sign-in by link, live values, an alarm, both languages."""

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from support.browser import Window, open_browser
from support.park import WholePark, park_folder, whole_park

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VESSEL = "tank-2"
RULE = "vessel-pressure-hh"


@pytest.fixture(scope="module")
def browser() -> Generator["Browser"]:
    """A headless Chromium."""
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def park(browser: "Browser") -> Generator[WholePark]:
    """The sample park with its first readings; none is started where there is no browser."""
    del browser
    with park_folder() as folder, whole_park(folder) as running:
        running.wait(lambda: running.latest(f"gw-1/{VESSEL}/pressure", "safety").get("time"), "the first readings", 60)
        yield running


def sign_in(page: "Page", park: WholePark, person: str) -> None:
    """Open the one-time link and press its button."""
    page.goto(park.links[person].url)
    page.get_by_role("button").click()
    page.wait_for_url("**/console/")


def test_an_operator_signs_in_sees_a_live_value_and_acknowledges_an_alarm(browser: "Browser", park: WholePark) -> None:
    with Window(browser, park.park.base_url) as window:
        page = window.page
        sign_in(page, park, "operator")

        vessel = page.locator(f"[data-asset={VESSEL}]")
        vessel.wait_for()
        page.locator(f"[data-asset={VESSEL}]", has_text="MPa").wait_for()
        first = vessel.text_content()
        park.wait(lambda: vessel.text_content() != first, "another value", 10)
        assert page.get_by_role("status").get_by_text("实时", exact=True).count() == 1

        park.sim("fault", "over-pressure", VESSEL, "--magnitude", "0.1")
        park.wait(lambda: park.alarms(RULE, VESSEL, "safety"), "the alarm at the API", 40)
        count = page.locator("[data-count=critical]")
        park.wait(lambda: count.text_content() == "1", "the alarm in the banner", 5)

        page.get_by_role("link", name="报警", exact=True).click()
        row = page.get_by_role("row").filter(has_text="压力容器压力高高")
        row.focus()
        row.press("a")
        page.get_by_label("备注").fill("现场已检查")
        page.keyboard.press("Enter")
        row.get_by_text("已确认").wait_for()
        (alarm,) = park.alarms(RULE, VESSEL, "safety")
        assert (alarm["state"], alarm["acked_by"]) == ("acknowledged", "operator")

        page.get_by_role("button", name="English").click()
        page.get_by_role("heading", name="Alarms").wait_for()
        row = page.get_by_role("row").filter(has_text="Vessel pressure high-high")
        row.press("Enter")
        page.get_by_role("dialog").get_by_text("现场已检查").wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Parkhub").wait_for()

        assert window.refusals() == []
        # Who signed out asks once more who they are.
        assert [said for said in window.complaints if "401" not in said] == []
