"""What a report asks for, fetched within what the reader may see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import BaseModel

from park_platform.storage.completeness import count_readings
from park_platform.storage.connect import Connection
from park_platform.storage.derived import park_views
from park_platform.storage.gateways import GapSpan, gaps_within
from park_platform.storage.park_view import enterprise_names, park_row
from park_platform.storage.registers import rows_in_force
from park_platform.storage.report_alarms import raised_alarms
from park_platform.storage.scope import Scope
from park_platform.storage.totals import counter_points, totals
from park_sdk.register import Row
from park_sdk.report import AlarmsNeed, AlarmView, Counts, CountsNeed, Data, Need, RegisterNeed, Totals, TotalsNeed
from park_sdk.system import System


class NeedWrong(ValueError):
    """A report asks for what can't be had; the text says which need, and why."""


class EnterpriseUnknown(ValueError):
    """A report is asked for about an enterprise that does not exist, or that the reader may not see."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Who reads, and what of: the scope, the systems whose registers there are, and the time in µs UTC."""

    scope: Scope
    systems: Mapping[str, System]
    now: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a report gets. `left_out`: rows of registers that no longer fit their model, as sentences.

    gaps: what is known to be missing of the gateways whose counters it adds up.
    """

    data: Data
    left_out: tuple[str, ...]
    gaps: tuple[GapSpan, ...] = ()


def fetch(connection: Connection, reading: Reading, needs: Mapping[str, Need], settings: BaseModel) -> Fetched:
    """Everything that the needs name. Runs inside `scoped`.

    Raises NeedWrong, EnterpriseUnknown, and QueryTooLarge where a need is too large to be fetched.
    """
    park = park_row(connection)
    enterprises = enterprise_names(connection, reading.scope)
    found_totals: dict[str, Totals] = {}
    found_counts: dict[str, Counts] = {}
    found_alarms: dict[str, Sequence[AlarmView]] = {}
    for name, need in needs.items():
        if need.enterprise is not None and need.enterprise not in enterprises:
            raise EnterpriseUnknown(need.enterprise)
        if isinstance(need, RegisterNeed):
            continue
        if isinstance(need, TotalsNeed):
            found_totals[name] = _totals(connection, reading, name, need)
        elif isinstance(need, CountsNeed):
            found_counts[name] = _counts(connection, reading, name, need)
        else:
            found_alarms[name] = _alarms(connection, reading, need)
    registers, left_out = _registers(connection, reading, needs)
    data = Data(
        totals=found_totals,
        registers=registers,
        alarms=found_alarms,
        enterprises=enterprises,
        park=park.name,
        time_zone=ZoneInfo(park.time_zone),
        settings=settings,
        now=reading.now,
        assets=park_views(connection).assets,
        counts=found_counts,
    )
    gaps = [
        gap
        for name, need in needs.items()
        if isinstance(need, TotalsNeed)
        for gap in gaps_within(connection, [point.id for point in found_totals[name].points], need.start, need.end)
    ]
    return Fetched(data, tuple(left_out), tuple(dict.fromkeys(gaps)))


def _totals(connection: Connection, reading: Reading, name: str, need: TotalsNeed) -> Totals:
    try:
        points = counter_points(
            connection,
            reading.scope,
            quantities=need.quantities,
            kinds=need.kinds,
            enterprise=need.enterprise,
        )
        sums = totals(connection, [point.id for point in points], need.start, need.end, need.step_us, now=reading.now)
    except ValueError as error:
        raise NeedWrong(f"needs {name!r}: {error}") from error
    return Totals(points, sums.start, sums.value, sums.covered, sums.estimated)


def _counts(connection: Connection, reading: Reading, name: str, need: CountsNeed) -> Counts:
    edges = np.array(need.edges, np.int64)
    try:
        points = counter_points(
            connection,
            reading.scope,
            quantities=need.quantities,
            kinds=need.kinds,
            enterprise=need.enterprise,
        )
        found = count_readings(connection, [point.id for point in points], edges)
    except ValueError as error:
        raise NeedWrong(f"needs {name!r}: {error}") from error
    return Counts(points, edges, found.expected, found.received, found.good, found.first, found.last)


def _alarms(connection: Connection, reading: Reading, need: AlarmsNeed) -> Sequence[AlarmView]:
    return raised_alarms(connection, reading.scope, need.start, need.end, need.enterprise)


def _registers(
    connection: Connection, reading: Reading, needs: Mapping[str, Need]
) -> tuple[dict[str, Sequence[Row]], list[str]]:
    """Rows by the name of the need, and what is wrong with rows that are left out. One time is read at once."""
    kept = {f"{id_}.{register.id}" for id_, system in reading.systems.items() for register in system.registers}
    found: dict[str, Sequence[Row]] = {}
    left_out: list[str] = []
    by_time: dict[int, dict[str, RegisterNeed]] = {}
    for name, need in needs.items():
        if not isinstance(need, RegisterNeed):
            continue
        if need.register in kept:
            by_time.setdefault(need.as_of, {})[name] = need
        elif need.optional:
            found[name] = ()
        else:
            raise NeedWrong(f"needs {name!r}: no enabled system keeps the register {need.register!r}")
    for as_of, wanted in by_time.items():
        rows, wrong = rows_in_force(
            connection, reading.systems, sorted({need.register for need in wanted.values()}), as_of
        )
        for name, need in wanted.items():
            all_rows = rows[need.register]
            found[name] = [row for row in all_rows if need.enterprise in (None, row.enterprise)]
        left_out += wrong
    return found, left_out
