"""The wall clock of the simulator, µs since the epoch."""

import time
from datetime import UTC, datetime


def wall_us() -> int:
    """Now, µs since the epoch, UTC."""
    return time.time_ns() // 1_000


def instant(us: int) -> datetime:
    """µs since the epoch as an aware datetime."""
    return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000)
