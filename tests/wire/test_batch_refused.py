"""Batches and tombstones that are wrong, hostile or damaged: always a WireError, never another error or wrong data."""

import dataclasses
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from park_wire import cbor
from park_wire.batch import (
    MOST_EVENTS,
    MOST_READINGS,
    Batch,
    encode_batch,
    encode_tombstone,
    open_sealed,
    read_message,
)
from park_wire.errors import UnknownVersion, WireError
from support.wire_samples import (
    HEAD,
    column_map,
    columns_of,
    floats,
    ints,
    rows_of,
    sample_envelope,
    sample_sealed,
    sample_tombstone,
    sealed_from,
)


def read_batch(payload: bytes) -> Batch:
    message = read_message(payload)
    assert isinstance(message, Batch)
    return message


TWO = column_map(columns_of([(1, 2, 3.0, 0), (2, 3, 4.0, 0)], [1, 1]))


@pytest.mark.parametrize(
    "change",
    [
        *({name: TWO[name][:1]} for name in TWO),
        *({name: None} for name in TWO),
        *({name: [1, 2]} for name in TWO),
        {"index": ints("i", [1, 2])},
        {"index": ints("B", [1, 2])},
        {"time": floats([1.0, 2.0])},
        {"value": memoryview(bytes(8)).cast("f")},
        {"value": ints("q", [1, 2])},
        {"quality": ints("I", [1, 2])},
        {"mark": ints("q", [1, 2])},
    ],
    ids=repr,
)
def test_wrong_columns_are_refused(change: dict[str, Any]) -> None:
    open_sealed(sealed_from(cbor.encode(TWO)))
    with pytest.raises(WireError):
        open_sealed(sealed_from(cbor.encode(TWO | change)))


@pytest.mark.parametrize("name", ["index", "time", "value", "quality"])
def test_a_missing_column_is_refused(name: str) -> None:
    with pytest.raises(WireError, match=f"no field '{name}'"):
        open_sealed(sealed_from(cbor.encode({key: column for key, column in TWO.items() if key != name})))


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x80", b"\xf6", cbor.encode(TWO) + b"\0", cbor.encode(TWO)[:-1], b"\xa2\x61a\x01\x61a\x01"],
    ids=["nothing", "a list", "null", "a tail", "cut", "a key twice"],
)
def test_columns_that_are_no_such_map_are_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        open_sealed(sealed_from(raw))


def test_more_readings_than_allowed_are_refused_even_where_they_fit() -> None:
    too_many = column_map(columns_of([(0, 0, 0.0, 0)] * (MOST_READINGS + 1)))
    with pytest.raises(WireError, match="50001 readings"):
        open_sealed(sealed_from(cbor.encode(too_many)))


WRONG_EVENTS: dict[str, Any] = {
    "a map": {},
    "null": None,
    "a number": [1],
    "no body": [["gate-1", 1, "pass"]],
    "one too many": [["gate-1", 1, "pass", {}, 5]],
    "time as text": [["gate-1", "now", "pass", {}]],
    "time as boolean": [["gate-1", True, "pass", {}]],
    "time out of range": [["gate-1", 2**63, "pass", {}]],
    "body is a list": [["gate-1", 1, "pass", []]],
    "device as bytes": [[b"gate-1", 1, "pass", {}]],
    "no kind": [["gate-1", 1, None, {}]],
    "too many": [["gate-1", 1, "pass", {}]] * (MOST_EVENTS + 1),
}


@pytest.mark.parametrize("what", WRONG_EVENTS)
def test_wrong_events_are_refused_and_cost_no_reading(what: str) -> None:
    content = open_sealed(sealed_from(cbor.encode(TWO), cbor.encode(WRONG_EVENTS[what])))
    assert len(content.columns) == 2
    assert not content.events
    assert len(content.refused) == 1


def test_a_wrong_event_costs_only_itself() -> None:
    events: list[Any] = [
        ["gate-1", 1, "pass", {"n": 1}],
        ["gate 1", 2, "pass", {}],
        ["gate-1", 3, "pass", {"n": 3}],
        [4],
    ]
    content = open_sealed(sealed_from(cbor.encode(TWO), cbor.encode(events)))
    assert [event.body for event in content.events] == [{"n": 1}, {"n": 3}]
    assert content.refused == (
        "event 1: device 'gate 1' or kind 'pass' is not a name",
        "event 3: an event is a list of device, time, kind and body",
    )


@pytest.mark.parametrize("raw_events", [b"", b"\x80\x80", b"\x81"], ids=["nothing", "a tail", "cut"])
def test_events_that_are_no_such_list_cost_no_reading(raw_events: bytes) -> None:
    content = open_sealed(sealed_from(cbor.encode(TWO), raw_events))
    assert len(content.columns) == 2
    assert (content.events, len(content.refused)) == ((), 1)


def test_zip_bomb_is_refused_before_it_unfolds() -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    sealed = dataclasses.replace(sealed_from(b"", packed=bomb), sha256=HEAD)
    payload = encode_batch(sample_envelope(), sealed)
    tracemalloc.start()
    try:
        message = read_batch(payload)
        with pytest.raises(WireError, match="inflate to more than"):
            message.content()
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("case", ["cut", "a tail", "no zlib", "nothing", "bare deflate", "two streams"])
def test_broken_compression_is_refused(case: str) -> None:
    raw = cbor.encode(TWO)
    packed = zlib.compress(raw)
    broken = {
        "cut": packed[:-1],
        "a tail": packed + b"\0",
        "no zlib": raw,
        "nothing": b"",
        "bare deflate": packed[2:-4],
        "two streams": packed + packed,
    }[case]
    open_sealed(sealed_from(raw, packed=packed))
    with pytest.raises(WireError, match="inflate"):
        open_sealed(sealed_from(raw, packed=broken))


def test_poison_still_has_an_identity() -> None:
    """A batch whose content can't be read must be countable: its envelope is read first and alone."""
    poison = dataclasses.replace(sample_sealed(), columns=b"not CBOR at all", sha256=HEAD)
    message = read_batch(encode_batch(sample_envelope(), poison))
    assert (message.envelope, message.sha256) == (sample_envelope(), HEAD)
    with pytest.raises(WireError):
        message.content()


# ------------------------------------------------------------------------------------------------- envelopes


def changes(wrong: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [{name: value} for name, values in wrong.items() for value in values]


def loss(**change: Any) -> dict[str, Any]:
    return {"n": 1, "from_ts": 1, "to_ts": 1, "reason": ""} | change


ENVELOPE_CHANGES = changes(
    {
        "v": [0, 2, -1, "1", None, True, 1.0],
        "run": [b"short", bytes(9), "12345678", None, 5],
        "epoch": [bytes(15), bytes(17), None],
        "lane": ["both", "LIVE", "", b"live", None, "x" * 300],
        "seq": [0, -1, 2**62 + 1, 2**63, 1.0, "1", True, None],
        "prev": [b"", bytes(31), bytes(33), None],
        "origin": [
            *(None, {}, 5, [], [bytes(16)], [bytes(16), "live"]),
            *(
                [bytes(16), "live", 0],
                [bytes(16), "live", 2**62 + 1],
                [bytes(15), "live", 1],
                [bytes(16), "both", 1],
                [bytes(16), "live", 1, 1],
            ),
        ],
        "sha256": [bytes(31), None],
    }
)
BATCH_CHANGES = changes(
    {
        "config_version": [b"", bytes(31), None, "c0" * 16],
        "until": [2**63, -(2**63) - 1, 1.5, None, "noon"],
        "sealed_at": [2**63, -(2**63) - 1, 1.5, None, "noon"],
        "z": [2, -1, True, None, "1"],
        "columns": [None, "text", [1], {}, 5],
        "events": [None, "text", [1], {}, 5],
    }
)
TOMBSTONE_CHANGES = changes(
    {
        "last_seq": [6, 0, -1, 2**62 + 1, 2**63, None, "9"],
        "lost": [
            *(None, [], {}, 5, {"n": 1}, {"n": 1, "from_ts": 1, "to_ts": 1}),
            *(loss(n=-1), loss(n=None), loss(n="1"), loss(n=2**63)),
            *(loss(from_ts=2**63), loss(from_ts=None), loss(to_ts="1"), loss(to_ts=-(2**63) - 1)),
            *(loss(reason="x" * 257), loss(reason="a\0b"), loss(reason=None), loss(reason=5)),
        ],
    }
)


@pytest.mark.parametrize("change", [*ENVELOPE_CHANGES, *BATCH_CHANGES], ids=repr)
def test_wrong_batch_is_refused(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = cbor2.loads(encode_batch(sample_envelope(moved=True), sample_sealed()))
    with pytest.raises(WireError):
        read_message(cbor2.dumps(fields | change))


@pytest.mark.parametrize("change", [*ENVELOPE_CHANGES, *TOMBSTONE_CHANGES], ids=repr)
def test_wrong_tombstone_is_refused(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = cbor2.loads(encode_tombstone(sample_tombstone()))
    with pytest.raises(WireError):
        read_message(cbor2.dumps(fields | change))


def test_another_version_says_what_to_do() -> None:
    fields: dict[str, Any] = cbor2.loads(encode_batch(sample_envelope(), sample_sealed()))
    with pytest.raises(UnknownVersion, match="wire version 2; this release reads 1: update the centre first"):
        read_message(cbor2.dumps(fields | {"v": 2}))


def test_a_field_that_this_release_does_not_know_is_passed_over() -> None:
    fields: dict[str, Any] = cbor2.loads(encode_batch(sample_envelope(), sample_sealed()))
    assert read_batch(cbor2.dumps(fields | {"later": [1, 2]})).sealed == sample_sealed()


# ------------------------------------------------------------------------------------------------- damage


def flips(payload: bytes) -> Iterator[bytes]:
    for at, found in enumerate(payload):
        for bit in range(8):
            yield payload[:at] + bytes([found ^ 1 << bit]) + payload[at + 1 :]


@pytest.mark.parametrize("readings", [4, 120], ids=["plain", "compressed"])
def test_every_flipped_bit_is_detected_or_harmless(readings: int) -> None:
    """What no check notices touched the envelope only: prev and head, and the unique keys, stand behind that."""
    sealed = sample_sealed(readings)
    assert sealed.z == (readings > 100)
    content = open_sealed(sealed)
    rows = rows_of(content.columns)
    noticed = passed = 0
    for damaged in flips(encode_batch(sample_envelope(moved=True), sealed)):
        try:
            message = read_message(damaged)
            assert isinstance(message, Batch)
            found = message.content()
        except WireError:
            noticed += 1
            continue
        passed += 1
        assert rows_of(found.columns) == rows
        assert found.events == content.events
        assert dataclasses.replace(message.sealed, columns=b"", events=b"", z=False) == dataclasses.replace(
            sealed, columns=b"", events=b"", z=False
        )
    # all of the content but the level noted in a zlib header
    assert noticed > 8 * (len(sealed.columns) + len(sealed.events) - 1)
    # run 8, epoch 16, prev 32, origin's epoch 16 bytes, seqs, lanes and the key "origin"
    assert passed < 8 * 90


@given(st.data())
@settings(max_examples=300)
def test_any_damage_to_a_message_is_a_wire_error(data: st.DataObject) -> None:
    original = data.draw(
        st.sampled_from(
            [
                encode_batch(sample_envelope(moved=True), sample_sealed()),
                encode_batch(sample_envelope(), sample_sealed(120)),
                encode_tombstone(sample_tombstone()),
            ]
        )
    )
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        piece = data.draw(st.binary(max_size=5))
        damaged[at : at + data.draw(st.integers(0, 8))] = piece
    try:
        message = read_message(bytes(damaged))
        if isinstance(message, Batch):
            message.content()
    except WireError:
        return


@given(st.data())
@settings(max_examples=300)
def test_any_damage_under_a_right_sha256_is_a_wire_error(data: st.DataObject) -> None:
    """A gateway with a fault in its encoder seals nonsense properly: the hash then helps nobody."""
    good = open_sealed(sample_sealed())
    parts = [bytearray(cbor.encode(column_map(good.columns))), bytearray(sample_sealed().events)]
    for part in parts:
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(part)))
            part[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=5))
    try:
        found = open_sealed(sealed_from(bytes(parts[0]), bytes(parts[1])))
    except WireError:
        return
    assert all(len(row) == 5 for row in rows_of(found.columns))
