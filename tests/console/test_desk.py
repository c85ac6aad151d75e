"""What people meet at the console when something is not as it should be, and what they do with the keyboard."""

import os
import re
import signal
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from support.browser import Language, Window
from support.park import WholePark
from support.stray_system import MARKUP

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

REFUSED: Final = ("此登录链接不存在、已使用或已过期", "This sign-in link is unknown, used or expired")
ENDED: Final = {"zh-CN": "会话已结束", "en-GB": "session has ended"}
EQUIPMENT: Final = "registers/safety/special-equipment"
FIELDS: Final = (
    *("registration_code", "name", "kind", "asset", "enterprise", "design_pressure", "design_temperature"),
    *("safety_grade", "last_inspection", "next_inspection", "safety_valve_due", "responsible", "state"),
)


@pytest.fixture(params=["zh-CN", "en-GB"])
def language(request: pytest.FixtureRequest) -> Language:
    """The language of the browser."""
    return request.param


@pytest.fixture
def window(browser: "Browser", park: WholePark, language: Language) -> Generator[Window]:
    """The safety officer's small window in another time zone than the park's."""
    with Window(browser, park.park.base_url, language, width=1024, height=700) as opened:
        session = opened.page.context.new_cdp_session(opened.page)
        session.send("Emulation.setTimezoneOverride", {"timezoneId": "America/New_York"})  # pyright: ignore[reportUnknownMemberType]
        sign_in(opened.page, park, "safety")
        yield opened


def sign_in(page: "Page", park: WholePark, person: str) -> str:
    """Sign in by a link, which is used up then, and give it."""
    link = f"{park.park.base_url}/signin/{park.park.signin_token(person)}"
    page.goto(link)
    page.get_by_role("button").click()
    page.wait_for_url("**/console/")
    return link


def open_address(window: Window, park: WholePark, address: str) -> "Page":
    """Load an address of the console, as if somebody had sent it."""
    window.page.goto(f"{park.park.base_url}/console/{address}")
    window.page.locator("main h1", has_text=re.compile(r"\S")).first.wait_for()
    return window.page


def test_a_refused_link_is_a_page_that_leads_on(browser: "Browser", park: WholePark, language: Language) -> None:
    with Window(browser, park.park.base_url, language) as window:
        page = window.page
        used = sign_in(page, park, "safety")
        token = park.park.signin_token("operator")
        expired = f"{park.park.base_url}/signin/{token}"
        late = "UPDATE signin_link SET expires_at = now() - interval '1 s' WHERE token_sha256 = sha256(%s)"
        with park.database() as connection:
            assert connection.execute(late, (token.encode(),)).rowcount == 1
        for link in (used, expired, f"{park.park.base_url}/signin/nonsense"):
            page.goto(link)
            page.get_by_role("button").click()
            for sentence in REFUSED:
                page.get_by_text(sentence).wait_for()
        page.get_by_role("link").click()
        page.wait_for_url("**/console/")


def test_a_pasted_link_signs_in_whatever_surrounds_it(browser: "Browser", park: WholePark, language: Language) -> None:
    with Window(browser, park.park.base_url, language) as window:
        page = window.page
        page.goto(f"{park.park.base_url}/console/alarms")
        link = page.get_by_role("textbox")
        link.fill("http://park.example/signin/nonsense")
        link.press("Enter")
        page.get_by_role("alert").get_by_text(REFUSED[0 if language == "zh-CN" else 1]).wait_for()
        link.fill(f" http://park.example/signin/{park.park.signin_token('safety')}?from=mail ")
        link.press("Enter")
        page.locator("main table").wait_for()
        assert page.url.endswith("/console/alarms"), "the address that was asked for is open"


def test_an_ended_session_says_so_and_keeps_the_address(park: WholePark, window: Window, language: Language) -> None:
    page = open_address(window, park, "alarms")
    (cookie,) = page.context.cookies()
    with park.database() as connection:
        done = connection.execute("DELETE FROM session WHERE token_sha256 = sha256(%s)", (cookie["value"].encode(),))  # pyright: ignore[reportTypedDictNotRequiredAccess]
        assert done.rowcount == 1
    page.get_by_role("status").get_by_text(ENDED[language]).wait_for(timeout=30_000)
    assert page.url.endswith("/console/alarms")


def test_the_screen_says_that_the_api_is_gone_and_comes_back(
    park: WholePark, window: Window, language: Language
) -> None:
    page = open_address(window, park, "")
    link = page.locator(".link-state")
    live = link.get_by_text({"zh-CN": "实时", "en-GB": "Live"}[language], exact=True)
    live.wait_for()
    pid = park.child("serve").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    # Nobody looks after the children until this test waits.
    link.get_by_text({"zh-CN": "连接中断", "en-GB": "Connection lost"}[language]).wait_for()
    link.get_by_role("button").wait_for()
    park.wait(live.count, "the live stream again", 40)
    park.wait(lambda: "0 s" in (link.text_content() or ""), "news", 20)


def test_a_silent_gateway_s_values_are_stale(park: WholePark, window: Window, language: Language) -> None:
    page = open_address(window, park, "?asset=tank-2")
    good = {"zh-CN": "全部实测值正常", "en-GB": "Every measured value is good"}[language]
    park.wait(page.locator(".abnormal").get_by_text(good).is_visible, "a healthy park", 30)
    pid = park.child("gateway").pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        flaws = page.locator(".abnormal .flaw")
        tank = flaws.filter(has_text={"zh-CN": "二号液化气球罐", "en-GB": "LPG sphere tank 2"}[language])
        park.wait(tank.count, "the tank among what is not good", 30)
        pressure = page.get_by_role("dialog").locator("tbody tr").first
        assert pressure.locator(".trust-mark.stale").count() == 1
        park.wait(lambda: int((pressure.locator("td").last.text_content() or "0").split()[0]) >= 5, "an age", 20)
    finally:
        os.kill(pid, signal.SIGCONT)
    park.wait(lambda: flaws.count() == 0, "good values again", 60)
    assert window.complaints == []


def test_a_trend_by_keyboard_wheel_and_drag(
    park: WholePark, window: Window, language: Language, tmp_path: Path
) -> None:
    page = open_address(window, park, "trend")
    search = page.get_by_role("combobox").first
    for text in ("tank-2 pressure MPa", "tank-2 temperature"):
        search.fill(text)
        page.locator(".picker li[role=option]").first.wait_for()
        search.press("Enter")
    search.press("Escape")
    chart = page.locator(".trend-chart .hands")
    page.locator(".readout tbody tr").nth(1).wait_for()
    assert page.url.count("point=") == 2
    assert {"MPa", "°C"} <= set(re.findall(r"MPa|°C", page.locator(".readout").inner_text()))

    start = page.locator(".own input").first
    # The park's time, not the browser's.
    (now,) = park.rows("SELECT to_char(now() AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD HH24')")[0]
    assert page.locator(".own .when").nth(1).locator("input").first.input_value().startswith(now[:10])
    whole = start.input_value()
    chart.focus()
    chart.press("+")
    fixed = re.compile(r"from=")
    page.wait_for_url(fixed)
    chart.press("Backspace")
    page.wait_for_url(re.compile(r"last=1h"))

    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -300)
    page.wait_for_url(fixed)
    wheeled = page.url
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    page.wait_for_url(lambda url: url != wheeled)
    assert start.input_value() > whole

    typed = f"{whole[:10]} 00:00"
    start.fill(typed)
    start.press("Tab")
    park.wait(lambda: start.input_value() == f"{typed}:00" or start.input_value() == typed, "the typed start", 5)
    start.fill("11/24/2026")
    assert start.get_attribute("aria-invalid") == "true"
    start.press("Tab")

    page.get_by_role("button", name="15 min").click()
    page.wait_for_url(re.compile(r"last=15min"))
    with page.expect_download() as begun:
        page.get_by_role("button", name="CSV").click()
    kept = tmp_path / "trend.csv"
    begun.value.save_as(kept)
    table = kept.read_text("utf-8-sig")
    assert "gw-1/tank-2/pressure" in table
    assert "gw-1/tank-2/temperature" in table
    assert window.complaints == []


def equipment(number: str, **changed: str) -> dict[str, str]:
    row = {
        "registration_code": number,
        "name": MARKUP,
        "kind": "boiler",
        "next_inspection": "2027-01-01",
        "responsible": "=1+1",
        "state": "in-use",
    }
    return {**row, **changed}


def csv_of(rows: list[dict[str, str]]) -> str:
    lines = [",".join(row.get(field, "") for field in FIELDS) for row in rows]
    return "\n".join([",".join(FIELDS), *lines]) + "\n"


def dialog(page: "Page") -> "Locator":
    return page.get_by_role("dialog").last


def test_ten_faults_of_a_csv_are_ten_and_a_form_s_stand_at_their_fields(
    park: WholePark, window: Window, language: Language, tmp_path: Path
) -> None:
    page = open_address(window, park, EQUIPMENT)
    rows = page.locator("main tbody tr")
    rows.first.wait_for()
    before = rows.count()
    bad = [equipment(f"bad-{n}", next_inspection="soon") for n in range(5)]
    bad += [equipment(f"bad-{n}", kind="cow") for n in range(5, 10)]
    file = tmp_path / "bad.csv"
    file.write_text(csv_of(bad), "utf-8")
    page.get_by_role("button", name={"zh-CN": "导入 CSV", "en-GB": "Import CSV"}[language]).click()
    dialog(page).locator("input[type=file]").set_input_files(file)
    listed = dialog(page).locator("tbody tr")
    park.wait(lambda: listed.count() == 10, "ten faults", 10)
    assert sorted(int(line) for line in listed.locator("td:first-child").all_inner_texts()) == list(range(2, 12))
    file.write_text(csv_of([equipment(f"row-{language}")]), "utf-8")
    with page.expect_file_chooser() as chooser:
        dialog(page).locator("input[type=file]").click()
    chooser.value.set_files(file)
    take = dialog(page).get_by_role("button").last
    park.wait(take.is_enabled, "a dry run without faults", 10)
    assert rows.count() == before, "a dry run changes nothing"
    take.click()
    park.wait(lambda: rows.count() == before + 1, "the imported row", 10)
    page.get_by_text(MARKUP).first.wait_for()
    page.keyboard.press("Escape")

    add = page.get_by_role("button", name={"zh-CN": "新增", "en-GB": "Add"}[language], exact=True)
    add.press("Enter")
    form = dialog(page)
    form.get_by_label(re.compile("下次检验日期|Next inspection")).first.fill("tomorrow")
    form.get_by_label(re.compile("设计温度|Design temperature")).fill("hot")
    form.get_by_role("button", name={"zh-CN": "保存", "en-GB": "Save"}[language], exact=True).click()
    wrong = form.locator(".field.wrong")
    park.wait(lambda: wrong.count() >= 6, "each wrong field", 10)
    assert all(text.strip() for text in wrong.locator(".faults").all_inner_texts())
    assert page.locator("img").count() == 0
    assert [said for said in window.complaints if "422" not in said] == []


def test_nothing_is_wider_than_a_small_window(park: WholePark, window: Window) -> None:
    for address in ("", "alarms", "trend", "systems/safety/safety", EQUIPMENT, "reports/energy/monthly", "gateways"):
        page = open_address(window, park, address)
        wide, high = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert (wide, high) == (1024, 700), address
    assert window.refusals() == []
    assert window.complaints == []
