"""One-minute buckets computed reading by reading, the slow and plain way, to judge the fast one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from park_platform.storage.buckets import MINUTE_US, BucketFlag
from park_wire.quality import ESTIMATED, LATE, is_bad

Reading = tuple[int, float, int]
"""Time, value, quality."""


@dataclass(frozen=True)
class PlainPoint:
    """What the rules of a bucket need to know of a point; max_age in µs."""

    max_age: int
    counter: bool = False
    low: float = 0.0
    high: float = 100.0


def usable(value: float, quality: int) -> bool:
    """Whether a reading takes part in value statistics."""
    return not is_bad(quality) and math.isfinite(value)


def plain_bucket(point: PlainPoint, readings: Sequence[Reading], bucket: int) -> dict[str, object] | None:
    """The bucket of `readings`, which are sorted by time; None when it has none and no value held in it."""
    end = bucket + MINUTE_US
    inside = [r for r in readings if bucket <= r[0] < end]
    good = [r for r in inside if usable(r[1], r[2])]
    flags = 0
    held: list[tuple[float, int]] = []
    for i, (time, value, quality) in enumerate(readings):
        until = min(time + point.max_age, end)
        if i + 1 < len(readings):
            until = min(until, readings[i + 1][0])
        long = until - max(time, bucket)
        if usable(value, quality) and long > 0:
            held.append((value, long))
            flags |= BucketFlag.UNCERTAIN if quality & 0x40 else 0
            flags |= BucketFlag.ESTIMATED if quality & ESTIMATED else 0
    for _, value, quality in inside:
        flags |= 0 if usable(value, quality) else BucketFlag.BAD
        flags |= BucketFlag.LATE if quality & LATE else 0
    consumption = 0.0
    for time, value, _ in good if point.counter else []:
        before = [v for t, v, q in readings if t < time and usable(v, q)]
        if not before:
            continue
        span = point.high - point.low
        if value >= before[-1]:
            consumption += value - before[-1]
        elif point.low + 0.9 * span <= before[-1] <= point.high and value <= point.low + 0.1 * span:
            consumption += point.high - before[-1] + value - point.low
            flags |= BucketFlag.ROLLOVER
        else:
            flags |= BucketFlag.RESET
    if not inside and not held:
        return None
    total = sum(long for _, long in held)
    return {
        "count": len(inside),
        "good_count": len(good),
        "min": min((v for v, _ in held), default=None),
        "max": max((v for v, _ in held), default=None),
        "mean": sum(v * (long / total) for v, long in held) if held else None,
        "good_seconds": total / 1e6,
        "first": good[0][1] if good else None,
        "first_ts": good[0][0] if good else None,
        "last": good[-1][1] if good else None,
        "last_ts": good[-1][0] if good else None,
        "flags": int(flags),
        "consumption": consumption if point.counter else None,
    }
