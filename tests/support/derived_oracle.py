"""Stream derivations reading by reading, the slow and plain way, to judge the fast one; and a derivation to try.

Times are small whole numbers of µs. The derivation `watched` looks at everything that a contract promises: values as of
then, what came before (its state), and which rows there are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import strategies as st
from pydantic import BaseModel

from park_sdk.bind import NO_POINT, Bound
from park_sdk.derivation import AssetView, Columns, Input, Params, State, StreamDerivation, Window
from park_sdk.frame import Frame
from park_wire.quality import BAD_SEVERITY, ESTIMATED, MARK_BITS, MARK_SHIFT, SEVERITY_MASK, Mark, Quality

Row = tuple[int, int, float, int]
"""Point, time, value, quality."""
INPUTS = (Input("a", "pressure"), Input("b", "temperature"), Input("c", "level", optional=True))
OUTPUTS = ("pressure-ratio", "time-to-limit")
# Of each of two assets: the points of a, b and c. The second asset has no c; both read one b.
POINTS = np.array([[11, 12], [13, 13], [15, NO_POINT]], np.int32)
DERIVED = np.array([[21, 22], [23, 24]], np.int32)
MAX_AGE = np.array([[4, 9], [6, 3], [5, 0]], np.int64)
LAST_TIME = 20
_QUALITIES = (
    Quality.GOOD,
    Quality.GOOD,
    Quality.UNCERTAIN_CLOCK,
    Quality.BAD_NO_ANSWER,
    Quality.GOOD | Mark.CALIBRATING << MARK_SHIFT,
    Quality.GOOD | ESTIMATED,
    0xC0,
)


class Nothing(BaseModel):
    """No settings."""


PARAMS = Params((AssetView("one", "vessel"), AssetView("two", "vessel")), Nothing(), {}, (), ZoneInfo("UTC"))


def watch(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    """First output: a + 10 b + 100 c, c counting 0 where it is missing. Second: how many rows the asset had so far."""
    a, b, c = (window.values[each.name] for each in INPUTS)
    count = state["count"].copy()
    counted = np.empty(len(window))
    for row, asset in enumerate(window.asset.tolist()):
        count[asset] += 1
        counted[row] = count[asset]
    return {OUTPUTS[0]: a + 10 * b + 100 * np.nan_to_num(c), OUTPUTS[1]: counted}, {"count": count}


def watched(every_us: int = 0, *, counts: bool = True) -> Bound:
    """The derivation with its points. counts: the second output remembers all rows, which no takeover may ask of it."""

    def compute(window: Window, params: Params, state: State) -> tuple[Columns, State]:
        columns, following = watch(window, params, {"count": np.zeros(2, np.int64), **state})
        return columns if counts else {**columns, OUTPUTS[1]: np.ones(len(window))}, following if counts else state

    def new_state(n: int) -> State:
        return {"count": np.zeros(n, np.int64)} if counts else {}

    derivation = StreamDerivation(
        id="watched", kinds=("vessel",), inputs=INPUTS, outputs=OUTPUTS, compute=compute, new_state=new_state,
        every_s=every_us / 1e6,
    )  # fmt: skip
    return Bound("test", derivation, PARAMS, POINTS, MAX_AGE, DERIVED)


def frame_of(rows: Sequence[Row]) -> Frame:
    """The frame of these rows, sorted by (point, time)."""
    ordered = sorted(rows, key=lambda row: row[:2])
    return Frame(
        np.array([row[0] for row in ordered], np.int32),
        np.array([row[1] for row in ordered], np.int64),
        np.array([row[2] for row in ordered], np.float64),
        np.array([row[3] for row in ordered], np.int16),
    )


def rows_of(frame: Frame) -> list[tuple[int, int, str, int]]:
    """What can be compared of a frame's rows, in order: a value as text, so that NaN equals NaN."""
    return sorted(
        (point, time, f"{value:.9g}", quality)
        for point, time, value, quality in zip(
            frame.point.tolist(), frame.time.tolist(), frame.value.tolist(), frame.quality.tolist(), strict=True
        )
    )


@dataclass(frozen=True)
class _Seen:
    value: float
    quality: int


def _as_of(rows: Sequence[Row], point: int, at: int, max_age: int) -> _Seen:
    found = max((row for row in rows if row[0] == point and row[1] <= at), default=None, key=lambda row: row[1])
    if found is None or found[3] & BAD_SEVERITY or not math.isfinite(found[2]) or at - found[1] > max_age:
        return _Seen(math.nan, 0)
    return _Seen(found[2], found[3])


def by_hand(rows: Sequence[Row], every_us: int = 0, *, counts: bool = True) -> list[tuple[int, int, str, int]]:
    """What `watched` must give for all these rows, as `rows_of` shows it."""
    derived: list[Row] = []
    for asset in range(2):
        taken, count = None, 0
        for _, at, _, clock_quality in sorted(row for row in rows if row[0] == POINTS[0, asset]):
            if every_us and at // every_us == taken:
                continue
            taken, count = at // every_us if every_us else None, count + 1
            seen = [_as_of(rows, int(POINTS[k, asset]), at, int(MAX_AGE[k, asset])) for k in range(3)]
            a, b, c = (each.value for each in seen)
            worst = max(each.quality & SEVERITY_MASK for each in seen)
            estimated = ESTIMATED if any(each.quality & ESTIMATED for each in seen) else 0
            mark = clock_quality & MARK_BITS
            value = a + 10 * b + 100 * (0.0 if math.isnan(c) else c)
            for output, result in enumerate((value, float(count) if counts else 1.0)):
                good = math.isfinite(result)
                quality = worst | estimated | mark if good else Quality.BAD | mark
                derived.append((int(DERIVED[output, asset]), at, result, quality))
    return rows_of(frame_of(derived))


@st.composite
def readings(draw: st.DrawFn) -> list[Row]:
    """Readings of the points and of one that nobody reads, each (point, time) once."""
    points = sorted({*POINTS.ravel().tolist(), 99} - {NO_POINT})
    keys = draw(st.sets(st.tuples(st.sampled_from(points), st.integers(0, LAST_TIME)), max_size=40))
    values = st.sampled_from([0.0, 1.5, -2.0, 7.25, math.nan, math.inf])
    qualities = st.sampled_from([int(quality) for quality in _QUALITIES])
    return [(point, time, draw(values), draw(qualities)) for point, time in sorted(keys)]
