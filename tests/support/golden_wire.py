"""The golden payloads of wire version 1: the messages behind the files, and how a file's neighbour describes them.

`python -m support.golden_wire` in tests/ writes the files that are missing and touches no other.
"""

import dataclasses
import json
import math
import re
import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from park_wire.batch import (
    GENESIS,
    Batch,
    Columns,
    Envelope,
    Event,
    Lane,
    Loss,
    Origin,
    Tombstone,
    encode_batch,
    encode_tombstone,
    read_message,
    seal,
)
from park_wire.messages import Ack, Birth, BirthPoint, FormerEpoch, Hello, LanePosition, LiveValues, Status
from support.wire_samples import columns_of, floats, ints

FOLDER: Final = Path(__file__).parents[1] / "contract" / "wire-1"

RUN: Final = bytes.fromhex("a1a2a3a4a5a6a7a8")
EPOCH: Final = bytes.fromhex("00112233445566778899aabbccddeeff")
OLD_EPOCH: Final = bytes.fromhex("ffeeddccbbaa99887766554433221100")
HEAD: Final = bytes.fromhex("5a" * 32)
NOON: Final = 1_795_665_600_000_000
"""2026-11-26T04:00:00Z in µs."""
SIGNALLING_NAN: Final = struct.pack("<Q", 0x7FF4_0000_0000_0001)


@dataclass(frozen=True, slots=True)
class Golden:
    """One golden payload: what it is for, its bytes by today's encoder, and what reads it."""

    about: str
    payload: bytes
    read: Callable[[bytes], Any]


def _birth() -> Birth:
    return Birth.of(
        (
            BirthPoint(0, "incomer-1", "active-power", "active-power", "kW", -50_000.0, 50_000.0, 1_000),
            BirthPoint(1, "incomer-1", "active-energy", "active-energy", "kWh", 0.0, 99_999_999.0, 1_000),
            BirthPoint(7, "tank-2", "pressure", "pressure", "MPa", 0.0, 2.5, 100),
            BirthPoint(8, "tank-2", "relief-valve", "relief-valve", "state", 0.0, 1.0, 100),
        )
    )


def _live(rows: list[tuple[int, int, float, int]]) -> bytes:
    sealed = seal(
        columns_of(rows), (), config_version=_birth().config_version, until=NOON + 100_000, sealed_at=NOON + 103_000
    )
    return encode_batch(Envelope(RUN, EPOCH, Lane.LIVE, 1, GENESIS), sealed)


def _four_rows() -> bytes:
    return _live(
        [
            (0, NOON, 12_345.678, 0x00),
            (1, NOON, 1_000_000.5, 0x00),
            (7, NOON + 50_000, 1.62, 0x42),
            (8, NOON + 50_000, math.nan, 0x85),
        ]
    )


def _many_rows() -> bytes:
    return _live([(7, NOON + n * 1_000, 1.5 + n / 1_000, 0) for n in range(100)])


def _moved() -> bytes:
    columns = columns_of([(0, NOON - 3_600_000_000, -250.25, 0x00), (0, NOON - 3_599_000_000, math.inf, 0x43)])
    sealed = seal(columns, (), config_version=_birth().config_version, until=NOON, sealed_at=NOON + 1)
    return encode_batch(Envelope(RUN, EPOCH, Lane.BACKFILL, 18, HEAD, Origin(OLD_EPOCH, Lane.LIVE, 4_711)), sealed)


def _events_and_marks() -> bytes:
    columns = Columns(
        index=ints("I", [2, 3, 4, 4_294_967_295]),
        time=ints("q", [NOON, NOON, NOON, NOON]),
        value=memoryview(array("d", [35.0, 49.5, -0.0]).tobytes() + SIGNALLING_NAN).cast("d"),
        quality=ints("B", [0x00, 0x00, 0x86, 0x84]),
        mark=ints("B", [1, 7, 3, 5]),
    )
    ticket = {"plate": "蒙B·12345", "gross_t": 48.9, "tare_t": 15.25, "cargo": "电石", "axles": [2, 4], "seal": None}
    events = (
        Event("weighbridge-1", NOON + 1, "weigh-ticket", ticket),
        Event("gate-2", NOON + 2, "gate-pass", {"plate": "蒙B·12345", "inward": True, "lane": 3}),
    )
    sealed = seal(columns, events, config_version=_birth().config_version, until=NOON, sealed_at=NOON + 5)
    return encode_batch(Envelope(RUN, EPOCH, Lane.LIVE, 2, HEAD), sealed)


def _tombstone() -> bytes:
    loss = Loss(15_000, NOON - 60_000_000, NOON, "disk full")
    return encode_tombstone(
        Tombstone(Envelope(RUN, EPOCH, Lane.BACKFILL, 19, HEAD), 21, bytes.fromhex("c3" * 32), loss)
    )


def _hello() -> bytes:
    lanes = {Lane.LIVE: LanePosition(1, 1, GENESIS), Lane.BACKFILL: LanePosition(22, 18, HEAD)}
    return Hello(RUN, EPOCH, NOON - 9, NOON, lanes, (FormerEpoch(OLD_EPOCH, 4_712, 3),)).encode()


def _ack(**asked: Any) -> bytes:
    return Ack(RUN, EPOCH, {Lane.LIVE: (1, HEAD), Lane.BACKFILL: (0, GENESIS)}, 16, NOON, **asked).encode()


def _live_values() -> bytes:
    values = floats([1.62, math.nan])
    columns = (ints("i", [70_001, 70_002]), ints("q", [NOON, NOON + 1]), values, ints("i", [0x42, 0x1085]))
    return LiveValues("push-acme", 99, *columns).encode()


def _data(payload: bytes) -> Any:
    message = read_message(payload)
    if not isinstance(message, Batch):
        return message
    content = message.content()
    assert not content.refused
    return {"message": message, "content": {"columns": content.columns, "events": content.events}}


GOLDEN: Final[dict[str, Golden]] = {
    "batch-live": Golden("a live batch, too small to be compressed; one value is NaN and bad", _four_rows(), _data),
    "batch-live-empty": Golden("a live batch without readings: sealed every second to move `until`", _live([]), _data),
    "batch-live-compressed": Golden("a live batch whose columns are zlib-compressed", _many_rows(), _data),
    "batch-backfill-moved": Golden("a backfill batch that was live seq 4711 of a former epoch", _moved(), _data),
    "batch-events-marks": Golden(
        "events, HJ 212 data marks, and a NaN whose bits must survive", _events_and_marks(), _data
    ),
    "tombstone": Golden("three backfill batches that were dropped, as one range", _tombstone(), _data),
    "hello": Golden("live lane empty, backfill lane holds 18 to 21, one former epoch", _hello(), Hello.decode),
    "birth": Golden(
        "four points; the version is the sha256 of the byte string `points`", _birth().encode(), Birth.decode
    ),
    "ack": Golden("both marks", _ack(), Ack.decode),
    "ack-need-birth": Golden("asks for a birth by its version", _ack(need_birth=_birth().config_version), Ack.decode),
    "ack-new-epoch": Golden("tells the gateway to begin a new epoch", _ack(new_epoch=True), Ack.decode),
    "ack-need-hello": Golden("asks for a hello", _ack(need_hello=True), Ack.decode),
    "status": Golden(
        "a gateway that is online", Status(RUN, True, NOON, 3, 250, 10**10, -1_500).encode(), Status.decode
    ),
    "status-will": Golden(
        "the will of the same gateway", Status(RUN, False, NOON, 0, 0, 10**10, 0).encode(), Status.decode
    ),
    "live-values": Golden("two values that a stream has just committed", _live_values(), LiveValues.decode),
}


def describe(value: Any) -> Any:
    """What was read, as JSON: byte strings in hexadecimal, columns as lists, NaN and infinities by name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    match value:
        case bytes():
            return value.hex()
        case Enum():
            return value.value
        case float() if not math.isfinite(value):
            return str(value)
        case memoryview() | tuple() | list():
            return [describe(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return {str(describe(key)): describe(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def neighbour(golden: Golden) -> str:
    """The text beside a payload: what it is for, its bytes, and what must be read from them."""
    dump = golden.payload.hex(" ")
    lines = [dump[at : at + 96].rstrip() for at in range(0, len(dump), 96)]
    told = {"about": golden.about, "hex": lines, "decoded": describe(golden.read(golden.payload))}
    text = json.dumps(told, ensure_ascii=False, indent=1)
    # A column stands on one line, the dump does not.
    return re.sub(r"\[\n[^][{}]*\]", _on_one_line, text) + "\n"


def _on_one_line(found: re.Match[str]) -> str:
    joined = re.sub(r"\s*\n\s*", " ", found[0]).replace("[ ", "[").replace(" ]", "]")
    return found[0] if re.search(r'"[0-9a-f]{2} ', joined) else joined


def write_missing() -> list[str]:
    """Write the golden files that do not exist; returns their names."""
    written: list[str] = []
    for name, golden in GOLDEN.items():
        path = FOLDER / f"{name}.cbor"
        if not path.exists():
            path.write_bytes(golden.payload)
            path.with_suffix(".json").write_text(neighbour(golden), encoding="utf-8")
            written.append(name)
    return written


if __name__ == "__main__":
    write_missing()
