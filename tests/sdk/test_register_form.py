"""What a form asks, and every mistake in it at once, in words of both languages."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from park_sdk.days import MONTH_PATTERN
from park_sdk.register import Label, Register
from park_sdk.register_form import form_schema, key_text, key_words, plain, read_form, read_record, read_stored
from park_wire.quantities import Text
from support.ledger_system import DEVICES, FACTORS, Device, Factor

SOUND: dict[str, Any] = {"code": "T-1", "kind": "tank", "pressure": 1.6, "inspected": "2026-05-01"}
JARGON = ("pydantic", "input", "parse", "literal", "value_error", "validation", "type=", "string_", "nonetype", "extra")


def faults(register: Register, raw: dict[str, Any]) -> dict[str, Text]:
    record, found = read_record(register, raw)
    assert (record is None) == bool(found)
    assert len({fault.field for fault in found}) == len(found)
    return {fault.field: fault.message for fault in found}


def test_a_sound_record_is_read_and_stored_as_json() -> None:
    record, found = read_record(DEVICES, SOUND)
    assert found == []
    assert isinstance(record, Device)
    assert plain(record) == {**SOUND, "enterprise": None, "units": 1, "in_use": True, "remark": None}


def test_every_wrong_field_is_told_at_once() -> None:
    raw: dict[str, Any] = {
        "code": "",
        "enterprise": 7,
        "kind": "kettle",
        "pressure": -1,
        "inspected": "yesterday",
        "units": 0.5,
        "in_use": "perhaps",
        "remark": "x" * 201,
        "colour": "red",
        "size\ud800": 1,
    }
    found = faults(DEVICES, raw)
    assert found == {
        "code": Text("不能为空", "must not be empty"),
        "enterprise": Text("须为文本", "must be text"),
        "kind": Text("须为下列之一：tank（储罐）、boiler（锅炉）", "must be one of tank (Tank), boiler (Boiler)"),
        "pressure": Text("须大于 0", "must be more than 0"),
        "inspected": Text("须为日期，例如 2026-11-24", "must be a date, such as 2026-11-24"),
        "units": Text("须为整数", "must be a whole number"),
        "in_use": Text("须为是（true）或否（false）", "must be yes (true) or no (false)"),
        "remark": Text("不得超过 200 个字符", "must have at most 200 characters"),
        "colour": Text("没有此字段", "there is no such field"),
        "size?": Text("没有此字段", "there is no such field"),
    }


def test_what_is_missing_is_named() -> None:
    assert set(faults(DEVICES, {})) == {"code", "kind", "pressure", "inspected"}
    assert set(faults(DEVICES, {}).values()) == {Text("必填", "must be filled in")}


def test_a_key_is_not_blank() -> None:
    assert faults(DEVICES, {**SOUND, "code": " \t"}) == {"code": Text("必填", "must be filled in")}
    assert faults(DEVICES, {**SOUND, "code": " ", "kind": "kettle"}).keys() == {"code", "kind"}


def test_the_check_of_a_system_speaks_for_itself() -> None:
    assert faults(DEVICES, {**SOUND, "kind": "boiler", "pressure": 31}) == {
        "": Text("锅炉压力不超过 30 MPa", "a boiler has 30 MPa at most")
    }


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("a\0b", "can't be stored"),
        ("\ud800", "can't be stored"),
        ("x" * 10_001, "at most 10000"),
        (10**400, "too large"),
        (float("inf"), "finite"),
        (float("nan"), "finite"),
        ({"a\0": 1}, "can't be stored"),
        ([1] * 1_001, "too much"),
        ([[[[[[[[[[1]]]]]]]]]], "too deep"),
    ],
)
def test_what_no_database_holds_is_refused_in_any_field(value: Any, problem: str) -> None:
    found = faults(DEVICES, {**SOUND, "remark": value, "units": "many"})
    assert found.keys() == {"remark", "units"}
    assert problem in found["remark"].en
    assert {"pressure"} == faults(DEVICES, {**SOUND, "pressure": value}).keys()


def test_a_number_as_text_is_no_way_around() -> None:
    assert faults(FACTORS, {"fuel": "coal", "year": 2020, "factor": "inf"}).keys() == {"factor"}


class _Broken(BaseModel):
    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, Label("编号", "Code")]

    def model_post_init(self, context: Any) -> None:
        raise ZeroDivisionError


def test_a_check_that_raises_is_a_fault_of_the_row() -> None:
    record, [fault] = read_form(_Broken, {"code": "x"})
    assert record is None
    assert (fault.field, "ZeroDivisionError" in fault.message.en) == ("", True)


def test_a_stored_row_may_have_more_fields_than_its_model() -> None:
    record, found = read_stored(FACTORS, {"fuel": "coal", "year": 2020, "factor": 0.7, "gone": "x"})
    assert (record, found) == (Factor(fuel="coal", year=2020, factor=0.7), [])
    record, found = read_stored(FACTORS, {"fuel": "coal", "factor": 0.7})
    assert record is None
    assert [fault.field for fault in found] == ["year"]


class _Place(BaseModel):
    x: float
    y: Annotated[float, Field(ge=0)]


class _Colour(Enum):
    RED = "red"
    BLUE = "blue"


class _Everything(BaseModel):
    """A field of every kind."""

    whole: Annotated[int, Field(gt=0, lt=10, multiple_of=3), Label("整", "Whole")] = 3
    number: Annotated[float, Field(ge=0.5, le=9.5), Label("数", "Number")] = 1.0
    exact: Annotated[Decimal, Field(max_digits=4, decimal_places=2), Label("小数", "Exact")] = Decimal("1.50")
    text: Annotated[str, Field(min_length=2, max_length=5, pattern="^[a-z]*$"), Label("文", "Text")] = "ab"
    key: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$"), Label("键", "Key")] = "k"
    month: Annotated[str, Field(pattern=MONTH_PATTERN), Label("月", "Month")] = "2026-11"
    choice: Annotated[Literal["a", "b", 3], Label("选", "Choice")] = "a"
    colour: Annotated[_Colour, Label("色", "Colour")] = _Colour.RED
    day: Annotated[date, Label("日", "Day")] = date(2026, 1, 1)
    moment: Annotated[AwareDatetime | None, Label("时", "Moment")] = None
    plain: Annotated[datetime | None, Label("时", "Plain")] = None
    clock: Annotated[time | None, Label("钟", "Clock")] = None
    span: Annotated[timedelta | None, Label("长", "Span")] = None
    yes: Annotated[bool, Label("是", "Yes")] = True
    either: Annotated[int | Literal["none"], Label("或", "Either")] = 1
    many: Annotated[list[int], Field(min_length=1, max_length=3), Label("列", "Many")] = [1]
    names: Annotated[set[str], Label("名", "Names")] = {"a"}
    place: Annotated[_Place | None, Label("地", "Place")] = None
    places: Annotated[list[_Place], Label("地", "Places")] = []


EVERYTHING = Register("all", Text("全", "All"), _Everything, ("key",))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("month", "2026-13", "a month, such as 2026-11"),
        ("whole", "x", "a whole number"),
        ("whole", 1.5, "a whole number"),
        ("whole", 0, "more than 0"),
        ("whole", 12, "less than 10"),
        ("whole", 4, "a multiple of 3"),
        ("number", "x", "a number"),
        ("number", None, "a number"),
        ("number", 0.25, "at least 0.5"),
        ("number", 10, "at most 9.5"),
        ("exact", "x", "a number"),
        ("exact", "12345", "at most 4 digits"),
        ("exact", "1.234", "at most 2 digits after the point"),
        ("text", "a", "at least 2 characters"),
        ("text", "abcdef", "at most 5 characters"),
        ("text", "AB", "the form ^[a-z]*$"),
        ("key", "A B", "1 to 32 of a-z"),
        ("choice", "c", "one of a, b or 3"),
        ("colour", "green", "one of red or blue"),
        ("day", "2026-02-30", "a date"),
        ("day", 7.5, "a date"),
        ("moment", "2026-01-01T00:00:00", "offset from UTC"),
        ("moment", "noon", "a date and time"),
        ("plain", "noon", "a date and time"),
        ("clock", "25:00", "a time of day"),
        ("span", "long", "a length of time"),
        ("yes", "perhaps", "yes (true) or no (false)"),
        ("yes", None, "yes (true) or no (false)"),
        ("either", "x", "a whole number"),
        ("many", [], "at least 1 items"),
        ("many", [1, 2, 3, 4], "at most 3 items"),
        ("many", "x", "a list"),
        ("names", "x", "a list"),
        ("place", "x", "a group of fields"),
    ],
)
def test_every_kind_of_mistake_has_words(field: str, value: Any, words: str) -> None:
    found = faults(EVERYTHING, {"key": "k", field: value})
    assert list(found) == [field]
    assert words in found[field].en
    for text in (found[field].zh, found[field].en):
        assert not [word for word in JARGON if word in text.lower()]
        assert "?" not in text, "a hole in the sentence"
    assert any("\u4e00" <= letter <= "\u9fff" for letter in found[field].zh)


def test_a_fault_within_a_field_says_where() -> None:
    found = faults(EVERYTHING, {"key": "k", "many": [1, "x"], "places": [{"x": 1, "y": 1}, {"x": "?", "y": -1}, {}]})
    assert list(found) == ["many.1", "places.1.x", "places.1.y", "places.2.x", "places.2.y"]


def test_a_schema_has_labels_and_no_references() -> None:
    schema = form_schema(_Everything)
    assert "$ref" not in str(schema)
    assert "$defs" not in schema
    assert schema["properties"]["colour"]["enum"] == ["red", "blue"]
    assert schema["properties"]["places"]["items"]["properties"].keys() == {"x", "y"}
    shown = form_schema(Device)["properties"]
    assert shown["pressure"]["x-label"] == {"zh": "设计压力", "en": "Design pressure"}
    assert (shown["pressure"]["x-unit"], shown["pressure"]["maximum"]) == ("MPa", 100)
    assert shown["kind"]["x-values"] == [["tank", "储罐", "Tank"], ["boiler", "锅炉", "Boiler"]]
    assert shown["code"]["x-values"] == []


class _Tree(BaseModel):
    name: Annotated[str, Label("名", "Name")]
    parts: Annotated[list["_Tree"], Label("件", "Parts")] = []


def test_a_model_that_holds_itself_has_a_schema_all_the_same() -> None:
    assert "$ref" not in str(form_schema(_Tree))


def test_keys() -> None:
    key = key_text(FACTORS, {"fuel": "无烟煤", "year": 2020, "factor": 1.0})
    assert key == '["无烟煤",2020]'
    assert key_words(key) == "无烟煤 / 2020"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(_Everything.model_fields)) | st.text(st.characters()), JSON, max_size=6))
def test_whatever_is_entered_is_read_or_refused_in_words(raw: dict[str, Any]) -> None:
    record, found = read_record(EVERYTHING, raw)
    assert (record is None) == bool(found)
    for fault in found:
        fault.field.encode()
        (fault.message.zh + fault.message.en).encode()
    if record is not None:
        assert read_record(EVERYTHING, plain(record)) == (record, [])


_LIMITS = Register(
    "limits",
    Text("限值", "Limits"),
    type("_Limit", (BaseModel,), {"__annotations__": {"outlet": str | None, "name": str}, "outlet": None}),
    ("outlet", "name"),
)


def test_half_a_key_may_be_empty_where_its_model_says_so() -> None:
    record, found = read_record(_LIMITS, {"outlet": None, "name": "so2"})
    assert (record is not None, found) == (True, [])
    assert read_record(_LIMITS, {"name": "so2"})[1] == []
    assert faults(_LIMITS, {"outlet": None, "name": " "}).keys() == {"name"}
    assert key_words(key_text(_LIMITS, {"outlet": None, "name": "so2"})) == "so2"


@pytest.mark.parametrize("other", ["Caf\u00e9 ", " Cafe\u0301", "\u3000Caf\u00e9"])
def test_keys_that_look_alike_are_one(other: str) -> None:
    assert key_text(FACTORS, {"fuel": other, "year": 2020}) == key_text(FACTORS, {"fuel": "Caf\u00e9", "year": 2020})
