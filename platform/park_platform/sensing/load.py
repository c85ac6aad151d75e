"""A gateway's stream as the database knows it: after a takeover, after a failed commit, after a change of rules."""

from collections import OrderedDict
from uuid import UUID

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
    gateway_of,
    lanes_of,
    last_until,
    point_map,
)
from park_platform.storage.workers import Claim, lock_streams
from park_wire.messages import Birth


class StoredBirths:
    """The births of the gateway of one claimed stream."""

    def __init__(self, connection: Connection, claim: Claim, gateway: GatewayRow, incarnation: UUID) -> None:
        self._connection = connection
        self._claim = claim
        self._gateway = gateway
        self._incarnation = incarnation

    def map_of(self, config_version: bytes) -> PointMap | None:
        """The points behind the indices of a version; None when its birth has not come yet."""
        with database_errors():
            return point_map(self._connection, self._gateway.id, config_version)

    def put_in_force(self, config_version: bytes) -> StreamConfig:
        """Let the points be what this version says; returns points and rules as they are then."""
        with database_errors(), self._connection.transaction():
            lock_config(self._connection)
            lock_streams(self._connection, [self._claim], self._incarnation)
            put_in_force(self._connection, self._gateway, config_version)
            return config_of(self._connection, self._claim.stream)

    def save(self, birth: Birth, content: bytes) -> StreamConfig:
        """Keep a birth that is not known yet; returns points and rules as they are then."""
        with database_errors(), self._connection.transaction():
            lock_config(self._connection)
            lock_streams(self._connection, [self._claim], self._incarnation)
            save_birth(self._connection, self._gateway, birth, content)
            return config_of(self._connection, self._claim.stream)


def load_stream(connection: Connection, claim: Claim, incarnation: UUID) -> GatewayStream | None:
    """The stream that was claimed; None when it has no gateway (any more)."""
    with database_errors():
        gateway = gateway_of(connection, claim.stream)
        if gateway is None:
            return None
        lanes = Lanes(
            {(row.epoch, row.lane): _order(row) for row in lanes_of(connection, gateway.id)},
            epochs_of(connection, gateway.id),
            last_until(connection, gateway.id),
        )
        # Before the image: points that are made between the two are then in it.
        config = config_of(connection, claim.stream)
        image = recover_image(connection, claim.stream)
    return GatewayStream(claim, gateway, lanes, image, config, StoredBirths(connection, claim, gateway, incarnation))


def _order(row: LaneRow) -> LaneOrder:
    hashes = OrderedDict({row.mark: row.head}) if row.mark else OrderedDict[int, bytes]()
    return LaneOrder(row.mark, row.head, hashes, list(row.gaps), row.lost)


def reload_config(connection: Connection, stream: GatewayStream) -> None:
    """Load points and rules again; what is planned stays planned."""
    with database_errors():
        stream.reload(config_of(connection, stream.claim.stream))
