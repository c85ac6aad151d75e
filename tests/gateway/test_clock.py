"""Anchored time: a wall step moves no reading until the anchor is renewed, and that is an event."""

from hypothesis import given
from hypothesis import strategies as st

from park_gateway.clock import STEP_US, Anchor


class _Clocks:
    def __init__(self) -> None:
        self.wall = 1_800_000_000_000_000
        self.monotonic = 5_000_000

    def anchor(self) -> Anchor:
        return Anchor(lambda: self.wall, lambda: self.monotonic)

    def pass_us(self, microseconds: int) -> None:
        self.wall += microseconds
        self.monotonic += microseconds


@given(st.lists(st.tuples(st.integers(0, 10_000_000), st.integers(-(10**12), 10**12)), max_size=20))
def test_time_follows_the_monotonic_clock_whatever_the_wall_does(steps: list[tuple[int, int]]) -> None:
    clocks = _Clocks()
    anchor = clocks.anchor()
    begin, elapsed = anchor.now(), 0
    for passed, step in steps:
        clocks.pass_us(passed)
        clocks.wall += step
        elapsed += passed
        assert anchor.now() == begin + elapsed


@given(st.integers(-(10**12), 10**12))
def test_renewing_tells_the_step(step: int) -> None:
    clocks = _Clocks()
    anchor = clocks.anchor()
    clocks.pass_us(1_000)
    before = anchor.now()
    clocks.wall += step
    assert anchor.skew() == step
    event = anchor.renew("gw-1")
    if abs(step) <= STEP_US:
        assert event is None
        assert anchor.now() == before
        return
    assert event is not None
    assert (event.device, event.kind, event.time) == ("gw-1", "clock", before)
    assert event.body == {"step_us": step, "before_us": before, "after_us": before + step}
    assert anchor.now() == clocks.wall
    assert anchor.renew("gw-1") is None
