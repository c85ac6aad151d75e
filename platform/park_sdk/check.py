"""`check_system`: what the author of a system runs. It tries the system on made-up arrays; a fault is a sentence."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from park_sdk.bind import Bound
from park_sdk.contract import contract_faults
from park_sdk.derivation import (
    AssetView,
    EventInput,
    Grid,
    Happened,
    Minutes,
    Params,
    ParkDerivation,
    StreamDerivation,
)
from park_sdk.derive import derive, fresh_carry
from park_sdk.frame import Frame
from park_sdk.register import Row
from park_sdk.register_form import unshown_fields
from park_sdk.system import System
from park_wire.quality import Quality
from park_wire.quantities import QUANTITIES

_START: Final = 1_795_665_600_000_000
_SECOND: Final = 1_000_000
_ASSETS: Final = 3
_SEEDS: Final = range(3)
_TOLERANCE: Final = 1e-9


def check_system(system: object, *, registers: Mapping[str, Sequence[Row]] | None = None) -> list[str]:
    """Every fault that is found; empty for a sound system.

    Tried are: the contract; that a form can ask every field of registers and reports; that a stream derivation gives
    the same whatever way its readings are cut into frames,
    forgets what is older than its `window_s`, survives bad readings and stays within its outputs' ranges; that a park
    derivation gives times within its steps. `registers`: rows by "system.register" for derivations that want some; the
    registers' own first rows are used where they are not given.
    """
    faults = contract_faults(system)
    if faults or not isinstance(system, System):
        return faults
    faults += [f"register {each.id!r}: {said}" for each in system.registers for said in unshown_fields(each.model)]
    faults += [f"report {each.id!r}: {said}" for each in system.reports for said in unshown_fields(each.params)]
    rows: dict[str, Sequence[Row]] = {
        f"{system.id}.{each.id}": [Row(record) for record in each.first] for each in system.registers
    }
    rows.update(registers or {})
    for derivation in system.derivations:
        params = _params(system, derivation, rows)
        try:
            found = (
                _stream_faults(system, derivation, params)
                if isinstance(derivation, StreamDerivation)
                else _park_faults(derivation, params)
            )
            faults += [f"derivation {derivation.id!r}: {fault}" for fault in dict.fromkeys(found)]
        except Exception as error:  # noqa: BLE001 - somebody else's code: whatever it raises is the finding
            faults.append(f"derivation {derivation.id!r} raises {type(error).__name__}: {error}")
    return faults


def _params(
    system: System, derivation: StreamDerivation | ParkDerivation, registers: Mapping[str, Sequence[Row]]
) -> Params:
    assets = tuple(
        AssetView(
            key=f"asset-{number}",
            kind=derivation.kinds[number % len(derivation.kinds)],
            enterprise=f"enterprise-{number % 2}",
            design={name: _middle(name) * (1 + number / 10) for name in derivation.design},
        )
        for number in range(_ASSETS)
    )
    mine = {name: registers.get(name, ()) for name in derivation.registers}
    return Params(assets, system.settings(), mine, (), ZoneInfo("Asia/Shanghai"))


def _middle(quantity: str) -> float:
    entry = QUANTITIES[quantity]
    return (entry.low + entry.high) / 2


# stream scope ---------------------------------------------------------------------------------------------------------


def _stream_faults(system: System, derivation: StreamDerivation, params: Params) -> Iterator[str]:
    k, o = len(derivation.inputs), len(derivation.outputs)
    inputs = np.arange(k * _ASSETS, dtype=np.int32).reshape(k, _ASSETS)
    outputs = (1_000 + np.arange(o * _ASSETS, dtype=np.int32)).reshape(o, _ASSETS)
    bound = Bound(system.id, derivation, params, inputs, np.full((k, _ASSETS), 5 * _SECOND), outputs)
    rows = max(60, round(3 * derivation.every_s), round(2.5 * derivation.window_s))
    for seed in _SEEDS:
        frame = _made_up(bound, rows, np.random.default_rng(seed))
        whole = _in_parts(bound, frame, [])
        cuts = np.sort(np.random.default_rng(seed + 100).integers(0, rows, 7))
        if not _equal(whole, _in_parts(bound, frame, (_START + cuts * _SECOND).tolist())):
            yield "what it gives depends on how the readings were cut into frames"
        # Two windows later nothing of the beginning may be left.
        middle = _START + round(derivation.window_s + max(derivation.every_s, 1)) * _SECOND
        later = frame.take(frame.time >= middle - round(derivation.window_s * 1e6))
        ends = _START + rows * _SECOND // 2 + round(derivation.window_s * 1e6) // 2
        if not _equal(_from(whole, ends), _from(_in_parts(bound, later, []), ends)):
            yield f"it remembers more than window_s = {derivation.window_s:g} s: a change of workers would show"
        yield from _out_of_range(bound, whole)


def _made_up(bound: Bound, rows: int, rng: np.random.Generator) -> Frame:
    """A reading a second of every input, a few of them bad or missing, each within its quantity's range."""
    parts: list[Frame] = []
    for number, each in enumerate(bound.derivation.inputs):
        entry = QUANTITIES[each.quantity]
        top = min(entry.high, entry.low + 1e4)
        for point in bound.inputs[number].tolist():
            walk = np.cumsum(rng.normal(0, 0.02, rows)) + rng.uniform(0.2, 0.8)
            value = entry.low + (top - entry.low) * np.clip(walk, 0, 1)
            if entry.states:
                value = rng.choice(sorted(entry.states), rows).astype(np.float64)
            quality = np.where(rng.random(rows) < 0.05, Quality.BAD_NO_ANSWER, Quality.GOOD).astype(np.int16)
            value[quality != 0] = np.nan
            time = _START + np.arange(rows) * _SECOND
            kept = rng.random(rows) > 0.05
            parts.append(Frame(np.full(rows, point, np.int32), time, value, quality).take(kept))
    frame = Frame.joined(parts)
    return frame.take(np.lexsort((frame.time, frame.point)))


def _in_parts(bound: Bound, frame: Frame, cuts: Sequence[int]) -> Frame:
    carry, derived = fresh_carry(bound), list[Frame]()
    edges = [int(frame.time.min()), *cuts, int(frame.time.max()) + 1]
    for low, high in pairwise(edges):
        part, carry = derive(bound, carry, frame.take((frame.time >= low) & (frame.time < high)))
        derived.append(part)
    joined = Frame.joined(derived)
    return joined.take(np.lexsort((joined.time, joined.point)))


def _from(frame: Frame, start: int) -> Frame:
    return frame.take(frame.time >= start)


def _equal(one: Frame, other: Frame) -> bool:
    if len(one) != len(other) or not (one.point == other.point).all() or not (one.time == other.time).all():
        return False
    close = np.isclose(one.value, other.value, rtol=1e-6, atol=_TOLERANCE, equal_nan=True)
    return bool(close.all() and (one.quality == other.quality).all())


def _out_of_range(bound: Bound, frame: Frame) -> Iterator[str]:
    for number, name in enumerate(bound.derivation.outputs):
        entry = QUANTITIES[name]
        value = frame.value[np.isin(frame.point, bound.outputs[number])]
        value = value[np.isfinite(value)]
        if len(value) and not entry.low <= float(value.min()) <= float(value.max()) <= entry.high:
            found = f"{value.min():g} to {value.max():g}"
            yield f"{name} is {found} {entry.unit}, beyond the catalogue's {entry.low:g} to {entry.high:g}"


# park scope -----------------------------------------------------------------------------------------------------------


def _park_faults(derivation: ParkDerivation, params: Params) -> Iterator[str]:
    for seed in _SEEDS:
        grid = _grid(derivation, np.random.default_rng(seed))
        derived = derivation.compute(grid, params)
        n = len(derived.asset)
        shapes = {name: getattr(column, "shape", None) for name, column in derived.columns.items()}
        if set(shapes) != set(derivation.outputs):
            yield f"it gives {', '.join(sorted(shapes)) or 'nothing'}; its outputs are {', '.join(derivation.outputs)}"
            return
        if derived.time.shape != (n,) or any(shape != (n,) for shape in shapes.values()):
            yield f"its columns have shapes {shapes}; asset and time have {n} rows"
            return
        low, high = int(grid.ends[0]) - derivation.every_s * _SECOND, int(grid.ends[-1])
        if n and not low < int(derived.time.min()) <= int(derived.time.max()) <= high:
            yield "it gives times that lie outside the steps it was asked for"
        if n and not 0 <= int(derived.asset.min()) <= int(derived.asset.max()) < len(params.assets):
            yield "it gives values to assets that do not exist"
        pairs = set(zip(derived.asset.tolist(), derived.time.tolist(), strict=True))
        if len(pairs) != n:
            yield "it gives two values to one asset at one time"


def _grid(derivation: ParkDerivation, rng: np.random.Generator) -> Grid:
    steps = 3
    minutes = (derivation.window_s + steps * derivation.every_s) // 60
    ends = _START + derivation.window_s * _SECOND + np.arange(1, steps + 1) * derivation.every_s * _SECOND
    inputs: dict[str, Minutes] = {}
    events: dict[str, Happened] = {}
    for each in derivation.inputs:
        if isinstance(each, EventInput):
            nonsense: tuple[Mapping[str, Any], ...] = ({}, {"net_t": "much"}, {"gross_t": 40.0, "plate": 7})
            events[each.name] = Happened(np.arange(3), ends[:1] - np.array([3, 2, 1]), nonsense)
            continue
        entry = QUANTITIES[each.quantity]
        value = rng.uniform(max(entry.low, -1e3), min(entry.high, 1e3), (2 * _ASSETS, minutes))
        value[rng.random(value.shape) < 0.1] = np.nan
        covered = np.where(np.isnan(value), 0.0, 60.0)
        inputs[each.name] = Minutes(np.arange(2 * _ASSETS) % _ASSETS, value, covered)
    return Grid(_START, int(minutes), ends, inputs, events)
