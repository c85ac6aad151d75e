"""Messages as the broker would bring them, without a broker."""

from itertools import count

from park_platform.sensing.link import Arrived
from park_wire.batch import Batch, Tombstone, encode_batch, encode_tombstone
from park_wire.topics import Upward, gateway_topic

_mids = count(1)


def arrived(payload: bytes, leaf: Upward = "data", *, gateway: str = "edge") -> Arrived:
    """A payload on one of a gateway's topics."""
    return Arrived(gateway_topic(gateway, leaf), payload, retained=False, mid=next(_mids), qos=1, generation=1, at=0.0)


def arrived_message(message: Batch | Tombstone) -> Arrived:
    """A batch or tombstone on the data topic."""
    if isinstance(message, Batch):
        return arrived(encode_batch(message.envelope, message.sealed))
    return arrived(encode_tombstone(message))
