"""The other messages between a gateway and the centre: hello, birth, ack, status; and live values inside the centre.

All are CBOR maps with `v`. Times are µs UTC.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from park_wire import cbor
from park_wire.batch import EPOCH_BYTES, HASH_BYTES, MOST_SEQ, RUN_BYTES, Lane, check_version
from park_wire.errors import WireError
from park_wire.topics import ID_RULE, VERSION, is_id

MOST_POINTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class LanePosition:
    """Where a lane stands: next seq, oldest kept seq (next_seq when empty), the sha256 before the oldest."""

    next_seq: int
    oldest_seq: int
    before: bytes


@dataclass(frozen=True, slots=True)
class FormerEpoch:
    """An epoch that this outbox had before, with the seq that each lane would have given next."""

    epoch: bytes
    live_next: int
    backfill_next: int


@dataclass(frozen=True, slots=True)
class Hello:
    """Sent on connect, on `need_hello` and after a new epoch: who this run is and what its outbox holds."""

    run: bytes
    epoch: bytes
    made_at: int
    sent_at: int
    lanes: dict[Lane, LanePosition]
    former: tuple[FormerEpoch, ...] = ()

    def encode(self) -> bytes:
        """The payload of the hello topic."""
        return cbor.encode(
            {
                "v": VERSION,
                "run": self.run,
                "epoch": self.epoch,
                "made_at": self.made_at,
                "sent_at": self.sent_at,
                "lanes": {lane.value: [at.next_seq, at.oldest_seq, at.before] for lane, at in self.lanes.items()},
                "former": [[was.epoch, was.live_next, was.backfill_next] for was in self.former],
            }
        )

    @classmethod
    def decode(cls, payload: bytes) -> "Hello":
        """Read a hello. Raises WireError."""
        fields = _open(payload, "hello")
        lanes = fields.fields("lanes")
        return cls(
            run=fields.raw("run", RUN_BYTES),
            epoch=fields.raw("epoch", EPOCH_BYTES),
            made_at=fields.integer("made_at"),
            sent_at=fields.integer("sent_at"),
            lanes={lane: _position(lanes.items(lane.value, 3)) for lane in Lane},
            former=tuple(_former(item) for item in fields.items("former", 1_000)),
        )


@dataclass(frozen=True, slots=True)
class BirthPoint:
    """One point as the gateway knows it: `low` and `high` are its measuring range in `unit`."""

    index: int
    device: str
    name: str
    quantity: str
    unit: str
    low: float
    high: float
    period_ms: int


@dataclass(frozen=True, slots=True)
class Birth:
    """The points behind the indices of a config_version."""

    config_version: bytes
    points: tuple[BirthPoint, ...]

    @classmethod
    def of(cls, points: tuple[BirthPoint, ...]) -> "Birth":
        """The birth of these points; the version is the sha256 of the content. Raises WireError as `decode` does."""
        _check_points(points)
        return cls(hashlib.sha256(_encode_points(points)).digest(), points)

    def encode(self) -> bytes:
        """The payload of the birth topic."""
        return cbor.encode({"v": VERSION, "config_version": self.config_version, "points": _encode_points(self.points)})

    @classmethod
    def decode(cls, payload: bytes) -> "Birth":
        """Read a birth. Raises WireError, also when the version is not its hash or a name stands twice."""
        fields = _open(payload, "birth")
        raw = fields.raw("points")
        version = fields.raw("config_version", HASH_BYTES)
        if hashlib.sha256(raw).digest() != version:
            raise WireError("birth: config_version is not the sha256 of its points")
        items = cbor.Fields({"points": cbor.decode(raw)}, "birth").items("points", MOST_POINTS)
        points = tuple(_birth_point(item) for item in items)
        _check_points(points)
        return cls(version, points)


@dataclass(frozen=True, slots=True)
class Ack:
    """The centre's answer: both marks with their heads for the run and epoch that it answers, or a request."""

    run: bytes
    epoch: bytes
    marks: dict[Lane, tuple[int, bytes]]
    credit: int
    server_time: int
    need_birth: bytes | None = None
    new_epoch: bool = False
    need_hello: bool = False

    def encode(self) -> bytes:
        """The payload of the ack topic."""
        fields: dict[str, Any] = {
            "v": VERSION,
            "run": self.run,
            "epoch": self.epoch,
            "marks": {lane.value: list(mark) for lane, mark in self.marks.items()},
            "credit": self.credit,
            "server_time": self.server_time,
        }
        if self.need_birth is not None:
            fields["need_birth"] = self.need_birth
        if self.new_epoch:
            fields["new_epoch"] = True
        if self.need_hello:
            fields["need_hello"] = True
        return cbor.encode(fields)

    @classmethod
    def decode(cls, payload: bytes) -> "Ack":
        """Read an ack. Raises WireError."""
        fields = _open(payload, "ack")
        marks = fields.fields("marks")
        return cls(
            run=fields.raw("run", RUN_BYTES),
            epoch=fields.raw("epoch", EPOCH_BYTES),
            marks={lane: _mark(marks.items(lane.value, 2)) for lane in Lane if marks.has(lane.value)},
            credit=fields.integer("credit", 0, 64),
            server_time=fields.integer("server_time"),
            need_birth=fields.raw("need_birth", HASH_BYTES) if fields.has("need_birth") else None,
            new_epoch=fields.has("new_epoch") and fields.flag("new_epoch"),
            need_hello=fields.has("need_hello") and fields.flag("need_hello"),
        )


@dataclass(frozen=True, slots=True)
class Status:
    """How a gateway is: also its will, with online false and the rest as it was at connect."""

    run: bytes
    online: bool
    sent_at: int
    depth: int
    oldest_age_ms: int
    disk_free: int
    skew_us: int

    def encode(self) -> bytes:
        """The payload of the status topic."""
        return cbor.encode(
            {
                "v": VERSION,
                "run": self.run,
                "online": self.online,
                "sent_at": self.sent_at,
                "depth": self.depth,
                "oldest_age_ms": self.oldest_age_ms,
                "disk_free": self.disk_free,
                "skew_us": self.skew_us,
            }
        )

    @classmethod
    def decode(cls, payload: bytes) -> "Status":
        """Read a status. Raises WireError."""
        fields = _open(payload, "status")
        return cls(
            run=fields.raw("run", RUN_BYTES),
            online=fields.flag("online"),
            sent_at=fields.integer("sent_at"),
            depth=fields.integer("depth", 0),
            oldest_age_ms=fields.integer("oldest_age_ms"),
            disk_free=fields.integer("disk_free"),
            skew_us=fields.integer("skew_us"),
        )


@dataclass(frozen=True, slots=True)
class LiveValues:
    """What a stream just committed, for consoles. A hole in `seq` means: read `latest`."""

    stream: str
    seq: int
    point: cbor.Ints
    time: cbor.Ints
    value: cbor.Floats
    quality: cbor.Ints

    def encode(self) -> bytes:
        """The payload of the live values topic: point i32, time i64, value f64, quality i32."""
        return cbor.encode(
            {
                "v": VERSION,
                "stream": self.stream,
                "seq": self.seq,
                "point": cbor.as_tag(self.point),
                "time": cbor.as_tag(self.time),
                "value": cbor.as_tag(self.value),
                "quality": cbor.as_tag(self.quality),
            }
        )

    @classmethod
    def decode(cls, payload: bytes) -> "LiveValues":
        """Read live values. Raises WireError."""
        fields = _open(payload, "live values")
        values = cls(
            stream=fields.text("stream"),
            seq=fields.integer("seq", 0),
            point=fields.ints("point", "i"),
            time=fields.ints("time", "q"),
            value=fields.floats("value", "d"),
            quality=fields.ints("quality", "i"),
        )
        if len({len(values.point), len(values.time), len(values.value), len(values.quality)}) != 1:
            raise WireError("live values: columns have unequal lengths")
        return values


def _open(payload: bytes, message: str) -> cbor.Fields:
    fields = cbor.Fields(cbor.decode(payload), message)
    check_version(fields)
    return fields


def _record(items: Any, names: tuple[str, ...], message: str) -> cbor.Fields:
    if not isinstance(items, list) or len(items) != len(names):  # pyright: ignore[reportUnknownArgumentType]
        raise WireError(f"{message} is not a list of {', '.join(names)}")
    return cbor.Fields(dict(zip(names, items, strict=True)), message)  # pyright: ignore[reportUnknownArgumentType]


def _position(items: list[Any]) -> LanePosition:
    fields = _record(items, ("next_seq", "oldest_seq", "before"), "hello.lanes")
    position = LanePosition(
        fields.integer("next_seq", 1, MOST_SEQ),
        fields.integer("oldest_seq", 1, MOST_SEQ),
        fields.raw("before", HASH_BYTES),
    )
    if position.oldest_seq > position.next_seq:
        raise WireError("hello: oldest_seq lies after next_seq")
    return position


def _former(items: Any) -> FormerEpoch:
    fields = _record(items, ("epoch", "live_next", "backfill_next"), "hello.former")
    return FormerEpoch(
        fields.raw("epoch", EPOCH_BYTES),
        fields.integer("live_next", 1, MOST_SEQ),
        fields.integer("backfill_next", 1, MOST_SEQ),
    )


def _mark(items: list[Any]) -> tuple[int, bytes]:
    fields = _record(items, ("mark", "head"), "ack.marks")
    return fields.integer("mark", 0, MOST_SEQ), fields.raw("head", HASH_BYTES)


_POINT_FIELDS: Final = ("index", "device", "name", "quantity", "unit", "low", "high", "period_ms")


def _encode_points(points: tuple[BirthPoint, ...]) -> bytes:
    return cbor.encode([[getattr(point, field) for field in _POINT_FIELDS] for point in points])


def _birth_point(items: Any) -> BirthPoint:
    fields = _record(items, _POINT_FIELDS, "birth.points")
    return BirthPoint(
        index=fields.integer("index", 0, 2**32 - 1),
        device=fields.text("device"),
        name=fields.text("name"),
        quantity=fields.text("quantity"),
        unit=fields.text("unit"),
        low=fields.number("low"),
        high=fields.number("high"),
        period_ms=fields.integer("period_ms", 1, 86_400_000),
    )


def _check_points(points: tuple[BirthPoint, ...]) -> None:
    if len(points) > MOST_POINTS:
        raise WireError(f"birth: {len(points)} points; at most {MOST_POINTS}")
    for point in points:
        for what, text in (("device", point.device), ("point", point.name)):
            if not is_id(text):
                raise WireError(f"birth: {what} {text!r} is not a name; use {ID_RULE}")
    if len({point.index for point in points}) != len(points):
        raise WireError("birth: two points share one index")
    if len({(point.device, point.name) for point in points}) != len(points):
        raise WireError("birth: two points share one device and name")
