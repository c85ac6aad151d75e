"""A gateway's stream as the database knows it: after a takeover, after a failed commit, after a change of rules."""

from collections import OrderedDict

from park_platform.sensing.gateway_stream import GatewayStream, Loaded, widened
from park_platform.sensing.order import LaneOrder
from park_platform.storage.connect import Connection, database_errors
from park_platform.storage.latest import recover_image
from park_platform.storage.streams import (
    config_seq,
    epochs_of,
    gateway_of,
    lanes_of,
    last_until,
    point_map,
    points_of,
    rules_of,
)
from park_platform.storage.workers import Claim


def load_stream(connection: Connection, claim: Claim) -> GatewayStream | None:
    """The stream that was claimed; None when it has no gateway (any more)."""
    with database_errors():
        gateway = gateway_of(connection, claim.stream)
        if gateway is None:
            return None
        seq = config_seq(connection)
        loaded = Loaded(
            gateway=gateway,
            lanes={
                (row.epoch, row.lane): LaneOrder(
                    row.mark, row.head, OrderedDict({row.mark: row.head}) if row.mark else OrderedDict(), list(row.gaps)
                )
                for row in lanes_of(connection, gateway.id)
            },
            epochs=epochs_of(connection, gateway.id),
            image=recover_image(connection, claim.stream),
            rules=rules_of(connection, claim.stream),
            config_seq=seq,
            last_until=last_until(connection, gateway.id),
        )
    return GatewayStream(claim, loaded, lambda version: point_map(connection, gateway.id, version))


def reload_config(connection: Connection, stream: GatewayStream) -> None:
    """Load points and rules again; what is planned stays planned."""
    with database_errors():
        seq = config_seq(connection)
        points = points_of(connection, stream.claim.stream)
        rules = rules_of(connection, stream.claim.stream)
    stream.reload(widened(stream.image, points), rules, seq)
