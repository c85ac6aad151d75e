"""The truth journal: every sample that the field served, every fault and every true change of state (chain.md 3.7).

Lines are JSON arrays, times µs since the epoch by the wall clock:
    ["start", time, {"device/block": ordinal reached so far, …}]
    ["served", time, device, block, ordinal]
    ["fault", time, fault, target, "on" or "off", magnitude]
    ["state", time, device, state, "on" or "off", value]

Lines are gathered and written at most every 100 ms, in a thread: an fsync takes milliseconds, and waiting for one
before each answer would make the simulated field slower than a real one. What a crash of the simulator loses is
therefore the tail of at most 100 ms and one fsync; the gateway's side of the comparison (*accepted*) is synced before
it counts, so a lost tail can only hide a poll miss, never a lost reading. Ordinals go on after a restart, behind a gap
for that tail.
"""

import asyncio
import json
import os
from io import FileIO
from pathlib import Path
from typing import Any, Final

from park_wire.errors import StoreUnavailable

_FLUSH_S: Final = 0.1
_ROLL_BYTES: Final = 64 * 1024 * 1024
_KEPT_FILES: Final = 16
_RESTART_GAP: Final = 1_000
_WRAP: Final = 1 << 32


class Journal:
    """The journal of one simulator: `served` hands out ordinals and notes them. One writer a folder."""

    def __init__(self, folder: Path, now_us: int) -> None:
        """Open a new file in `folder`; ordinals follow those of the newest file there. Raises StoreUnavailable."""
        self._folder = folder
        self._lines: list[str] = []
        self._stopping = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._ordinals = {name: at + _RESTART_GAP for name, at in _last_ordinals(folder).items()}
            self._file = self._open(now_us)
        except OSError as error:
            raise _refused(folder, error) from error

    def next_ordinal(self, device: str, block: str, now_us: int) -> int:
        """The ordinal of a sample that is served now, from 1, u32; it is noted."""
        name = f"{device}/{block}"
        ordinal = (self._ordinals.get(name, 0) + 1) % _WRAP
        self._ordinals[name] = ordinal
        self._lines.append(f'["served",{now_us},"{device}","{block}",{ordinal}]\n')
        return ordinal

    def note_fault(self, now_us: int, fault: str, target: str, *, on: bool, magnitude: float) -> None:
        """Note that a fault begins or ends."""
        self._note(["fault", now_us, fault, target, "on" if on else "off", magnitude])

    def note_state(self, now_us: int, device: str, state: str, *, on: bool, value: float) -> None:
        """Note that something in the world became true or untrue, whatever instruments say."""
        self._note(["state", now_us, device, state, "on" if on else "off", value])

    def _note(self, line: list[Any]) -> None:
        self._lines.append(json.dumps(line, ensure_ascii=False) + "\n")

    async def run(self) -> None:
        """Write what is noted until `stop`. Raises StoreUnavailable when the disk does not take it."""
        while not self._stopping:
            await asyncio.sleep(_FLUSH_S)
            lines = self._take()
            if lines:
                await asyncio.to_thread(self._put, lines)

    def stop(self) -> None:
        """Let `run` end; then `close`."""
        self._stopping = True

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._file.closed:
            return
        try:
            self.write()
        finally:
            self._file.close()

    def fileno(self) -> int:
        """The present file's descriptor."""
        return self._file.fileno()

    def write(self) -> None:
        """Put on disk what was noted. Raises StoreUnavailable."""
        self._put(self._take())

    def _take(self) -> list[str]:
        # In the event loop's thread: an append that meets the exchange would be lost.
        lines, self._lines = self._lines, []
        return lines

    def _put(self, lines: list[str]) -> None:
        if not lines:
            return
        try:
            if self._file.tell() > _ROLL_BYTES:
                self._file.close()
                self._file = self._open(json.loads(lines[0])[1])
            _write_all(self._file, "".join(lines))
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _refused(self._folder, error) from error

    def _open(self, now_us: int) -> FileIO:
        """A new file that begins with the ordinals reached, so that older files are never needed to go on."""
        files = journal_files(self._folder)
        for old in files[: -(_KEPT_FILES - 1)]:
            old.unlink()
        # Behind the newest even when the clock was set back: the newest file says where the ordinals stand.
        name = max([now_us, *(int(file.stem.rpartition("-")[2]) + 1 for file in files[-1:])])
        file = (self._folder / f"journal-{name:020d}.jsonl").open("xb", buffering=0)
        _write_all(file, json.dumps(["start", now_us, self._ordinals]) + "\n")
        return file


def journal_files(folder: Path) -> list[Path]:
    """The journal's files, oldest first."""
    return sorted(folder.glob("journal-*.jsonl"))


def read_journal(folder: Path) -> list[list[Any]]:
    """All whole lines of the journal, oldest first. A line that a crash tore is left out."""
    lines: list[list[Any]] = []
    for file in journal_files(folder):
        whole = file.read_bytes().rpartition(b"\n")[0]
        lines.extend(json.loads(line) for line in whole.splitlines())
    return lines


def _last_ordinals(folder: Path) -> dict[str, int]:
    """The ordinals reached at the end of the newest file."""
    files = journal_files(folder)
    ordinals: dict[str, int] = {}
    if not files:
        return ordinals
    with files[-1].open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            noted: list[Any] = json.loads(line)
            if noted[0] == "start":
                ordinals |= noted[2]
            elif noted[0] == "served":
                ordinals[f"{noted[2]}/{noted[3]}"] = noted[4]
    return ordinals


def _write_all(file: FileIO, text: str) -> None:
    left = memoryview(text.encode())
    while left:
        left = left[file.write(left) :]


def _refused(folder: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"truth journal in {folder}: {error.strerror}; free space there or give another --data")
