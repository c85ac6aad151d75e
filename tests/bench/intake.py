"""Intake end to end against raw COPY: broker -> decode -> alarms (4 rules a point) -> marks -> commit, one worker.

The baseline is written in the same run: the same readings in the same number of rows a commit, by binary COPY into the
same table with the same index, nothing else. `ratio` is readings_per_s / copy_rows_per_s. `ratio_with_systems` is the
same with all six systems enabled: of the readings that came, so without the derived ones, which are stored beside them.
"""

import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event as Gate
from typing import Any

import numpy as np

from park_platform.storage.connect import connect
from park_platform.storage.copy_binary import copy_in, encode_readings
from park_platform.storage.park import apply_park
from park_platform.systems import load_systems
from park_sdk.frame import Frame
from park_wire.batch import Columns, Lane
from park_wire.messages import Ack
from park_wire.topics import gateway_topic
from support.bench_park import SYSTEMS, birth_of, devices_of, park_of, usual_values
from support.bench_services import BenchServices, bench_services
from support.edge import Edge, now_us
from support.processes import cpu_s
from support.wire_samples import ints

GATEWAYS = int(os.environ.get("BENCH_GATEWAYS", "8"))
POINTS = int(os.environ.get("BENCH_POINTS", "2000"))
BATCHES = int(os.environ.get("BENCH_BATCHES", "80"))
READINGS_A_BATCH = 5_000
WINDOW = 32
# What the intake puts into a commit at the most, and does under this load.
ROWS_A_COMMIT = 50_000
TOTAL = GATEWAYS * BATCHES * READINGS_A_BATCH
SETTLE_S = 2.0

Usual = np.ndarray[Any, np.dtype[np.float64]]
Wanted = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Fed:
    """How long one worker took for all readings, its CPU time (s), and how many readings it derived."""

    seconds: float
    cpu_s: float
    derived: int


def run() -> dict[str, Any]:
    """Feed one worker as fast as it takes it, COPY the same rows, feed one with all systems enabled."""
    names = [f"bench-{n}" for n in range(GATEWAYS)]
    with bench_services(names) as services:
        _apply(services, names, "park", {})
        plain = _feed(services, names, "park")
        # Between the two that are compared with it: a shared machine has its moods.
        services.make_database("baseline")
        copied_per_s = _copy(services, TOTAL)
        services.make_database("systems")
        _apply(services, names, "systems", SYSTEMS)
        full = _feed(services, names, "systems")
    per_s, full_per_s = TOTAL / plain.seconds, TOTAL / full.seconds
    return {
        "readings_per_s": round(per_s),
        "copy_rows_per_s": round(copied_per_s),
        "ratio": round(per_s / copied_per_s, 3),
        "readings_per_s_with_systems": round(full_per_s),
        "ratio_with_systems": round(full_per_s / copied_per_s, 3),
        "derived_per_s": round(full.derived / full.seconds),
        "derived": full.derived,
        "worker_cpu_s": round(plain.cpu_s, 2),
        "worker_cpu_s_with_systems": round(full.cpu_s, 2),
        "readings": TOTAL,
        "seconds": round(plain.seconds, 1),
        "rules": 4 * GATEWAYS * POINTS,
        "systems": sorted(SYSTEMS),
    }


def _apply(services: BenchServices, names: Sequence[str], database: str, wanted: Wanted) -> None:
    systems = load_systems() if wanted else {}
    if missing := sorted(wanted.keys() - systems.keys()):
        raise AssertionError(f"not installed: {', '.join(missing)}; pip install -e .")
    with connect(services.database_url("owner", database), "bench") as connection:
        apply_park(connection, park_of(names, POINTS, wanted), systems)


def _columns(rng: np.random.Generator, usual: Usual, batch: int, start: int) -> Columns:
    """A batch of 1 Hz readings: each point once in POINTS readings."""
    order = np.arange(batch * READINGS_A_BATCH, (batch + 1) * READINGS_A_BATCH)
    point = order % POINTS
    value = usual[0, point] + usual[1, point] * rng.normal(0.0, 1.0, READINGS_A_BATCH).clip(-4, 4)
    return Columns(
        index=ints("I", point.tolist()),
        time=ints("q", (start + order // POINTS * 1_000_000).tolist()),
        value=memoryview(value.tobytes()).cast("d"),
        quality=ints("B", bytes(READINGS_A_BATCH)),
    )


def _gateway(url: str, name: str, number: int, ready: Any, go: Gate, done: Any) -> None:
    """A gateway with a full outbox: 32 batches on the way, go on as they are acknowledged."""
    devices = devices_of(number, GATEWAYS, POINTS)
    edge = Edge(url, name, birth_of(devices))
    rng, usual = np.random.default_rng(number), usual_values(devices)
    start = now_us() - (BATCHES * READINGS_A_BATCH // POINTS + 60) * 1_000_000
    for n in range(BATCHES):
        # What follows is not older than the second in which the next batch begins.
        until = start + (n + 1) * READINGS_A_BATCH // POINTS * 1_000_000
        edge.seal([], columns=_columns(rng, usual, n, start), until=until)
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


def _feed(services: BenchServices, names: Sequence[str], database: str) -> _Fed:
    context = multiprocessing.get_context("spawn")
    ready, done, go = context.Queue(), context.Queue(), context.Event()
    environment = {
        **os.environ,
        "PARK_DB_URL": services.database_url("ingest", database),
        "PARK_MQTT_URL": services.broker.url("ingest"),
    }
    log = (services.folder / f"ingest-{database}.log").open("wb")
    worker = subprocess.Popen([sys.executable, "-m", "park_wire.command", "ingest"], env=environment, stderr=log)
    gateways = [
        context.Process(
            target=_gateway, args=(services.broker.url(f"gw-{name}"), name, number, ready, go, done), daemon=True
        )
        for number, name in enumerate(names)
    ]
    try:
        for gateway in gateways:
            gateway.start()
        for _ in names:
            ready.get(timeout=120)
        sys.stderr.write(f"gateways are ready, database {database}\n")
        # The births make points, rules and derived points; that is not what is measured.
        time.sleep(SETTLE_S)
        cpu, began = cpu_s(worker.pid), time.monotonic()
        go.set()
        for _ in names:
            done.get(timeout=300)
        seconds, cpu = time.monotonic() - began, cpu_s(worker.pid) - cpu
        derived = _check(services, database, log.name)
    finally:
        worker.terminate()
        worker.wait(20)
        log.close()
        for gateway in gateways:
            gateway.join(20)
    return _Fed(seconds, cpu, derived)


def _check(services: BenchServices, database: str, log: str) -> int:
    """Fails unless everything is stored and no system was fenced; how many readings were derived."""
    with connect(services.database_url("owner", database), "bench") as connection:
        read, derived = connection.execute(
            """
            SELECT count(*) FILTER (WHERE p.system IS NULL), count(*) FILTER (WHERE p.system IS NOT NULL)
            FROM reading r JOIN point p ON p.id = r.point_id
            """
        ).fetchall()[0]
        fenced = connection.execute("SELECT system, derivation, reason FROM derivation_fault").fetchall()
        alarms = connection.execute("SELECT count(*) FROM journal WHERE kind = 'raised'").fetchall()[0][0]
    assert read == TOTAL, f"{read} readings stored of {TOTAL}; see {log}"
    assert not fenced, f"a system raised: {fenced}"
    assert not alarms, f"{alarms} alarms were raised by values that are usual"
    return derived


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
