"""Derivations: what a system computes from readings. Data plus pure functions; the platform fetches and stores.

Two scopes (chain 6). A `StreamDerivation` runs inside the commit of the readings that it needs, asset by asset, so an
alarm on its output is as fast and as safe as one on a reading. A `ParkDerivation` runs on the `park` stream from
committed data, over a grid of whole minutes, and may look across streams. What either gives are readings of derived
points, named `{system}.{quantity}` and stored, trended and alarmed like any other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import BaseModel

from park_sdk.frame import Floats, Int64s, Rows
from park_sdk.register import Row

State: TypeAlias = Mapping[str, np.ndarray[Any, np.dtype[Any]]]
"""What a stream derivation remembers, as arrays whose first axis is the asset."""
Columns: TypeAlias = Mapping[str, Floats]
"""Output values by quantity. NaN: there is no value, and the derived reading says so with bad quality."""

MINUTE_US: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class AssetView:
    """An asset as a system sees it. `design`: design values by quantity, canonical units."""

    key: str
    kind: str
    enterprise: str | None = None
    zone: str | None = None
    fed_from: str | None = None
    design: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class ZoneView:
    """A zone of the park. outline: (longitude, latitude) of its corners, WGS-84; empty when nobody drew it."""

    key: str
    outline: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Params:
    """What a derivation is given besides readings.

    assets: those that it is computed for; every `asset` index of a window points into it. settings: the system's.
    registers: rows in force, by "system.register". zones, time_zone: of the park.
    """

    assets: tuple[AssetView, ...]
    settings: BaseModel
    registers: Mapping[str, Sequence[Row]]
    zones: tuple[ZoneView, ...]
    time_zone: ZoneInfo

    def design(self, quantity: str) -> Floats:
        """The assets' design value of a quantity, f64[assets]; NaN where an asset has none."""
        return np.array([asset.design.get(quantity, np.nan) for asset in self.assets], np.float64)


# stream scope ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Input:
    """A point of the asset that a derivation reads. `point`: its name, where an asset has several of the quantity.

    An asset without an optional input is computed all the same; its values are NaN.
    """

    name: str
    quantity: str
    point: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """Readings of the clock input that are to be computed, n rows ordered by (asset, time).

    asset: intp[n]. time: i64[n], µs UTC. values: by input name f64[n], canonical unit: the input's value as of the
    row's time, NaN where it is bad, older than it holds, or was never read.
    """

    asset: Rows
    time: Int64s
    values: Mapping[str, Floats]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.asset)


@dataclass(frozen=True, slots=True)
class StreamDerivation:
    """Computed for every asset of these kinds whose inputs come by one stream and which has the design values.

    The first input is the clock: each of its in-order readings gives a row, or with `every_s` the first in each such
    stretch of event time. `compute(window, params, state)` gives f64[n] for each output and the next state. Its result
    may not depend on how rows were cut into windows, nor on what is older than `window_s`: after a change of workers
    the state is made anew from that much of the past. `park_sdk.testing.check_system` tries both. A reading that came
    late gives no row.
    """

    id: str
    kinds: tuple[str, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    compute: Callable[[Window, Params, State], tuple[Columns, State]]
    new_state: Callable[[int], State] = lambda n: {}
    design: tuple[str, ...] = ()
    every_s: float = 0.0
    window_s: float = 0.0
    registers: tuple[str, ...] = ()


# park scope -----------------------------------------------------------------------------------------------------------


class Figure(StrEnum):
    """Which figure of a minute a park derivation reads."""

    MEAN = "mean"
    """Time-weighted mean over the part of the minute that readings cover."""
    LOW = "low"
    HIGH = "high"
    LAST = "last"
    CONSUMPTION = "consumption"
    """What a counter counted, with resets and roll-over understood."""


class Of(StrEnum):
    """Whose points an input takes, seen from the asset that the output belongs to."""

    ASSET = "asset"
    FED = "fed"
    """Assets that name it as `fed_from`: the sub-meters of a meter. One that feeds none gets no output."""
    TOP = "top"
    """Assets of its enterprise that are fed from none of the same enterprise: no sub-meter counts twice."""
    ENTERPRISE = "enterprise"
    """All assets of its enterprise."""
    PARK = "park"
    """All assets."""


@dataclass(frozen=True, slots=True)
class ParkInput:
    """Minutes of points: of a quantity, of assets in a relation, of these kinds (empty: any)."""

    name: str
    quantity: str
    figure: Figure
    of: Of = Of.ASSET
    kinds: tuple[str, ...] = ()
    point: str | None = None


@dataclass(frozen=True, slots=True)
class EventInput:
    """Events of a kind, of devices of assets in a relation."""

    name: str
    kind: str
    of: Of = Of.ASSET


@dataclass(frozen=True, slots=True)
class Minutes:
    """Minutes of p points.

    owner: intp[p], the asset of the output that each serves. value: f64[p, minutes], NaN where nothing was read.
    covered: f64[p, minutes], the seconds of the minute that good readings cover.
    """

    owner: Rows
    value: Floats
    covered: Floats


@dataclass(frozen=True, slots=True)
class Happened:
    """Events in order of time. owner: intp[e]. time: i64[e], µs UTC. body: as the device sent it: don't trust it."""

    owner: Rows
    time: Int64s
    body: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """What a park derivation computes: steps (from, to], and the minutes before them that `window_s` asks for.

    start: µs UTC of the first minute there is. minutes: how many. ends: i64[m], the ends of the steps to compute, µs.
    inputs, events: by the name of their input.
    """

    start: int
    minutes: int
    ends: Int64s
    inputs: Mapping[str, Minutes]
    events: Mapping[str, Happened]

    def column(self, time: int) -> int:
        """The index of the first minute at or after `time` (µs)."""
        return -(-(time - self.start) // MINUTE_US)


@dataclass(frozen=True, slots=True)
class Derived:
    """What a park derivation found: rows ordered by (asset, time), times in (first step's begin, last step's end]."""

    asset: Rows
    time: Int64s
    columns: Columns


@dataclass(frozen=True, slots=True)
class ParkDerivation:
    """Computed every `every_s` (whole minutes, aligned to local midnight) for all assets of these kinds.

    `compute(grid, params)` sees the minutes from `window_s` before the first step. It keeps no state: when readings
    come late or are corrected the steps are computed again, and what it gives replaces what it gave.
    """

    id: str
    kinds: tuple[str, ...]
    inputs: tuple[ParkInput | EventInput, ...]
    outputs: tuple[str, ...]
    compute: Callable[[Grid, Params], Derived]
    every_s: int = 60
    window_s: int = 0
    design: tuple[str, ...] = ()
    registers: tuple[str, ...] = ()


Derivation: TypeAlias = StreamDerivation | ParkDerivation
