"""What rollups say that a meter counted against a meter that knows what flowed, however its readings were cut."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from park_platform.storage.buckets import MINUTE_US, BucketFlag
from park_platform.storage.connect import Connection
from park_platform.storage.readings import copy_readings
from park_platform.storage.rollups import mark_dirty, roll
from park_wire.quality import LATE, Quality
from support.series import DAY, NOON, SECOND, Row, add_points, add_stream, frame_of

NOW = NOON + DAY
SPAN = 1_000
"""Units between a meter's lowest and highest value. Whole units, so that every sum is exact."""
TENTH = SPAN // 10


@dataclass
class PlainMeter:
    """A meter that goes from `low` to `low` + SPAN, over and over, and the minutes in which something was seen."""

    low: int
    value: int = field(init=False)
    readings: list[tuple[int, float, int]] = field(default_factory=list[tuple[int, float, int]])
    flowed: Counter[int] = field(default_factory=Counter[int])
    rolled: set[int] = field(default_factory=set[int])
    reset: set[int] = field(default_factory=set[int])

    def __post_init__(self) -> None:
        self.value = self.low

    def live(self, time: int, kind: str, amount: int) -> None:
        """Something happens to the meter, and it is read."""
        minute = time // MINUTE_US * MINUTE_US
        offset = self.value - self.low
        match kind:
            # No step is longer than the tenth in which a rollover can be told from a reset.
            case "flow":
                offset += amount
                self.flowed[minute] += amount
                if offset > SPAN:
                    offset -= SPAN
                    self.rolled.add(minute)
            # The new meter's count says nothing about what flowed; one that looks like a rollover is none of these.
            case "exchange" if offset > amount and (offset < SPAN - TENTH or amount > TENTH):
                offset = amount
                self.reset.add(minute)
            case "jump" if offset + amount < SPAN:
                offset += amount
                self.flowed[minute] += amount
            # Unreadable, or a number that its own quality disowns: neither is a step.
            case "bad":
                self.readings.append((time, float(self.low + amount), int(Quality.BAD)))
                return
            case "no number":
                self.readings.append((time, float("nan"), 0))
                return
            case _:
                pass
        self.value = self.low + offset
        quality = int(Quality.UNCERTAIN) if amount % 7 == 0 else LATE if amount % 5 == 0 else 0
        self.readings.append((time, float(self.value), quality))


_lives = st.lists(
    st.tuples(
        st.one_of(st.integers(1, 90).map(lambda s: s * SECOND), st.just(60 * SECOND), st.just(400 * SECOND)),
        st.one_of(
            st.tuples(st.just("flow"), st.integers(0, TENTH)),
            st.tuples(st.just("exchange"), st.integers(0, SPAN)),
            st.tuples(st.just("jump"), st.integers(0, SPAN)),
            st.tuples(st.sampled_from(["bad", "no number"]), st.integers(0, SPAN)),
        ),
    ),
    min_size=1,
    max_size=40,
)
# How many readings a commit takes, how far it says that nothing older follows, and the rounds after it.
_cuts = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3_000), st.integers(0, 3)), max_size=8)
_ROLLOVER_TWICE_AND_EXCHANGE = [("jump", 950), ("flow", 100), ("bad", 3), ("jump", 850), ("flow", 100), ("exchange", 7)]


@pytest.mark.parametrize("low", [0, -500, 1_000])
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(life=_lives, cuts=_cuts, order=st.randoms())
@example(life=[(45 * SECOND, step) for step in _ROLLOVER_TWICE_AND_EXCHANGE], cuts=[(2, 120, 1)], order=Random(1))
@example(life=[(45 * SECOND, step) for step in _ROLLOVER_TWICE_AND_EXCHANGE], cuts=[(1, 600, 3)] * 3, order=Random(2))
# From the middle of the range to its start: exchanged, not rolled over.
@example(life=[(9 * SECOND, ("jump", 700)), (9 * SECOND, ("exchange", 7))], cuts=[], order=Random(1))
def test_consumption_is_what_flowed(
    admin: Connection,
    ingest: Connection,
    operate: Connection,
    low: int,
    life: list[tuple[int, tuple[str, int]]],
    cuts: list[tuple[int, int, int]],
    order: Random,
) -> None:
    meter = PlainMeter(low)
    time = NOON
    # The first reading of all has nothing before it, so nothing flowed.
    meter.live(time, "read", 0)
    for after, (kind, amount) in life:
        time += after
        meter.live(time, kind, amount)
    until = time // MINUTE_US * MINUTE_US + MINUTE_US

    stream, _ = add_stream(admin, 0)
    [point] = add_points(admin, stream, 1, quantity="active-energy", low=float(low), high=float(low + SPAN))
    rows = [(point, *reading) for reading in meter.readings]
    order.shuffle(rows)
    for size, seconds, rounds in cuts:
        commit(ingest, stream, rows[:size], min(NOON + seconds * SECOND, until))
        del rows[:size]
        for _ in range(rounds):
            roll(operate, stream, NOW)
    commit(ingest, stream, rows, until)
    for _ in range(1_000):
        if not roll(operate, stream, NOW).more:
            break

    found = operate.execute(
        "SELECT us_of(bucket), consumption, flags FROM rollup_1m WHERE point_id = %s", (point,)
    ).fetchall()
    assert {bucket: consumed for bucket, consumed, _ in found if consumed} == {
        minute: amount for minute, amount in meter.flowed.items() if amount
    }
    assert {bucket for bucket, _, flags in found if flags & BucketFlag.ROLLOVER} == meter.rolled
    assert {bucket for bucket, _, flags in found if flags & BucketFlag.RESET} == meter.reset
    assert sum(consumed for _, consumed, _ in found) == meter.flowed.total()


def commit(ingest: Connection, stream: int, rows: list[Row], until: int) -> None:
    """What the intake does: readings, what is behind event_until, event_until."""
    with ingest.transaction():
        row = ingest.execute("SELECT us_of(event_until) FROM stream WHERE id = %s FOR UPDATE", (stream,)).fetchone()
        assert row is not None
        frame = frame_of(rows)
        assert copy_readings(ingest, frame, now=NOW).stored.all()
        if row[0] is not None:
            mark_dirty(ingest, stream, frame.time, row[0])
        ingest.execute(
            "UPDATE stream SET event_until = greatest(event_until, at_us(%s)) WHERE id = %s", (until, stream)
        )
