"""The wall clock as times are written on the wire and in the database."""

import time


def wall_us() -> int:
    """Now, in µs since 1970 UTC."""
    return time.time_ns() // 1_000
