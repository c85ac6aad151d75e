"""Batches and tombstones: what goes in comes out, and what no one could read is not sealed."""

import dataclasses
import math
import struct
import zlib
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_wire import cbor
from park_wire.batch import (
    GENESIS,
    MOST_EVENT_BYTES,
    MOST_EVENTS,
    MOST_READINGS,
    Batch,
    Columns,
    Envelope,
    Event,
    Lane,
    Loss,
    Origin,
    Sealed,
    Tombstone,
    encode_batch,
    encode_tombstone,
    open_sealed,
    read_message,
    seal,
    seems_backfill,
)
from park_wire.errors import WireError
from support.wire_samples import (
    NOON,
    VERSION_HASH,
    column_map,
    columns,
    columns_of,
    digest,
    envelopes,
    events,
    floats,
    hashes,
    i64,
    ints,
    rows_of,
    sample_envelope,
    sample_events,
    sample_sealed,
    sealed_from,
    seqs,
    texts,
)

NO_READINGS = columns_of([])


def seal_now(readings: Columns, happened: tuple[Event, ...] = ()) -> Sealed:
    return seal(readings, happened, config_version=VERSION_HASH, until=NOON, sealed_at=NOON)


def read_batch(payload: bytes) -> Batch:
    message = read_message(payload)
    assert isinstance(message, Batch)
    return message


# ------------------------------------------------------------------------------------------------- round trips


@given(columns(), st.lists(events, max_size=4).map(tuple), hashes, i64, i64, envelopes)
def test_batch_comes_back(
    readings: Columns, happened: tuple[Event, ...], version: bytes, until: int, sealed_at: int, envelope: Envelope
) -> None:
    sealed = seal(readings, happened, config_version=version, until=until, sealed_at=sealed_at)
    message = read_batch(encode_batch(envelope, sealed))
    assert message.envelope == envelope
    assert message.sealed == sealed
    assert (message.last_seq, message.sha256) == (envelope.seq, sealed.sha256)
    content = message.content()
    assert rows_of(content.columns) == rows_of(readings)
    assert (content.columns.mark is None) == (readings.mark is None)
    assert content.events == happened


@given(envelopes, seqs, hashes, st.integers(0, 2**63 - 1), i64, i64, texts)
def test_tombstone_comes_back(
    envelope: Envelope, last: int, sha256: bytes, n: int, from_ts: int, to_ts: int, reason: str
) -> None:
    tombstone = Tombstone(envelope, max(last, envelope.seq), sha256, Loss(n, from_ts, to_ts, reason))
    assert read_message(encode_tombstone(tombstone)) == tombstone


def test_empty_batch_comes_back() -> None:
    """A live batch is sealed every second, with readings or not."""
    content = read_batch(encode_batch(sample_envelope(), seal_now(NO_READINGS))).content()
    assert (len(content.columns), content.columns.mark, content.events) == (0, None, ())


def test_largest_batch_comes_back() -> None:
    rows = [(n % 5_000, NOON + n * 997, math.sin(n) * 1e3, n % 256) for n in range(MOST_READINGS)]
    readings = columns_of(rows, [n % 9 for n in range(MOST_READINGS)])
    content = read_batch(encode_batch(sample_envelope(), seal_now(readings))).content()
    assert rows_of(content.columns) == rows_of(readings)


def test_nan_bits_and_infinities_come_back() -> None:
    raw = struct.pack("<5Q", 0x7FF8_0000_0000_BEEF, 0x7FF4_0000_0000_0001, 0xFFF8 << 48, 0x7FF0 << 48, 1 << 63)
    readings = Columns(ints("I", range(5)), ints("q", range(5)), memoryview(raw).cast("d"), ints("B", [0x84] * 5))
    content = read_batch(encode_batch(sample_envelope(), seal_now(readings))).content()
    assert content.columns.value.tobytes() == raw


def test_sealing_is_repeatable_and_the_envelope_is_not_part_of_it() -> None:
    assert sample_sealed(300) == sample_sealed(300)
    moved = read_batch(encode_batch(sample_envelope(moved=True), sample_sealed()))
    assert moved.sealed == sample_sealed()
    assert moved.envelope.origin is not None


@pytest.mark.parametrize("readings", [0, 4, 200])
def test_sha256_is_that_of_the_contract(readings: int) -> None:
    sealed = sample_sealed(readings)
    raw = zlib.decompress(sealed.columns) if sealed.z else sealed.columns
    assert sealed.sha256 == digest(sealed.config_version, sealed.until, sealed.sealed_at, raw, sealed.events)


@given(st.data())
def test_sha256_covers_every_part(data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(["config_version", "until", "sealed_at", "columns", "events"]))
    sealed = sealed_from(cbor.encode(column_map(columns_of([(1, 2, 3.0, 0)]))))
    found: Any = getattr(sealed, part)
    if isinstance(found, int):
        changed: Any = data.draw(i64.filter(lambda value: value != found))
    else:
        at = data.draw(st.integers(0, len(found) - 1))
        changed = found[:at] + bytes([found[at] ^ data.draw(st.integers(1, 255))]) + found[at + 1 :]
    with pytest.raises(WireError, match="sha256 does not match"):
        open_sealed(dataclasses.replace(sealed, **{part: changed}))


def test_bytes_can_not_wander_between_columns_and_events() -> None:
    sealed = sample_sealed()
    for columns_part, events_part in (
        (sealed.columns + sealed.events[:1], sealed.events[1:]),
        (sealed.columns[:-1], sealed.columns[-1:] + sealed.events),
    ):
        with pytest.raises(WireError, match="sha256"):
            open_sealed(dataclasses.replace(sealed, columns=columns_part, events=events_part))


def test_compression_is_used_where_it_pays() -> None:
    assert not sample_sealed(3).z, "a handful of readings is not worth it"
    big = sample_sealed(1_000)
    assert big.z
    assert len(big.columns) < 1_000 * 22 / 2


# ------------------------------------------------------------------------------------------------- sealing refuses


@pytest.mark.parametrize(
    "readings",
    [
        Columns(ints("I", [1]), ints("q", []), floats([1.0]), ints("B", [0])),
        Columns(ints("I", [1]), ints("q", [1]), floats([1.0]), ints("B", [0]), ints("B", [])),
        Columns(ints("i", [1]), ints("q", [1]), floats([1.0]), ints("B", [0])),
        Columns(ints("I", [1]), ints("q", [1]), floats([1.0]), ints("I", [0])),
        Columns(ints("I", [1]), ints("q", [1]), memoryview(bytes(4)).cast("f"), ints("B", [0])),
        Columns(ints("I", [1]), ints("q", [1]), floats([1.0]), ints("B", [0]), ints("H", [0])),
        columns_of([(0, 0, 0.0, 0)] * (MOST_READINGS + 1)),
    ],
    ids=["time is short", "mark is short", "index i32", "quality u32", "value f32", "mark u16", "too many"],
)
def test_sealing_refuses_columns_that_no_one_would_read(readings: Columns) -> None:
    with pytest.raises(WireError):
        seal_now(readings)


def nested(levels: int) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for _ in range(levels - 1):
        body = {"a": body}
    return body


BAD_EVENTS: dict[str, Event] = {
    "device is no name": Event("Weighbridge 1", NOON, "weigh-ticket", {}),
    "device is empty": Event("", NOON, "weigh-ticket", {}),
    "kind is no name": Event("weighbridge-1", NOON, "weigh/ticket", {}),
    "kind is too long": Event("weighbridge-1", NOON, "k" * 33, {}),
    "body is too large": Event("weighbridge-1", NOON, "note", {"text": "x" * MOST_EVENT_BYTES}),
    "body holds NaN": Event("weighbridge-1", NOON, "note", {"a": math.nan}),
    "body holds infinity": Event("weighbridge-1", NOON, "note", {"a": [1, -math.inf]}),
    "body holds NUL": Event("weighbridge-1", NOON, "note", {"a": "x\0"}),
    "key holds NUL": Event("weighbridge-1", NOON, "note", {"a\0": 1}),
    "body holds bytes": Event("weighbridge-1", NOON, "note", {"a": b"x"}),
    "body holds u64": Event("weighbridge-1", NOON, "note", {"a": 2**63}),
    "key is a number": Event("weighbridge-1", NOON, "note", {"a": {1: 2}}),
    "body is too deep": Event("weighbridge-1", NOON, "note", nested(9)),
    "body holds too deep a list": Event("weighbridge-1", NOON, "note", {"a": [[[[[[[[[]]]]]]]]]}),
    "body holds a column": Event("weighbridge-1", NOON, "note", {"a": ints("B", [1])}),
    "body holds undefined": Event("weighbridge-1", NOON, "note", {"a": cbor2.undefined}),
}


@pytest.mark.parametrize("what", BAD_EVENTS)
def test_sealing_and_reading_refuse_the_same_events(what: str) -> None:
    bad = BAD_EVENTS[what]
    with pytest.raises(WireError):
        seal_now(NO_READINGS, (bad,))
    raw_events = cbor.encode([[bad.device, bad.time, bad.kind, bad.body]])
    content = open_sealed(sealed_from(cbor.encode(column_map(NO_READINGS)), raw_events))
    assert (content.events, len(content.refused)) == ((), 1)


def test_half_a_surrogate_pair_is_refused_when_sealed() -> None:
    with pytest.raises(WireError):
        seal_now(NO_READINGS, (Event("weighbridge-1", NOON, "note", {"a": "\ud800"}),))


def test_a_body_may_have_eight_levels_and_four_kilobytes() -> None:
    room = MOST_EVENT_BYTES - len(cbor.encode({"text": "x" * 256})) + 256
    happened = (Event("a", 0, "b", nested(8)), Event("a", 0, "b", {"text": "x" * room}))
    assert read_batch(encode_batch(sample_envelope(), seal_now(NO_READINGS, happened))).content().events == happened


def test_sealing_refuses_a_version_that_is_no_sha256_and_too_many_events() -> None:
    with pytest.raises(WireError, match="config_version has 5 bytes"):
        seal(NO_READINGS, (), config_version=b"short", until=0, sealed_at=0)
    with pytest.raises(WireError, match="5001 events"):
        seal_now(NO_READINGS, sample_events()[:1] * (MOST_EVENTS + 1))


def test_genesis_is_all_zero() -> None:
    assert (bytes(32), {"live", "backfill"}) == (GENESIS, {lane.value for lane in Lane})


@pytest.mark.parametrize("lane", list(Lane))
def test_the_lane_is_seen_at_the_beginning(lane: Lane) -> None:
    envelope = Envelope(bytes(8), b"\xff" * 16, lane, 2**62, bytes(32), Origin(bytes(16), Lane.BACKFILL, 7))
    sealed = seal(columns_of([(0, 1, 1.0, 0)]), (), config_version=bytes(32), until=1, sealed_at=1)
    tombstone = Tombstone(envelope, 2**62, bytes(32), Loss(1, 2, 3, "lane backfill"))
    for payload in (encode_batch(envelope, sealed), encode_tombstone(tombstone)):
        assert seems_backfill(payload) is (lane is Lane.BACKFILL)
    assert not seems_backfill(b"")
