"""Device models for property tests: registers of any type at any place, in any order."""

from dataclasses import replace

from hypothesis import strategies as st

from park_gateway.point import DeviceModel, Order, Point, Protocol, RawType, Register

WIDE = 1e300


def point_at(name: str, register: Register, *, scale: float = 1.0) -> Point:
    """A point whose range is as wide as the world."""
    return Point(
        name=name,
        quantity="anomaly-score",
        unit="1",
        zh="值",
        en="Value",
        factor=scale,
        offset=0.0,
        low=-WIDE,
        high=WIDE,
        register=register,
    )


def model_of(*points: Point, **more: object) -> DeviceModel:
    """A Modbus model of these points."""
    plain = DeviceModel(name="m", zh="表", en="Meter", protocol=Protocol.MODBUS, source="test", points=points)
    return replace(plain, **more)


@st.composite
def device_models(draw: st.DrawFn) -> DeviceModel:
    """Models of 1 to 80 points that do not overlap, near each other or far apart."""
    steps = draw(
        st.lists(
            st.tuples(st.one_of(st.just(0), st.integers(0, 6), st.integers(0, 400)), st.sampled_from(list(RawType))),
            min_size=1,
            max_size=80,
        )
    )
    points: list[Point] = []
    address = draw(st.integers(0, 300))
    for gap, kind in steps:
        address += gap
        if address + kind.words > 60_000:
            break
        period = draw(st.sampled_from([None, None, None, 5_000]))
        point = point_at(f"p{len(points)}", Register(address, kind), scale=draw(st.sampled_from([1.0, 0.1, 60.0])))
        points.append(replace(point, period_ms=period))
        address += kind.words
    order = st.sampled_from(list(Order))
    return model_of(
        *draw(st.permutations(points)),
        function=draw(st.sampled_from([3, 4])),
        word_order=draw(order),
        byte_order=draw(order),
        max_gap=draw(st.integers(0, 40)),
    )
