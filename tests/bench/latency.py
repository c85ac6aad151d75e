"""From the read of a register to the commit of its alarm, while 10,000 readings a second flow through the same park.

A real Modbus device crosses its limit at random moments; the alarm has no delay, so its instant is the instant of the
read. The commit is over when its notification arrives, which PostgreSQL sends after the commit: that moment minus the
instant of the read is the latency.

Then a browser shows the console's drawer of that device. At random moments its register gets another value: from the
instant at which that was first served to the instant at which it was painted is `browser_p50_ms`, `browser_p99_ms`. All
processes and the page read the clock of one machine.
"""

import os
import random
import statistics
import subprocess
import sys
import time
from typing import Any, Final

import psycopg

from park_platform.embedded.ports import choose_port
from support.bench_console import Painted, missing_console, serving_console, sign_in
from support.bench_line import (
    ASSET,
    GATEWAY,
    LOAD_REGISTERS,
    LOW,
    PERIOD_MS,
    Line,
    apply_line,
    count_readings,
    percentile_99,
    time_alarm,
    write_site,
)
from support.bench_services import BenchServices, bench_services
from support.browser import Window, open_browser

ALARMS: Final = int(os.environ.get("BENCH_ALARMS", "200"))
PAINTS: Final = int(os.environ.get("BENCH_PAINTS", "120"))
LOAD_DEVICES: Final = 100


def run() -> dict[str, Any]:
    """Raise some hundred alarms and time each commit."""
    with bench_services([GATEWAY]) as services:
        apply_line(services)
        port, load_port = choose_port(), choose_port()
        site = write_site(services.folder / "site", port, load_port, LOAD_DEVICES)
        line = Line(port)
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
        "commit_p99_ms": round(percentile_99(latencies), 1),
        "commit_max_ms": round(max(latencies), 1),
        "alarms": len(latencies),
        "readings_per_s": round(rate),
        "period_ms": PERIOD_MS,
        "browser_p50_ms": round(statistics.median(paints), 1) if paints else None,
        "browser_p99_ms": round(percentile_99(paints), 1) if paints else None,
        "browser_max_ms": round(max(paints), 1) if paints else None,
        "browser_samples": len(paints),
        "browser_readings_per_s": round(browser_rate) if paints else None,
    }


def _time_paints(services: BenchServices, line: Line) -> tuple[list[float], float]:
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
        first, began = count_readings(connection), time.monotonic()
        # Values of three digits below the limit, each of them once: so a value names its first read.
        for value in range(LOW + 1, LOW + 1 + PAINTS):
            time.sleep(rng.uniform(0.0, 1.5))
            line.value = value
            shown_at = painted.shown_at_us(str(value))
            latencies.append((shown_at - line.first_read[value]) / 1_000)
        rate = (count_readings(connection) - first) / (time.monotonic() - began)
    return latencies, rate


def _time_alarms(services: BenchServices, line: Line) -> tuple[list[float], float]:
    rng = random.Random(1)  # moments, not secrets
    latencies: list[float] = []
    with psycopg.connect(services.database_url("owner"), autocommit=True) as connection:
        connection.execute("LISTEN park_journal")
        _wait_for_load(connection)
        first, began = count_readings(connection), time.monotonic()
        while len(latencies) < ALARMS:
            latencies.append(time_alarm(connection, line, rng))
        rate = (count_readings(connection) - first) / (time.monotonic() - began)
    return latencies, rate


def _wait_for_load(connection: psycopg.Connection[Any]) -> None:
    deadline = time.monotonic() + 60
    while count_readings(connection) < 2 * LOAD_DEVICES * LOAD_REGISTERS:
        assert time.monotonic() < deadline, "no readings arrive"
        time.sleep(0.2)
    time.sleep(2)
