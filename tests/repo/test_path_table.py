"""README.md shows the way of a reading from register to pixel; each row names a function that exists where it says.

A row is `| 3 | `Outbox.put(readings)` | park_gateway/outbox.py |`. The function stands in backticks, with the
parameters that matter (`...` for the rest) or none. The file is a module, or a folder below which exactly one such
function stands; words may follow it ("with park_sdk"). A row without backticks (the browser's) is prose, but its files
must exist.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.source_scan import PACKAGES, ROOT

ROWS = range(1, 10)
_ROW = re.compile(r"^\|\s*(?P<number>\d+)\s*\|(?P<function>[^|]*)\|(?P<file>[^|]*)\|\s*$", re.MULTILINE)
_FUNCTION = re.compile(r"`(?P<name>[A-Za-z_][\w.]*)(?:\((?P<parameters>[^)]*)\))?[^`]*`")
_PLACE = re.compile(rf"\b(?:{'|'.join(PACKAGES)})(?:/[\w.]+)*/?")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: function and parameters as written (none for prose), and the places that it names."""

    number: int
    name: str | None
    parameters: tuple[str, ...]
    places: tuple[str, ...]


class Stale(AssertionError):
    """A row of the table says what is not so."""


def read_table(text: str) -> list[Row]:
    """The rows of the path table. Raises Stale when there is none or a number is missing."""
    header = re.search(r"^\|\s*#\s*\|\s*function\s*\|\s*file\s*\|\s*$", text, re.MULTILINE)
    if header is None:
        raise Stale("README.md has no table with the header `| # | function | file |` (design.md section 5)")
    # The table ends with the first line that is no row of it.
    table = re.split(r"\n(?!\|)", text[header.end() :].lstrip("\n"), maxsplit=1)[0]
    rows = [_row(found) for found in _ROW.finditer(table)]
    if [row.number for row in rows] != list(ROWS):
        raise Stale(f"README.md: the path table has rows {[row.number for row in rows]}; it is to have 1 to 9")
    return rows


def _row(found: re.Match[str]) -> Row:
    function = _FUNCTION.search(found["function"])
    written = "" if function is None else function["parameters"] or ""
    parameters = tuple(name.strip() for name in written.split(",") if name.strip() not in {"", "...", "…"})
    return Row(int(found["number"]), function and function["name"], parameters, tuple(_PLACE.findall(found["file"])))


def check(row: Row, find: Callable[[str, str], Any]) -> None:
    """Raise Stale unless the row's function is where it says. `find` gives the function at a place, or raises Stale."""
    if not row.places:
        raise Stale(f"row {row.number} names no file of {', '.join(PACKAGES)}")
    if row.name is None:
        return
    function = find(row.places[0], row.name)
    actual = list(inspect.signature(function).parameters)
    missing = [name for name in row.parameters if name not in actual]
    if missing:
        raise Stale(f"row {row.number}: {row.name} has parameters {actual}, not {missing}")


def find_function(place: str, name: str) -> Any:
    """The function `name` (or `Class.name`) in a module or below a folder of the source tree."""
    path = ROOT / PACKAGES[place.split("/", maxsplit=1)[0]] / place
    if not path.exists():
        raise Stale(f"{place} does not exist")
    modules = [path] if path.is_file() else [each for each in sorted(path.rglob("*.py")) if _defines(each, name)]
    if len(modules) != 1:
        raise Stale(f"{name} stands in {[each.name for each in modules]} below {place}; name the module")
    value: Any = importlib.import_module(_module_name(modules[0]))
    for part in name.split("."):
        if not hasattr(value, part):
            raise Stale(f"{place} has no {name}")
        value = getattr(value, part)
    return value


def _defines(path: Path, name: str) -> bool:
    body: list[ast.stmt] = ast.parse(path.read_text("utf-8")).body
    *owners, last = name.split(".")
    for owner in owners:
        body = [inner for node in body if isinstance(node, ast.ClassDef) and node.name == owner for inner in node.body]
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == last for node in body)


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[1:])


def test_readme_shows_the_path_and_every_function_is_there() -> None:
    faults: list[str] = []
    for row in read_table((ROOT / "README.md").read_text("utf-8")):
        try:
            check(row, find_function)
            for place in row.places:
                assert (ROOT / PACKAGES[place.split("/")[0]] / place).exists(), f"row {row.number}: no {place}"
        except AssertionError as error:
            faults.append(str(error))
    assert not faults, "README.md, path table:\n" + "\n".join(faults)


SAMPLE = "| `seal(columns, events)` | park_wire/batch.py |"
TABLE = "# Title\n\n| # | function | file |\n|---|---|---|\n" + "".join(f"| {n} {SAMPLE}\n" for n in ROWS)


def test_a_right_table_is_read() -> None:
    rows = read_table(TABLE + "\nText.\n| 1 | another | table |\n")
    assert rows[0] == Row(1, "seal", ("columns", "events"), ("park_wire/batch.py",))
    for row in rows:
        check(row, find_function)


@pytest.mark.parametrize(
    ("function", "file"),
    [
        ("`seal(columns, ...)` -> `Sealed`", "park_wire/batch.py"),
        ("`seal`", "park_wire/batch.py with park_sdk"),
        ("`seal(…)`: opens the transaction", "park_wire/"),
        ("`Batch.content()`", "park_wire/batch.py"),
        ("`Hello.decode(payload) -> Hello`", "park_wire/"),
        ("live stream to the browser, paint", "park_platform/api/, console"),
    ],
)
def test_right_rows_pass(function: str, file: str) -> None:
    (first, *_) = read_table(TABLE.replace(SAMPLE, f"| {function} | {file} |"))
    check(first, find_function)


@pytest.mark.parametrize(
    ("function", "file", "why"),
    [
        ("`seel(columns)`", "park_wire/batch.py", "has no seel"),
        ("`seal(rows)`", "park_wire/batch.py", "not \\['rows'\\]"),
        ("`seal(columns)`", "park_wire/sealing.py", "does not exist"),
        ("`seal(columns)`", "park_sdk/", "stands in \\[\\] below"),
        ("`decode(payload)`", "somewhere", "names no file"),
        ("`Batch.contents()`", "park_wire/batch.py", "has no Batch.contents"),
    ],
)
def test_stale_rows_are_named(function: str, file: str, why: str) -> None:
    (first, *_) = read_table(TABLE.replace(SAMPLE, f"| {function} | {file} |"))
    with pytest.raises(Stale, match=why):
        check(first, find_function)


@pytest.mark.parametrize("text", ["# Title\n", TABLE.replace("| 4 |", "| 44 |"), TABLE.replace("| # |", "| no |")])
def test_a_missing_table_or_row_is_named(text: str) -> None:
    with pytest.raises(Stale, match=r"README\.md"):
        read_table(text)
