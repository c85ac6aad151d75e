"""A park for measurements of alarms: one fast device whose register is set from outside, with a rule on it.

The alarm has no delay, so its instant is the instant of the read. The commit is over when its notification arrives,
which PostgreSQL sends after the commit: that moment minus the instant of the read is the latency.
"""

import asyncio
import random
import struct
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psycopg

from park_platform.park_file import ParkFile
from park_platform.storage.connect import connect
from park_platform.storage.park import apply_park
from support.bench_console import PEOPLE
from support.bench_services import BenchServices

GATEWAY: Final = "bench"
ASSET: Final = "line"
PERIOD_MS: Final = 100
HIGH: Final = 900
LOW: Final = 100
LOAD_REGISTERS: Final = 100
_TEXT: Final = {"zh": "测", "en": "bench"}


def apply_line(services: BenchServices) -> None:
    """The park of this module."""
    rule = {
        "id": "high",
        "name": _TEXT,
        "kind": "H",
        "on": {"point": f"{GATEWAY}/line/value"},
        "limit": 500.0,
        "priority": "high",
        "cause": _TEXT,
        "consequence": _TEXT,
        "action": _TEXT,
        "respond_s": 60,
        "source": "bench",
    }
    asset = {"id": ASSET, "kind": "electricity-meter", "name": _TEXT, "devices": [f"{GATEWAY}/line"]}
    park = {
        "park": {"id": "bench", "name": _TEXT},
        "gateway": [{"id": GATEWAY, "name": _TEXT}],
        "asset": [asset],
        "person": PEOPLE,
        "rule": [rule],
    }
    with connect(services.database_url("owner"), "bench") as connection:
        apply_park(connection, ParkFile.model_validate(park))


def write_site(folder: Path, port: int, load_port: int | None = None, load_devices: int = 0) -> Path:
    """The site of its gateway: the device at `port`, and devices of LOAD_REGISTERS registers at `load_port`."""
    (folder / "models").mkdir(parents=True)
    for name, registers in (("line", 1), ("load", LOAD_REGISTERS)):
        points = ",\n".join(
            f'  {{ name = "{"value" if name == "line" else f"p-{at}"}", quantity = "voltage", address = {at}, '
            f'type = "u16", unit = "V", low = 0, high = 70000, zh = "电压", en = "Voltage" }}'
            for at in range(registers)
        )
        (folder / "models" / f"{name}.toml").write_text(
            f'model = "{name}"\nname = {{ zh = "测试表", en = "Bench meter" }}\nprotocol = "modbus"\nsource = "bench"\n'
            f'function = 3\nword_order = "big"\nbyte_order = "big"\nmax_gap = 8\npoint = [\n{points},\n]\n',
            "utf-8",
        )
    device = '[[device]]\nid = "{}"\nmodel = "{}"\nendpoint = "modbus-tcp://127.0.0.1:{}"\nunit = {}\nperiod_ms = {}\n'
    devices = device.format("line", "line", port, 1, PERIOD_MS)
    for unit in range(1, load_devices + 1):
        devices += device.format(f"load-{unit}", "load", load_port, unit, 1_000)
    site = folder / "site.toml"
    site.write_text(f'[gateway]\nid = "{GATEWAY}"\ndata = "outbox"\nmodels = "models"\n{devices}', "utf-8")
    return site


class Line(threading.Thread):
    """A Modbus TCP device of one register that is set from outside, and knows when its value was first read (µs)."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.value = LOW
        self.first_read: dict[int, float] = {}
        self._port = port

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._talk, "127.0.0.1", self._port)
        async with server:
            await server.serve_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                request = await reader.readexactly(12)
            except asyncio.IncompleteReadError:
                return
            transaction, unit, function = request[:2], request[6], request[7]
            value = self.value
            self.first_read.setdefault(value, time.time_ns() / 1_000)
            writer.write(transaction + struct.pack(">HHBBBH", 0, 5, unit, function, 2, value))
            await writer.drain()


def next_commit_ms(connection: psycopg.Connection[Any], kind: str, within_s: float = 20) -> float:
    """From the instant of the next journal line to the notification of its commit. `connection` listens to it."""
    # The generator holds the connection: the journal can be asked only after it has ended.
    heard = [time.time_ns() / 1_000 for _ in connection.notifies(timeout=within_s, stop_after=1)]
    assert heard, f"no alarm was {kind} within {within_s:g} s"
    newest = "SELECT kind, us_of(at) FROM journal ORDER BY recorded_at DESC, seq DESC LIMIT 1"
    row = connection.execute(newest).fetchone()
    assert row is not None
    assert row[0] == kind, f"the journal says {row[0]}, expected {kind}"
    return (heard[0] - row[1]) / 1_000


def time_alarm(connection: psycopg.Connection[Any], line: Line, rng: random.Random, within_s: float = 20) -> float:
    """Let the device cross its limit at a random moment, and back; returns how long the alarm took, ms."""
    line.value = HIGH
    latency = next_commit_ms(connection, "raised", within_s)
    line.value = LOW
    next_commit_ms(connection, "cleared", within_s)
    time.sleep(rng.uniform(0.0, 2 * PERIOD_MS / 1_000))
    return latency


def percentile_99(latencies: Sequence[float]) -> float:
    """The 99th percentile of at least one value."""
    return sorted(latencies)[max(0, int(len(latencies) * 0.99) - 1)]


def count_readings(connection: psycopg.Connection[Any]) -> int:
    """How many readings are stored."""
    row = connection.execute("SELECT count(*) FROM reading").fetchone()
    assert row is not None
    return row[0]
