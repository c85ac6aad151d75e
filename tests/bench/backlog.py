"""A gateway that was offline for hours comes back: how fast its outbox drains, and what live alarms feel of it.

The outbox is filled by a generator with 2,000 points at 1 Hz for BENCH_HOURS, sealed as the gateway itself would have;
nothing is reduced. Alarms of a real device, from its register to the commit, are timed before and while it drains.
"""

import os
import random
import subprocess
import sys
import threading
import time
from array import array
from pathlib import Path
from typing import Any, Final

import psycopg

from park_gateway.outbox import Outbox
from park_gateway.reading import Readings
from park_platform.embedded.ports import choose_port
from park_wire.batch import Lane
from park_wire.messages import Birth, BirthPoint
from support.bench_line import GATEWAY, Line, apply_line, percentile_99, time_alarm, write_site
from support.bench_services import BenchServices, bench_services

HOURS: Final = float(os.environ.get("BENCH_HOURS", "2"))
POINTS: Final = int(os.environ.get("BENCH_POINTS", "2000"))
ALARMS: Final = int(os.environ.get("BENCH_ALARMS", "200"))
QUOTA_BYTES: Final = 20_000_000_000
_SECOND_US: Final = 1_000_000
# As many as a batch takes.
_SECONDS_A_SEAL: Final = max(1, 5_000 // POINTS)


def run() -> dict[str, Any]:
    """Time alarms, stop the gateway, fill its outbox, start it again, and time alarms until all is stored."""
    with bench_services([GATEWAY]) as services:
        apply_line(services)
        port = choose_port()
        site = write_site(services.folder / "site", port)
        line = Line(port)
        line.start()
        with (services.folder / "children.log").open("wb") as log:
            try:
                return _measure(services, site, line, log)
            except AssertionError:
                sys.stderr.write((services.folder / "children.log").read_text("utf-8")[-3_000:])
                raise


def _measure(services: BenchServices, site: Path, line: Line, log: Any) -> dict[str, Any]:
    def start(*arguments: str, user: str) -> subprocess.Popen[bytes]:
        urls = {"PARK_DB_URL": services.database_url("ingest"), "PARK_MQTT_URL": services.broker.url(user)}
        argv = [sys.executable, "-m", "park_wire.command", *arguments]
        return subprocess.Popen(argv, env={**os.environ, **urls}, stderr=log)

    def start_gateway() -> subprocess.Popen[bytes]:
        return start("gateway", "run", str(site), user=f"gw-{GATEWAY}")

    rng = random.Random(1)  # moments, not secrets
    children = [start("ingest", user="ingest"), start_gateway()]
    try:
        with psycopg.connect(services.database_url("owner"), autocommit=True) as connection:
            connection.execute("LISTEN park_journal")
            time_alarm(connection, line, rng, 60)
            before = [time_alarm(connection, line, rng) for _ in range(ALARMS)]
            _end(children.pop())
            filled = _fill(site.parent / "outbox")
            children.append(start_gateway())
            watch = _Watch(services.database_url("owner"), filled.last_seq)
            watch.start()
            during: list[float] = []
            while watch.is_alive():
                during.append(time_alarm(connection, line, rng, 120))
            stored = _stored(connection)
    finally:
        for child in reversed(children):
            _end(child)
    assert watch.drained_s is not None, "the outbox has not drained"
    p99_before, p99_during = percentile_99(before), percentile_99(during)
    return {
        "hours": HOURS,
        "points": POINTS,
        "readings": filled.readings,
        "lost": filled.readings - stored,
        "outbox_bytes_per_reading": round(filled.file_bytes / filled.readings, 2),
        "drained_s": round(watch.drained_s, 1),
        "readings_per_s": round(filled.readings / watch.drained_s),
        "times_real_time": round(HOURS * 3_600 / watch.drained_s, 1),
        "alarm_p99_before_ms": round(p99_before, 1),
        "alarm_p99_during_ms": round(p99_during, 1),
        "alarm_p99_ratio": round(p99_during / p99_before, 2),
        "alarms_during": len(during),
    }


class _Filled:
    """What the generator has sealed: how many readings, the last seq of the backfill lane, the size of the file."""

    def __init__(self, readings: int, last_seq: int, file_bytes: int) -> None:
        self.readings = readings
        self.last_seq = last_seq
        self.file_bytes = file_bytes


def _fill(folder: Path) -> _Filled:
    began = time.time_ns() // 1_000 - round(HOURS * 3_600 + 120) * _SECOND_US
    clock = [began]
    birth = Birth.of(
        tuple(BirthPoint(n, "load", f"p-{n}", "active-power", "kW", 0.0, 1e6, 1_000) for n in range(POINTS))
    )
    outbox = Outbox.open(folder, quota_bytes=QUOTA_BYTES, now=lambda: clock[0])
    rng = random.Random(2)  # values, not secrets
    values = [array("d", [round(rng.gauss(100.0, 20.0), 1) for _ in range(POINTS)]) for _ in range(64)]
    n = seals = 0
    try:
        outbox.add_birth(birth)
        for second in range(0, round(HOURS * 3_600), _SECONDS_A_SEAL):
            readings = Readings()
            for at in range(second, second + _SECONDS_A_SEAL):
                # A meter's display: a decimal, and most values change a little each second.
                readings.index.extend(range(POINTS))
                readings.time.extend([began + at * _SECOND_US] * POINTS)
                readings.value.extend(values[at % len(values)])
                readings.quality.extend(bytes(POINTS))
                readings.mark.extend(bytes(POINTS))
            n += len(readings)
            clock[0] = began + (second + _SECONDS_A_SEAL) * _SECOND_US
            outbox.put(readings)
            outbox.seal(clock[0])
            seals += 1
            if seals % 500 == 0:
                sys.stderr.write(f"  {n:,} readings in the outbox\n")
        last_seq = outbox.lanes[Lane.BACKFILL].next_seq - 1
    finally:
        outbox.close()
    return _Filled(n, last_seq, sum(file.stat().st_size for file in folder.iterdir() if file.name.startswith("outbox")))


class _Watch(threading.Thread):
    """Ends when the backfill lane is committed up to `last_seq`, or stands still for two minutes."""

    def __init__(self, url: str, last_seq: int) -> None:
        super().__init__(daemon=True)
        self.drained_s: float | None = None
        self._url = url
        self._last_seq = last_seq

    def run(self) -> None:
        first: float | None = None
        mark, moved_at = 0, time.monotonic()
        with psycopg.connect(self._url, autocommit=True) as connection:
            while time.monotonic() - moved_at < 120:
                row = connection.execute("SELECT max(mark) FROM lane WHERE lane = 'backfill'").fetchone()
                seen: int = 0 if row is None or row[0] is None else row[0]
                if seen > mark:
                    mark, moved_at = seen, time.monotonic()
                    first = first or moved_at
                if mark >= self._last_seq and first is not None:
                    self.drained_s = time.monotonic() - first
                    return
                time.sleep(0.1)


def _stored(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(
        "SELECT count(*) FROM reading r JOIN point p ON p.id = r.point_id WHERE p.device = 'load'"
    ).fetchone()
    assert row is not None
    return row[0]


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    child.wait(30)
