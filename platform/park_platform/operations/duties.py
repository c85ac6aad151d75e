"""What the owner of the `park` stream has to compute: its derivations with their points, and one run of one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import structlog

from park_platform.derivations import Fenced
from park_platform.operations.grid import Served, make_grid, related, serve, step_begin, step_ends
from park_platform.storage.births import lock_config
from park_platform.storage.connect import Connection
from park_platform.storage.derived import (
    ParkViews,
    enabled_settings,
    forget_fenced,
    keep_derived_points,
    park_views,
    point_views,
)
from park_platform.storage.latest import recover_image
from park_platform.storage.park_stream import config_seq, first_minute
from park_platform.storage.registers import rows_in_force
from park_platform.storage.streams import StreamConfig, config_of
from park_platform.storage.workers import Claim
from park_platform.systems import Enabled, enable
from park_sdk.bind import PointView, Wanted
from park_sdk.derivation import AssetView, Derived, Of, Params, ParkDerivation, ParkInput
from park_sdk.derive import BadResult
from park_sdk.frame import Frame, Image, Int32s, Int64s
from park_sdk.register import Row
from park_sdk.system import System
from park_wire.quality import Quality

log = structlog.get_logger()

SECOND: Final = 1_000_000
_OLDEST_US: Final = 31 * 86_400 * SECOND
# A run's steps: what they read has to fit into memory.
_LONGEST_RUN_S: Final = 90_000


@dataclass(slots=True)
class Duty:
    """A derivation with what it reads and gives. outputs: i32[o, a]. `failed`: it raised, and rests till a reload."""

    system: str
    derivation: ParkDerivation
    params: Params
    served: Mapping[str, Served]
    outputs: Int32s
    failed: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """How its progress is kept."""
        return self.system, self.derivation.id

    @property
    def most_steps(self) -> int:
        """How many steps a run may have."""
        return max(1, _LONGEST_RUN_S // self.derivation.every_s)

    def ends(self, after: int, until: int) -> Int64s:
        """The ends of its steps in (after, until], µs."""
        return step_ends(self.derivation.every_s, after, until, self.params.time_zone)

    def begin(self, ends: Int64s) -> int:
        """When the first of these steps begins, µs."""
        return step_begin(self.derivation.every_s, int(ends[0]), self.params.time_zone)


@dataclass(frozen=True, slots=True)
class Owned:
    """The park stream as its owner knows it: config and duties as of the installation's `config_seq`."""

    claim: Claim
    incarnation: UUID
    config_seq: int
    config: StreamConfig
    image: Image
    assets: tuple[AssetView, ...]
    duties: tuple[Duty, ...]
    unsaid: tuple[Fenced, ...]


def load_owned(
    connection: Connection, claim: Claim, incarnation: UUID, systems: Mapping[str, System], now: int
) -> Owned:
    """The stream as the database has it now. Derived points that are missing are made; what raised gets another try."""
    with connection.transaction():
        lock_config(connection)
        forget_fenced(connection, claim.stream)
        settings = enabled_settings(connection)
        enabled, faults = enable(systems, settings, "database")
        for fault in faults:
            log.error("system_not_run", key=fault.key, problem=fault.problem, remedy=fault.remedy)
        # A system that the park relies on and does not have is an alarm.
        unsaid = tuple(Fenced(fault.key.split(".")[1], "all", f"{fault.problem}; {fault.remedy}") for fault in faults)
        park, points = park_views(connection), point_views(connection, None, derived=True)
        zone = ZoneInfo(park.time_zone)
        planned = [
            (each, derivation, mine)
            for each in enabled.values()
            for derivation in each.system.derivations
            if isinstance(derivation, ParkDerivation)
            for mine in [_assets_of(derivation, park)]
            if mine
        ]
        wanted = [
            Wanted(each.system.id, derivation.id, asset.key, quantity, derivation.every_s * SECOND)
            for each, derivation, mine in planned
            for asset in mine
            for quantity in derivation.outputs
        ]
        ids = keep_derived_points(connection, claim.stream, wanted, settings.keys() - enabled.keys())
        duties = tuple(
            Duty(
                each.system.id,
                derivation,
                Params(mine, each.settings, _registers(connection, systems, each, derivation, now), park.zones, zone),
                _served(derivation, mine, park, points),
                _outputs(each.system.id, derivation, mine, ids),
            )
            for each, derivation, mine in planned
        )
        # After the points: making them has counted it up.
        seq = config_seq(connection)
        config = config_of(connection, claim.stream)
    return Owned(claim, incarnation, seq, config, recover_image(connection, claim.stream), park.assets, duties, unsaid)


def due_steps(connection: Connection, duty: Duty, done: int | None, until: int) -> tuple[Int64s, bool]:
    """The ends of the steps of the next run, and whether more are due behind it. done: how far it has got."""
    if duty.failed:
        return np.empty(0, np.int64), False
    if done is None:
        points = [each.point for each in duty.served.values()]
        first = first_minute(connection, np.unique(np.concatenate(points))) if points else None
        done = max(until - _OLDEST_US, until - duty.derivation.every_s * SECOND if first is None else first)
    ends = duty.ends(done, until)
    return ends[: duty.most_steps], len(ends) > duty.most_steps


def compute(connection: Connection, owned: Owned, duty: Duty, ends: Int64s) -> Frame | str:
    """The readings of these steps, sorted by (point, time); or what went wrong, and the duty rests from then on."""
    begin = duty.begin(ends)
    grid = make_grid(connection, duty.derivation, duty.served, duty.params.assets, owned.assets, (begin, ends))
    try:
        return _as_frame(duty, duty.derivation.compute(grid, duty.params), begin, int(ends[-1]))
    except Exception as error:  # noqa: BLE001 - a system's own code: the others run on
        duty.failed = True
        reason = f"{type(error).__name__}: {error}"
        log.error("derivation_fenced", system=duty.system, derivation=duty.derivation.id, reason=reason)
        return reason


# within -------------------------------------------------------------------------------------------------------------


def _assets_of(derivation: ParkDerivation, park: ParkViews) -> tuple[AssetView, ...]:
    return tuple(
        asset
        for asset in park.assets
        if asset.kind in derivation.kinds
        and all(name in asset.design for name in derivation.design)
        and all(_feeds(asset, each, park.assets) for each in derivation.inputs if isinstance(each, ParkInput))
    )


def _feeds(asset: AssetView, wanted: ParkInput, assets: Sequence[AssetView]) -> bool:
    """Whether it has the sub-meters that an input asks for; true for other inputs."""
    return wanted.of is not Of.FED or any(
        not wanted.kinds or other.kind in wanted.kinds for other in related(asset, wanted.of, assets)
    )


def _registers(
    connection: Connection, systems: Mapping[str, System], each: Enabled, derivation: ParkDerivation, now: int
) -> Mapping[str, tuple[Row, ...]]:
    rows, wrong = rows_in_force(connection, systems, derivation.registers, now)
    for problem in wrong:
        log.error("register_row_left_out", system=each.system.id, derivation=derivation.id, problem=problem)
    return rows


def _served(
    derivation: ParkDerivation,
    mine: Sequence[AssetView],
    park: ParkViews,
    points: Mapping[str, Sequence[PointView]],
) -> Mapping[str, Served]:
    return {
        each.name: serve(each, mine, park.assets, points) for each in derivation.inputs if isinstance(each, ParkInput)
    }


def _outputs(
    system: str, derivation: ParkDerivation, mine: Sequence[AssetView], ids: Mapping[tuple[str, str], int]
) -> Int32s:
    rows = [[ids[asset.key, f"{system}.{quantity}"] for asset in mine] for quantity in derivation.outputs]
    return np.array(rows, np.int32).reshape(len(derivation.outputs), len(mine))


def _as_frame(duty: Duty, derived: Derived, after: int, until: int) -> Frame:
    """Derived rows as readings, sorted by (point, time). Raises BadResult for what breaks the contract."""
    n, outputs = len(derived.asset), duty.derivation.outputs
    if set(derived.columns) != set(outputs):
        raise BadResult(f"compute gave {', '.join(sorted(derived.columns)) or 'nothing'}; not {', '.join(outputs)}")
    if derived.time.shape != (n,) or any(column.shape != (n,) for column in derived.columns.values()):
        raise BadResult(f"its columns have other lengths than its {n} assets")
    if n and not (after < int(derived.time.min()) and int(derived.time.max()) <= until):
        raise BadResult("it gave times that lie outside the steps it was asked for")
    if n and not (int(derived.asset.min()) >= 0 and int(derived.asset.max()) < len(duty.params.assets)):
        raise BadResult("it gave values to assets that do not exist")
    parts: list[Frame] = []
    for number, name in enumerate(outputs):
        value = np.asarray(derived.columns[name], np.float64)
        good = np.isfinite(value)
        quality = np.where(good, Quality.GOOD, Quality.BAD).astype(np.int16)
        parts.append(Frame(duty.outputs[number, derived.asset], derived.time, np.where(good, value, np.nan), quality))
    joined = Frame.joined(parts)
    joined = joined.take(np.lexsort((joined.time, joined.point)))
    if ((joined.point[1:] == joined.point[:-1]) & (joined.time[1:] == joined.time[:-1])).any():
        raise BadResult("it gave two values to one asset at one time")
    return joined
