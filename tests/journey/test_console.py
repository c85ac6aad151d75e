"""Four people at the console, in a real browser over one real park, each in both languages."""

import json
import shutil
import sys
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from park_sim.sample import sample_site
from support.browser import Language, Window, open_browser
from support.park import WholePark, park_folder, whole_park
from support.stray_system import MARKUP, MISSING, install_stray

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

RULE: Final = "vessel-pressure-hh"
VESSEL: Final = "tank-2"
VESSELS: Final = ("tank-1", "tank-2", "reactor-1", "boiler-drum-1")
# An asset of another enterprise, which neither chem nor the regulator may see, with an alarm.
FOREIGN: Final = "boiler-drum-1"
FOREIGN_RULE: Final = "drum-bad"

# What the screen says: Chinese, English.
_SAID: Final = {
    "rule": ("压力容器压力高高", "Vessel pressure high-high"),
    "tank-1": ("一号液化气球罐", "LPG sphere tank 1"),
    "tank-2": ("二号液化气球罐", "LPG sphere tank 2"),
    "reactor-1": ("一号反应釜", "Reactor 1"),
    "boiler-drum-1": ("一号锅炉汽包", "Boiler drum 1"),
    "alarms": ("报警", "Alarms"),
    "gateways": ("网关", "Gateways"),
    "devices": ("未纳管设备", "Unapproved devices"),
    "dead letters": ("死信", "Dead letters"),
    "note": ("备注（可选）", "Note (optional)"),
    "acknowledged": ("已确认", "Acknowledged"),
    "latched": ("已锁存，待复位", "Latched, to be reset"),
    "safety": ("安全应急", "Safety"),
    "equipment": ("特种设备台账", "Special equipment"),
    "ratio": ("压力与设计压力之比", "Pressure over design pressure"),
    "left": ("剩", "left"),
    "no point": ("测点不存在：{}", "There is no such point: {}"),
    "no asset": ("没有此设备，或您无权查看：{}", "There is no such asset, or you may not see it: {}"),
    "monthly": ("能耗月报", "Energy of a month"),
    "enterprise": ("企业（空为园区；企业用户空为本企业）", "Enterprise (empty: the park, or your own)"),
    "make": ("生成", "Make report"),
    "chem": ("恒远化工", "Hengyuan Chemical Works"),
    "coverage": ("数据覆盖率", "Coverage"),
    "stray": ("杂项页面", "Stray page"),
    "values": ("数值", "Values"),
    "missing": (f"没有测点 {MISSING}，或您无权查看。", f"There is no point {MISSING}, or you may not see it."),
    "remarks": ("备忘台账", "Remarks"),
    "add": ("新增", "Add"),
    "save": ("保存", "Save"),
    "title": ("标题", "Title"),
    "text": ("内容", "Text"),
}


@pytest.fixture(scope="module")
def browser() -> Generator["Browser"]:
    """A headless Chromium."""
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def park(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Generator[WholePark]:
    """The sample park with a system whose page is wrong, and with an alarm on a vessel that is not chem's."""
    del browser  # none is started where there is no browser
    folder = tmp_path_factory.mktemp("park")
    site = folder / "site"
    shutil.copytree(sample_site(), site)
    with (site / "park.toml").open("a", encoding="utf-8") as file:
        file.write("\n[system.stray]\n")
    installed = folder / "installed"
    with pytest.MonkeyPatch.context() as patch:
        # This process reads park.toml, its children do the rest.
        patch.setattr(sys, "path", [*sys.path, str(installed)])
        patch.setenv("PYTHONPATH", install_stray(installed))
        with park_folder() as data, whole_park(data, site=site) as running:
            running.wait(lambda: running.latest(f"gw-1/{VESSEL}/pressure").get("time"), "the first readings", 60)
            running.sim("fault", "nan", FOREIGN)
            running.wait(lambda: running.alarms(FOREIGN_RULE, FOREIGN), "the alarm of another enterprise", 30)
            yield running


@pytest.fixture(params=["zh-CN", "en-GB"])
def language(request: pytest.FixtureRequest) -> Language:
    """The language of the browser, which the console takes up."""
    return request.param


def _assets_of(enterprise: str) -> set[str]:
    assets = tomllib.loads((sample_site() / "assets.toml").read_text("utf-8"))["asset"]
    return {asset["id"] for asset in assets if asset.get("enterprise") == enterprise}


class Desk:
    """A person's window at the console, signed in, and what this language calls things."""

    def __init__(self, window: Window, park: WholePark, language: Language) -> None:
        self.window = window
        self.page: Page = window.page
        self.park = park
        self._at = 0 if language == "zh-CN" else 1

    def say(self, key: str) -> str:
        """A text in the desk's language."""
        return _SAID[key][self._at]

    def open(self, address: str) -> None:
        """Load an address of the console, as if somebody had sent it."""
        self.page.goto(f"{self.park.park.base_url}/console/{address}")

    def follow(self, key: str) -> None:
        """Follow a link of the menu."""
        self.page.get_by_role("navigation").get_by_role("link", name=self.say(key), exact=True).first.click()

    def widget(self, key: str) -> "Locator":
        """A widget of a system's page, scrolled to: it is made when it is seen."""
        found = self.page.locator("section.widget").filter(has=self.page.locator("h2", has_text=self.say(key))).first
        found.scroll_into_view_if_needed()
        return found


@contextmanager
def at_desk(browser: "Browser", park: WholePark, person: str, language: Language, *, refused: bool = False):
    """A desk for the block; afterwards the browser must have had nothing to complain about.

    `refused`: the person asks for what the API refuses, which a browser writes into its console by itself.
    """
    with Window(browser, park.park.base_url, language) as window:
        page = window.page
        page.on("dialog", lambda dialog: window.complaints.append(f"dialog: {dialog.message}"))
        page.goto(f"{park.park.base_url}/signin/{park.park.signin_token(person)}")
        page.get_by_role("button").click()
        page.wait_for_url("**/console/")
        yield Desk(window, park, language)
        assert window.refusals() == []
        told = ("status of 403", "status of 404") if refused else ()
        assert [said for said in window.complaints if not any(status in said for status in told)] == []


def test_an_operator_brings_an_over_pressure_to_its_end(
    browser: "Browser", park: WholePark, language: Language
) -> None:
    with at_desk(browser, park, "operator", language) as desk:
        page = desk.page
        page.locator(f"[data-asset={VESSEL}]", has_text="MPa").wait_for()
        park.sim("fault", "over-pressure", VESSEL, "--magnitude", "0.3", "--for", "4")
        first = page.locator(".banner").get_by_role("link").filter(has_text=desk.say(VESSEL))
        park.wait(lambda: first.filter(has_text=desk.say("rule")).count(), "the alarm in the banner", 30)
        assert page.locator("[data-count=critical]").text_content() != "0"

        desk.follow("alarms")
        row = page.get_by_role("row").filter(has_text=desk.say("rule")).filter(has_text=desk.say(VESSEL))
        acknowledged, latched = (row.get_by_text(desk.say(state), exact=True) for state in ("acknowledged", "latched"))
        row.press("a")
        page.get_by_label(desk.say("note")).fill(MARKUP)
        page.keyboard.press("Enter")
        page.get_by_label(desk.say("note")).wait_for(state="hidden")
        acknowledged.or_(latched).wait_for()
        row.press("Enter")
        journal = page.get_by_role("dialog").locator(".journal")
        journal.get_by_text(MARKUP).last.wait_for()
        journal.get_by_text("operator", exact=True).last.wait_for()
        assert page.locator("img").count() == 0, "a note is text"
        page.keyboard.press("Escape")

        # The over-pressure has ended by itself; the alarm stays until a person resets it.
        park.wait(latched.count, "the pressure to return", 40)
        row.press("r")
        page.get_by_label(desk.say("note")).press("Enter")
        park.wait(lambda: row.count() == 0, "the alarm to be gone from the list", 15)
        newest = park.alarms(RULE, VESSEL)[0]
        assert (newest["state"], newest["acked_by"]) == ("normal", "operator")


def test_a_safety_officer_sees_vessels_and_what_is_due(browser: "Browser", park: WholePark, language: Language) -> None:
    with at_desk(browser, park, "safety", language) as desk:
        desk.follow("safety")
        gauges = desk.widget("ratio")
        for vessel in VESSELS:
            gauges.get_by_role("link", name=desk.say(vessel), exact=True).wait_for()
        shown = gauges.locator(".point-value .number")
        assert shown.count() == len(VESSELS)
        before = shown.all_text_contents()
        park.wait(lambda: shown.all_text_contents() != before, "another pressure ratio", 15)
        # The drum's sensor is the one that gives nothing.
        numbers = [float(text) for text in shown.all_text_contents() if text not in {"—", ""}]
        assert len(numbers) == len(VESSELS) - 1
        assert all(0.0 < number < 1.0 for number in numbers), numbers

        equipment = desk.widget("equipment")
        rows = equipment.locator("tbody tr")
        park.wait(lambda: rows.count() == 4, "the register's rows", 10)
        drum = rows.filter(has_text="示范-锅-0001")
        assert "2026-11-30" in (drum.text_content() or "")
        assert desk.say("left") in (drum.locator(".due").text_content() or ""), "what is due soon says so"


def test_an_enterprise_sees_its_own_and_nothing_else(browser: "Browser", park: WholePark, language: Language) -> None:
    points = park.client("operator").get("/api/v1/points", params={"limit": "1000"}).json()["items"]
    foreign = next(point for point in points if point["key"] == f"gw-1/{FOREIGN}/pressure")
    alarm = park.alarms(FOREIGN_RULE, FOREIGN)[0]
    name = _SAID[FOREIGN]
    with at_desk(browser, park, "chem", language, refused=True) as desk:
        page = desk.page
        page.locator(f"[data-asset={VESSEL}]", has_text="MPa").wait_for()
        shown = {each.get_attribute("data-asset") for each in page.locator("[data-asset]").all()}
        own = park.client("chem").get("/api/v1/points", params={"limit": "1000"}).json()["items"]
        assert shown == {point["asset"]["key"] for point in own}
        assert {"tank-1", "tank-2", "reactor-1"} < shown <= _assets_of("chem")

        menu = page.get_by_role("navigation").first.inner_text()
        for hidden in ("gateways", "devices", "dead letters"):
            assert desk.say(hidden) not in menu.splitlines()

        for address, told in {
            f"?asset={FOREIGN}": desk.say("no asset").format(FOREIGN),
            f"trend?point={foreign['id']}": desk.say("no point").format(foreign["id"]),
        }.items():
            desk.open(address)
            page.get_by_role("alert").filter(has_text=told).wait_for()
            assert [page.get_by_text(text).count() for text in name] == [0, 0]
        desk.open(f"alarms?alarm={alarm['id']}")
        page.get_by_role("dialog").get_by_role("alert").wait_for()
        assert [page.get_by_text(text).count() for text in name] == [0, 0]
        for address in ("gateways", "devices", "dead-letters"):
            desk.open(address)
            page.get_by_role("alert").wait_for()
            assert page.locator("tbody tr").count() == 0

        desk.open("registers/safety/special-equipment")
        rows = page.locator("tbody tr")
        park.wait(lambda: rows.count() == 3, "its own rows", 10)
        assert page.get_by_text("示范-锅-0001").count() == 0
    for path in (
        f"alarms/{alarm['id']}",
        f"history?point={foreign['id']}&start=2026-01-01T00:00:00Z&end=2027-01-01T00:00:00Z",
    ):
        assert park.client("chem").get(f"/api/v1/{path}").status_code == 404, path


def test_a_regulator_reads_the_month_of_a_granted_enterprise(
    browser: "Browser", park: WholePark, language: Language, tmp_path: Path
) -> None:
    with at_desk(browser, park, "regulator", language, refused=True) as desk:
        page = desk.page
        desk.follow("monthly")
        who = page.get_by_label(desk.say("enterprise"))
        who.locator("option[value=chem]").wait_for(state="attached")
        offered = {option.get_attribute("value") for option in who.locator("option").all()}
        assert offered == {"", "chem", "alloy"}, "only what was granted is offered"
        who.select_option("chem")
        page.get_by_role("button", name=desk.say("make")).click()
        paper = page.get_by_role("article")
        paper.get_by_role("heading", name=desk.say("chem")).wait_for()
        paper.get_by_role("row").filter(has_text=desk.say("coverage")).filter(has_text="%").first.wait_for()
        sheet = paper.inner_text()
        for text in ("chem-electricity", "0.1229", "GB/T 2589-2020"):
            assert text in sheet
        assert "alloy-electricity" not in sheet

        with page.expect_download() as begun:
            page.get_by_role("button", name="CSV", exact=True).click()
        kept = tmp_path / "monthly.csv"
        begun.value.save_as(kept)
        table = kept.read_text("utf-8-sig")
        for text in ("chem-electricity", "0.1229", "GB/T 2589-2020", desk.say("coverage"), desk.say("chem")):
            assert text in table

        month = page.url.split("month=")[1][:7]
        asked = {"month": month, "enterprise": "chem", "format": "json"}
        document = park.client("regulator").get("/api/v1/reports/energy/monthly", params=asked).json()
        assert {"coal-equivalent", "co2", "coverage"} <= {fact["id"] for fact in document["facts"]}
        assert "chem-electricity" in json.dumps(document["tables"])

        desk.open(f"reports/energy/monthly?month={month}&enterprise=food")
        page.get_by_role("alert").wait_for()
        refusal = page.get_by_role("alert").text_content() or ""
        assert len(refusal) > 4
        assert page.get_by_role("article").count() == 0
    told = {row[0] for row in park.rows("SELECT object FROM audit WHERE actor = 'regulator'")}
    for asked_for in ("enterprise=chem&format=csv", "enterprise=food"):
        assert any("/reports/energy/monthly?" in each and asked_for in each for each in told), told


def test_a_page_says_what_it_misses_and_shows_text_as_text(
    browser: "Browser", park: WholePark, language: Language
) -> None:
    with at_desk(browser, park, "operator", language) as desk:
        page = desk.page
        desk.follow("stray")
        values = desk.widget("values")
        values.get_by_text(desk.say("missing")).wait_for()
        values.get_by_text(MARKUP).first.wait_for()
        values.get_by_text("MPa").first.wait_for()

        remarks = desk.widget("remarks")
        remarks.get_by_role("button", name=desk.say("add"), exact=True).click()
        form = page.get_by_role("dialog")
        title = f"{MARKUP} {language}"
        form.get_by_label(desk.say("title")).fill(title)
        form.get_by_label(desk.say("text"), exact=True).fill(MARKUP)
        form.get_by_role("button", name=desk.say("save"), exact=True).click()
        remarks.get_by_text(title).wait_for()
        assert page.locator("img").count() == 0
