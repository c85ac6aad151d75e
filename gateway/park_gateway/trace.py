"""The trace of accepted samples (chain.md 3.7): which samples of simulated blocks an outbox commit took in.

Written after the commit and synced, so that every line is true; a crash between the two leaves a line out, which reads
as a poll miss and never as a loss.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from park_gateway.reading import SampleSpan
from park_wire.batch import Lane
from park_wire.errors import StoreError

VARIABLE: Final = "PARK_TRACE"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The samples that came into one batch of an epoch."""

    epoch: bytes
    lane: Lane
    seq: int
    samples: Sequence[SampleSpan]


class Trace:
    """A file of JSON lines: epoch, lane, seq, device, block, first and last ordinal of an unbroken run of samples."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("ab+")
        if self._file.seek(0, os.SEEK_END):
            self._file.seek(-1, os.SEEK_END)
            if self._file.read() != b"\n":
                # A line that a crash tore must not swallow the next one.
                self._file.write(b"\n")

    @classmethod
    def from_environment(cls) -> "Trace | None":
        """The trace that PARK_TRACE names, None where it names none."""
        path = os.environ.get(VARIABLE)
        return cls(Path(path)) if path else None

    def write(self, commit: Iterable[Accepted]) -> None:
        """Append what a commit accepted; on disk when this returns. Raises StoreError."""
        lines = [_line(batch, run) for batch in commit for run in _runs(batch.samples)]
        if not lines:
            return
        try:
            self._file.write("".join(lines).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            problem = f"trace {self._file.name}: {error.strerror}"
            raise StoreError(f"{problem}; make room there, or run without {VARIABLE}") from error

    def close(self) -> None:
        """Close the file."""
        # What could not be written was told when it was.
        with contextlib.suppress(OSError):
            self._file.close()


def _runs(samples: Sequence[SampleSpan]) -> list[tuple[str, str, int, int]]:
    ordinals: dict[tuple[str, str], list[int]] = {}
    for sample in samples:
        ordinals.setdefault((sample.device, sample.block), []).append(sample.ordinal)
    runs: list[tuple[str, str, int, int]] = []
    for (device, block), numbers in ordinals.items():
        first = last = numbers[0]
        for number in numbers[1:]:
            if number != last + 1:
                runs.append((device, block, first, last))
                first = number
            last = number
        runs.append((device, block, first, last))
    return runs


def _line(batch: Accepted, run: tuple[str, str, int, int]) -> str:
    device, block, first, last = run
    fields = {"epoch": batch.epoch.hex(), "lane": batch.lane.value, "seq": batch.seq}
    return json.dumps(fields | {"device": device, "block": block, "first": first, "last": last}) + "\n"
