"""Intake end to end against raw COPY: broker -> decode -> alarms (4 rules a point) -> marks -> commit, one worker.

The baseline is written in the same run: the same readings in the same number of rows a commit, by binary COPY into the
same table with the same index, nothing else. `ratio` is readings_per_s / copy_rows_per_s.
"""

import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Event as Gate
from typing import Any

import numpy as np

from park_platform.park_file import ParkFile
from park_platform.storage.connect import connect
from park_platform.storage.copy_binary import copy_in, encode_readings
from park_platform.storage.park import apply_park
from park_sdk.frame import Frame
from park_wire.batch import Columns, Lane
from park_wire.messages import Ack, Birth, BirthPoint
from park_wire.topics import gateway_topic
from support.bench_services import BenchServices, bench_services
from support.edge import Edge, now_us
from support.wire_samples import ints

GATEWAYS = int(os.environ.get("BENCH_GATEWAYS", "8"))
POINTS = int(os.environ.get("BENCH_POINTS", "2000"))
BATCHES = int(os.environ.get("BENCH_BATCHES", "80"))
READINGS_A_BATCH = 5_000
WINDOW = 32
# What the intake puts into a commit at the most, and does under this load.
ROWS_A_COMMIT = 50_000
_TEXT = {"zh": "测", "en": "bench"}


def run() -> dict[str, Any]:
    """Feed one worker as fast as it takes it, then COPY the same rows."""
    names = [f"bench-{n}" for n in range(GATEWAYS)]
    with bench_services(names) as services:
        _apply(services, names)
        total = GATEWAYS * BATCHES * READINGS_A_BATCH
        readings_per_s, seconds = _feed(services, names, total)
        services.make_database("baseline")
        copy_rows_per_s = _copy(services, total)
    return {
        "readings_per_s": round(readings_per_s),
        "copy_rows_per_s": round(copy_rows_per_s),
        "ratio": round(readings_per_s / copy_rows_per_s, 3),
        "readings": total,
        "seconds": round(seconds, 1),
        "rules": 4 * GATEWAYS * POINTS,
    }


def _apply(services: BenchServices, names: Sequence[str]) -> None:
    rules = [("hh", "HH", 9.0), ("h", "H", 8.0), ("l", "L", -8.0), ("ll", "LL", -9.0)]
    park = ParkFile.model_validate(
        {
            "park": {"id": "bench", "name": _TEXT},
            "gateway": [{"id": name, "name": _TEXT} for name in names],
            "rule": [
                {
                    "id": key,
                    "name": _TEXT,
                    "kind": kind,
                    "on": {"quantity": "temperature"},
                    "limit": limit,
                    "deadband": 0.1,
                    "on_delay_s": 1.0,
                    "off_delay_s": 1.0,
                    "priority": "low",
                    "cause": _TEXT,
                    "consequence": _TEXT,
                    "action": _TEXT,
                    "respond_s": 60,
                    "source": "bench",
                }
                for key, kind, limit in rules
            ],
        }
    )
    with connect(services.database_url("owner"), "bench") as connection:
        apply_park(connection, park)


def _birth() -> Birth:
    return Birth.of(
        tuple(
            BirthPoint(n, f"device-{n // 100}", f"p-{n}", "temperature", "°C", -50.0, 150.0, 1_000)
            for n in range(POINTS)
        )
    )


def _columns(rng: np.random.Generator, batch: int, start: int) -> Columns:
    """A batch of 1 Hz readings: each point once in POINTS readings."""
    order = np.arange(batch * READINGS_A_BATCH, (batch + 1) * READINGS_A_BATCH)
    time_us = start + order // POINTS * 1_000_000 + order % POINTS
    value = np.round(rng.normal(0.0, 1.0, READINGS_A_BATCH), 2)
    return Columns(
        index=ints("I", (order % POINTS).tolist()),
        time=ints("q", time_us.tolist()),
        value=memoryview(value.tobytes()).cast("d"),
        quality=ints("B", bytes(READINGS_A_BATCH)),
    )


def _gateway(url: str, name: str, ready: Any, go: Gate, done: Any) -> None:
    """A gateway with a full outbox: 32 batches on the way, go on as they are acknowledged."""
    edge = Edge(url, name, _birth())
    rng = np.random.default_rng(len(name))
    start = now_us() - (BATCHES * READINGS_A_BATCH // POINTS + 60) * 1_000_000
    for n in range(BATCHES):
        edge.seal([], columns=_columns(rng, n, start), until=start)
    payloads = list(edge.lanes[Lane.LIVE].sent.values())
    edge.wait(lambda ack: ack.need_hello, "need_hello", within_s=60)
    edge.hello()
    edge.say_birth()
    edge.wait(lambda ack: ack.run == edge.run, "answer to hello", within_s=30)
    ready.put(name)
    go.wait()
    sent = mark = 0
    moved_at = time.monotonic()
    while mark < BATCHES:
        while sent < BATCHES and sent - mark < WINDOW:
            edge.client.publish_soon(gateway_topic(name, "data"), payloads[sent])
            sent += 1
        seen = _newest_mark(edge)
        if seen > mark:
            mark, moved_at = seen, time.monotonic()
        elif time.monotonic() - moved_at > 2.0:
            sent, moved_at = mark, time.monotonic()
        else:
            time.sleep(0.002)
    done.put(name)
    edge.close()


def _newest_mark(edge: Edge) -> int:
    if not edge.client.received:
        return 0
    ack = Ack.decode(bytes(edge.client.received[-1].payload))
    return ack.marks[Lane.LIVE][0] if ack.run == edge.run else 0


def _feed(services: BenchServices, names: Sequence[str], total: int) -> tuple[float, float]:
    context = multiprocessing.get_context("spawn")
    ready, done, go = context.Queue(), context.Queue(), context.Event()
    environment = {
        **os.environ,
        "PARK_DB_URL": services.database_url("ingest"),
        "PARK_MQTT_URL": services.broker.url("ingest"),
    }
    log = (services.folder / "ingest.log").open("wb")
    worker = subprocess.Popen([sys.executable, "-m", "park_wire.command", "ingest"], env=environment, stderr=log)
    gateways = [
        context.Process(target=_gateway, args=(services.broker.url(f"gw-{name}"), name, ready, go, done), daemon=True)
        for name in names
    ]
    try:
        for gateway in gateways:
            gateway.start()
        for _ in names:
            ready.get(timeout=120)
        sys.stderr.write("gateways are ready\n")
        began = time.monotonic()
        go.set()
        for _ in names:
            done.get(timeout=300)
        seconds = time.monotonic() - began
        with connect(services.database_url("owner"), "bench") as connection:
            row = connection.execute("SELECT count(*) FROM reading").fetchone()
        assert row is not None
        assert row[0] == total, f"{row[0]} readings stored of {total}; see {log.name}"
    finally:
        worker.terminate()
        worker.wait(20)
        log.close()
    return total / seconds, seconds


def _copy(services: BenchServices, total: int) -> float:
    """Rows a second of bare COPY, the median of five parts."""
    rng = np.random.default_rng(1)
    start = now_us() - 3_600_000_000
    points = GATEWAYS * POINTS
    rates: list[float] = []
    with connect(services.database_url("ingest", "baseline"), "bench") as connection:
        for part in range(5):
            began, rows = time.monotonic(), 0
            for commit in range(max(1, total // 5 // ROWS_A_COMMIT)):
                order = np.arange(ROWS_A_COMMIT) + (part * (total // 5 // ROWS_A_COMMIT) + commit) * ROWS_A_COMMIT
                point = (order % points + 1).astype(np.int32)
                by_point = np.argsort(point, kind="stable")
                frame = Frame(
                    point,
                    start + order // points * 1_000_000,
                    rng.normal(0.0, 1.0, ROWS_A_COMMIT),
                    np.zeros(ROWS_A_COMMIT, np.int16),
                ).take(by_point)
                with connection.transaction():
                    copy_in(connection, "reading (ts, value, point_id, quality)", encode_readings(frame))
                rows += ROWS_A_COMMIT
            rates.append(rows / (time.monotonic() - began))
    return statistics.median(rates)
