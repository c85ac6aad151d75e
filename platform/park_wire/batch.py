"""Batches and tombstones: what a gateway publishes on its data topic, and how the centre reads it.

A batch is sealed once (`seal`) and its bytes never change; what may change between two sendings (run, and after a new
epoch also epoch, seq, prev and origin) stands in the envelope around it. Reading is in two steps, so that a batch whose
content is poison still has an identity: `read_message` gives the envelope, `Batch.content` the readings.
"""

import hashlib
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from park_wire import cbor
from park_wire.errors import UnknownVersion, WireError
from park_wire.topics import VERSION, is_id

RUN_BYTES: Final = 8
EPOCH_BYTES: Final = 16
HASH_BYTES: Final = 32
GENESIS: Final = bytes(HASH_BYTES)
"""The `prev` of a lane's first batch, and the head of a lane of which nothing is known."""

MOST_SEQ: Final = 2**62
"""The greatest seq: a counter that comes near it is damaged, and what follows it must still fit a bigint."""
MOST_READINGS: Final = 50_000
MOST_EVENTS: Final = 5_000
MOST_EVENT_BYTES: Final = 4_096
_MOST_EVENT_DEPTH: Final = 8
# index 4 + time 8 + value 8 + quality 1 + mark 1, and room for the map around them
_MOST_COLUMN_BYTES: Final = MOST_READINGS * 22 + 256
_COLUMN_FORMATS: Final = {"index": "I", "time": "q", "value": "d", "quality": "B", "mark": "B"}
_COMPRESS_FROM: Final = 512
_BACKFILL_BEGINS: Final = cbor.encode("lane") + cbor.encode("backfill")
# Version, run and epoch come before the lane.
_ENVELOPE_BYTES: Final = 96
_SEALED: Final = struct.Struct("<qq")
_LENGTH: Final = struct.Struct("<I")


class Lane(StrEnum):
    """The two lanes of a gateway; each counts its own seq."""

    LIVE = "live"
    BACKFILL = "backfill"


@dataclass(frozen=True, slots=True)
class Columns:
    """Readings as columns of one length: index u32, time i64 µs UTC, value f64, quality u8, mark u8 where given."""

    index: cbor.Ints
    time: cbor.Ints
    value: cbor.Floats
    quality: cbor.Ints
    mark: cbor.Ints | None = None

    def __len__(self) -> int:
        """How many readings."""
        return len(self.index)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a device and is not a number at a time: weigh ticket, gate pass, logger notice."""

    device: str
    time: int
    kind: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """What a batch holds. `refused`: what is wrong with each event that is not among the events."""

    columns: Columns
    events: tuple[Event, ...]
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sealed:
    """The part of a batch that is written once. `columns` is compressed when `z`."""

    config_version: bytes
    until: int
    sealed_at: int
    z: bool
    sha256: bytes
    columns: bytes
    events: bytes


@dataclass(frozen=True, slots=True)
class Origin:
    """The first identity of a batch that was moved to a new epoch."""

    epoch: bytes
    lane: Lane
    seq: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """Identity of a batch within its gateway, and its predecessor's sha256."""

    run: bytes
    epoch: bytes
    lane: Lane
    seq: int
    prev: bytes
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it arrived: its envelope is read, its content not yet."""

    envelope: Envelope
    sealed: Sealed

    @property
    def last_seq(self) -> int:
        """The seq that the mark has after this message."""
        return self.envelope.seq

    @property
    def sha256(self) -> bytes:
        """The head that the lane has after this message."""
        return self.sealed.sha256

    def content(self) -> Content:
        """Check the sha256 and decode. Raises WireError; a batch that raises here is poison."""
        return open_sealed(self.sealed)


@dataclass(frozen=True, slots=True)
class Loss:
    """What a tombstone says of the batches it stands for. Times in µs UTC."""

    n: int
    from_ts: int
    to_ts: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What replaces batches that were dropped or thinned: first envelope, last seq and sha256, and what is lost."""

    envelope: Envelope
    last_seq: int
    sha256: bytes
    loss: Loss


def seal(columns: Columns, events: Sequence[Event], *, config_version: bytes, until: int, sealed_at: int) -> Sealed:
    """Encode, hash and, where it pays, compress the content of a batch. Times in µs UTC.

    Raises WireError for what `open_sealed` would refuse: a batch that is poison must not reach the outbox.
    """
    if len(config_version) != HASH_BYTES:
        raise WireError(f"config_version has {len(config_version)} bytes; it is a sha256 of {HASH_BYTES}")
    if len(events) > MOST_EVENTS:
        raise WireError(f"{len(events)} events in one batch; at most {MOST_EVENTS}")
    for event in events:
        _check_event(event)
    fields: dict[str, cbor.Ints | cbor.Floats] = {
        "index": columns.index,
        "time": columns.time,
        "value": columns.value,
        "quality": columns.quality,
    }
    if columns.mark is not None:
        fields["mark"] = columns.mark
    for name, column in fields.items():
        if column.format != _COLUMN_FORMATS[name]:
            raise WireError(f"column {name} has format {column.format!r}; it takes {_COLUMN_FORMATS[name]!r}")
    lengths = {len(column) for column in fields.values()}
    if len(lengths) != 1 or lengths.pop() > MOST_READINGS:
        raise WireError(f"columns of a batch have one length of at most {MOST_READINGS}")
    raw = cbor.encode({name: cbor.as_tag(column) for name, column in fields.items()})
    encoded_events = cbor.encode([[event.device, event.time, event.kind, event.body] for event in events])
    packed = zlib.compress(raw, 1) if len(raw) >= _COMPRESS_FROM else raw
    z = len(packed) < len(raw)
    return Sealed(
        config_version=config_version,
        until=until,
        sealed_at=sealed_at,
        z=z,
        sha256=_digest(config_version, until, sealed_at, raw, encoded_events),
        columns=packed if z else raw,
        events=encoded_events,
    )


def _digest(config_version: bytes, until: int, sealed_at: int, columns: bytes, events: bytes) -> bytes:
    # Lengths stand before the two byte strings, so that no two contents share one input.
    digest = hashlib.sha256(config_version)
    digest.update(_SEALED.pack(until, sealed_at))
    for part in (columns, events):
        digest.update(_LENGTH.pack(len(part)))
        digest.update(part)
    return digest.digest()


def open_sealed(sealed: Sealed) -> Content:
    """The content of a sealed batch. Raises WireError when it is damaged or its columns are not what they should be.

    A wrong event costs nothing but itself: it is named in `refused`.
    """
    raw = _inflate(sealed.columns) if sealed.z else sealed.columns
    if len(raw) > _MOST_COLUMN_BYTES:
        raise WireError(f"columns of {len(raw)} bytes; at most {_MOST_COLUMN_BYTES}")
    if _digest(sealed.config_version, sealed.until, sealed.sealed_at, raw, sealed.events) != sealed.sha256:
        raise WireError("sha256 does not match the content: damaged on disk or on the way")
    fields = cbor.Fields(cbor.decode(raw), "columns")
    columns = Columns(
        index=fields.ints("index", "I"),
        time=fields.ints("time", "q"),
        value=fields.floats("value", "d"),
        quality=fields.ints("quality", "B"),
        mark=fields.ints("mark", "B") if fields.has("mark") else None,
    )
    present = (columns.time, columns.value, columns.quality, columns.mark)
    if any(column is not None and len(column) != len(columns) for column in present):
        raise WireError("columns have unequal lengths")
    if len(columns) > MOST_READINGS:
        raise WireError(f"{len(columns)} readings in one batch; at most {MOST_READINGS}")
    return Content(columns, *_read_events(sealed.events))


def _inflate(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(packed, _MOST_COLUMN_BYTES)
    except zlib.error as error:
        raise WireError(f"columns can't be inflated: {error}") from error
    if not inflater.eof or inflater.unused_data:
        raise WireError(f"columns inflate to more than {_MOST_COLUMN_BYTES} bytes, end early or carry a tail")
    return raw


def _read_events(encoded: bytes) -> tuple[tuple[Event, ...], tuple[str, ...]]:
    try:
        items = cbor.Fields({"events": cbor.decode(encoded)}, "batch").items("events", MOST_EVENTS)
    except WireError as error:
        return (), (str(error),)
    events: list[Event] = []
    refused: list[str] = []
    for number, item in enumerate(items):
        try:
            events.append(_event(item))
        except WireError as error:
            refused.append(f"event {number}: {error}")
    return tuple(events), tuple(refused)


def _event(item: Any) -> Event:
    if not isinstance(item, list) or len(item) != 4:  # pyright: ignore[reportUnknownArgumentType]
        raise WireError("an event is a list of device, time, kind and body")
    fields = cbor.Fields(dict(zip(("device", "time", "kind", "body"), item, strict=True)), "event")  # pyright: ignore[reportUnknownArgumentType]
    event = Event(fields.text("device"), fields.integer("time"), fields.text("kind"), fields.mapping("body"))
    _check_event(event)
    return event


def _check_event(event: Event) -> None:
    if not is_id(event.device) or not is_id(event.kind):
        raise WireError(f"device {event.device!r} or kind {event.kind!r} is not a name")
    if not _is_plain(event.body) or len(cbor.encode(event.body)) > MOST_EVENT_BYTES:
        raise WireError(
            "body is not a plain map (texts, finite numbers, lists, maps; no NUL) "
            f"of at most {MOST_EVENT_BYTES} bytes and {_MOST_EVENT_DEPTH} levels"
        )


def _is_plain(value: Any, levels: int = _MOST_EVENT_DEPTH) -> bool:
    """Whether a value survives a way through JSON and PostgreSQL's jsonb, which knows no NaN and no NUL."""
    match value:
        case None | bool() | int():
            return value is None or -(2**63) <= value < 2**63
        case float():
            return math.isfinite(value)
        case str():
            return "\0" not in value
        case list() if levels:
            return all(_is_plain(item, levels - 1) for item in value)  # pyright: ignore[reportUnknownVariableType]
        case dict() if levels:
            items = value.items()  # pyright: ignore[reportUnknownVariableType]
            return all(isinstance(key, str) and _is_plain(key) and _is_plain(item, levels - 1) for key, item in items)  # pyright: ignore[reportUnknownVariableType]
        case _:
            return False


def encode_batch(envelope: Envelope, sealed: Sealed) -> bytes:
    """The payload for the data topic."""
    return cbor.encode(
        _envelope_fields(envelope)
        | {
            "config_version": sealed.config_version,
            "until": sealed.until,
            "sealed_at": sealed.sealed_at,
            "z": int(sealed.z),
            "sha256": sealed.sha256,
            "columns": sealed.columns,
            "events": sealed.events,
        }
    )


def seems_backfill(payload: bytes) -> bool:
    """Whether a data message is of the backfill lane, by a look at its beginning: a hint for who goes first."""
    return _BACKFILL_BEGINS in payload[:_ENVELOPE_BYTES]


def encode_tombstone(tombstone: Tombstone) -> bytes:
    """The payload for the data topic."""
    loss = tombstone.loss
    return cbor.encode(
        _envelope_fields(tombstone.envelope)
        | {
            "last_seq": tombstone.last_seq,
            "sha256": tombstone.sha256,
            "lost": {"n": loss.n, "from_ts": loss.from_ts, "to_ts": loss.to_ts, "reason": loss.reason},
        }
    )


def _envelope_fields(envelope: Envelope) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "v": VERSION,
        "run": envelope.run,
        "epoch": envelope.epoch,
        "lane": envelope.lane.value,
        "seq": envelope.seq,
        "prev": envelope.prev,
    }
    if envelope.origin is not None:
        fields["origin"] = [envelope.origin.epoch, envelope.origin.lane.value, envelope.origin.seq]
    return fields


def read_message(payload: bytes) -> Batch | Tombstone:
    """What a data payload is, with its identity. Raises WireError; the content of a batch is not looked at."""
    fields = cbor.Fields(cbor.decode(payload), "batch")
    check_version(fields)
    envelope = Envelope(
        run=fields.raw("run", RUN_BYTES),
        epoch=fields.raw("epoch", EPOCH_BYTES),
        lane=_lane(fields.text("lane")),
        seq=fields.integer("seq", 1, MOST_SEQ),
        prev=fields.raw("prev", HASH_BYTES),
        origin=_origin(fields.items("origin", 3)) if fields.has("origin") else None,
    )
    sha256 = fields.raw("sha256", HASH_BYTES)
    if fields.has("lost"):
        lost = fields.fields("lost")
        loss = Loss(lost.integer("n", 0), lost.integer("from_ts"), lost.integer("to_ts"), lost.text("reason"))
        return Tombstone(envelope, fields.integer("last_seq", envelope.seq, MOST_SEQ), sha256, loss)
    sealed = Sealed(
        config_version=fields.raw("config_version", HASH_BYTES),
        until=fields.integer("until"),
        sealed_at=fields.integer("sealed_at"),
        z=bool(fields.integer("z", 0, 1)),
        sha256=sha256,
        columns=fields.raw("columns"),
        events=fields.raw("events"),
    )
    return Batch(envelope, sealed)


def check_version(fields: cbor.Fields) -> None:
    """Raise UnknownVersion unless the message is of the wire version that this release reads."""
    version = fields.integer("v")
    if version != VERSION:
        raise UnknownVersion(f"wire version {version}; this release reads {VERSION}: update the centre first")


def _lane(text: str) -> Lane:
    try:
        return Lane(text)
    except ValueError:
        raise WireError(f"lane {text!r} is neither live nor backfill") from None


def _origin(items: list[Any]) -> Origin:
    fields = cbor.Fields(dict(zip(("epoch", "lane", "seq"), items, strict=False)), "origin")
    return Origin(fields.raw("epoch", EPOCH_BYTES), _lane(fields.text("lane")), fields.integer("seq", 1, MOST_SEQ))
