"""Whether a device answers: one log line when it is lost and one when it is back, however often it is asked between."""

from dataclasses import dataclass
from typing import Final

import structlog

_LEAST_REPEAT_MS: Final = 2_000
_REPEAT_PERIODS: Final = 2

_log: Final = structlog.get_logger()


def repeat_s(period_ms: int) -> float:
    """How long after a reading that nothing has replaced it is due again, in s: a value that holds, or a bad one.

    `period_ms` is the point's; of a lost device it is the shortest. The centre takes a point for stale after 3 periods,
    at least 3 s, without any reading. That is for silence nobody has told it of, and an alarm that comes and goes with
    each of our attempts would say nothing.
    """
    return max(_REPEAT_PERIODS * period_ms, _LEAST_REPEAT_MS) / 1000


@dataclass(slots=True)
class Presence:
    """What is known of a device, or of one of its blocks. Nothing is logged before it is lost for the first time."""

    device: str
    block: str | None = None
    is_lost: bool = False

    def lost(self, why: Exception | str) -> None:
        """It does not answer, or nonsense; `why` says where and what to do."""
        if not self.is_lost:
            self.is_lost = True
            if self.block is None:
                _log.warning("device_lost", device=self.device, error=str(why))
            else:
                _log.warning("block_lost", device=self.device, block=self.block, error=str(why))

    def back(self) -> None:
        """It answers."""
        if self.is_lost:
            self.is_lost = False
            if self.block is None:
                _log.info("device_back", device=self.device)
            else:
                _log.info("block_back", device=self.device, block=self.block)
