"""Wire messages for tests: a valid message of each kind, hypothesis strategies, and the digest written a second time.

`digest` follows the words of the contract and not the code, so that the two can be held against each other.
"""

import hashlib
import math
from array import array
from collections.abc import Callable, Iterable
from typing import Any, Final

from hypothesis import strategies as st

from park_wire import cbor
from park_wire.batch import (
    GENESIS,
    MOST_SEQ,
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
    read_message,
    seal,
)
from park_wire.messages import Ack, Birth, BirthPoint, FormerEpoch, Hello, LanePosition, LiveValues, Status

RUN: Final = bytes.fromhex("1122334455667788")
EPOCH: Final = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
HEAD: Final = bytes.fromhex("ab" * 32)
VERSION_HASH: Final = bytes.fromhex("c0" * 32)
NOON: Final = 1_795_665_600_000_000
"""2026-11-26T04:00:00Z in µs: noon in the park."""


def ints(letter: str, values: Iterable[int]) -> cbor.Ints:
    """A column of integers of memoryview format `letter`."""
    return memoryview(array(letter, values))


def floats(values: Iterable[float]) -> cbor.Floats:
    """A column of doubles."""
    return memoryview(array("d", values))


def columns_of(rows: Iterable[tuple[int, int, float, int]], marks: Iterable[int] | None = None) -> Columns:
    """Columns of rows (index, time, value, quality)."""
    table = list(rows)
    return Columns(
        index=ints("I", [row[0] for row in table]),
        time=ints("q", [row[1] for row in table]),
        value=floats([row[2] for row in table]),
        quality=ints("B", [row[3] for row in table]),
        mark=None if marks is None else ints("B", marks),
    )


def column_map(readings: Columns) -> dict[str, Any]:
    """What the `columns` of a batch hold, before they are encoded."""
    fields: dict[str, Any] = {
        "index": readings.index,
        "time": readings.time,
        "value": readings.value,
        "quality": readings.quality,
    }
    return fields if readings.mark is None else fields | {"mark": readings.mark}


def rows_of(columns: Columns) -> list[tuple[int, int, bytes, int, int | None]]:
    """Rows of columns; the value as its eight bytes, so that NaN compares."""
    raw = columns.value.tobytes()
    marks: list[int | None] = [None] * len(columns) if columns.mark is None else list(columns.mark)
    values = [raw[at : at + 8] for at in range(0, len(raw), 8)]
    return list(zip(columns.index, columns.time, values, columns.quality, marks, strict=True))


def digest(config_version: bytes, until: int, sealed_at: int, columns: bytes, events: bytes) -> bytes:
    """Sha256 over config_version, until and sealed_at as i64, then length u32 and bytes of columns and of events."""
    parts = [config_version, until.to_bytes(8, "little", signed=True), sealed_at.to_bytes(8, "little", signed=True)]
    for text in (columns, events):
        parts += [len(text).to_bytes(4, "little"), text]
    return hashlib.sha256(b"".join(parts)).digest()


def sealed_from(
    columns: bytes, events: bytes = b"\x80", *, packed: bytes | None = None, version: bytes = VERSION_HASH
) -> Sealed:
    """A sealed batch of these raw bytes with the sha256 that belongs to them, whatever they hold."""
    return Sealed(
        config_version=version,
        until=NOON,
        sealed_at=NOON,
        z=packed is not None,
        sha256=digest(version, NOON, NOON, columns, events),
        columns=columns if packed is None else packed,
        events=events,
    )


def sample_events() -> tuple[Event, ...]:
    """A weigh ticket and a gate pass."""
    ticket = {"plate": "蒙B·12345", "gross_t": 48.9, "tare_t": 15.25, "cargo": "电石", "axles": [2, 4], "empty": None}
    return (
        Event("weighbridge-1", NOON + 1, "weigh-ticket", ticket),
        Event("gate-2", NOON + 2, "gate-pass", {"plate": "蒙B·12345", "inward": True}),
    )


def sample_sealed(readings: int = 4, *, events: bool = True, marks: bool = True) -> Sealed:
    """A sealed batch of some readings."""
    rows = [(n % 7, NOON + n * 1_000, math.nan if n == 1 else 1.5 * n, 0x84 if n == 1 else 0) for n in range(readings)]
    return seal(
        columns_of(rows, [n % 9 for n in range(readings)] if marks else None),
        sample_events() if events else (),
        config_version=VERSION_HASH,
        until=NOON,
        sealed_at=NOON + 5,
    )


def sample_envelope(*, moved: bool = False) -> Envelope:
    """An envelope, of a batch that was moved to a new epoch when asked."""
    origin = Origin(bytes(16), Lane.LIVE, 41) if moved else None
    return Envelope(RUN, EPOCH, Lane.BACKFILL if moved else Lane.LIVE, 7, HEAD, origin)


def sample_tombstone() -> Tombstone:
    """A tombstone that stands for three batches."""
    return Tombstone(sample_envelope(), 9, HEAD, Loss(15_000, NOON, NOON + 60_000_000, "disk full"))


def sample_hello() -> Hello:
    """A hello with an empty live lane, a backfill lane that holds three batches, and one former epoch."""
    lanes = {Lane.LIVE: LanePosition(1, 1, GENESIS), Lane.BACKFILL: LanePosition(12, 9, HEAD)}
    return Hello(RUN, EPOCH, NOON, NOON + 9, lanes, (FormerEpoch(bytes(16), 42, 3),))


def sample_birth() -> Birth:
    """A birth of two points."""
    return Birth.of(
        (
            BirthPoint(0, "tank-2", "pressure", "pressure", "MPa", 0.0, 2.5, 100),
            BirthPoint(1, "tank-2", "relief-valve", "relief-valve", "state", 0, 1, 1_000),
        )
    )


def sample_ack() -> Ack:
    """An ack that uses every optional field."""
    marks = {Lane.LIVE: (7, HEAD), Lane.BACKFILL: (0, GENESIS)}
    return Ack(RUN, EPOCH, marks, 16, NOON, need_birth=VERSION_HASH, new_epoch=True, need_hello=True)


def sample_status() -> Status:
    """A status."""
    return Status(RUN, True, NOON, 3, 250, 10**10, -1_500)


def sample_live_values() -> LiveValues:
    """Live values of two points."""
    return LiveValues(
        "push-acme", 5, ints("i", [1, 2]), ints("q", [NOON, NOON]), floats([1.5, math.nan]), ints("i", [0, 1 << 12])
    )


def read_all(payload: bytes) -> Any:
    """Read a data payload down to its content."""
    message = read_message(payload)
    return message, message.content() if isinstance(message, Batch) else None


MESSAGES: Final[dict[str, tuple[bytes, Callable[[bytes], Any]]]] = {
    "batch": (encode_batch(sample_envelope(), sample_sealed()), read_all),
    "moved": (encode_batch(sample_envelope(moved=True), sample_sealed()), read_all),
    "compressed": (encode_batch(sample_envelope(), sample_sealed(200)), read_all),
    "tombstone": (encode_tombstone(sample_tombstone()), read_all),
    "hello": (sample_hello().encode(), Hello.decode),
    "birth": (sample_birth().encode(), Birth.decode),
    "ack": (sample_ack().encode(), Ack.decode),
    "status": (sample_status().encode(), Status.decode),
    "live values": (sample_live_values().encode(), LiveValues.decode),
}
"""A valid payload of each kind, with every optional field, and what reads it."""

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=32)
i64 = st.integers(-(2**63), 2**63 - 1)
seqs = st.integers(1, MOST_SEQ)
runs = st.binary(min_size=8, max_size=8)
epochs = st.binary(min_size=16, max_size=16)
hashes = st.binary(min_size=32, max_size=32)
lanes = st.sampled_from(Lane)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=30)
bodies = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | i64 | st.floats(allow_nan=False, allow_infinity=False) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
events = st.builds(Event, names, i64, names, bodies)
envelopes = st.builds(Envelope, runs, epochs, lanes, seqs, hashes, st.none() | st.builds(Origin, epochs, lanes, seqs))


@st.composite
def columns(draw: st.DrawFn, most: int = 60) -> Columns:
    """Columns of any values that fit their types, every NaN and infinity included."""
    size = draw(st.integers(0, most))

    def draw_ints(letter: str, low: int, high: int) -> cbor.Ints:
        return ints(letter, draw(st.lists(st.integers(low, high), min_size=size, max_size=size)))

    value = memoryview(draw(st.binary(min_size=8 * size, max_size=8 * size))).cast("d")
    return Columns(
        index=draw_ints("I", 0, 2**32 - 1),
        time=draw_ints("q", -(2**63), 2**63 - 1),
        value=value,
        quality=draw_ints("B", 0, 255),
        mark=draw_ints("B", 0, 255) if draw(st.booleans()) else None,
    )
