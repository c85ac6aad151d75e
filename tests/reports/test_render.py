"""A document as JSON and as rows, and what is said of one that has not the shapes of the contract."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from park_platform.reports.check import MOST_CELLS, document_faults, need_fault, need_faults
from park_platform.reports.params import read_params
from park_platform.reports.render import FACT_HEAD, as_json, as_rows
from park_sdk.register import Label
from park_sdk.report import AlarmsNeed, Column, Document, Fact, RegisterNeed, Table, TotalsNeed
from park_wire.quantities import Text

SHANGHAI = ZoneInfo("Asia/Shanghai")
# 2026-11-01 00:00 +08:00 to 2026-12-01 00:00 +08:00.
START, END = 1_793_462_400_000_000, 1_796_054_400_000_000
MADE_AT = 1_795_435_200_000_000

DOCUMENT = Document(
    Text("能源月报", "Monthly energy report"),
    START,
    END,
    (
        Fact("total", Text("总电量", "Total"), 1234.5, "kWh", "GB/T 2589-2020"),
        Fact("state", Text("状态", "State"), Text("完整", "complete")),
        Fact("unknown", Text("未知", "Unknown"), math.nan, "kWh"),
    ),
    (
        Table(
            "meters",
            Text("电表", "Meters"),
            (Column("meter", Text("电表", "Meter")), Column("energy", Text("电量", "Energy"), "kWh", 1)),
            [("m-1", 1000.25), ("m-2", None), ("m-3", np.float64(3.5)), ("m-4", np.int64(4))],  # pyright: ignore[reportArgumentType]  # authors give these
        ),
        Table("empty", Text("空", "Empty"), (Column("a", Text("kWh", "kWh")),), ()),
    ),
    (Text("注", "Note"),),
)


def test_json_has_texts_times_and_numbers() -> None:
    told = as_json(DOCUMENT)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["title"] == {"zh": "能源月报", "en": "Monthly energy report"}
    assert (told["start"], told["end"]) == ("2026-10-31T16:00:00.000000Z", "2026-11-30T16:00:00.000000Z")
    assert [fact["value"] for fact in told["facts"]] == [1234.5, {"zh": "完整", "en": "complete"}, None]
    assert told["facts"][0]["source"] == {"zh": "GB/T 2589-2020", "en": "GB/T 2589-2020"}
    meters, empty = told["tables"]
    assert meters["columns"][1] == {"id": "energy", "name": {"zh": "电量", "en": "Energy"}, "unit": "kWh", "digits": 1}
    assert meters["rows"] == [["m-1", 1000.25], ["m-2", None], ["m-3", 3.5], ["m-4", 4]]
    assert empty["rows"] == []
    assert told["notes"] == [{"zh": "注", "en": "Note"}]


def test_rows_hold_facts_with_sources_and_tables_one_after_the_other() -> None:
    rows = list(as_rows(DOCUMENT, SHANGHAI, made_at=MADE_AT, made_for=Text("监管员", "Regulator")))
    assert rows == [
        ("报表 Report", "能源月报", "Monthly energy report"),
        ("起 From", "2026-11-01T00:00:00+08:00"),
        ("止 To", "2026-12-01T00:00:00+08:00"),
        ("生成时间 Made at", "2026-11-23T20:00:00+08:00"),
        ("生成给 Made for", "监管员", "Regulator"),
        (),
        FACT_HEAD,
        ("total", "总电量", "Total", 1234.5, "kWh", "GB/T 2589-2020"),
        ("state", "状态", "State", "完整 complete", "", ""),
        ("unknown", "未知", "Unknown", None, "kWh", ""),
        (),
        ("电表", "Meters"),
        ("电表 Meter", "电量 Energy [kWh]"),
        ("m-1", 1000.25),
        ("m-2", None),
        ("m-3", 3.5),
        ("m-4", 4),
        (),
        ("空", "Empty"),
        ("kWh",),
        (),
        ("说明 Note", "注", "Note"),
    ]


_texts = st.builds(Text, st.text(max_size=5), st.text(max_size=5))
_cells = st.one_of(
    st.none(), st.text(max_size=5), st.integers(), st.floats(), st.booleans(), _texts, st.floats().map(np.float64)
)
_tables = st.integers(0, 3).flatmap(
    lambda width: st.builds(
        Table,
        st.text(max_size=3),
        _texts,
        st.tuples(*[st.builds(Column, st.text(max_size=3), _texts, st.text(max_size=3))] * width),
        st.lists(st.tuples(*[_cells] * width), max_size=4),
    )
)
_documents = st.builds(
    Document,
    _texts,
    st.integers(0, 2**52),
    st.integers(0, 2**52),
    st.lists(st.builds(Fact, st.text(max_size=3), _texts, _cells), max_size=3).map(tuple),
    st.lists(_tables, max_size=2).map(tuple),
    st.lists(_texts, max_size=2).map(tuple),
)


@given(_documents)
def test_whatever_is_sound_can_be_written(document: Document) -> None:
    assert document_faults(document) == []
    told = as_json(document)
    assert json.loads(json.dumps(told, allow_nan=False, ensure_ascii=False).encode()) == told
    rows = list(as_rows(document, SHANGHAI, made_at=0, made_for=Text("a", "a")))
    tables = sum(3 + len(table.rows) for table in document.tables)
    notes = len(document.notes) + bool(document.notes)
    assert len(rows) == 5 + (len(document.facts) + 2) * bool(document.facts) + tables + notes
    assert not any(isinstance(cell, float) and not math.isfinite(cell) for row in rows for cell in row)


def with_rows(rows: Any) -> Document:
    return replace(DOCUMENT, tables=(replace(DOCUMENT.tables[0], rows=rows),))


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (None, "build gives a NoneType, not a park_sdk.report.Document"),
        (replace(DOCUMENT, title="x"), "its title is no Text"),
        (replace(DOCUMENT, start=-1), "start -1 and end 1796054400000000 are no times in µs"),
        (replace(DOCUMENT, end=1.5), "are no times in µs"),
        (replace(DOCUMENT, facts=5), "facts are no sequence of Fact"),
        (replace(DOCUMENT, notes=("x",)), "notes are no sequence of Text"),
        (replace(DOCUMENT, tables=(5,)), "tables are no sequence of Table"),
        (replace(DOCUMENT, facts=(Fact("f", Text("a", "a"), {}),)), "fact 'f' has a dict"),  # pyright: ignore[reportArgumentType]
        (replace(DOCUMENT, facts=(Fact("f", Text("a", "a"), 1, "x", None),)), "fact 'f' has a source that"),  # pyright: ignore[reportArgumentType]
        (with_rows([("m-1",)]), "table 'meters', row 1 has 1 cells for 2 columns"),
        (with_rows([("m-1", 1), "ab"]), "table 'meters': rows are no sequence of rows"),
        (with_rows([("m-1", b"x")]), "table 'meters', row 1, column 'energy' holds a bytes"),
        (with_rows([("m-1", "\ud800")]), "column 'energy' holds a str"),
        (with_rows(np.zeros((2, 2))), "rows are no sequence of rows"),
        (with_rows([(0, 0)] * (MOST_CELLS // 2 + 1)), f"more than {MOST_CELLS} cells"),
    ],
)
def test_a_wrong_document_is_told_in_words(document: object, sentence: str) -> None:
    assert any(sentence in fault for fault in document_faults(document)), document_faults(document)


def test_many_wrong_rows_are_ten_sentences() -> None:
    assert len(document_faults(with_rows([()] * 100))) == 10


def test_needs_of_a_wrong_shape_are_told_in_words() -> None:
    needs: Mapping[str, object] = {"a": TotalsNeed((), 0, 1), "b": RegisterNeed("x.y", 0), "c": AlarmsNeed(0, 1)}
    assert need_faults(needs) == []
    assert need_faults([]) == ["needs gives a list, not a mapping of names to needs"]
    assert need_faults({"x": 5}) == ["needs 'x': a int is no need of park_sdk.report"]
    assert need_fault("a", TotalsNeed((), 5, 5)) == "needs 'a': start 5 and end 5 are no stretch of time in µs"
    for need in (
        RegisterNeed("x.y", 10**18),
        RegisterNeed("x\0y", 0),
        AlarmsNeed(0, 10**18),
        AlarmsNeed(0, 1, 5),  # pyright: ignore[reportArgumentType]
        TotalsNeed(("a", ["b"]), 0, 1),  # pyright: ignore[reportArgumentType]
        TotalsNeed("pressure", 0, 1),  # pyright: ignore[reportArgumentType]
        TotalsNeed(("a",), 0, 1, kinds=(5,)),  # pyright: ignore[reportArgumentType]
        TotalsNeed(("a",), 0, 1, step_us=1.5),  # pyright: ignore[reportArgumentType]
    ):
        assert need_fault("c", need) is not None, need
    assert need_fault("d", TotalsNeed(("a",), 0, 1, "alpha", ("b",), 60)) is None


class Params(BaseModel):
    month: Annotated[int, Field(ge=1, le=12), Label("月", "Month")]
    kinds: Annotated[tuple[str, ...] | None, Label("类型", "Kinds")] = None
    by: Annotated[Literal["day", "month"], Label("步长", "Step")] = "month"


@pytest.mark.parametrize(
    ("asked", "params"),
    [
        ([("month", "3")], Params(month=3)),
        ([("month", "3"), ("by", "")], Params(month=3)),
        ([("month", "3"), ("kinds", "a")], Params(month=3, kinds=("a",))),
        ([("kinds", "a"), ("month", "3"), ("kinds", "b"), ("by", "day")], Params(month=3, kinds=("a", "b"), by="day")),
    ],
)
def test_parameters_come_from_a_query(asked: Sequence[tuple[str, str]], params: Params) -> None:
    assert read_params(Params, asked) == (params, [])


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ([], ["month"]),
        ([("month", "13"), ("by", "hour")], ["month", "by"]),
        ([("month", "x"), ("month", "y")], ["month"]),
        ([("month", "1"), ("month", "2")], ["month"]),
        ([("month", "1"), ("other", "2"), ("and", "3")], ["other", "and"]),
        ([("month", "1"), ("kinds", "a\0")], ["kinds"]),
        ([("month", "1"), ("\0\ud800", "x")], ["\0?"]),
    ],
)
def test_every_fault_of_the_parameters_is_told_in_both_languages(
    asked: Sequence[tuple[str, str]], fields: list[str]
) -> None:
    params, faults = read_params(Params, asked)
    assert params is None
    assert list(dict.fromkeys(fault.field for fault in faults)) == fields
    assert all(fault.message.zh and fault.message.en for fault in faults)
