"""A document as JSON and as the rows of a CSV file. Its shapes have been checked (check.py)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from park_platform.reports.check import plain_number
from park_sdk.report import Cell, Column, Document
from park_wire.quantities import Text

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FACT_HEAD: Final = ("编号 Id", "名称", "Name", "数值 Value", "单位 Unit", "依据 Source")


def as_json(document: Document) -> dict[str, Any]:
    """The document as JSON values: texts as {"zh", "en"}, times in ISO 8601 UTC, NaN as null."""
    return {
        "title": _both(document.title),
        "start": _utc(document.start),
        "end": _utc(document.end),
        "facts": [
            {
                "id": fact.id,
                "name": _both(fact.name),
                "value": _json_cell(fact.value),
                "unit": fact.unit,
                "source": _both(fact.source),
            }
            for fact in document.facts
        ],
        "tables": [
            {
                "id": table.id,
                "name": _both(table.name),
                "columns": [
                    {"id": one.id, "name": _both(one.name), "unit": one.unit, "digits": one.digits}
                    for one in table.columns
                ],
                "rows": [[_json_cell(cell) for cell in row] for row in table.rows],
            }
            for table in document.tables
        ],
        "notes": [_both(note) for note in document.notes],
    }


def as_rows(document: Document, zone: ZoneInfo, *, made_at: int, made_for: Text) -> Iterator[Sequence[Any]]:
    """The document as rows of a spreadsheet, which a CSV writer still has to make safe.

    First what it is and for whom, then the facts with what they rest on, then the tables one after the other, each
    under its name and a head in both languages, then the notes. Times are local, with their offset.
    """
    yield "报表 Report", document.title.zh, document.title.en
    yield "起 From", _local(document.start, zone)
    yield "止 To", _local(document.end, zone)
    yield "生成时间 Made at", _local(made_at, zone)
    yield "生成给 Made for", made_for.zh, made_for.en
    if document.facts:
        yield ()
        yield FACT_HEAD
        for fact in document.facts:
            yield fact.id, fact.name.zh, fact.name.en, _csv_cell(fact.value), fact.unit, _csv_cell(fact.source)
    for table in document.tables:
        yield ()
        yield table.name.zh, table.name.en
        yield tuple(_head(column) for column in table.columns)
        for row in table.rows:
            yield tuple(_csv_cell(cell) for cell in row)
    if document.notes:
        yield ()
        for note in document.notes:
            yield "说明 Note", note.zh, note.en


def _both(text: Text | str) -> dict[str, str]:
    if isinstance(text, str):
        return {"zh": text, "en": text}
    return {"zh": text.zh, "en": text.en}


def _json_cell(cell: Cell) -> Any:
    return _both(cell) if isinstance(cell, Text) else plain_number(cell)


def _csv_cell(cell: Cell) -> Any:
    if isinstance(cell, Text):
        return cell.zh if cell.zh == cell.en else f"{cell.zh} {cell.en}"
    return plain_number(cell)


def _head(column: Column) -> str:
    name = column.name.zh if column.name.zh == column.name.en else f"{column.name.zh} {column.name.en}"
    return f"{name} [{column.unit}]" if column.unit else name


def _utc(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=int(us))).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _local(us: int, zone: ZoneInfo) -> str:
    return (_EPOCH + timedelta(microseconds=int(us))).astimezone(zone).isoformat(timespec="seconds")
