"""CBOR is let in only in the form that Parkhub writes, and every refusal is a WireError."""

import contextlib
import re
import struct
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, cast

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from park_wire import cbor
from park_wire.errors import WireError
from support.wire_samples import floats, ints

COLUMN_TAGS = {64: ("B", 1), 70: ("I", 4), 78: ("i", 4), 79: ("q", 8), 85: ("f", 4), 86: ("d", 8)}

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_plain_values_come_back(value: Any) -> None:
    assert cbor.decode(cbor.encode(value)) == value


@given(st.sampled_from(sorted(COLUMN_TAGS)), st.data())
def test_columns_come_back_bit_by_bit(tag: int, data: st.DataObject) -> None:
    letter, width = COLUMN_TAGS[tag]
    raw = data.draw(st.binary(max_size=16).map(lambda part: part * width))
    # The checker knows formats as literals only; "q" stands for any of them.
    column = memoryview(raw).cast(cast(Literal["q"], letter))
    payload = cbor.encode(cbor.as_tag(column))
    assert payload == cbor.encode(column), "a bare memoryview is written as a typed array too"
    assert cbor2.loads(payload).tag == tag
    read = cbor.decode(payload)
    assert (read.format, read.tobytes()) == (letter, raw)


def test_typed_arrays_are_little_endian() -> None:
    """RFC 8746 names byte order by tag: 70 is u32 little-endian, 86 f64 little-endian."""
    assert cbor.encode(ints("I", [1, 0x01020304])) == bytes.fromhex("d846 48 01000000 04030201")
    assert cbor.encode(ints("q", [-2])) == bytes.fromhex("d84f 48 feffffffffffffff")
    assert cbor.encode(floats([1.5])) == bytes.fromhex("d856 48 000000000000f83f")


def test_no_tag_but_typed_arrays_gets_in() -> None:
    """Every tag to 65535 with every kind of content: cbor2's own decoders (dates, regular expressions…) are shut."""
    contents = [bytes.fromhex(text) for text in ("01", "4800000000000000ff", "6161", "820102", "a10102")]
    let_in: set[int] = set()
    for tag in range(65_536):
        head = _tag_head(tag)
        for content in contents:
            try:
                cbor.decode(head + content)
            except WireError:
                continue
            let_in.add(tag)
            assert content[0] == 0x48, f"tag {tag} is a typed array of something else than bytes"
    assert let_in == set(COLUMN_TAGS)


def _tag_head(tag: int) -> bytes:
    if tag < 24:
        return bytes([0xC0 + tag])
    return b"\xd8" + bytes([tag]) if tag < 256 else b"\xd9" + tag.to_bytes(2, "big")


@pytest.mark.parametrize("tag", [65_536, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1])
def test_large_tags_are_refused(tag: int) -> None:
    with pytest.raises(WireError):
        cbor.decode(b"\xdb" + tag.to_bytes(8, "big") + b"\x40")


@pytest.mark.parametrize(
    "value",
    [datetime(2026, 11, 23, tzinfo=UTC), Decimal("1.5"), Fraction(1, 3), re.compile("a+"), {1, 2}, 2**70, 1j],
    ids=lambda value: type(value).__name__,
)
def test_what_cbor2_writes_with_a_tag_of_its_own_is_not_read(value: object) -> None:
    with pytest.raises(WireError, match="tag"):
        cbor.decode(cbor.encode(value))
    with pytest.raises(WireError, match="tag"):
        cbor.decode(cbor.encode({"deep": [1, {"deeper": value}]}))


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ("", "nothing"),
        ("a2616101616102", "a key stands twice"),
        ("a16161a2616201616201", "a key of an inner map stands twice"),
        ("0000", "bytes follow"),
        ("a0f6", "a null follows"),
        ("9f01ff", "list of indefinite length"),
        ("bf616101ff", "map of indefinite length"),
        ("5f4161ff", "byte string of indefinite length"),
        ("7f6161ff", "text of indefinite length"),
        ("ff", "break without a beginning"),
        ("82 01", "list ends early"),
        ("a1 6161", "map ends early"),
        ("42 00", "byte string ends early"),
        ("fb 0000", "float ends early"),
        ("19 00", "integer ends early"),
        ("1c", "reserved additional information"),
        ("61 ff", "text that is no UTF-8"),
        ("63 eda080", "text that holds half a surrogate pair"),
        ("a1 01 02", "integer key"),
        ("a1 f4 02", "boolean key"),
        ("a1 8101 02", "list as key"),
        ("a1 f97e00 01", "NaN as key"),
        ("a1 d84041ff 01", "typed array as key"),
        ("d846 43 000000", "u32 array of 3 bytes"),
        ("d856 47 00000000000000", "f64 array of 7 bytes"),
        ("d840 80", "typed array of a list"),
        ("d840 f6", "typed array of null"),
        ("d846 d846 40", "typed array of a typed array"),
        ("9b 7fffffffffffffff 00", "list that promises 2**63 elements"),
        ("9b ffffffffffffffff 00", "list that promises 2**64 elements"),
        ("bb 7fffffffffffffff 00", "map that promises 2**63 entries"),
        ("5b 7fffffffffffffff 00", "byte string that promises 2**63 bytes"),
        ("7b 7fffffffffffffff 00", "text that promises 2**63 bytes"),
    ],
    ids=lambda text: text.replace(" ", "_") or "empty",
)
def test_unusual_cbor_is_refused(payload: str, why: str) -> None:
    with pytest.raises(WireError):
        pytest.fail(f"{why}: read as {cbor.decode(bytes.fromhex(payload))!r}")


def test_promised_lengths_cost_no_memory() -> None:
    tracemalloc.start()
    try:
        for head in ("9a7fffffff", "ba7fffffff", "5a7fffffff", "7a7fffffff"):
            with pytest.raises(WireError):
                cbor.decode(bytes.fromhex(head) + bytes(100))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "nest",
    [(b"\x81", b"\x01"), (b"\xa1\x61a", b"\x01"), (b"\xd8\x46", b"\x40")],
    ids=["lists", "maps", "tags"],
)
def test_depth_is_bounded(nest: tuple[bytes, bytes]) -> None:
    head, end = nest
    for depth in (17, 100, 100_000):
        with pytest.raises(WireError):
            cbor.decode(head * depth + end)


def test_sixteen_levels_are_enough_for_us() -> None:
    assert cbor.decode(b"\x81" * 16 + b"\x01") == [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]


def test_nan_payloads_survive_in_columns() -> None:
    """0x7FF4… is a signalling NaN: a way through a float register would quieten it."""
    raw = struct.pack("<4Q", 0x7FF8_0000_0000_BEEF, 0x7FF4_0000_0000_0001, 0xFFF8_0000_0000_0000, 0x8000_0000_0000_0000)
    assert cbor.decode(cbor.encode(memoryview(raw).cast("d"))).tobytes() == raw


@given(st.binary(max_size=60))
@settings(max_examples=500)
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    with contextlib.suppress(WireError):
        cbor.decode(payload)


@pytest.mark.parametrize("value", [object(), {"a": object()}, "\ud800", [lambda: 0]], ids=repr)
def test_what_has_no_cbor_is_refused_on_the_way_out(value: object) -> None:
    with pytest.raises(WireError):
        cbor.encode(value)


def test_cycles_are_refused_on_the_way_out() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(WireError):
        cbor.encode(cycle)


def test_a_column_of_another_format_is_refused() -> None:
    with pytest.raises(WireError, match="format 'H'"):
        cbor.as_tag(ints("H", [1]))


# One value of every kind that CBOR brings, by the reader that must take it (and no other one may).
KINDS: dict[str, Any] = {
    "integer": 5,
    "flag": True,
    "raw": b"raw",
    "text": "text",
    "number": 1.5,
    "ints": ints("q", [1]),
    "floats": floats([1.0]),
    "items": [1],
    "fields": {"a": 1},
    "mapping": {"a": 1},
    "nothing": None,
    "undefined": cbor2.undefined,
    "simple": cbor2.CBORSimpleValue(99),
}
READERS: dict[str, Callable[[cbor.Fields], Any]] = {
    "integer": lambda fields: fields.integer("x"),
    "flag": lambda fields: fields.flag("x"),
    "raw": lambda fields: fields.raw("x"),
    "text": lambda fields: fields.text("x"),
    "number": lambda fields: fields.number("x"),
    "ints": lambda fields: fields.ints("x", "q"),
    "floats": lambda fields: fields.floats("x", "d"),
    "items": lambda fields: fields.items("x", 5),
    "fields": lambda fields: fields.fields("x"),
    "mapping": lambda fields: fields.mapping("x"),
}
ALSO_TAKES = {("number", "integer"), ("fields", "mapping"), ("mapping", "fields")}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", KINDS)
def test_field_readers_take_their_own_kind_only(reader: str, kind: str) -> None:
    fields = cbor.Fields(cbor.decode(cbor.encode({"x": KINDS[kind]})), "test")
    if reader == kind or (reader, kind) in ALSO_TAKES:
        READERS[reader](fields)
    else:
        with pytest.raises(WireError, match=r"test: x|test\.x is a"):
            READERS[reader](fields)
    with pytest.raises(WireError, match="test has no field 'x'"):
        READERS[reader](cbor.Fields({}, "test"))


# A reader with what it is asked for, and a value just outside.
OUTSIDE: list[tuple[Callable[[cbor.Fields], Any], Any]] = [
    (lambda fields: fields.integer("x", 1, 9), 0),
    (lambda fields: fields.integer("x", 1, 9), 10),
    (lambda fields: fields.integer("x"), 2**63),
    (lambda fields: fields.integer("x"), -(2**63) - 1),
    (lambda fields: fields.raw("x", 3), b"four"),
    (lambda fields: fields.text("x", 3), "four"),
    (lambda fields: fields.text("x"), "a\0b"),
    (lambda fields: fields.number("x"), float("nan")),
    (lambda fields: fields.number("x"), float("inf")),
    (lambda fields: fields.items("x", 1), [1, 2]),
    (lambda fields: fields.ints("x", "B"), ints("I", [1])),
    (lambda fields: fields.floats("x", "f"), floats([1.0])),
]


@pytest.mark.parametrize(("read", "value"), OUTSIDE)
def test_field_readers_keep_their_bounds(read: Callable[[cbor.Fields], Any], value: Any) -> None:
    with pytest.raises(WireError, match="test: x is"):
        read(cbor.Fields({"x": value}, "test"))


def test_an_error_text_is_short_whatever_was_sent() -> None:
    fields = cbor.Fields({"x": "A" * 1_000_000, "y": [["B" * 1000] * 1000] * 1000}, "test")
    for name in ("x", "y"):
        for read in (fields.integer, fields.flag, fields.number):
            with pytest.raises(WireError) as caught:
                read(name)
            assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "value", [None, 1, "text", [1], b"raw", ints("B", [1])], ids=lambda value: type(value).__name__
)
def test_a_message_is_a_map(value: object) -> None:
    with pytest.raises(WireError, match=r"test is a \w+, not a map"):
        cbor.Fields(value, "test")
