"""What a park derivation gets to see: which points serve which asset, the ends of its steps, and the grid itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from park_platform.storage.connect import Connection
from park_platform.storage.park_stream import read_events, read_minutes
from park_sdk.bind import PointView, choose_point
from park_sdk.derivation import (
    MINUTE_US,
    AssetView,
    EventInput,
    Grid,
    Happened,
    Input,
    Minutes,
    Of,
    ParkDerivation,
    ParkInput,
)
from park_sdk.frame import Int32s, Int64s, Rows

_SECOND: Final = 1_000_000
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Served:
    """The points of an input, and for each the index of the asset that it serves."""

    owner: Rows
    point: Int32s


def related(asset: AssetView, of: Of, assets: Sequence[AssetView]) -> list[AssetView]:
    """The assets that stand in a relation to one: itself, what it feeds, those of its enterprise, all."""
    match of:
        case Of.ASSET:
            return [asset]
        case Of.FED:
            return [other for other in assets if other.fed_from == asset.key]
        case Of.TOP:
            owners = {other.key: other.enterprise for other in assets}
            return [
                other
                for other in assets
                if other.enterprise == asset.enterprise
                and (other.fed_from is None or owners.get(other.fed_from) != other.enterprise)
            ]
        case Of.ENTERPRISE:
            return [other for other in assets if other.enterprise == asset.enterprise]
        case Of.PARK:
            return list(assets)


def serve(
    wanted: ParkInput, mine: Sequence[AssetView], assets: Sequence[AssetView], points: Mapping[str, Sequence[PointView]]
) -> Served:
    """The points that an input means, for each of the derivation's assets."""
    meant = Input(wanted.name, wanted.quantity, wanted.point)
    owner: list[int] = []
    chosen: list[int] = []
    for number, asset in enumerate(mine):
        for other in related(asset, wanted.of, assets):
            if wanted.kinds and other.kind not in wanted.kinds:
                continue
            point = choose_point(meant, points.get(other.key, ()))
            if point is not None:
                owner.append(number)
                chosen.append(point.id)
    return Served(np.array(owner, np.intp), np.array(chosen, np.int32))


def step_ends(every_s: int, after: int, until: int, zone: ZoneInfo) -> Int64s:
    """The ends (µs) of the steps that end in (after, until], aligned to local midnight; a day's last ends with it.

    On a day of 23 or 25 hours steps of up to an hour are fewer or more. Longer ones end at the hours that they always
    end at, and one of them is shorter or longer.
    """
    if until <= after:
        return np.empty(0, np.int64)
    day = datetime.fromtimestamp(after / _SECOND, zone).date()
    ends: list[Int64s] = []
    begin = _instant(day, 0, zone)
    while begin < until:
        following = day + timedelta(days=1)
        end = _instant(following, 0, zone)
        if every_s <= _HOUR_S:
            steps = np.arange(begin + every_s * _SECOND, end, every_s * _SECOND, dtype=np.int64)
        else:
            steps = np.array([_instant(day, second, zone) for second in range(every_s, _DAY_S, every_s)], np.int64)
        ends.append(np.append(steps, end))
        day, begin = following, end
    found = np.concatenate(ends)
    return found[(found > after) & (found <= until)]


def step_begin(every_s: int, end: int, zone: ZoneInfo) -> int:
    """When the step begins that ends at `end`: with the end of the one before it."""
    before = end - (every_s + 2 * _HOUR_S) * _SECOND
    return int(step_ends(every_s, before, end - 1, zone)[-1])


def _instant(day: date, second: int, zone: ZoneInfo) -> int:
    local = datetime.combine(day, time(second // _HOUR_S, second // 60 % 60), zone)
    return round(local.timestamp()) * _SECOND


def make_grid(
    connection: Connection,
    derivation: ParkDerivation,
    served: Mapping[str, Served],
    mine: Sequence[AssetView],
    assets: Sequence[AssetView],
    steps: tuple[int, Int64s],
) -> Grid:
    """The grid of steps, which follow each other without a hole: when the first begins, and all their ends (µs)."""
    begin, ends = steps
    start = (begin - derivation.window_s * _SECOND) // MINUTE_US * MINUTE_US
    minutes = (int(ends[-1]) - start) // MINUTE_US
    inputs: dict[str, Minutes] = {}
    events: dict[str, Happened] = {}
    for each in derivation.inputs:
        if isinstance(each, EventInput):
            events[each.name] = _happened(connection, each, mine, assets, start, int(ends[-1]))
        else:
            inputs[each.name] = _minutes(connection, each, served[each.name], start, minutes)
    return Grid(start, minutes, ends, inputs, events)


def _minutes(connection: Connection, wanted: ParkInput, served: Served, start: int, minutes: int) -> Minutes:
    unique, place = np.unique(served.point, return_inverse=True)
    value = np.full((len(unique), minutes), np.nan)
    covered = np.zeros((len(unique), minutes))
    if len(unique) and minutes:
        rows = read_minutes(connection, unique, wanted.figure, start, start + minutes * MINUTE_US)
        at = np.searchsorted(unique, rows.point), (rows.bucket - start) // MINUTE_US
        value[at], covered[at] = rows.value, rows.covered
    return Minutes(served.owner, value[place], covered[place])


def _happened(
    connection: Connection,
    wanted: EventInput,
    mine: Sequence[AssetView],
    assets: Sequence[AssetView],
    start: int,
    end: int,
) -> Happened:
    owners: dict[str, list[int]] = {}
    for number, asset in enumerate(mine):
        for other in related(asset, wanted.of, assets):
            owners.setdefault(other.key, []).append(number)
    rows = [
        (number, at, body)
        for asset, at, body in read_events(connection, wanted.kind, start, end)
        for number in owners.get(asset, ())
    ]
    return Happened(
        np.array([row[0] for row in rows], np.intp),
        np.array([row[1] for row in rows], np.int64),
        tuple(row[2] for row in rows),
    )
