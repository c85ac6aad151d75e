"""Registers as CSV: what spreadsheets can open, change and give back. Pure.

UTF-8 with BOM, a column a field under the field's id. What a spreadsheet would take for a formula gets an apostrophe in
front, which the way back takes off again: to export and to import changes nothing. An empty cell is no value; an empty
text where there could also be none is one apostrophe.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from park_sdk.register import Register
from park_sdk.register_form import FieldFault, Record, key_text, plain, read_record
from park_wire.quantities import Text

MOST_BYTES: Final = 1 << 20
MOST_ROWS: Final = 10_000
MOST_FAULTS: Final = 1_000
_MOST_SHOWN: Final = 50

# Spreadsheets of East Asia take the wide forms for a formula, too.
RISKY: Final = frozenset("=+-@\t\r\n＝＋－＠")
"""With what a cell begins that a spreadsheet computes."""
_ESCAPED: Final = re.compile(f"'*[{re.escape(''.join(sorted(RISKY)))}]")
_APOSTROPHES: Final = re.compile("'*")
# As Excel writes a date that it has read: 2026/1/5.
_DATE: Final = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_YES_NO: Final = {"是": True, "否": False, "true": True, "false": False, "1": True, "0": False}


_TEXT: Final = frozenset({"string"})
_BOOLEAN: Final = frozenset({"boolean"})


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong in a file. line: counted from 1, the header is line 1. field "": the line as a whole."""

    line: int
    field: str
    message: Text


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A row that was read: where it stands in the file, its record, and the key that names it."""

    line: int
    record: Record
    key: str


@dataclass(frozen=True, slots=True)
class CsvReading:
    """A file that was read: its sound rows, and everything that is wrong with it: then nothing of it may be taken.

    lines: rows that were looked at.
    """

    rows: tuple[CsvRow, ...] = ()
    faults: tuple[LineFault, ...] = ()
    lines: int = 0


@dataclass(frozen=True, slots=True)
class _Column:
    """How the values of a field stand in cells. types: those of JSON, without null."""

    types: frozenset[str]
    is_nullable: bool
    is_free_text: bool
    is_date: bool


# out ------------------------------------------------------------------------------------------------------------------


def write_csv(register: Register, records: Iterable[Record]) -> bytes:
    """The records as a CSV file, in the order in which they come."""
    columns = _columns(register.model)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    for record in records:
        writer.writerow([_cell(column, record.get(name)) for name, column in columns.items()])
    return text.getvalue().encode("utf-8-sig")


def _cell(column: _Column, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and column.types == _TEXT:
        is_void = _APOSTROPHES.fullmatch(value) and (value or column.is_nullable)
        return f"'{value}" if is_void or _ESCAPED.match(value) else value
    return json.dumps(value, ensure_ascii=False)


# in -------------------------------------------------------------------------------------------------------------------


def read_csv(
    register: Register,
    content: bytes,
    given: Mapping[str, Any] | None = None,
    check: Callable[[Record], Sequence[FieldFault]] = lambda record: (),
) -> CsvReading:
    """Every row of a file, and every fault of it.

    Args:
        register: What the rows are of.
        content: The file.
        given: Values of fields whose column may be missing or empty.
        check: What else is wrong with a row: gets its fields as far as they could be read.
    """
    text, problem = _decoded(content)
    if text is None:
        return _refused(1, problem)
    reading = _Reading(register, _columns(register.model), given or {}, check)
    return reading.read(text)


@dataclass(slots=True)
class _Reading:
    register: Register
    columns: Mapping[str, _Column]
    given: Mapping[str, Any]
    check: Callable[[Record], Sequence[FieldFault]]
    absent: frozenset[str] = frozenset()
    rows: list[CsvRow] = field(default_factory=list[CsvRow])
    faults: list[LineFault] = field(default_factory=list[LineFault])
    lines_by_key: dict[str, int] = field(default_factory=dict[str, int])
    count: int = 0

    def read(self, text: str) -> CsvReading:
        lines = _lines(text)
        try:
            first = next(lines, None)
            if first is None:
                return _refused(1, Text("文件是空的", "the file is empty"))
            header = [name.strip() for name in first[1]]
            if len(header) == 1 and (mark := _separator(header[0], self.columns)):
                return _refused(first[0], _not_by_comma(mark))
            self.faults += self._header_faults(first[0], header)
            self.absent = frozenset(self.columns.keys() - header - self.given.keys())
            if not self.columns.keys() & header:
                # Every cell would be wrong.
                return CsvReading((), tuple(self.faults))
            for line, cells in lines:
                self.count += 1
                if self.count > MOST_ROWS:
                    return _refused(line, Text(f"不得超过 {MOST_ROWS} 行", f"holds more than {MOST_ROWS} rows"))
                self._read_row(line, header, cells)
                if len(self.faults) >= MOST_FAULTS:
                    self.faults[MOST_FAULTS - 1 :] = [LineFault(line, "", _AND_SO_ON)]
                    break
        except _BadLine as bad:
            self.faults.append(LineFault(bad.line, "", _UNREADABLE))
        return CsvReading(tuple(self.rows), tuple(self.faults), self.count)

    def _header_faults(self, line: int, header: Sequence[str]) -> Iterator[LineFault]:
        for name in dict.fromkeys(header):
            if name not in self.columns:
                known = ", ".join(self.columns)
                shown = name[:_MOST_SHOWN]
                words = Text(f"没有“{shown}”这一列；可用的列：{known}", f'no column "{shown}"; there are {known}')
                yield LineFault(line, shown, words)
            elif header.count(name) > 1:
                yield LineFault(line, name, Text("此列重复", "this column stands more than once"))
        for name in self.columns:
            if name not in header and name not in self.given:
                yield LineFault(line, name, Text("缺少此列", "this column is missing"))

    def _read_row(self, line: int, header: Sequence[str], cells: Sequence[str]) -> None:
        if any(cell.strip() for cell in cells[len(header) :]):
            words = Text(
                f"有 {len(cells)} 格，而列只有 {len(header)} 个", f"has {len(cells)} cells, but {len(header)} columns"
            )
            self.faults.append(LineFault(line, "", words))
            return
        raw, faults = self._values(header, cells)
        record, wrong = read_record(self.register, raw)
        # A column that is missing is told once, with the header.
        named = {*self.absent, *(fault.field for fault in faults)}
        wrong = [fault for fault in wrong if fault.field not in named]
        named |= {fault.field for fault in wrong}
        more = [fault for fault in self.check(raw if record is None else plain(record)) if fault.field not in named]
        faults += [*wrong, *more]
        content = raw if record is None else plain(record)
        named |= {fault.field for fault in more}
        key = None if named & {*self.register.key} else key_text(self.register, content)
        earlier = line if key is None else self.lines_by_key.setdefault(key, line)
        if earlier != line:
            words = Text(f"与第 {earlier} 行重复", f"is the same as in line {earlier}")
            faults += [FieldFault(name, words) for name in self.register.key]
        if record is None or key is None or faults:
            self.faults += [LineFault(line, fault.field, fault.message) for fault in faults]
            return
        self.rows.append(CsvRow(line, content, key))

    def _values(self, header: Sequence[str], cells: Sequence[str]) -> tuple[dict[str, Any], list[FieldFault]]:
        raw: dict[str, Any] = {}
        faults: list[FieldFault] = []
        filled = [*cells, *[""] * (len(header) - len(cells))]
        for name, cell in zip(header, filled, strict=False):
            if name not in self.columns or (name in self.given and not cell.strip()):
                continue
            try:
                found = _value(self.columns[name], cell)
            except ValueError:
                faults.append(FieldFault(name, Text("须为 JSON", "must be JSON")))
                continue
            if found is not _NOTHING:
                raw[name] = found
        return {**self.given, **raw}, faults


_NOTHING: Final = object()
_AND_SO_ON: Final = Text("错误过多，以下未再检查", "too many faults; the rest was not looked at")
_UNREADABLE: Final = Text(
    "无法读取：引号未成对或单元格过长，其后未再检查",
    "can't be read: a quotation mark has no partner or a cell is too long; what follows was not looked at",
)


def _value(column: _Column, cell: str) -> Any:
    """What a cell says, `_NOTHING` when it says nothing. Raises ValueError for what should be JSON and is not."""
    if column.types == _TEXT:
        return _text_value(column, cell)
    stripped = _unescaped(cell.strip())
    if not stripped:
        return None if column.is_nullable else _NOTHING
    if column.types == _BOOLEAN:
        return _YES_NO.get(stripped.lower(), stripped)
    if column.types <= {"integer", "number"}:
        return _number_value(stripped)
    try:
        return json.loads(stripped)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _text_value(column: _Column, cell: str) -> Any:
    text = _unescaped(cell)
    if not cell and not (column.is_free_text and not column.is_nullable):
        return None if column.is_nullable else _NOTHING
    if column.is_date and (parts := _DATE.fullmatch(text.strip())):
        year, month, day = parts.groups()
        return f"{year}-{int(month):02d}-{int(day):02d}"
    return text if column.is_free_text else text.strip()


def _number_value(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # The model says what it wants instead.
        return text
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text


def _unescaped(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and (_ESCAPED.match(cell) or _APOSTROPHES.fullmatch(cell)) else cell


def _separator(header: str, columns: Mapping[str, _Column]) -> str | None:
    """By what else than commas the names of columns are separated."""
    return next(
        (mark for mark in ";\t|，；" if len(columns.keys() & {n.strip() for n in header.split(mark)}) > 1), None
    )


def _not_by_comma(mark: str) -> Text:
    shown = {"\t": "Tab"}.get(mark, mark)
    return Text(
        f"各列须用英文逗号分隔，此文件用的是“{shown}”；请另存为“CSV UTF-8（逗号分隔）”",
        f'columns are separated by "{shown}", not by commas; save it as "CSV UTF-8 (comma delimited)"',
    )


class _BadLine(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that hold something, with their numbers. Raises _BadLine."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise _BadLine(line) from None
        if any(cell.strip() for cell in cells):
            yield line, cells


def _decoded(content: bytes) -> tuple[str | None, Text]:
    if len(content) > MOST_BYTES:
        return None, Text("文件不得超过 1 MiB", "the file may hold 1 MiB at most")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, Text("", "")
    return None, Text(
        "不是 UTF-8 或 GB18030 编码的文本；请另存为“CSV UTF-8（逗号分隔）”",
        'is not text in UTF-8 or GB18030; save it as "CSV UTF-8 (comma delimited)"',
    )


def _refused(line: int, message: Text) -> CsvReading:
    return CsvReading((), (LineFault(line, "", message),))


# columns --------------------------------------------------------------------------------------------------------------


def _columns(model: type[BaseModel]) -> dict[str, _Column]:
    schema = model.model_json_schema(mode="serialization")
    definitions = schema.get("$defs", {})
    return {name: _column(schema["properties"][name], definitions) for name in model.model_fields}


def _column(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> _Column:
    shapes = list(_shapes(part, definitions, 0))
    types = frozenset(kind for kind, _ in shapes)
    texts = [shape for kind, shape in shapes if kind == "string"]
    return _Column(
        types=types - {"null"},
        is_nullable="null" in types,
        is_free_text=all(not shape.keys() & {"format", "enum", "const"} for shape in texts),
        is_date=any(shape.get("format") == "date" for shape in texts),
    )


def _shapes(
    part: Mapping[str, Any], definitions: Mapping[str, Any], depth: int
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The JSON types that a field's values may have, each with the schema that says so."""
    name = str(part.get("$ref", "")).removeprefix("#/$defs/")
    if name in definitions and depth < len(definitions) + 1:
        yield from _shapes(definitions[name], definitions, depth + 1)
    elif "anyOf" in part or "oneOf" in part:
        for each in (*part.get("anyOf", ()), *part.get("oneOf", ())):
            yield from _shapes(each, definitions, depth)
    elif isinstance(part.get("type"), str):
        yield part["type"], part
    elif values := [part["const"]] if "const" in part else part.get("enum"):
        for value in values:
            yield _json_type(value), part
    else:
        # Anything: only JSON says which.
        yield "object", part


def _json_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case str():
            return "string"
        case _:
            return "number"
