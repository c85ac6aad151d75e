"""The stream derivations of a stream, from the enabled systems, the park's assets and the stream's points."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import structlog

from park_platform.derivations import Derivations
from park_platform.storage.connect import Connection
from park_platform.storage.derived import (
    derived_points,
    enabled_settings,
    forget_fenced,
    keep_derived_points,
    park_views,
    past_readings,
    point_views,
)
from park_platform.storage.registers import rows_in_force
from park_platform.systems import enable
from park_sdk.bind import NO_POINT, Bound, Wanted, bind, bindable, wanted_points
from park_sdk.derivation import Params, StreamDerivation
from park_sdk.frame import NEVER, Frame, Int32s, Int64s
from park_sdk.system import System

log = structlog.get_logger()


_Ids: TypeAlias = Mapping[tuple[str, str], int]


def bind_derivations(connection: Connection, stream: int, systems: Mapping[str, System], now: int) -> list[Bound]:
    """The derivations that a stream feeds, with their points, which are made where they are missing.

    Runs inside a transaction that holds the installation's row and the stream's.
    """

    def keep(wanted: Sequence[Wanted], unusable: Collection[str]) -> _Ids:
        return keep_derived_points(connection, stream, wanted, unusable)

    return _bind(connection, stream, systems, now, keep)


def bind_as_kept(connection: Connection, stream: int, systems: Mapping[str, System], at: int) -> list[Bound]:
    """The derivations that a stream feeds, with the points that its owner has made; registers as of `at` (µs).

    Changes nothing. What has a point that is not made yet is left out: its owner computes it when it has.
    """
    ids = derived_points(connection, stream)

    def keep(wanted: Sequence[Wanted], _unusable: Collection[str]) -> _Ids:
        return {(each.asset, each.name): ids.get((each.asset, each.name), NO_POINT) for each in wanted}

    bounds = _bind(connection, stream, systems, at, keep)
    return [bound for bound in bounds if (bound.outputs != NO_POINT).all()]


def _bind(
    connection: Connection,
    stream: int,
    systems: Mapping[str, System],
    now: int,
    keep: Callable[[Sequence[Wanted], Collection[str]], _Ids],
) -> list[Bound]:
    settings = enabled_settings(connection)
    enabled, faults = enable(systems, settings, "database")
    for fault in faults:
        log.error("system_not_run", key=fault.key, problem=fault.problem, remedy=fault.remedy)
    park, points = park_views(connection), point_views(connection, stream, derived=False)
    plans = [
        (each, derivation, chosen)
        for each in enabled.values()
        for derivation in each.system.derivations
        if isinstance(derivation, StreamDerivation)
        for chosen in [bindable(derivation, park.assets, points)]
        if chosen
    ]
    wanted: list[Wanted] = []
    for each, derivation, chosen in plans:
        wanted += wanted_points(each.system.id, derivation, chosen)
    ids = keep(wanted, settings.keys() - enabled.keys())
    bounds: list[Bound] = []
    for each, derivation, chosen in plans:
        registers, wrong = rows_in_force(connection, systems, derivation.registers, now)
        for problem in wrong:
            log.error("register_row_left_out", system=each.system.id, derivation=derivation.id, problem=problem)
        params = Params(
            tuple(asset for asset, _ in chosen), each.settings, registers, park.zones, ZoneInfo(park.time_zone)
        )
        bounds.append(bind(each.system.id, derivation, chosen, params, ids))
    return bounds


def begin_derivations(connection: Connection, stream: int, bounds: list[Bound], until: int) -> Derivations:
    """Derivations whose state follows from the readings that are stored. `until`: event time of the stream, µs."""
    forget_fenced(connection, stream)
    if not bounds or until == NEVER:
        return Derivations.begin(bounds, Frame.empty(), until)
    return Derivations.begin(bounds, past_readings(connection, *_needed(bounds, until)), until)


def _needed(bounds: Sequence[Bound], until: int) -> tuple[Int32s, Int64s]:
    """Which points are needed from which time (µs) on: by each derivation as far back as it remembers."""
    points = np.concatenate([bound.inputs.ravel() for bound in bounds])
    start = np.concatenate([np.full(bound.inputs.size, until - remembered_us(bound)) for bound in bounds])
    unique, place = np.unique(points, return_inverse=True)
    first = np.full(len(unique), until)
    np.minimum.at(first, place, start)
    return unique[unique != NO_POINT], first[unique != NO_POINT]


def remembered_us(bound: Bound) -> int:
    """How far back readings decide what a derivation gives, µs."""
    # A row of the window has inputs that were read before it, and its stretch may have begun before it.
    window_us = math.ceil((bound.derivation.window_s + bound.derivation.every_s) * 1e6)
    return window_us + int(bound.max_age.max(initial=0))
