"""From the read of a register to the commit of its alarm, while 10,000 readings a second flow through the same park.

A real Modbus device crosses its limit at random moments; the alarm has no delay, so its instant is the instant of the
read. The commit is over when its notification arrives, which PostgreSQL sends after the commit: that moment minus the
instant of the read is the latency.

Then a browser shows the console's drawer of that device. At random moments its register gets another value: from the
instant at which that was first served to the instant at which it was painted is `browser_p50_ms`, `browser_p99_ms`. All
processes and the page read the clock of one machine.
"""

import asyncio
import os
import random
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psycopg

from park_platform.embedded.ports import choose_port
from park_platform.park_file import ParkFile
from park_platform.storage.connect import connect
from park_platform.storage.park import apply_park
from support.bench_console import PEOPLE, Painted, missing_console, serving_console, sign_in
from support.bench_services import BenchServices, bench_services
from support.browser import Window, open_browser

GATEWAY: Final = "bench"
ALARMS: Final = int(os.environ.get("BENCH_ALARMS", "200"))
PAINTS: Final = int(os.environ.get("BENCH_PAINTS", "120"))
ASSET: Final = "line"
PERIOD_MS: Final = 100
LOAD_DEVICES: Final = 100
LOAD_REGISTERS: Final = 100
_TEXT: Final = {"zh": "测", "en": "bench"}
_HIGH: Final = 900
_LOW: Final = 100


def run() -> dict[str, Any]:
    """Raise some hundred alarms and time each commit."""
    with bench_services([GATEWAY]) as services:
        _apply(services)
        port, load_port = choose_port(), choose_port()
        site = _write_site(services.folder / "site", port, load_port)
        line = _Line(port)
        line.start()
        environment = {**os.environ, "PARK_DB_URL": services.database_url("ingest")}
        log = (services.folder / "children.log").open("wb")

        def start(*arguments: str, user: str | None = None) -> subprocess.Popen[bytes]:
            url = {} if user is None else {"PARK_MQTT_URL": services.broker.url(user)}
            argv = [sys.executable, "-m", "park_wire.command", *arguments]
            return subprocess.Popen(argv, env={**environment, **url}, stderr=log)

        load = ("sim", "bench-field", "--devices", str(LOAD_DEVICES), "--registers", str(LOAD_REGISTERS))
        children = [
            start(*load, "--port", str(load_port)),
            start("ingest", user="ingest"),
            start("gateway", "run", str(site), user=f"gw-{GATEWAY}"),
        ]
        try:
            latencies, rate = _time_alarms(services, line)
            paints, browser_rate = _time_paints(services, line)
        except AssertionError:
            sys.stderr.write((services.folder / "children.log").read_text("utf-8")[-3_000:])
            raise
        finally:
            for child in reversed(children):
                child.terminate()
                child.wait(20)
            log.close()
    return {
        "commit_p50_ms": round(statistics.median(latencies), 1),
        "commit_p99_ms": round(_percentile_99(latencies), 1),
        "commit_max_ms": round(max(latencies), 1),
        "alarms": len(latencies),
        "readings_per_s": round(rate),
        "period_ms": PERIOD_MS,
        "browser_p50_ms": round(statistics.median(paints), 1) if paints else None,
        "browser_p99_ms": round(_percentile_99(paints), 1) if paints else None,
        "browser_max_ms": round(max(paints), 1) if paints else None,
        "browser_samples": len(paints),
        "browser_readings_per_s": round(browser_rate) if paints else None,
    }


def _percentile_99(latencies: Sequence[float]) -> float:
    return sorted(latencies)[max(0, int(len(latencies) * 0.99) - 1)]


def _apply(services: BenchServices) -> None:
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


def _write_site(folder: Path, port: int, load_port: int) -> Path:
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
    for unit in range(1, LOAD_DEVICES + 1):
        devices += device.format(f"load-{unit}", "load", load_port, unit, 1_000)
    site = folder / "site.toml"
    site.write_text(f'[gateway]\nid = "{GATEWAY}"\ndata = "outbox"\nmodels = "models"\n{devices}', "utf-8")
    return site


class _Line(threading.Thread):
    """A Modbus TCP device of one register that is set from outside, and knows when its value was first read (µs)."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.value = _LOW
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


def _time_alarms(services: BenchServices, line: _Line) -> tuple[list[float], float]:
    rng = random.Random(1)  # moments, not secrets
    latencies: list[float] = []
    with psycopg.connect(services.database_url("owner"), autocommit=True) as connection:
        connection.execute("LISTEN park_journal")
        _wait_for_load(connection)
        first, began = _readings(connection), time.monotonic()
        while len(latencies) < ALARMS:
            line.value = _HIGH
            latencies.append(_next_commit_ms(connection, "raised"))
            line.value = _LOW
            _next_commit_ms(connection, "cleared")
            time.sleep(rng.uniform(0.0, 2 * PERIOD_MS / 1_000))
        rate = (_readings(connection) - first) / (time.monotonic() - began)
    return latencies, rate


def _time_paints(services: BenchServices, line: _Line) -> tuple[list[float], float]:
    """From the first read of a value to its paint, ms, and the readings a second meanwhile; none without a browser."""
    missing = missing_console()
    if missing is not None:
        sys.stderr.write(f"browser_p50_ms and browser_p99_ms are not measured: {missing}\n")
        return [], 0.0
    rng = random.Random(2)  # moments, not secrets
    latencies: list[float] = []
    with (
        serving_console(services) as base_url,
        open_browser() as browser,
        Window(browser, base_url) as window,
        psycopg.connect(services.database_url("owner"), autocommit=True) as connection,
    ):
        painted = Painted(sign_in(services, window), ASSET)
        first, began = _readings(connection), time.monotonic()
        # Values of three digits below the limit, each of them once: so a value names its first read.
        for value in range(_LOW + 1, _LOW + 1 + PAINTS):
            time.sleep(rng.uniform(0.0, 1.5))
            line.value = value
            shown_at = painted.shown_at_us(str(value))
            latencies.append((shown_at - line.first_read[value]) / 1_000)
        rate = (_readings(connection) - first) / (time.monotonic() - began)
    return latencies, rate


def _next_commit_ms(connection: psycopg.Connection[Any], kind: str) -> float:
    # The generator holds the connection: the journal can be asked only after it has ended.
    heard = [time.time_ns() / 1_000 for _ in connection.notifies(timeout=20, stop_after=1)]
    assert heard, f"no alarm was {kind} within 20 s"
    newest = "SELECT kind, us_of(at) FROM journal ORDER BY recorded_at DESC, seq DESC LIMIT 1"
    row = connection.execute(newest).fetchone()
    assert row is not None
    assert row[0] == kind, f"the journal says {row[0]}, expected {kind}"
    return (heard[0] - row[1]) / 1_000


def _readings(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM reading").fetchone()
    assert row is not None
    return row[0]


def _wait_for_load(connection: psycopg.Connection[Any]) -> None:
    deadline = time.monotonic() + 60
    while _readings(connection) < 2 * LOAD_DEVICES * LOAD_REGISTERS:
        assert time.monotonic() < deadline, "no readings arrive"
        time.sleep(0.2)
    time.sleep(2)
