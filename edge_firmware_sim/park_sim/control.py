"""The door by which `park sim fault` reaches a running simulator: a Unix socket in the data folder, JSON lines.

A request is {"do": "fault" | "clear" | "list", …}, the answer {"ok": true, "faults": [...]} or {"ok": false, "wrong":
[sentences]}. Whoever may open the data folder may command the simulator; there is nothing else to protect.
"""

import asyncio
import fcntl
import json
import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from park_sim.clock import wall_us
from park_sim.faults import ActiveFault
from park_sim.field import Field
from park_wire.errors import ConfigError, ServiceError

_SOCKET: Final = "control.sock"
_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 65_536


def sim_folder(data: Path) -> Path:
    """Where the simulator keeps its journal and its socket, below a data folder."""
    return data / "sim"


def claim(folder: Path) -> IO[bytes]:
    """Hold a data folder for one simulator until the file is closed: two would give out the same sample ordinals.

    Raises ServiceError when another one has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise ServiceError(f"another simulated field runs with {folder}; stop it, or use another --data") from error
    return file


class Control:
    """The listening side."""

    def __init__(self, field: Field, folder: Path) -> None:
        self._field = field
        self._folder = folder
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. A socket that a killed simulator left is replaced: the folder is claimed."""
        place = self._folder / _SOCKET
        place.unlink(missing_ok=True)
        with _short(self._folder) as short:
            self._server = await asyncio.start_unix_server(self._serve, short, limit=_MOST_BYTES)
        place.chmod(0o600)

    async def stop(self) -> None:
        """Close the socket and remove its file."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            (self._folder / _SOCKET).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                request: Any = json.loads(await reader.readline())
                writer.write(json.dumps(self._answer(request), ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (ValueError, KeyError, TypeError, OSError, TimeoutError) as error:
            writer.write(json.dumps({"ok": False, "wrong": [f"not a request: {error!r}"]}).encode() + b"\n")
        finally:
            writer.close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        doings: dict[str, Callable[[dict[str, Any]], list[ActiveFault]]] = {
            "fault": self._start,
            "clear": self._clear,
            "list": lambda _: self._field.faults.active,
        }
        try:
            return {"ok": True, "faults": [_told(fault) for fault in doings[request["do"]](request)]}
        except ConfigError as error:
            return {"ok": False, "wrong": [str(fault) for fault in error.faults]}

    def _start(self, request: dict[str, Any]) -> list[ActiveFault]:
        now_us = wall_us()
        fault = self._field.faults.start(
            str(request["fault"]), str(request["target"]), now_us, request.get("magnitude"), request.get("duration_s")
        )
        self._field.journal.note_fault(now_us, fault.kind.name, fault.target, on=True, magnitude=fault.magnitude)
        return [fault]

    def _clear(self, request: dict[str, Any]) -> list[ActiveFault]:
        now_us = wall_us()
        ended = self._field.faults.clear(str(request["target"]))
        for fault in ended:
            self._field.journal.note_fault(now_us, fault.kind.name, fault.target, on=False, magnitude=fault.magnitude)
        return ended


def ask(data: Path, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Send a request to the simulator that runs with `data`; returns the faults it tells of.

    Raises ServiceError when none runs there, ConfigError with its own words when it refuses.
    """
    folder = sim_folder(data)
    answer = b""
    try:
        with _short(folder) as short, socket.socket(socket.AF_UNIX) as link:
            link.settimeout(_TIMEOUT_S)
            link.connect(short)
            link.sendall(json.dumps(request).encode() + b"\n")
            while not answer.endswith(b"\n") and (more := link.recv(_MOST_BYTES)):
                answer += more
    except OSError as error:
        remedy = "start it with `park sim run SITE.toml --data …`, or name its folder by --data or PARK_DATA"
        raise ServiceError(f"no simulated field runs with {data} ({error.strerror or error}); {remedy}") from error
    told: dict[str, Any] = json.loads(answer)
    if not told["ok"]:
        raise Refusal(told["wrong"])
    return told["faults"]


class Refusal(ConfigError):
    """A running simulator did not do what it was asked; the text is its own."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__([])
        self.args = ("\n".join(sentences),)


def _told(fault: ActiveFault) -> dict[str, Any]:
    return {
        "fault": fault.kind.name,
        "target": fault.target,
        "magnitude": fault.magnitude,
        "unit": fault.kind.unit,
        "since_us": fault.since_us,
        "until_us": fault.until_us,
        "zh": fault.kind.zh,
        "en": fault.kind.en,
    }


@contextmanager
def _short(folder: Path) -> Generator[str]:
    """A path of the socket that fits into the 107 bytes of a Unix address, however deep the folder lies."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{_SOCKET}"
    finally:
        os.close(handle)
