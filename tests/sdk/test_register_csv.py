"""CSV out and in: nothing changes on the way, no spreadsheet computes, and every fault of a file is listed."""

import csv
import io
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from park_sdk.register import Label, Register
from park_sdk.register_csv import MOST_ROWS, CsvReading, read_csv, write_csv
from park_sdk.register_form import FieldFault, plain
from park_wire.quantities import Text
from support.ledger_system import DEVICES, FACTORS

HEAD = "code,enterprise,kind,pressure,inspected,units,in_use,remark"
LINE = "T-1,,tank,1.6,2026-05-01,1,true,"


def read(*lines: str, encoding: str = "utf-8", **options: Any) -> CsvReading:
    return read_csv(DEVICES, "\r\n".join(lines).encode(encoding), **options)


def faults(reading: CsvReading) -> list[tuple[int, str]]:
    return [(fault.line, fault.field) for fault in reading.faults]


def test_a_file_is_read() -> None:
    reading = read(HEAD, LINE, "", ",,,,,,,", "T-2,alpha,boiler,3,2026-05-02,2,否,=1+1")
    assert reading.faults == ()
    assert [(row.line, row.key) for row in reading.rows] == [(2, '["T-1"]'), (5, '["T-2"]')]
    first, second = (row.record for row in reading.rows)
    assert first == {
        "code": "T-1",
        "enterprise": None,
        "kind": "tank",
        "pressure": 1.6,
        "inspected": "2026-05-01",
        "units": 1,
        "in_use": True,
        "remark": None,
    }
    assert (second["in_use"], second["remark"], reading.lines) == (False, "=1+1", 2)


def test_columns_come_in_any_order() -> None:
    reading = read(",".join(reversed(HEAD.split(","))), ",".join(reversed(LINE.split(","))))
    assert [row.record["code"] for row in reading.rows] == ["T-1"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_in_the_encodings_of_spreadsheets(encoding: str) -> None:
    reading = read(HEAD, "储罐甲,,tank,1.6,2026-05-01,1,是,备注", encoding=encoding)
    assert [(row.record["code"], row.record["remark"]) for row in reading.rows] == [("储罐甲", "备注")]


@pytest.mark.parametrize("content", ["储罐".encode("utf-16"), b"PK\x03\x04\x00\x00", b"\xff\xfe\x00", b"code\x00"])
def test_another_encoding_is_refused_in_words(content: bytes) -> None:
    reading = read_csv(DEVICES, content)
    assert faults(reading) == [(1, "")]
    assert "UTF-8" in reading.faults[0].message.zh


@pytest.mark.parametrize("day", ["2026-05-01", "2026/5/1", "2026.05.01", "2026年5月1日", " 2026/05/01 "])
def test_a_date_as_a_spreadsheet_writes_it(day: str) -> None:
    assert read(HEAD, LINE.replace("2026-05-01", day)).rows[0].record["inspected"] == "2026-05-01"


def test_ten_faults_are_ten() -> None:
    reading = read(
        HEAD,
        ",,tank,1.6,2026-05-01,1,true,",
        "T-2,,kettle,-1,2026-05-01,1,true,",
        LINE,
        "T-3,,tank,1.6,soon,many,perhaps,",
        "T-1,,tank,2,2026-05-01,1,true,",
        "T-4,,tank,,2026-05-01,1,true," + "x" * 201,
        "T-5,,boiler,31,2026-05-01,1,true,",
    )
    assert faults(reading) == [
        *[(2, "code"), (3, "kind"), (3, "pressure"), (5, "inspected"), (5, "units"), (5, "in_use"), (6, "code")],
        *[(7, "pressure"), (7, "remark"), (8, "")],
    ]
    assert reading.faults[6].message == Text("与第 4 行重复", "is the same as in line 4")


def test_a_row_that_is_wrong_is_one_of_two_all_the_same() -> None:
    reading = read(
        HEAD, "T-1,,tank,1.6,soon,1,true,", LINE, "T-2,,tank,1.6,2026-05-01,1,true,", "T-2,,tank,-1,soon,1,true,"
    )
    assert faults(reading) == [(2, "inspected"), (3, "code"), (5, "pressure"), (5, "inspected"), (5, "code")]
    assert reading.faults[1].message.en == "is the same as in line 2"


def test_a_wrong_header_names_every_column() -> None:
    reading = read("code,code,kind,colour,=size,", "T-1,T-1,tank,red,1,")
    assert faults(reading) == [
        *[(1, "code"), (1, "colour"), (1, "=size"), (1, "")],
        *[(1, name) for name in ("enterprise", "pressure", "inspected", "units", "in_use", "remark")],
    ]


def test_a_wrong_header_does_not_hide_what_is_wrong_below() -> None:
    reading = read(HEAD.replace("remark", "colour").replace(",inspected", ""), "T-1,,kettle,-1,1,maybe,red")
    assert faults(reading) == [
        *[(1, "colour"), (1, "inspected"), (1, "remark")],
        *[(2, "kind"), (2, "pressure"), (2, "in_use")],
    ]


@pytest.mark.parametrize("mark", [";", "\t", "|", "，"])
def test_another_separator_is_named(mark: str) -> None:
    reading = read(HEAD.replace(",", mark), LINE.replace(",", mark))
    assert faults(reading) == [(1, "")]
    assert ("Tab" if mark == "\t" else mark) in reading.faults[0].message.en


def test_what_the_platform_has_against_a_row_stands_with_the_rest() -> None:
    def check(record: Mapping[str, Any]) -> list[FieldFault]:
        return [FieldFault(name, Text("无", "none")) for name in ("enterprise", "kind") if record.get(name) != "tank"]

    reading = read(HEAD, "T-1,nobody,tank,-1,2026-05-01,1,true,", "T-2,,kettle,1,2026-05-01,1,true,", check=check)
    # Of a field that can't be read nothing more is said.
    assert faults(reading) == [(2, "pressure"), (2, "enterprise"), (3, "kind"), (3, "enterprise")]
    assert reading.rows == ()


def test_what_is_given_needs_no_column() -> None:
    head, line = HEAD.replace(",enterprise", ""), LINE.replace("T-1,,", "T-1,")
    assert faults(read(head, line)) == [(1, "enterprise")]
    reading = read(head, line, given={"enterprise": "alpha"})
    assert [row.record["enterprise"] for row in reading.rows] == ["alpha"]
    written = read(HEAD, LINE, LINE.replace("T-1,", "T-2,beta"), given={"enterprise": "alpha"})
    assert [row.record["enterprise"] for row in written.rows] == ["alpha", "beta"], "what is written is not overwritten"


def test_more_cells_than_columns() -> None:
    assert faults(read(HEAD, LINE + ",,", LINE.replace("T-1", "T-2") + ",,x")) == [(3, "")]
    assert read(HEAD, "T-1,,tank,1.6,2026-05-01,1,true").rows[0].record["remark"] is None, "fewer are empty ones"


def test_a_quotation_mark_without_a_partner() -> None:
    assert faults(read(HEAD, LINE, LINE.replace("T-1", '"T-2'))) == [(3, "")]
    assert faults(read(HEAD, "", 'T-3,"a"b,tank')) == [(3, "")]
    assert faults(read(HEAD, LINE, "x" * 200_000)) == [(3, "")]


def test_lines_count_breaks_within_cells() -> None:
    reading = read(HEAD, LINE.replace("true,", 'true,"a\nb\nc"'), "T-2")
    assert faults(reading) == [(5, "kind"), (5, "pressure"), (5, "inspected")]


def test_limits() -> None:
    assert faults(read_csv(DEVICES, b"")) == [(1, "")]
    assert faults(read_csv(DEVICES, b"\n\n,,\n")) == [(1, "")]
    assert faults(read_csv(DEVICES, b"x" * ((1 << 20) + 1))) == [(1, "")]
    many = read(HEAD, *(["x"] * (MOST_ROWS + 5)))
    assert len(many.faults) == 1_000
    assert "not looked at" in many.faults[-1].message.en
    small = Register("small", Text("小", "Small"), _Small, ("name",))
    rows = "\n".join(["name", *map(str, range(MOST_ROWS + 1))])
    assert faults(read_csv(small, rows.encode())) == [(MOST_ROWS + 2, "")]


class _Small(BaseModel):
    name: Annotated[str, Label("名", "Name")]


@pytest.mark.parametrize("start", list("=+-@\t\r\n＝＋－＠"))
def test_no_cell_is_a_formula(start: str) -> None:
    record = {"fuel": f"{start}cmd|' /C calc'!A0", "year": 2020, "factor": 0.5, "source": f"''{start}1"}
    content = write_csv(FACTORS, [record])
    assert content.startswith(b"\xef\xbb\xbf")
    [_, cells] = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert [cell[0] for cell in cells] == ["'", "2", "0", "'"]
    assert [row.record for row in read_csv(FACTORS, content).rows] == [record]


class _Part(BaseModel):
    name: str
    size: float | None = None


class _Any(BaseModel):
    """Fields of every kind, free of limits."""

    key: Annotated[str, Field(pattern=r"\S"), Label("键", "Key")]
    text: Annotated[str, Label("文", "Text")]
    maybe: Annotated[str | None, Label("文", "Maybe")]
    other: Annotated[str | None, Label("文", "Other")] = "default"
    number: Annotated[float, Label("数", "Number")]
    some: Annotated[float | None, Label("数", "Some")] = 1.0
    whole: Annotated[int, Label("整", "Whole")] = 7
    exact: Annotated[Decimal, Label("小数", "Exact")] = Decimal(0)
    yes: Annotated[bool, Label("是", "Yes")]
    perhaps: Annotated[bool | None, Label("是", "Perhaps")] = True
    choice: Annotated[Literal["a", "b"], Label("选", "Choice")] = "a"
    mixed: Annotated[str | int | float | None, Label("杂", "Mixed")] = None
    day: Annotated[date | None, Label("日", "Day")] = None
    moment: Annotated[datetime | None, Label("时", "Moment")] = None
    many: Annotated[list[str], Label("列", "Many")] = ["x"]
    parts: Annotated[list[_Part] | None, Label("件", "Parts")] = None
    part: Annotated[_Part | None, Label("件", "Part")] = None


ANY = Register("any", Text("任意", "Any"), _Any, ("key", "whole"))
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TRICKY = st.text(st.sampled_from(list("'=+-@\t\r\n\",;＝ \u2028\x85\x0ba1是")), max_size=6) | TEXT
WHOLE = st.integers(-(2**62), 2**62)
FINITE = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda value: abs(value) < 2**62 or value != value // 1
)
PARTS = st.builds(_Part, name=TRICKY, size=st.none() | FINITE)
RECORDS = st.builds(
    _Any,
    key=TRICKY.filter(lambda text: bool(text.strip())),
    text=TRICKY,
    maybe=st.none() | TRICKY,
    other=st.none() | TRICKY,
    number=FINITE,
    some=st.none() | FINITE,
    whole=WHOLE,
    exact=st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9),
    yes=st.booleans(),
    perhaps=st.none() | st.booleans(),
    choice=st.sampled_from(["a", "b"]),
    mixed=st.none() | TRICKY | WHOLE | FINITE,
    day=st.none() | st.dates(),
    moment=st.none() | st.datetimes(),
    many=st.lists(TRICKY, max_size=3),
    parts=st.none() | st.lists(PARTS, max_size=2),
    part=st.none() | PARTS,
)


@given(st.lists(RECORDS, max_size=4, unique_by=lambda record: (record.key, record.whole)))
def test_export_and_import_change_nothing(records: list[_Any]) -> None:
    given_records = [plain(record) for record in records]
    reading = read_csv(ANY, write_csv(ANY, given_records))
    assert reading.faults == ()
    assert [row.record for row in reading.rows] == given_records
    assert [_Any.model_validate(row.record) for row in reading.rows] == records


@given(st.binary(max_size=300) | st.text(st.sampled_from(list("code,kind\n\"\r'=1x")), max_size=200).map(str.encode))
def test_whatever_comes_is_read_or_refused(content: bytes) -> None:
    for file in (content, HEAD.encode() + b"\n" + content):
        reading = read_csv(DEVICES, file)
        assert not (reading.rows and reading.faults)
        for fault in reading.faults:
            assert fault.line >= 1
            (fault.field + fault.message.zh + fault.message.en).encode()
