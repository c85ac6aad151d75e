"""Every page and every register form of the sample park's systems, in both languages: complete, translated, silent."""

import re
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

import pytest

from support.browser import Language, Window
from support.park import WholePark

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

SYSTEMS: Final = {"economy", "energy", "environment", "logistics", "safety", "services"}
# So high that every widget is in sight, and hence made.
TALL: Final = 6_000
WAITS: Final = {"zh-CN": "正在加载", "en-GB": "Loading"}
ADD: Final = {"zh-CN": "新增", "en-GB": "Add"}
CHINESE: Final = re.compile(r"[\u3400-\u9fff]")
# What a program that forgot something shows.
FORGOTTEN: Final = re.compile(r"\bundefined\b|\bNaN\b|\[object |\bnull\b|\{\w+\}")
# Says the same in both languages: numbers and signs, formulae, file formats, the letters of lines, units.
SAME: Final = re.compile(r"[\W\d_]*|[A-J]|CSV|JSON|pH|PM2\.5|PM10|SO2|NOx|COD|\d+ (s|min|h|d)|kg(ce|CO2)/\w+|mg/(L|m3)")
SWITCH: Final = {"中文", "English", "园枢 Parkhub", "Parkhub 园枢"}
LABELS: Final = "h1, h2, h3, th, label, button, option, legend, dt, nav a, [role=alert], .muted:not(td *, small)"


@pytest.fixture(scope="module", params=["zh-CN", "en-GB"])
def language(request: pytest.FixtureRequest) -> Language:
    """The language of the browser, which the console takes up."""
    return request.param


@pytest.fixture(scope="module")
def window(browser: "Browser", park: WholePark, language: Language) -> Generator[Window]:
    """The operator's window."""
    with Window(browser, park.park.base_url, language, height=TALL) as opened:
        sign_in(opened.page, park, "operator")
        yield opened


def sign_in(page: "Page", park: WholePark, person: str) -> None:
    page.goto(f"{park.park.base_url}/signin/{park.park.signin_token(person)}")
    page.get_by_role("button").click()
    page.wait_for_url("**/console/")


def systems_of(park: WholePark, person: str = "operator") -> list[dict[str, Any]]:
    return park.client(person).get("/api/v1/systems").json()["systems"]


def parts_of(park: WholePark, kind: str, person: str = "operator") -> list[tuple[str, str]]:
    """Systems and their pages, registers or reports as a person may open them."""
    return [(system["id"], part["id"]) for system in systems_of(park, person) for part in system[kind]]


def settle(page: "Page", language: Language) -> None:
    """Wait until nothing is being loaded."""
    page.locator("main h1", has_text=re.compile(r"\S")).first.wait_for()
    page.wait_for_function("(waits) => !document.querySelector('main').innerText.includes(waits)", arg=WAITS[language])


def untranslated(place: "Locator", language: Language) -> list[str]:
    """Labels that are not in the language; what people have entered stands in cells, which are none."""
    texts: list[str] = place.locator(LABELS).evaluate_all("(all) => all.flatMap((one) => one.innerText.split('\\n'))")
    shown = {text.strip().rstrip("*").strip() for text in texts} - SWITCH
    if language == "en-GB":
        return sorted(text for text in shown if CHINESE.search(text))
    return sorted(text for text in shown if not CHINESE.search(text) and not SAME.fullmatch(text))


def test_every_page_is_complete_and_in_one_language(park: WholePark, window: Window, language: Language) -> None:
    page = window.page
    pages = parts_of(park, "pages")
    assert {system for system, _ in pages} == SYSTEMS
    for system, part in pages:
        told = park.client("operator").get(f"/api/v1/systems/{system}/pages/{part}").json()
        page.goto(f"{park.park.base_url}/console/systems/{system}/{part}")
        page.locator("section.widget").first.wait_for()
        settle(page, language)
        widgets = page.locator("section.widget")
        assert widgets.count() == len(told["widgets"])
        for index, widget in enumerate(told["widgets"]):
            here = f"{system}/{part} widget {index} {widget['kind']}"
            shown = widgets.nth(index)
            name = widget["title"]["zh" if language == "zh-CN" else "en"]
            assert shown.locator("h2").text_content() == name, here
            rest = shown.inner_text().removeprefix(name).strip()
            assert rest or shown.locator("svg, canvas").count(), f"{here} is empty"
            if "found" in widget:
                assert widget["found"], f"{here} has no points"
            assert shown.locator(".missing").all_inner_texts() == [], here
            assert shown.get_by_role("alert").all_inner_texts() == [], here
        main = page.locator("main")
        assert FORGOTTEN.findall(main.inner_text()) == [], part
        assert untranslated(page.locator("body"), language) == [], f"{system}/{part}"
        assert window.refusals() == []
    assert window.complaints == []


def test_every_register_and_its_form_open(
    browser: "Browser", park: WholePark, window: Window, language: Language
) -> None:
    registers = parts_of(park, "registers")
    assert {system for system, _ in registers} == SYSTEMS
    written = open_registers(park, window, language, "operator", registers)
    # What the park does not write, an enterprise writes for itself.
    left = [one for one in registers if one not in written]
    with Window(browser, park.park.base_url, language) as another:
        sign_in(another.page, park, "chem")
        written |= open_registers(park, another, language, "chem", left)
    assert written == set(registers), "a register that nobody of the sample park writes"


def open_registers(
    park: WholePark, window: Window, language: Language, person: str, registers: list[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Open each register, and its form where the person may add a row; gives those that were written."""
    page = window.page
    written: set[tuple[str, str]] = set()
    for system, register in registers:
        here = f"{system}/{register}"
        schema = park.client(person).get(f"/api/v1/registers/{here}/schema").json()
        page.goto(f"{park.park.base_url}/console/registers/{here}")
        page.locator("main table").wait_for()
        settle(page, language)
        assert untranslated(page.locator("body"), language) == [], here
        add = page.get_by_role("button", name=ADD[language], exact=True)
        assert add.count() == int(schema["may_write"]), here
        if schema["may_write"]:
            add.press("Enter")
            form = page.get_by_role("dialog")
            fields = form.locator(".schema-form .field")
            fields.first.wait_for()
            assert fields.count() == len(schema["schema"]["properties"]), here
            for field in fields.all():
                control = field.locator("input:not([aria-hidden]), select, textarea").first
                assert field.locator("label").get_attribute("for") == control.get_attribute("id"), here
            assert untranslated(form, language) == [], f"{here} form"
            assert FORGOTTEN.findall(form.inner_text()) == [], here
            page.keyboard.press("Escape")
            form.wait_for(state="hidden")
            written.add((system, register))
    assert window.complaints == []
    return written


def test_every_report_s_form_opens(park: WholePark, window: Window, language: Language) -> None:
    page = window.page
    for system, report in parts_of(park, "reports"):
        page.goto(f"{park.park.base_url}/console/reports/{system}/{report}")
        page.locator("main form").wait_for()
        settle(page, language)
        assert untranslated(page.locator("body"), language) == [], f"{system}/{report}"
        assert page.locator("main").get_by_role("alert").all_inner_texts() == []
    assert window.complaints == []
