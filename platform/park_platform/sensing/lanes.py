"""All lanes of one gateway as its owner holds them: their order, the epochs that were greeted, how far time went."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import TypeAlias

from park_platform.sensing.order import KEPT_HASHES, LaneOrder
from park_platform.sensing.plan import LaneKey
from park_wire.batch import Batch, Lane

_Identity: TypeAlias = tuple[bytes, Lane, int]


class Lanes:
    """The order of each (epoch, lane). `greeted`: epochs that said hello. `last_until`: newest `until`, or NEVER."""

    def __init__(self, orders: Mapping[LaneKey, LaneOrder], greeted: set[bytes], last_until: int) -> None:
        self._orders = dict(orders)
        self.greeted = greeted
        self.last_until = last_until
        self._moved: OrderedDict[_Identity, bytes] = OrderedDict()

    def of(self, epoch: bytes, lane: Lane) -> LaneOrder:
        """The order of a lane; one of which nothing is known begins at mark 0."""
        return self._orders.setdefault((epoch, lane), LaneOrder())

    def orders(self) -> Mapping[LaneKey, LaneOrder]:
        """Every lane of which anything is known."""
        return self._orders

    def epochs(self) -> set[bytes]:
        """Every epoch of which anything is known, with or without a hello."""
        return self.greeted | {epoch for epoch, _ in self._orders}

    def marks(self, epoch: bytes) -> dict[Lane, tuple[int, bytes]]:
        """Both marks of an epoch with their heads, as an ack says them."""
        return {lane: (order.mark, order.head) for lane in Lane for order in (self.of(epoch, lane),)}

    def is_copy(self, batch: Batch) -> bool:
        """Whether a batch is committed under another epoch: moved after its commit, or overtaken by its move."""
        origin = batch.envelope.origin
        if self._moved.get(_first_identity(batch)) == batch.sha256:
            return True
        order = None if origin is None else self._orders.get((origin.epoch, origin.lane))
        if origin is None or order is None or order.in_gap(origin.seq):
            return False
        return order.hash_at(origin.seq) == batch.sha256

    def note_move(self, batch: Batch) -> None:
        """A moved batch was committed: its original, or its next move, will be a copy of it."""
        if batch.envelope.origin is None:
            return
        self._moved[_first_identity(batch)] = batch.sha256
        while len(self._moved) > KEPT_HASHES:
            self._moved.popitem(last=False)


def _first_identity(batch: Batch) -> _Identity:
    envelope = batch.envelope
    first = envelope if envelope.origin is None else envelope.origin
    return first.epoch, first.lane, first.seq
