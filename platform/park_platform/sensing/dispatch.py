"""A message from the broker finds its way: data and hello into the plan, births and status into the database."""

import structlog

from park_platform.sensing.life import FATAL, Life, Owned
from park_platform.sensing.link import Arrived
from park_platform.storage.connect import database_errors
from park_platform.storage.streams import save_status
from park_wire.batch import read_message
from park_wire.errors import StoreError, WireError
from park_wire.messages import Birth, Hello, Status
from park_wire.topics import Upward, parse_gateway_topic

log = structlog.get_logger()


def leaf_of(arrived: Arrived) -> Upward:
    """Which of a gateway's topics a message came on."""
    return parse_gateway_topic(arrived.topic)[1]


def take(life: Life, owned: Owned, arrived: Arrived) -> None:
    """Take one message. What is malformed becomes a dead letter.

    Raises whatever a batch raises that its decoder did not foresee, and what ends this life.
    """
    staging = owned.stream.staging
    leaf = leaf_of(arrived)
    try:
        match leaf:
            case "data":
                staging.take_data(read_message(arrived.payload), arrived, life.clock())
            case "hello":
                staging.take_hello(Hello.decode(arrived.payload), arrived, life.clock())
            case "birth":
                _take_birth(life, owned, Birth.decode(arrived.payload), arrived)
            case "status":
                _take_status(life, owned, Status.decode(arrived.payload), arrived)
    except FATAL:
        raise
    except (WireError, StoreError) as error:
        if leaf == "data" and isinstance(error, StoreError):
            raise
        refuse(owned, arrived, str(error))


def refuse(owned: Owned, arrived: Arrived, reason: str) -> None:
    """Keep a message that says nothing usable as a dead letter."""
    log.warning("message_malformed", gateway=owned.gateway, topic=arrived.topic, reason=reason)
    owned.stream.staging.take_malformed(arrived, reason)


def _take_birth(life: Life, owned: Owned, birth: Birth, arrived: Arrived) -> None:
    births = owned.stream.births
    known = births.map_of(birth.config_version)
    if known is None:
        owned.stream.reload(births.save(birth, arrived.payload))
        known = births.map_of(birth.config_version)
        log.info("birth_taken", gateway=owned.gateway, points=len(birth.points))
    if known is not None:
        owned.stream.staging.take_birth(known, birth.config_version, life.clock())
    life.link.acknowledge([arrived])


def _take_status(life: Life, owned: Owned, status: Status, arrived: Arrived) -> None:
    with database_errors():
        save_status(life.connection, owned.stream.gateway.id, status)
    life.link.acknowledge([arrived])
