"""Hello, birth, ack, status and live values; and every kind of message with every field replaced by nonsense."""

import contextlib
import copy
import hashlib
import math
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from park_wire import cbor
from park_wire.batch import MOST_SEQ, Columns, Lane
from park_wire.errors import UnknownVersion, WireError
from park_wire.messages import Ack, Birth, BirthPoint, FormerEpoch, Hello, LanePosition, LiveValues, Status
from support.wire_samples import (
    EPOCH,
    HEAD,
    MESSAGES,
    NOON,
    RUN,
    VERSION_HASH,
    columns,
    epochs,
    floats,
    hashes,
    i64,
    ints,
    lanes,
    names,
    runs,
    sample_ack,
    sample_birth,
    sample_hello,
    sample_live_values,
    sample_status,
    seqs,
    texts,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
positions = st.tuples(seqs, seqs, hashes).map(lambda drawn: LanePosition(max(drawn[:2]), min(drawn[:2]), drawn[2]))
points = st.lists(
    st.builds(BirthPoint, st.integers(0, 2**32 - 1), names, names, texts, texts, finite, finite, st.integers(1, 10**6)),
    max_size=6,
    unique_by=(lambda point: point.index, lambda point: (point.device, point.name)),
).map(tuple)


# ------------------------------------------------------------------------------------------------- round trips


@given(
    runs,
    epochs,
    i64,
    i64,
    st.fixed_dictionaries({Lane.LIVE: positions, Lane.BACKFILL: positions}),
    st.lists(st.builds(FormerEpoch, epochs, seqs, seqs), max_size=4).map(tuple),
)
def test_hello_comes_back(
    run: bytes,
    epoch: bytes,
    made_at: int,
    sent_at: int,
    at: dict[Lane, LanePosition],
    former: tuple[FormerEpoch, ...],
) -> None:
    hello = Hello(run, epoch, made_at, sent_at, at, former)
    assert Hello.decode(hello.encode()) == hello


@given(points)
def test_birth_comes_back_and_its_version_names_its_content(found: tuple[BirthPoint, ...]) -> None:
    birth = Birth.of(found)
    assert Birth.decode(birth.encode()) == birth
    assert Birth.of(found).config_version == birth.config_version
    assert len(birth.config_version) == 32
    if found:
        assert Birth.of(found[1:]).config_version != birth.config_version


@given(
    runs,
    epochs,
    st.dictionaries(lanes, st.tuples(st.integers(0, MOST_SEQ), hashes)),
    st.integers(0, 64),
    i64,
    st.none() | hashes,
    st.booleans(),
    st.booleans(),
)
def test_ack_comes_back(
    run: bytes,
    epoch: bytes,
    marks: dict[Lane, tuple[int, bytes]],
    credit: int,
    server_time: int,
    need_birth: bytes | None,
    new_epoch: bool,
    need_hello: bool,
) -> None:
    ack = Ack(run, epoch, marks, credit, server_time, need_birth, new_epoch, need_hello)
    assert Ack.decode(ack.encode()) == ack


@given(st.builds(Status, runs, st.booleans(), i64, st.integers(0, 2**63 - 1), i64, i64, i64))
def test_status_comes_back(status: Status) -> None:
    assert Status.decode(status.encode()) == status


@given(texts, st.integers(0, 2**63 - 1), columns(most=20), st.data())
def test_live_values_come_back(stream: str, seq: int, readings: Columns, data: st.DataObject) -> None:
    size = len(readings)
    i32s = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=size, max_size=size)
    point, quality = ints("i", data.draw(i32s)), ints("i", data.draw(i32s))
    values = LiveValues(stream, seq, point, readings.time, readings.value, quality)
    found = LiveValues.decode(values.encode())
    assert (found.stream, found.seq) == (stream, seq)
    for name in ("point", "time", "value", "quality"):
        assert getattr(found, name).tobytes() == getattr(values, name).tobytes()


def test_an_ack_says_nothing_that_it_does_not_mean() -> None:
    """Optional fields are left out: an absent `new_epoch` and a false one are the same to a gateway."""
    plain = Ack(RUN, EPOCH, {Lane.LIVE: (1, HEAD)}, 1, NOON)
    assert set(cbor2.loads(plain.encode())) == {"v", "run", "epoch", "marks", "credit", "server_time"}
    for name in ("new_epoch", "need_hello"):
        fields = cbor2.loads(plain.encode()) | {name: False}
        assert Ack.decode(cbor2.dumps(fields)) == plain


def test_a_gateway_passes_over_what_a_newer_centre_adds() -> None:
    """Gateways in the field lag behind: a field that they don't know must not stop them."""
    fields = cbor2.loads(sample_ack().encode())
    fields["later"] = {"a": [1, 2]}
    fields["marks"]["express"] = [1, HEAD]
    assert Ack.decode(cbor2.dumps(fields)) == sample_ack()


# ------------------------------------------------------------------------------------------------- refusals

JUNK: list[Any] = [
    *(None, True, 0, -1, 2**63, 2**64 - 1, -(2**64), 1.5, math.nan, math.inf),
    *("", "x", "x" * 300, "a\0b", b"", b"x", bytes(8), bytes(16), bytes(32)),
    *([], [1], [1, 2], [1, 2, 3], [[], []], {}, {"a": 1}, {1: 2}),
    *(cbor2.undefined, cbor2.CBORSimpleValue(200), cbor2.CBORTag(64, b"x"), cbor2.CBORTag(86, bytes(7))),
    *(cbor2.CBORTag(70, bytes(8)), cbor2.CBORTag(0, "2026-11-23"), cbor2.CBORTag(35, "a+")),
]
Path = tuple[Any, ...]


def paths(value: Any, here: Path = ()) -> Iterator[Path]:
    """Where values stand in a message, the outermost first."""
    yield here
    places: list[Any] = list(value) if isinstance(value, dict) else []  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, list):
        places = [*range(len(value))]  # pyright: ignore[reportUnknownArgumentType]
    for place in places:
        yield from paths(value[place], (*here, place))


def replaced(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = replaced(changed[path[0]], path[1:], new)
    return changed


@pytest.mark.parametrize("kind", MESSAGES)
def test_nonsense_in_any_place_is_a_wire_error_or_harmless(kind: str) -> None:
    payload, read = MESSAGES[kind]
    message = cbor2.loads(payload)
    refused = 0
    for path in paths(message):
        for junk in JUNK:
            try:
                read(cbor2.dumps(replaced(message, path, junk)))
            except WireError:
                refused += 1
    assert refused > 10 * len(message)


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_value_of_another_type_is_refused_in_every_field(kind: str) -> None:
    payload, read = MESSAGES[kind]
    message: dict[str, Any] = cbor2.loads(payload)
    samples = [None, True, "text", b"bytes", 1.5, 5, [b"list"], {"map": 1}, cbor2.undefined, cbor2.CBORTag(64, b"x")]
    for name, value in message.items():
        for junk in samples:
            if type(junk) is not type(value):
                with pytest.raises(WireError):
                    read(cbor2.dumps(message | {name: junk}))


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_missing_field_is_named(kind: str) -> None:
    payload, read = MESSAGES[kind]
    message: dict[str, Any] = cbor2.loads(payload)
    # Without "lost" a tombstone is a batch that lacks its content.
    for name in set(message) - {"origin", "need_birth", "new_epoch", "need_hello", "lost"}:
        left = {key: value for key, value in message.items() if key != name}
        with pytest.raises(WireError, match=f"no field '{name}'"):
            read(cbor2.dumps(left))


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_message_is_of_version_1_and_ends_where_it_ends(kind: str) -> None:
    payload, read = MESSAGES[kind]
    message: dict[str, Any] = cbor2.loads(payload)
    assert message["v"] == 1
    with pytest.raises(UnknownVersion):
        read(cbor2.dumps(message | {"v": 2}))
    with pytest.raises(WireError, match="follow"):
        read(payload + b"\xf6")
    for size in range(len(payload)):
        with pytest.raises(WireError):
            read(payload[:size])


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_key_that_stands_twice_is_refused(kind: str) -> None:
    payload, read = MESSAGES[kind]
    message: dict[str, Any] = cbor2.loads(payload)
    for name, value in message.items():
        twice = bytes([payload[0] + 1]) + cbor2.dumps(name) + cbor2.dumps(value) + payload[1:]
        with pytest.raises(WireError):
            read(twice)


@given(st.sampled_from(sorted(MESSAGES)), st.data())
@settings(max_examples=300)
def test_any_damage_is_a_wire_error_or_harmless(kind: str, data: st.DataObject) -> None:
    payload, read = MESSAGES[kind]
    damaged = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        damaged[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    with contextlib.suppress(WireError):
        read(bytes(damaged))


@given(st.sampled_from(sorted(MESSAGES)), st.binary(max_size=80))
@settings(max_examples=300)
def test_any_bytes_are_a_wire_error(kind: str, payload: bytes) -> None:
    with pytest.raises(WireError):
        MESSAGES[kind][1](payload)


@pytest.mark.parametrize("kind", [kind for kind in MESSAGES if kind not in {"moved", "compressed"}])
def test_one_message_is_not_taken_for_another(kind: str) -> None:
    for other, (payload, _) in MESSAGES.items():
        related = {"batch", "moved", "compressed", "tombstone"}
        if other != kind and not {kind, other} <= related:
            with pytest.raises(WireError):
                MESSAGES[kind][1](payload)


def changed(payload: bytes, **fields: Any) -> bytes:
    return cbor2.dumps(cbor2.loads(payload) | fields)


@pytest.mark.parametrize(
    "lanes_",
    [
        {"live": [1, 1, bytes(32)]},
        {"live": [1, 1, bytes(32)], "backfill": [1, 2, bytes(32)]},
        {"live": [1, 1, bytes(32)], "backfill": [0, 0, bytes(32)]},
        {"live": [1, 1, bytes(32)], "backfill": [1, 1, bytes(31)]},
        {"live": [1, 1, bytes(32)], "backfill": [2**62 + 1, 1, bytes(32)]},
        {"live": [1, 1, bytes(32)], "backfill": [1, 1]},
        {"live": [1, 1, bytes(32)], "backfill": [1, 1, bytes(32), 1]},
    ],
    ids=["one lane", "oldest after next", "seq 0", "short hash", "seq past its end", "two of three", "four of three"],
)
def test_wrong_lanes_of_a_hello_are_refused(lanes_: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        Hello.decode(changed(sample_hello().encode(), lanes=lanes_))


def test_a_hello_with_a_thousand_former_epochs_is_the_most() -> None:
    one = [bytes(16), 1, 1]
    assert len(Hello.decode(changed(sample_hello().encode(), former=[one] * 1_000)).former) == 1_000
    with pytest.raises(WireError):
        Hello.decode(changed(sample_hello().encode(), former=[one] * 1_001))


@pytest.mark.parametrize("credit", [-1, 65, None, "1"])
def test_credit_has_bounds(credit: Any) -> None:
    with pytest.raises(WireError, match="credit"):
        Ack.decode(changed(sample_ack().encode(), credit=credit))


def birth_of(rows: list[list[Any]]) -> bytes:
    raw = cbor2.dumps(rows)
    return cbor2.dumps({"v": 1, "config_version": hashlib.sha256(raw).digest(), "points": raw})


ROW: list[Any] = [0, "tank-2", "pressure", "pressure", "MPa", 0.0, 2.5, 100]


def test_the_row_of_the_cases_below_is_right() -> None:
    assert Birth.decode(birth_of([ROW])).points == sample_birth().points[:1]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        *((0, wrong) for wrong in (-1, 2**32, "0", None, 1.0)),
        *((1, wrong) for wrong in ("Tank 2", "", "tank_2", "tank/2", "储罐", "t" * 33, None, b"tank-2")),
        *((2, wrong) for wrong in ("a+b", "#", "", None)),
        *((3, wrong) for wrong in (None, 5, "x" * 257, "a\0")),
        *((4, wrong) for wrong in (None, 5, "x" * 257, "a\0")),
        *((5, wrong) for wrong in (None, "0", math.nan, math.inf, True)),
        *((6, wrong) for wrong in (None, "0", math.nan, -math.inf, True)),
        *((7, wrong) for wrong in (0, -1, 86_400_001, 1.5, None)),
    ],
)
def test_wrong_point_of_a_birth_is_refused(at: int, value: Any) -> None:
    with pytest.raises(WireError):
        Birth.decode(birth_of([replaced(ROW, (at,), value)]))


@pytest.mark.parametrize("rows", [[ROW[:-1]], [[*ROW, 1]], [[]], [5], [{}], [None]], ids=repr)
def test_wrong_rows_of_a_birth_are_refused(rows: list[Any]) -> None:
    with pytest.raises(WireError, match=r"birth\.points is not a list of index, device"):
        Birth.decode(birth_of(rows))


def test_indices_and_names_of_a_birth_are_unique_when_read_and_when_made() -> None:
    one = sample_birth().points[0]
    same_index = BirthPoint(one.index, "tank-3", one.name, "pressure", "MPa", 0, 1, 100)
    same_name = BirthPoint(5, one.device, one.name, "pressure", "MPa", 0, 1, 100)
    no_name = BirthPoint(5, "Tank 3", one.name, "pressure", "MPa", 0, 1, 100)
    for other, why in ((same_index, "one index"), (same_name, "one device and name"), (no_name, "not a name")):
        with pytest.raises(WireError, match=why):
            Birth.of((one, other))
    with pytest.raises(WireError, match="one index"):
        Birth.decode(birth_of([ROW, replaced(ROW, (1,), "tank-3")]))
    with pytest.raises(WireError, match="one device and name"):
        Birth.decode(birth_of([ROW, replaced(ROW, (0,), 1)]))


def test_a_birth_that_is_not_its_hash_is_refused() -> None:
    payload = sample_birth().encode()
    with pytest.raises(WireError, match="sha256"):
        Birth.decode(changed(payload, config_version=VERSION_HASH))
    with pytest.raises(WireError, match="sha256"):
        Birth.decode(payload.replace(b"tank-2", b"tank-3", 1))


@pytest.mark.parametrize("name", ["point", "time", "value", "quality"])
def test_live_values_have_one_length(name: str) -> None:
    column: dict[str, Any] = {"point": ints("i", [1]), "time": ints("q", [1]), "value": floats([1.0])}
    fields: dict[str, Any] = cbor2.loads(sample_live_values().encode())
    fields[name] = column.get(name, ints("i", [1]))
    with pytest.raises(WireError, match="unequal lengths"):
        LiveValues.decode(cbor.encode(fields))


def test_a_will_is_a_status() -> None:
    assert Status.decode(changed(sample_status().encode(), online=False)).online is False
