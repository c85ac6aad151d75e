"""Registers -> requests: every point in exactly one, within the limits, no value split, room for the sample."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_gateway.device import SAMPLE_WORDS, load_model
from park_gateway.plan import MOST_WORDS, NoPlan, Request, plan
from park_gateway.point import DeviceModel, MarkRegister, RawType, Register
from park_wire.quality import Mark
from support.gateway_models import device_models, model_of, point_at


def _spans(model: DeviceModel, requests: tuple[Request, ...], *, sample: bool) -> None:
    seen: list[str] = []
    for request in requests:
        end = request.address + request.count
        values_end = end - (SAMPLE_WORDS if sample else 0)
        assert 1 <= request.count <= MOST_WORDS
        assert end <= 65_536
        assert request.sample is sample
        assert request.points
        for name in request.points:
            point = model.point(name)
            register = point.register
            assert register is not None
            assert request.address <= register.address
            assert register.end <= values_end
            assert request.period_ms == (point.period_ms or 1000)
        if sample:
            assert model.mapped.isdisjoint(range(values_end, end))
        seen += request.points
    assert sorted(seen) == sorted(point.name for point in model.points)
    assert len({request.name for request in requests}) == len(requests)


@given(device_models(), st.booleans())
def test_every_point_is_read_once_within_the_limits(model: DeviceModel, sample: bool) -> None:
    try:
        requests = plan(model, 1000, sample=sample)
    except NoPlan:
        # Only the sample can make a plan impossible: a run of registers without two free ones between.
        assert sample
        return
    _spans(model, requests, sample=sample)


@given(device_models())
def test_what_is_read_along_unused_is_within_the_gap(model: DeviceModel) -> None:
    for request in plan(model, 1000, sample=False):
        used: set[int] = set()
        for name in request.points:
            register = model.point(name).register
            assert register is not None
            used |= set(range(register.address, register.end))
        unused = [at for at in range(request.address, request.address + request.count) if at not in used]
        runs = [at for at in unused if at - 1 not in unused]
        for first in runs:
            length = next(n for n in range(1, 200) if first + n not in unused)
            assert length <= model.max_gap


def _u16(*addresses: int, **more: object) -> DeviceModel:
    return model_of(*(point_at(f"p{at}", Register(at, RawType.U16)) for at in addresses), **more)


def _read(model: DeviceModel, *, sample: bool = False) -> list[tuple[str, int]]:
    return [(request.name, request.count) for request in plan(model, 1000, sample=sample)]


def test_gaps_are_merged_up_to_the_models_limit() -> None:
    assert _read(_u16(0, 9, max_gap=8)) == [("h0", 10)]
    assert _read(_u16(0, 10, max_gap=8)) == [("h0", 1), ("h10", 1)]
    assert _read(_u16(0, 9, max_gap=8, function=4)) == [("i0", 10)]


def test_a_full_request_has_125_words() -> None:
    assert _read(_u16(*range(125))) == [("h0", 125)]
    assert _read(_u16(*range(126))) == [("h0", 125), ("h125", 1)]
    floats = model_of(*(point_at(f"p{at}", Register(at, RawType.F64)) for at in range(1, 241, 4)))
    assert _read(floats) == [("h1", 124), ("h125", 116)]


def test_the_sample_takes_two_words_outside_the_map() -> None:
    assert _read(_u16(0, 1), sample=True) == [("h0", 4)]
    # One register free between is too little for it, so the two are read in one request whatever max_gap says.
    assert _read(_u16(0, 2), sample=True) == [("h0", 5)]
    assert _read(_u16(0, 3), sample=True) == [("h0", 3), ("h3", 3)]
    assert _read(_u16(*range(123)), sample=True) == [("h0", 125)]


def test_where_the_sample_has_no_room_the_split_moves() -> None:
    # 100 registers, two free ones, 60 registers: without the sample one request of 125 words and the rest.
    model = _u16(*range(100), *range(102, 162), max_gap=5)
    assert _read(model) == [("h0", 125), ("h125", 37)]
    assert _read(model, sample=True) == [("h0", 102), ("h102", 62)]


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (_u16(*range(124)), "registers 0 to 123 can't be parted and are more than 123"),
        (_u16(65_535), "no room for the sample behind the last register"),
    ],
)
def test_no_room_for_the_sample(model: DeviceModel, problem: str) -> None:
    with pytest.raises(NoPlan, match=problem):
        plan(model, 1000, sample=True)
    plan(model, 1000, sample=False)


def test_periods_are_read_apart() -> None:
    model = _u16(0, 1, 2, max_gap=10)
    slow = replace(model.points[1], period_ms=60_000)
    model = replace(model, points=(model.points[0], slow, model.points[2]))
    requests = plan(model, 1000, sample=False)
    assert [(request.name, request.count, request.period_ms) for request in requests] == [
        ("h0", 3, 1000),
        ("h1", 1, 60_000),
    ]
    # The sample of the slow one would lie on register 2, so it reads that along.
    assert [(r.name, r.count, r.points) for r in plan(model, 1000, sample=True)] == [
        ("h0", 5, ("p0", "p2")),
        ("h1", 4, ("p1",)),
    ]


def test_bits_of_one_register_in_two_periods_are_refused() -> None:
    points = [point_at(f"b{bit}", Register(0, RawType.U16, bit)) for bit in (0, 1)]
    model = model_of(points[0], replace(points[1], period_ms=60_000))
    with pytest.raises(NoPlan, match="two requests begin at h0"):
        plan(model, 1000, sample=False)


def test_a_mark_is_read_with_its_values_or_not_at_all() -> None:
    near = MarkRegister(Register(12, RawType.U16), {0: Mark.NORMAL}, ("p0", "p5"))
    assert _read(_u16(0, 5, max_gap=6, marks=(near,))) == [("h0", 13)]
    with pytest.raises(NoPlan, match="the mark at 12 is not read in one request with point 'p0'"):
        plan(_u16(0, 5, max_gap=4, marks=(near,)), 1000, sample=False)
    assert _read(load_model("generic-cems"), sample=True) == [("i0", 28)]
