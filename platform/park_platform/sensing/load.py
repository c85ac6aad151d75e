"""A gateway's stream as the database knows it: after a takeover, after a failed commit, after a change of rules."""

from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import UUID

from park_platform.sensing.derive_load import begin_derivations, bind_derivations
from park_platform.sensing.gateway_stream import GatewayStream
from park_platform.sensing.lanes import Lanes
from park_platform.sensing.order import LaneOrder
from park_platform.storage.births import lock_config, put_in_force, save_birth
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.latest import recover_image
from park_platform.storage.streams import (
    GatewayRow,
    LaneRow,
    PointMap,
    StreamConfig,
    config_of,
    epochs_of,
    event_until,
    gateway_of,
    lanes_of,
    last_until,
    point_map,
)
from park_platform.storage.workers import Claim, lock_streams
from park_sdk.system import System
from park_wire.messages import Birth


@dataclass(frozen=True, slots=True)
class Source:
    """Where a stream's configuration comes from: the database as this worker may use it, and the installed systems."""

    connection: Connection
    incarnation: UUID
    systems: Mapping[str, System]
    clock: Callable[[], int]

    @contextmanager
    def locked(self, claim: Claim) -> Generator[None]:
        """A transaction that holds the installation's row and the stream's."""
        with database_errors(), self.connection.transaction():
            lock_config(self.connection)
            lock_streams(self.connection, [claim], self.incarnation)
            yield

    def config(self, claim: Claim) -> StreamConfig:
        """Points, rules and derivations of a stream, whose derived points are made where they are missing.

        Runs inside `locked`.
        """
        bounds = bind_derivations(self.connection, claim.stream, self.systems, self.clock())
        derivations = begin_derivations(
            self.connection, claim.stream, bounds, event_until(self.connection, claim.stream)
        )
        return replace(config_of(self.connection, claim.stream), derivations=derivations)


class StoredBirths:
    """The births of the gateway of one claimed stream."""

    def __init__(self, source: Source, claim: Claim, gateway: GatewayRow) -> None:
        self._source = source
        self._claim = claim
        self._gateway = gateway

    def map_of(self, config_version: bytes) -> PointMap | None:
        """The points behind the indices of a version; None when its birth has not come yet."""
        with database_errors():
            return point_map(self._source.connection, self._gateway.id, config_version)

    def put_in_force(self, config_version: bytes) -> StreamConfig:
        """Let the points be what this version says; returns points and rules as they are then."""
        with self._source.locked(self._claim):
            put_in_force(self._source.connection, self._gateway, config_version)
            return self._source.config(self._claim)

    def save(self, birth: Birth, content: bytes) -> StreamConfig:
        """Keep a birth that is not known yet; returns points and rules as they are then."""
        with self._source.locked(self._claim):
            save_birth(self._source.connection, self._gateway, birth, content)
            return self._source.config(self._claim)


def load_stream(source: Source, claim: Claim) -> GatewayStream | None:
    """The stream that was claimed; None when it has no gateway (any more)."""
    connection = source.connection
    with database_errors():
        gateway = gateway_of(connection, claim.stream)
        if gateway is None:
            return None
        lanes = Lanes(
            {(row.epoch, row.lane): order_of(row) for row in lanes_of(connection, gateway.id)},
            epochs_of(connection, gateway.id),
            last_until(connection, gateway.id),
        )
        with source.locked(claim):
            config = source.config(claim)
        # After the points: those that are made between the two have no reading yet.
        image = recover_image(connection, claim.stream)
    return GatewayStream(claim, gateway, lanes, image, config, StoredBirths(source, claim, gateway))


def order_of(row: LaneRow) -> LaneOrder:
    """The order of a lane as a worker begins with it: of its hashes only the head is known."""
    hashes = OrderedDict({row.mark: row.head}) if row.mark else OrderedDict[int, bytes]()
    return LaneOrder(
        row.mark,
        row.head,
        hashes,
        list(row.gaps),
        lost=row.lost,
        renewed_at=row.renewed_at,
        restored=row.restored,
        awaited=list(row.awaited),
    )


def reload_config(source: Source, stream: GatewayStream) -> None:
    """Load points, rules and derivations again; what is planned stays planned."""
    with source.locked(stream.claim):
        config = source.config(stream.claim)
    stream.reload(config)
