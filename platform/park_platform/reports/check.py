"""Whether what a report's code gives has the shapes that the contract promises (park_sdk/report.py)."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import index
from typing import Any, Final, SupportsIndex, cast

import numpy as np

from park_sdk.report import AlarmsNeed, Column, CountsNeed, Document, Fact, Need, RegisterNeed, Table, TotalsNeed
from park_wire.quantities import Text

MOST_CELLS: Final = 2_000_000
_LONGEST_TEXT: Final = 100_000
# 1970 to 2200 in µs: what the API shows as a time.
_LAST_TIME: Final = 7_258_118_400_000_000


def need_faults(needs: object) -> list[str]:
    """What is wrong with what `needs` gave."""
    if not isinstance(needs, Mapping):
        return [f"needs gives a {type(needs).__name__}, not a mapping of names to needs"]
    given = cast(Mapping[Any, Any], needs)
    return [
        f"needs {name!r}: a {type(need).__name__} is no need of park_sdk.report"
        for name, need in given.items()
        if not isinstance(name, str) or not isinstance(need, TotalsNeed | RegisterNeed | AlarmsNeed | CountsNeed)
    ]


def need_fault(name: str, need: Need) -> str | None:
    """What is wrong with what a need holds: times, and words that the database is asked for."""
    match need:
        case RegisterNeed():
            if not _is_time(need.as_of):
                return f"needs {name!r}: as_of {need.as_of!r} is no time in µs"
            words: list[object] = [need.register, *([] if need.enterprise is None else [need.enterprise])]
        case TotalsNeed() | CountsNeed():
            if (fault := _sums_fault(need)) is not None:
                return f"needs {name!r}: {fault}"
            words = [*need.quantities, *need.kinds]
        case AlarmsNeed():
            words = []
    if not isinstance(need, RegisterNeed):
        if not _is_time(need.start) or not _is_time(need.end) or need.start >= need.end:
            return f"needs {name!r}: start {need.start!r} and end {need.end!r} are no stretch of time in µs"
        words += [] if need.enterprise is None else [need.enterprise]
    wrong = [word for word in words if not _is_str(word) or "\0" in str(word)]
    return f"needs {name!r}: {wrong[0]!r} is no word to ask for" if wrong else None


def _sums_fault(need: TotalsNeed | CountsNeed) -> str | None:
    step: Any = need.step_us if isinstance(need, TotalsNeed) else 0
    edges: Any = need.edges if isinstance(need, CountsNeed) else (0, 1)
    if not isinstance(step, SupportsIndex):
        return f"step_us {step!r} is no number of µs"
    if not isinstance(edges, tuple) or len(cast("tuple[Any, ...]", edges)) < 2:
        return "edges must be a tuple of two times at least"
    if not all(isinstance(each, tuple | list) for each in (need.quantities, need.kinds)):  # pyright: ignore[reportUnnecessaryIsInstance]
        return "quantities and kinds must be tuples"
    return None


def document_faults(document: object) -> list[str]:
    """What is wrong with what `build` gave; the first faults, when they are many."""
    if not isinstance(document, Document):
        return [f"build gives a {type(document).__name__}, not a park_sdk.report.Document"]
    faults = [*_head_faults(document), *_part_faults(document)]
    if not faults:
        faults = _some(_cell_faults(document))
    return faults


def _head_faults(document: Document) -> Iterator[str]:
    if not _is_text(document.title):
        yield "its title is no Text"
    if not _is_time(document.start) or not _is_time(document.end):
        yield f"start {document.start!r} and end {document.end!r} are no times in µs"
    for name, found, kind in (
        ("facts", document.facts, Fact),
        ("tables", document.tables, Table),
        ("notes", document.notes, Text),
    ):
        if not _is_list_of(found, lambda one, kind=kind: isinstance(one, kind)):
            yield f"{name} are no sequence of {kind.__name__}"


def _part_faults(document: Document) -> Iterator[str]:
    if not _is_list_of(document.tables, lambda one: isinstance(one, Table)):
        return
    for table in document.tables:
        where = f"table {table.id!r}"
        if not isinstance(table.id, str) or not _is_text(table.name):  # pyright: ignore[reportUnnecessaryIsInstance]
            yield f"{where} has no id or no name"
        if not _is_list_of(table.columns, lambda one: isinstance(one, Column)):
            yield f"{where}: columns are no sequence of Column"
        elif any(not _is_text(column.name) or not _is_str(column.unit) for column in table.columns):
            yield f"{where}: a column has no name or no unit"
        if not _is_list_of(table.rows, lambda one: isinstance(one, Sequence) and not isinstance(one, str)):
            yield f"{where}: rows are no sequence of rows"
    if not _is_list_of(document.facts, lambda one: isinstance(one, Fact)):
        return
    for fact in document.facts:
        if not _is_str(fact.id) or not _is_text(fact.name) or not _is_str(fact.unit):
            yield f"fact {fact.id!r} has no id, name or unit"
        if not _is_str(fact.source) and not _is_text(fact.source):
            yield f"fact {fact.id!r} has a source that is no text"


def _cell_faults(document: Document) -> Iterator[str]:
    for note in document.notes:
        if not _is_text(note):
            yield "a note is no Text in both languages"
    for fact in document.facts:
        if not is_cell(fact.value):
            yield f"fact {fact.id!r} has a {type(fact.value).__name__} as value"
    cells = 0
    for table in document.tables:
        width = len(table.columns)
        cells += width * len(table.rows)
        if cells > MOST_CELLS:
            yield f"it has more than {MOST_CELLS} cells"
            return
        for number, row in enumerate(table.rows, 1):
            if len(row) != width:
                yield f"table {table.id!r}, row {number} has {len(row)} cells for {width} columns"
            for column, cell in zip(table.columns, row, strict=False):
                if not is_cell(cell):
                    yield f"table {table.id!r}, row {number}, column {column.id!r} holds a {type(cell).__name__}"


def is_cell(value: object) -> bool:
    """Whether a value may stand in a document: a text, a number (also of numpy), or None."""
    if value is None or isinstance(value, bool | int | float | np.integer | np.floating | np.bool_):
        return True
    return _is_str(value) or _is_text(value)


def plain_number(value: Any) -> Any:
    """A number as JSON can have it: one of Python, and None for what is no number. Anything else as it is."""
    number = cast(Any, value).item() if isinstance(value, np.generic) else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def _is_str(value: object) -> bool:
    # A lone surrogate can be written into no file.
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT and not any("\ud800" <= c <= "\udfff" for c in value)


def _is_text(value: object) -> bool:
    return isinstance(value, Text) and _is_str(value.zh) and _is_str(value.en)


def _is_time(value: object) -> bool:
    return isinstance(value, SupportsIndex) and not isinstance(value, bool) and 0 <= index(value) < _LAST_TIME


def _is_list_of(value: object, fits: Callable[[object], bool]) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return False
    given = cast(Sequence[object], value)
    return all(fits(one) for one in given)


def _some(faults: Iterator[str], most: int = 10) -> list[str]:
    found: list[str] = []
    for fault in faults:
        found.append(fault)
        if len(found) == most:
            break
    return found
