"""All lanes of one gateway as its owner holds them: their order, the epochs that were greeted, how far time went."""

from collections.abc import Mapping

from park_platform.sensing.order import LaneOrder
from park_platform.sensing.plan import LaneKey
from park_wire.batch import Batch, Lane


class Lanes:
    """The order of each (epoch, lane). `greeted`: epochs that said hello. `last_until`: newest `until`, or NEVER."""

    def __init__(self, orders: Mapping[LaneKey, LaneOrder], greeted: set[bytes], last_until: int) -> None:
        self._orders = dict(orders)
        self.greeted = greeted
        self.last_until = last_until

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

    def is_moved_copy(self, batch: Batch) -> bool:
        """Whether a batch that was moved to a new epoch is already committed under its first identity."""
        origin = batch.envelope.origin
        order = None if origin is None else self._orders.get((origin.epoch, origin.lane))
        if origin is None or order is None or order.in_gap(origin.seq):
            return False
        return order.hash_at(origin.seq) == batch.sha256
