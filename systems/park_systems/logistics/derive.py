"""What traffic's readings and events mean: speed against the limit, geofence, tickets, vehicles in the park.

Overload is judged by 交通运输部令 2016 年第 62 号, article 3, whose table stands in registers.py. Speed against the
zone's limit, the geofence and net mass are the platform's own rules of the park.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from park_sdk.derivation import (
    Columns,
    Derived,
    EventInput,
    Grid,
    Happened,
    Input,
    Of,
    Params,
    ParkDerivation,
    State,
    StreamDerivation,
    Window,
)
from park_sdk.frame import Bools, Floats, Int64s, Rows
from park_systems.logistics.geometry import in_outline
from park_systems.logistics.registers import Vehicle, legal_mass, plate_key
from park_systems.logistics.settings import Settings

REGISTER: Final = "logistics.vehicles"
OUTSIDE, INSIDE, FORBIDDEN = 0.0, 1.0, 2.0
_HEAVIEST_T: Final = 500.0
_TICKETS_EVERY_S: Final = 60
_LONGEST_STAY_S: Final = 3 * 86_400


def _settings(params: Params) -> Settings:
    assert isinstance(params.settings, Settings)  # noqa: S101 - the platform gives a system its own settings
    return params.settings


def _vehicles(params: Params) -> list[Vehicle]:
    return [row.record for row in params.registers[REGISTER]]


# speed and geofence ---------------------------------------------------------------------------------------------------


def _in_zones(window: Window, params: Params) -> dict[str, Bools]:
    """Which rows lie in each zone that somebody drew."""
    longitude, latitude = window.values["longitude"], window.values["latitude"]
    return {zone.key: in_outline(longitude, latitude, zone.outline) for zone in params.zones if zone.outline}


def watch_trucks(window: Window, params: Params, state: State) -> tuple[Columns, State]:
    """The limit where the truck is, its speed less the limit (km/h, negative below it), and the geofence's state.

    A zone counts by its outline; the lowest limit of all zones that hold the truck is its limit. Beyond the park's
    outline the settings' outside speeds hold. While nobody drew the park's outline every truck counts as inside for its
    limit, and what lies in no zone has no known state.
    """
    settings = _settings(params)
    zones = _in_zones(window, params)
    located = np.isfinite(window.values["longitude"]) & np.isfinite(window.values["latitude"])
    trackers = {vehicle.asset for vehicle in _vehicles(params) if vehicle.dangerous}
    dangerous = np.array([asset.key in trackers for asset in params.assets], np.bool_)[window.asset]

    inside = np.logical_or.reduce([*zones.values(), np.zeros(len(window), np.bool_)])
    outlined = settings.park_zone in zones
    slow = np.minimum(settings.outside_speed, settings.outside_dangerous_speed)
    beyond = np.where(dangerous, slow, settings.outside_speed)
    limit = np.where(inside | (not outlined), np.inf, beyond)
    for zone, speed in settings.zone_speeds.items():
        if zone in zones:
            limit = np.where(zones[zone], np.minimum(limit, speed), limit)
    limit = np.where(np.isinf(limit), settings.speed_limit, limit)
    limit = np.where(located, limit, np.nan)

    forbidden = np.logical_or.reduce(
        [zones[key] for key in settings.forbidden_zones if key in zones] + [np.zeros(len(window), np.bool_)]
    )
    fence = np.where(inside, INSIDE, OUTSIDE if outlined else np.nan)
    fence = np.where(forbidden & dangerous, FORBIDDEN, fence)
    fence = np.where(located, fence, np.nan)
    return {"speed-limit": limit, "speed-excess": window.values["speed"] - limit, "geofence": fence}, state


TRUCKS: Final = StreamDerivation(
    id="trucks",
    kinds=("truck",),
    inputs=(Input("speed", "speed"), Input("longitude", "longitude"), Input("latitude", "latitude")),
    outputs=("speed-limit", "speed-excess", "geofence"),
    compute=watch_trucks,
    registers=(REGISTER,),
)


# weighbridge ----------------------------------------------------------------------------------------------------------


def _mass(body: Mapping[str, Any], key: str) -> float:
    """A mass in t of a body that anybody may have sent; NaN when it is none."""
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _HEAVIEST_T:
        return np.nan
    return float(value)


def _last_of_each(asset: Rows, time: Int64s) -> Rows:
    """The rows ordered by (asset, time); of those with equal asset and time the last that came."""
    order = np.lexsort((np.arange(len(time)), time, asset))
    changes = (np.diff(asset[order]) != 0) | (np.diff(time[order]) != 0)
    return order[np.append(changes, True)[: len(order)]]


def read_tickets(grid: Grid, params: Params) -> Derived:
    """Of each weigh ticket: net mass, by how much the printed net differs from it (t), and the overload in %.

    net = gross - tare. mismatch = |net - printed net|. overload = 100 (gross / legal mass - 1), the legal mass by the
    vehicle's axles (`registers.legal_mass`). A ticket whose masses are none, or whose tare exceeds its gross mass,
    gives no values; one of a vehicle that the register doesn't know gives no overload.
    """
    tickets = grid.events["tickets"]
    begin, end = int(grid.ends[0]) - _TICKETS_EVERY_S * 1_000_000, int(grid.ends[-1])
    rows = np.flatnonzero((tickets.time > begin) & (tickets.time <= end))
    rows = rows[_last_of_each(tickets.owner[rows], tickets.time[rows])]
    places: list[int] = rows.tolist()
    bodies = [tickets.body[place] for place in places]
    gross, tare, printed = (
        np.array([_mass(body, key) for body in bodies], np.float64) for key in ("gross_t", "tare_t", "net_t")
    )
    sound = (gross > 0) & (tare >= 0) & (tare <= gross)
    net = np.where(sound, gross - tare, np.nan)
    limits = {plate_key(vehicle.plate): legal_mass(vehicle) for vehicle in _vehicles(params)}
    plates = [plate_key(body.get("plate")) for body in bodies]
    limit = np.array([np.nan if plate is None else limits.get(plate, np.nan) for plate in plates], np.float64)
    overload = np.where(sound & (limit > 0), 100 * (gross / np.where(limit > 0, limit, 1.0) - 1), np.nan)
    return Derived(
        tickets.owner[rows],
        tickets.time[rows],
        {
            "net-weight": net,
            "net-mismatch": np.minimum(np.abs(net - printed), _HEAVIEST_T),
            "overload": np.minimum(overload, _HEAVIEST_T),
        },
    )


TICKETS: Final = ParkDerivation(
    id="tickets",
    kinds=("weighbridge",),
    inputs=(EventInput("tickets", "weigh-ticket"),),
    outputs=("net-weight", "net-mismatch", "overload"),
    compute=read_tickets,
    every_s=_TICKETS_EVERY_S,
    registers=(REGISTER,),
)


# vehicles in the park -------------------------------------------------------------------------------------------------


def _stays(passes: Happened, rows: Rows) -> tuple[list[str], list[bool], Int64s, Int64s]:
    """The stays in the park that gate passes tell of: plate, whether dangerous, from and until (µs, not included).

    A stay ends with the vehicle's next pass, whichever way that goes, or when it has lasted longer than anybody stays:
    its way out was not seen.
    """
    seen: list[tuple[str, int, int, bool, bool]] = []
    places: list[int] = rows.tolist()
    for number, place in enumerate(places):
        body = passes.body[place]
        plate, direction = plate_key(body.get("plate")), body.get("direction")
        if plate is not None and direction in ("in", "out"):
            seen.append((plate, int(passes.time[place]), number, direction == "in", body.get("dangerous") is True))
    seen.sort()
    plates, dangerous, begin, end = list[str](), list[bool](), list[int](), list[int]()
    for index, (plate, time, _, enters, carries) in enumerate(seen):
        if not enters:
            continue
        until = time + _LONGEST_STAY_S * 1_000_000
        if index + 1 < len(seen) and seen[index + 1][0] == plate:
            until = min(until, seen[index + 1][1])
        plates.append(plate)
        dangerous.append(carries)
        begin.append(time)
        end.append(until)
    return plates, dangerous, np.array(begin, np.int64), np.array(end, np.int64)


def _sum_at(ends: Int64s, begin: Int64s, until: Int64s, weight: Floats) -> Floats:
    """The weights of the stays that hold each instant, f64[m]."""
    came, left = np.argsort(begin), np.argsort(until)
    arrived = np.append(0.0, np.cumsum(weight[came]))[np.searchsorted(begin[came], ends, "right")]
    gone = np.append(0.0, np.cumsum(weight[left]))[np.searchsorted(until[left], ends, "right")]
    return np.maximum(arrived - gone, 0.0)


def count_vehicles(grid: Grid, params: Params) -> Derived:
    """Vehicles in the park, and the dangerous goods that they carry at most (t), at the end of each step.

    A vehicle is in the park from its pass in to its next pass, at most three days. A dangerous one (by the gate or by
    the register) counts with its rated load whether or not it is full, because nobody weighs it at the gate.
    """
    settings = _settings(params)
    passes = grid.events["passes"]
    known = {plate_key(vehicle.plate): vehicle for vehicle in _vehicles(params)}
    m, a = len(grid.ends), len(params.assets)
    count, load = np.zeros((a, m)), np.zeros((a, m))
    for asset in range(a):
        plates, said, begin, until = _stays(passes, np.flatnonzero(passes.owner == asset))
        loads = [_load(known.get(plate), carries, settings) for plate, carries in zip(plates, said, strict=True)]
        count[asset] = _sum_at(grid.ends, begin, until, np.ones(len(plates)))
        load[asset] = _sum_at(grid.ends, begin, until, np.array(loads, np.float64))
    columns = {"vehicle-count": count.ravel(), "dangerous-load": np.round(load.ravel(), 6)}
    return Derived(np.repeat(np.arange(a), m), np.tile(grid.ends, a), columns)


def _load(vehicle: Vehicle | None, said: bool, settings: Settings) -> float:
    if vehicle is None or vehicle.rated_load is None:
        dangerous = said or (vehicle is not None and vehicle.dangerous)
        return settings.unknown_load if dangerous else 0.0
    return vehicle.rated_load if said or vehicle.dangerous else 0.0


PRESENCE: Final = ParkDerivation(
    id="presence",
    kinds=("park",),
    inputs=(EventInput("passes", "gate-pass", of=Of.PARK),),
    outputs=("vehicle-count", "dangerous-load"),
    compute=count_vehicles,
    window_s=_LONGEST_STAY_S,
    registers=(REGISTER,),
)
