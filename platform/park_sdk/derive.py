"""Stream derivations over arrays: rows of the clock, the other inputs as of then, outputs as readings. Pure.

Whoever calls hands in only what can't be followed by anything older (park_platform.derivations). So what comes out
depends on the readings and not on how they were cut into frames.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from park_sdk.bind import NO_POINT, Bound
from park_sdk.derivation import Columns, State, Window
from park_sdk.frame import NEVER, Bools, Floats, Frame, Int16s, Int64s, Rows
from park_wire.quality import BAD_SEVERITY, ESTIMATED, MARK_BITS, SEVERITY_MASK, Quality


class BadResult(ValueError):
    """A system's `compute` gave something that is not what the contract asks for."""


@dataclass(frozen=True, slots=True)
class Carry:
    """What one derivation knows between frames. Never changed: `derive` returns the next one.

    time, value, quality: [k, a], the last reading of each input. taken: i64[a], the stretch of `every_s` that was
    computed last. state: the system's own, which it can't write to.
    """

    time: Int64s
    value: Floats
    quality: Int16s
    taken: Int64s
    state: State


def fresh_carry(bound: Bound) -> Carry:
    """Nothing was read yet. Raises whatever the system's `new_state` raises, and BadResult."""
    shape = bound.inputs.shape
    state = _kept_state(bound, bound.derivation.new_state(shape[1]))
    taken = np.full(shape[1], NEVER, np.int64)
    return Carry(np.full(shape, NEVER), np.full(shape, np.nan), np.zeros(shape, np.int16), taken, state)


def derive(bound: Bound, carry: Carry, frame: Frame) -> tuple[Frame, Carry]:
    """The derived readings that follow from more readings, sorted by (point, time), and what is known then.

    `frame` is sorted by (point, time), holds no late row, and may hold points that this derivation does not read.
    Raises BadResult and whatever the system raises.
    """
    place, rows = _places(bound, frame.point)
    if not len(rows):
        return Frame.empty(), carry
    a = bound.inputs.shape[1]
    kind, asset = np.divmod(place, a)
    time, value, quality = frame.time[rows], frame.value[rows], frame.quality[rows]
    clock = np.flatnonzero(kind == 0)
    order = np.lexsort((time[clock], asset[clock]))
    clock = clock[order]
    chosen, taken = _decimate(bound, carry, asset[clock], time[clock])
    clock = clock[chosen]
    derived, state = Frame.empty(), carry.state
    if len(clock):
        owner, at = asset[clock], time[clock]
        values: dict[str, Floats] = {}
        worst, estimated = np.zeros(len(clock), np.int16), np.zeros(len(clock), np.int16)
        for number, each in enumerate(bound.derivation.inputs):
            mine = np.flatnonzero(kind == number)
            seen = _as_of(carry, number, (asset[mine], time[mine], value[mine], quality[mine]), owner, at)
            # What is held may be newer than the row: a clock's readings from a backlog come after those of others.
            usable = ((seen.quality & BAD_SEVERITY) == 0) & (seen.time != NEVER) & (seen.time <= at)
            usable &= np.isfinite(seen.value) & (at - np.where(usable, seen.time, at) <= bound.max_age[number, owner])
            values[each.name] = np.where(usable, seen.value, np.nan)
            worst = np.maximum(worst, np.where(usable, seen.quality & SEVERITY_MASK, 0)).astype(np.int16)
            estimated |= np.where(usable, seen.quality & ESTIMATED, 0).astype(np.int16)
        window = Window(owner, at, values)
        columns, state = _computed(bound, window, carry.state)
        marks = (quality[clock] & MARK_BITS).astype(np.int16)
        derived = _as_frame(bound, window, columns, (worst | estimated | marks).astype(np.int16))
    return derived, _carried(replace(carry, taken=taken, state=state), place, time, value, quality)


def _places(bound: Bound, point: Any) -> tuple[Rows, Rows]:
    """Where the readings of this derivation stand among (input, asset), flat, and their rows in the frame."""
    flat = bound.inputs.ravel()
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    # The frame is sorted by point: look for the few points among its many rows.
    first, last = np.searchsorted(point, ordered, "left"), np.searchsorted(point, ordered, "right")
    count = np.where(ordered == NO_POINT, 0, last - first)
    if not count.any():
        none = np.empty(0, np.intp)
        return none, none
    begin = np.repeat(first - (np.cumsum(count) - count), count)
    return np.repeat(order, count), begin + np.arange(int(count.sum()))


def _decimate(bound: Bound, carry: Carry, asset: Rows, time: Int64s) -> tuple[Bools, Int64s]:
    """Which clock rows, ordered by (asset, time), are computed; and the stretch taken last, by asset."""
    every = round(bound.derivation.every_s * 1e6)
    if not every:
        return np.ones(len(asset), np.bool_), carry.taken
    stretch = time // every
    before = np.empty_like(stretch)
    before[1:] = stretch[:-1]
    starts = np.ones(len(asset), np.bool_)
    starts[1:] = asset[1:] != asset[:-1]
    before[starts] = carry.taken[asset[starts]]
    chosen = stretch > before
    taken = carry.taken.copy()
    np.maximum.at(taken, asset, stretch)
    return chosen, taken


@dataclass(frozen=True, slots=True)
class _Seen:
    time: Int64s
    value: Floats
    quality: Int16s


def _as_of(carry: Carry, number: int, rows: tuple[Rows, Int64s, Floats, Int16s], owner: Rows, at: Int64s) -> _Seen:
    """The last reading of an input at or before each clock row."""
    asset, time, value, quality = rows
    held = _Seen(carry.time[number, owner], carry.value[number, owner], carry.quality[number, owner])
    if not len(asset):
        return held
    order = np.lexsort((time, asset))
    asset, time, value, quality = asset[order], time[order], value[order], quality[order]
    # One ascending key of asset and time: assets times the frame's span in µs stays far below 2^63.
    zero = min(int(time.min()), int(at.min()))
    span = max(int(time.max()), int(at.max())) - zero + 1
    found = np.searchsorted(asset * span + (time - zero), owner * span + (at - zero), "right") - 1
    hit = (found >= 0) & (asset[np.maximum(found, 0)] == owner)
    found = np.maximum(found, 0)
    return _Seen(
        np.where(hit, time[found], held.time),
        np.where(hit, value[found], held.value),
        np.where(hit, quality[found], held.quality).astype(np.int16),
    )


def _carried(carry: Carry, place: Rows, time: Int64s, value: Floats, quality: Int16s) -> Carry:
    # Rows of one point stand together and ascend in time: the last of each place wins.
    last = np.flatnonzero(np.append(place[1:] != place[:-1], True))
    where = place[last]
    times, values, qualities = carry.time.copy(), carry.value.copy(), carry.quality.copy()
    times.ravel()[where], values.ravel()[where] = time[last], value[last]
    qualities.ravel()[where] = quality[last]
    return replace(carry, time=times, value=values, quality=qualities)


def _as_frame(bound: Bound, window: Window, columns: Columns, quality: Int16s) -> Frame:
    parts: list[Frame] = []
    for number, name in enumerate(bound.derivation.outputs):
        value = columns[name]
        good = np.isfinite(value)
        code = np.where(good, quality, Quality.BAD | (quality & MARK_BITS)).astype(np.int16)
        parts.append(Frame(bound.outputs[number, window.asset], window.time, np.where(good, value, np.nan), code))
    joined = Frame.joined(parts)
    return joined.take(np.lexsort((joined.time, joined.point)))


def _computed(bound: Bound, window: Window, state: State) -> tuple[Columns, State]:
    """What the system makes of a window, as the contract has it. Raises BadResult and whatever the system raises."""
    # Somebody else's code: its types are promises.
    result: Any = bound.derivation.compute(window, bound.params, state)
    if not _is_pair(result):
        raise BadResult(f"compute gave a {type(result).__name__}; it must give (columns, state)")
    columns, following = result
    _check_columns(bound, columns, len(window))
    return columns, _kept_state(bound, following)


def _is_pair(result: object) -> bool:
    return isinstance(result, tuple) and len(result) == 2  # pyright: ignore[reportUnknownArgumentType]


def _check_columns(bound: Bound, columns: Any, rows: int) -> None:
    wanted = ", ".join(bound.derivation.outputs)
    if not hasattr(columns, "items"):
        raise BadResult(f"compute gave a {type(columns).__name__} for its columns; it must be {wanted} by name")
    if set(columns) != set(bound.derivation.outputs):
        found = ", ".join(sorted(str(name) for name in columns)) or "nothing"
        raise BadResult(f"compute gave {found}; its outputs are {wanted}")
    for name, column in columns.items():
        if getattr(column, "shape", None) != (rows,) or column.dtype != np.float64:
            found = f"{getattr(column, 'dtype', type(column).__name__)}{list(getattr(column, 'shape', ()))}"
            raise BadResult(f"output {name!r} is {found}; it must be float64[{rows}], a value for each row")


def _kept_state(bound: Bound, state: Any) -> State:
    """A system's state, which nobody can write to from now on: a commit that fails must find it as it was."""
    if not hasattr(state, "items"):
        raise BadResult(f"the state is a {type(state).__name__}; it must be arrays by name")
    a = bound.inputs.shape[1]
    kept: dict[str, Any] = {}
    for name, array in state.items():
        if getattr(array, "shape", ())[:1] != (a,):
            found = getattr(array, "shape", type(array).__name__)
            raise BadResult(f"state {name!r} has shape {found}; its first axis is the {a} assets")
        kept[name] = array.view()
        kept[name].flags.writeable = False
    return kept
