"""Words -> readings: all orders and types, ranges, sentinels, marks, bits; and fast enough."""

import math
import struct
import tomllib
from dataclasses import replace
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_gateway.decode import Block, Decoded, compile_block, decode_block
from park_gateway.device import image, load_model
from park_gateway.plan import NoPlan, plan
from park_gateway.point import DeviceModel, MarkRegister, Order, RawType, Register
from park_wire.quality import Mark, Quality
from support.gateway_cases import CASES
from support.gateway_models import device_models, model_of, point_at


def _blocks(model: DeviceModel, *, sample: bool = False) -> list[Block]:
    requests = plan(model, 1000, sample=sample)
    names = [point.name for point in model.points] + [f"sample-{request.name}" for request in requests]
    index = {name: at for at, name in enumerate(names)}
    return [compile_block(model, request, index, device="d") for request in requests]


def _words(block: Block, shown: dict[int, int], ordinal: int | None = None) -> bytes:
    request = block.request
    words = [shown.get(at, 0) for at in range(request.address, request.address + request.count)]
    if ordinal is not None:
        words[-2:] = divmod(ordinal, 65_536)
    return struct.pack(f">{len(words)}H", *words)


def _decode(model: DeviceModel, shown: dict[int, int]) -> dict[str, tuple[float, int, int]]:
    """Value, quality and mark by point."""
    found: dict[str, tuple[float, int, int]] = {}
    for block in _blocks(model):
        decoded = decode_block(block, _words(block, shown))
        for name, value, quality, mark in zip(
            block.request.points, decoded.value, decoded.quality, decoded.mark, strict=True
        ):
            found[name] = value, quality, mark
    return found


def _check(decoded: Decoded, length: int) -> None:
    assert len(decoded.index) == len(decoded.value) == len(decoded.quality) == len(decoded.mark) == length


@given(device_models(), st.booleans(), st.data())
def test_decoding_a_plan_gives_back_what_the_device_shows(
    model: DeviceModel, sample: bool, data: st.DataObject
) -> None:
    """The registers are made one by one, by `image`; decoding takes whole blocks."""
    try:
        blocks = _blocks(model, sample=sample)
    except NoPlan:
        return
    values: dict[str, float] = {}
    for point in model.points:
        register = point.register
        assert register is not None
        values[point.name] = point.factor * data.draw(_raw(register.type), label=point.name)
    shown = image(model, values)
    ordinal = data.draw(st.integers(0, 2**32 - 1))
    seen: list[int] = []
    for block in blocks:
        decoded = decode_block(block, _words(block, shown, ordinal if sample else None))
        _check(decoded, len(block.request.points) + sample)
        for name, value in zip(block.request.points, decoded.value, strict=False):
            assert value == pytest.approx(values[name], rel=1e-6), name
        assert not any(decoded.quality)
        assert not any(decoded.mark)
        assert decoded.ordinal == (ordinal if sample else None)
        if sample:
            assert decoded.value[-1] == ordinal
        seen += decoded.index
    assert sorted(seen) == list(range(len(model.points) + sample * len(blocks)))


def _raw(kind: RawType) -> st.SearchStrategy[float]:
    match kind:
        case RawType.F32:
            return st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)
        case RawType.F64:
            return st.floats(-1e200, 1e200, allow_subnormal=False)
        case _:
            bits = min(16 * kind.words, 53)
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind.value[0] == "i" else (0, 2**bits - 1)
            return st.integers(low, high).map(float)


VALUE = 0x41424344


@pytest.mark.parametrize(
    ("word_order", "byte_order", "came"),
    [
        (Order.BIG, Order.BIG, b"ABCD"),
        (Order.LITTLE, Order.BIG, b"CDAB"),
        (Order.BIG, Order.LITTLE, b"BADC"),
        (Order.LITTLE, Order.LITTLE, b"DCBA"),
    ],
)
def test_the_four_orders_by_name(word_order: Order, byte_order: Order, came: bytes) -> None:
    model = model_of(
        point_at("long", Register(0, RawType.U32)),
        point_at("short", Register(2, RawType.U16)),
        word_order=word_order,
        byte_order=byte_order,
    )
    short = b"AB" if byte_order is Order.BIG else b"BA"
    (block,) = _blocks(model)
    assert decode_block(block, came + short).value == [float(VALUE), float(0x4142)]


@pytest.mark.parametrize("name", sorted(path.stem for path in (CASES / "maps").glob("*.toml")))
def test_what_a_maker_shows_is_what_is_meant(name: str) -> None:
    case = tomllib.loads((CASES / "maps" / f"{name}.toml").read_text("utf-8"))
    shown = {int(first, 0) + at: word for first, words in case["registers"].items() for at, word in enumerate(words)}
    found = _decode(load_model(name), shown)
    for point, expected in case["expected"].items():
        value, quality, _ = found[point]
        assert (value, quality) == (pytest.approx(expected, rel=1e-6), Quality.GOOD), point


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_bad_and_not_a_value(raw: float) -> None:
    model = model_of(point_at("a", Register(0, RawType.F32)), point_at("b", Register(2, RawType.F32)))
    found = _decode(model, image(model, {"a": raw, "b": 5.0}))
    assert math.isnan(found["a"][0])
    assert found["a"][1] == Quality.BAD_NONSENSE
    assert found["b"][:2] == (5.0, Quality.GOOD)


def test_a_pattern_that_means_no_value() -> None:
    air = load_model("generic-air-station")
    found = _decode(air, image(air, {"pm25": math.nan, "pm10": 35.0, "temperature": math.nan}))
    for point in ("pm25", "temperature"):
        assert math.isnan(found[point][0])
        assert found[point][1] == Quality.BAD_NONSENSE
    assert found["pm10"][:2] == (35.0, Quality.GOOD)


def test_a_pattern_of_a_float() -> None:
    register = Register(0, RawType.F32, invalid=(0x7F7FFFFF,))
    model = model_of(point_at("a", register))
    found = _decode(model, {0: 0x7F7F, 1: 0xFFFF})
    assert math.isnan(found["a"][0])
    assert found["a"][1] == Quality.BAD_NONSENSE


def test_outside_the_measuring_range_the_value_is_kept() -> None:
    cems = load_model("generic-cems")
    found = _decode(cems, image(cems, {"so2": 501.0, "nox": 500.0, "o2": -0.5, "dust": 1.0}))
    assert found["so2"][:2] == (501.0, Quality.UNCERTAIN_RANGE_EXCEEDED)
    assert found["nox"][:2] == (500.0, Quality.GOOD)
    assert found["o2"][:2] == (-0.5, Quality.UNCERTAIN_RANGE_EXCEEDED)
    assert found["dust"][1] == Quality.GOOD


def test_an_offset_is_added_after_the_factor() -> None:
    kelvin = replace(point_at("t", Register(0, RawType.U16), scale=0.1), offset=-273.15)
    assert _decode(model_of(kelvin), {0: 2932})["t"][0] == pytest.approx(20.05)


def test_bits_are_states() -> None:
    gate = load_model("generic-gate-actuator")
    for opened, closed in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        found = _decode(gate, image(gate, {"limit-open": opened, "limit-closed": closed, "position": 50.0}))
        assert (found["limit-open"][0], found["limit-closed"][0]) == (opened, closed)
        assert found["position"][0] == 50.0


@pytest.mark.parametrize("mark", [mark for mark in Mark if mark is not Mark.NONE])
def test_a_mark_register_marks_every_value(mark: Mark) -> None:
    cems = load_model("generic-cems")
    found = _decode(cems, image(cems, {"so2": 20.0}, mark))
    assert {one[2] for one in found.values()} == {mark}


def test_a_mark_marks_the_points_that_it_names() -> None:
    mark = MarkRegister(Register(2, RawType.U16), {7: Mark.MAINTENANCE}, ("a",))
    model = model_of(point_at("a", Register(0, RawType.U16)), point_at("b", Register(1, RawType.U16)), marks=(mark,))
    found = _decode(model, {0: 1, 1: 2, 2: 7})
    assert (found["a"][2], found["b"][2]) == (Mark.MAINTENANCE, Mark.NONE)


def test_a_code_that_the_model_does_not_know_is_not_normal() -> None:
    cems = load_model("generic-cems")
    shown = image(cems, {"so2": 20.0}) | {25: 77}
    assert _decode(cems, shown)["so2"][2] == Mark.INSTRUMENT_FAULT


def test_an_answer_of_another_length_is_refused() -> None:
    (block,) = _blocks(model_of(point_at("a", Register(0, RawType.U16))))
    with pytest.raises(struct.error):
        decode_block(block, b"\0\0\0\0")


def test_decoding_is_fast_enough_to_be_forgotten() -> None:
    """Half a µs a point leaves three quarters of a core at 200,000 points/s; ten times that would be a mistake."""
    model = model_of(*(point_at(f"p{at}", Register(at, RawType.F32), scale=0.1) for at in range(0, 124, 2)))
    (block,) = _blocks(model)
    words = _words(block, image(model, dict.fromkeys((point.name for point in model.points), 230.0)))
    best = math.inf
    for _ in range(5):
        start = perf_counter()
        for _ in range(200):
            decode_block(block, words)
        best = min(best, perf_counter() - start)
    assert best / 200 / len(model.points) < 5e-6
