"""One gateway's stream as its owner holds it in memory: order, births, image, rules; and what it wants to commit next.

Messages go in one by one (`take_*`), `work` gives what one transaction should do, and `installed` takes over what that
transaction did. When a commit fails the whole value is thrown away and loaded again: the database is the truth.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from park_platform.sensing.decode import decode_batch
from park_platform.sensing.greet import GreetedLanes, greet
from park_platform.sensing.holding import Holding
from park_platform.sensing.link import Arrived
from park_platform.sensing.order import LaneOrder, Verdict
from park_platform.sensing.plan import Answers, LaneKey, Message, Need, Plan, storable
from park_platform.sensing.runs import Runs
from park_platform.sensing.tick import arrange
from park_platform.storage.engines.store import AHEAD_US
from park_platform.storage.streams import GatewayRow, PointMap, StreamRules
from park_platform.storage.work import Committed, Gap, Letter, MarkMove, Notice, Work
from park_platform.storage.workers import Claim
from park_sdk.frame import NEVER, Frame, Image
from park_wire.batch import Batch, Lane, Tombstone
from park_wire.errors import WireError
from park_wire.messages import Ack, Hello

log = structlog.get_logger()

CREDIT: Final = 16
MOST_ROWS: Final = 50_000
_PACK_EVERY_US: Final = 1_000_000
_MOST_REFUSED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Config:
    """A stream's points (as a blank or known image) and rules, as of the `rules_seq` of the installation."""

    image: Image
    rules: StreamRules
    rules_seq: int


class Births(Protocol):
    """The births of one gateway, in the database."""

    def map_of(self, config_version: bytes) -> PointMap | None:
        """The points behind the indices of a version; None when its birth has not come yet."""
        ...

    def put_in_force(self, config_version: bytes, image: Image) -> Config:
        """Let the points be what this version says; returns points and rules anew, the image with what is known."""
        ...
