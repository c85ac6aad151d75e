"""Whether a device answers: one log line when it is lost and one when it is back, however often it is asked between."""

from dataclasses import dataclass
from typing import Final

import structlog

_log: Final = structlog.get_logger()


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
