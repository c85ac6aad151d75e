"""What a running gateway tells about itself, as a small file beside the outbox.

The outbox has one connection and it is the gateway's; `park gateway outbox` reads this file instead.
"""

import json
import os
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from park_gateway.outbox_rows import LaneState
from park_wire.batch import Lane
from park_wire.errors import StoreError

NAME: Final = "report.json"
WINDOW_S: Final = 60.0
"""Rates are means over this time."""


@dataclass(frozen=True, slots=True)
class LaneReport:
    """A lane: what waits, how long the oldest has, and readings in and out a second."""

    batches: int
    readings: int
    age_s: float
    in_per_s: float
    out_per_s: float

    @property
    def empty_in_s(self) -> float | None:
        """Seconds until the lane is empty at these rates; None when it does not shrink."""
        if not self.readings:
            return 0.0
        shrinks = self.out_per_s - self.in_per_s
        return self.readings / shrinks if shrinks > 0 else None


@dataclass(frozen=True, slots=True)
class Report:
    """A gateway at one moment (`at`, µs UTC). `skew_us` is how far its clock is ahead, None before the first ack."""

    gateway: str
    at: int
    online: bool
    free_bytes: int
    skew_us: int | None
    resends: int
    blocks: int
    failures: int
    missed: int
    lanes: dict[Lane, LaneReport]

    def write(self, folder: Path) -> None:
        """Replace the file in one step; a crash leaves the old one."""
        draft = folder / f"{NAME}.new"
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(folder / NAME)

    @classmethod
    def read(cls, folder: Path) -> "Report":
        """The last report. Raises StoreError when there is none."""
        path = folder / NAME
        try:
            fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            lanes = {Lane(name): LaneReport(**lane) for name, lane in fields.pop("lanes").items()}
            return cls(**fields, lanes=lanes)
        except FileNotFoundError:
            raise StoreError(f"{path} is not there: no gateway has run with this outbox; start it") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"{path} can't be read: {error}; a running gateway writes it anew every 5 s") from error


class Rates:
    """Readings in and out a second, from counters that are shown from time to time."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[Lane, tuple[int, int]]]] = deque()

    def show(self, now_s: float, lanes: dict[Lane, LaneState]) -> dict[Lane, tuple[float, float]]:
        """The means since the oldest look within WINDOW_S; zero at the first look."""
        self._seen.append((now_s, {lane: (state.sealed, state.delivered) for lane, state in lanes.items()}))
        while now_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        began_s, began = self._seen[0]
        passed_s = max(now_s - began_s, 1e-9)
        rates: dict[Lane, tuple[float, float]] = {}
        for lane, state in lanes.items():
            sealed, delivered = began[lane]
            rates[lane] = ((state.sealed - sealed) / passed_s, (state.delivered - delivered) / passed_s)
        return rates


def disk_share(folder: Path, share: float, most_bytes: int) -> int:
    """At most `share` of what the disk of `folder` has left, counting what the folder itself holds, in bytes."""
    held = sum(file.stat().st_size for file in folder.glob("*") if file.is_file())
    disk = os.statvfs(folder)
    return min(most_bytes, int(share * (disk.f_bavail * disk.f_frsize + held)))
