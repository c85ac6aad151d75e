"""One gateway on Modbus TCP, outbox on disk, a real broker, and a centre that acknowledges everything at once.

The field is light (`park sim bench-field`) and runs beside it: 100 registers a read, one point a register. What counts
is what arrived at the centre, so every point was read, decoded, sealed, synced to disk and published.
"""

import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from park_platform.embedded.broker import Broker
from park_platform.embedded.ports import choose_port
from park_wire.batch import Batch, Lane, read_message
from park_wire.messages import Ack, Hello
from park_wire.topics import gateway_topic
from support.bench_services import bench_broker
from support.mqtt import MqttClient
from support.processes import cpu_s

GATEWAY: Final = "bench"
PORTS: Final = 8
REGISTERS: Final = 100
UNITS_A_PORT: Final = 247
SECONDS: Final = float(os.environ.get("BENCH_SECONDS", "20"))
# More than it can take: what it takes then is what it can.
FULL: Final = (40, 80)
QUIET: Final = (1, 8_000)


def run() -> dict[str, Any]:
    """Offer more than a gateway can poll, then 100 points a second."""
    with bench_broker([GATEWAY]) as (folder, broker):
        first_port = choose_port()
        field = _start_field(first_port)
        try:
            full = _measure(folder / "full", broker, first_port, *FULL)
            quiet = _measure(folder / "quiet", broker, first_port, *QUIET)
        finally:
            field.terminate()
            field.wait(10)
    return {
        "points_per_s": full["points_per_s"],
        "cpu_s_per_100k": full["cpu_s_per_100k"],
        "rss_mb": full["rss_mb"],
        "cores": full["cores"],
        "offered_points_per_s": PORTS * FULL[0] * REGISTERS * 1_000 // FULL[1],
        "points_per_cpu_s": round(100_000 / full["cpu_s_per_100k"]),
        "quiet_points_per_s": quiet["points_per_s"],
        "quiet_cpu_percent": round(100 * quiet["cores"], 2),
        "quiet_rss_mb": quiet["rss_mb"],
    }


def _start_field(first_port: int) -> subprocess.Popen[bytes]:
    arguments = ("sim", "bench-field", "--devices", str(PORTS * UNITS_A_PORT), "--registers", str(REGISTERS))
    return subprocess.Popen(
        [sys.executable, "-m", "park_wire.command", *arguments, "--port", str(first_port)], stderr=subprocess.DEVNULL
    )


def _write_site(folder: Path, first_port: int, units: int, period_ms: int) -> Path:
    (folder / "models").mkdir(parents=True)
    points = ",\n".join(
        f'  {{ name = "p-{at}", quantity = "voltage", address = {at}, type = "u16", unit = "V", scale = 0.1, '
        f'low = 0, high = 7000, zh = "电压", en = "Voltage" }}'
        for at in range(REGISTERS)
    )
    (folder / "models" / "bench.toml").write_text(
        'model = "bench"\nname = { zh = "测试表", en = "Bench meter" }\nprotocol = "modbus"\nsource = "bench"\n'
        f'function = 3\nword_order = "big"\nbyte_order = "big"\nmax_gap = 8\npoint = [\n{points},\n]\n',
        "utf-8",
    )
    devices = "".join(
        f'[[device]]\nid = "d-{port}-{unit}"\nmodel = "bench"\nunit = {unit}\nperiod_ms = {period_ms}\n'
        f'endpoint = "modbus-tcp://127.0.0.1:{first_port + port}"\n'
        for port in range(PORTS)
        for unit in range(1, units + 1)
    )
    site = folder / "site.toml"
    site.write_text(f'[gateway]\nid = "{GATEWAY}"\ndata = "outbox"\nmodels = "models"\n{devices}', "utf-8")
    return site


class _Centre:
    """Acknowledges every batch as soon as it comes, and counts readings."""

    def __init__(self, url: str) -> None:
        self.readings = 0
        self._lock = threading.Lock()
        self._marks = {lane: (0, bytes(32)) for lane in Lane}
        self._client = MqttClient(url, on_message=self._take)
        for leaf in ("hello", "data"):
            self._client.subscribe(f"park/1/gw/+/{leaf}", 1)

    def close(self) -> None:
        self._client.close()

    def _take(self, topic: str, payload: bytes) -> None:
        if topic.endswith("/hello"):
            hello = Hello.decode(payload)
            self._answer(hello.run, hello.epoch)
            return
        batch = read_message(payload)
        assert isinstance(batch, Batch)
        envelope = batch.envelope
        if envelope.seq == self._marks[envelope.lane][0] + 1:
            self._marks[envelope.lane] = (envelope.seq, batch.sha256)
            self.readings += len(batch.content().columns)
        self._answer(envelope.run, envelope.epoch)

    def _answer(self, run: bytes, epoch: bytes) -> None:
        ack = Ack(run, epoch, dict(self._marks), 64, time.time_ns() // 1_000)
        self._client.publish_soon(gateway_topic(GATEWAY, "ack"), ack.encode(), 0)


def _measure(folder: Path, broker: Broker, first_port: int, units: int, period_ms: int) -> dict[str, Any]:
    folder.mkdir()
    site = _write_site(folder, first_port, units, period_ms)
    centre = _Centre(broker.url("ingest"))
    environment = {**os.environ, "PARK_MQTT_URL": broker.url(f"gw-{GATEWAY}")}
    with (folder / "gateway.log").open("wb") as log:
        gateway = subprocess.Popen(
            [sys.executable, "-m", "park_wire.command", "gateway", "run", str(site)], env=environment, stderr=log
        )
    try:
        _wait_for_readings(centre, folder)
        sys.stderr.write(f"  {PORTS * units} devices every {period_ms} ms, {SECONDS:.0f} s\n")
        rates: list[float] = []
        cpu, began, first = cpu_s(gateway.pid), time.monotonic(), centre.readings
        while time.monotonic() - began < SECONDS:
            mark, at = centre.readings, time.monotonic()
            time.sleep(2)
            rates.append((centre.readings - mark) / (time.monotonic() - at))
        seconds, points = time.monotonic() - began, centre.readings - first
        used = cpu_s(gateway.pid) - cpu
        rss_mb = _rss_mb(gateway.pid)
    finally:
        gateway.terminate()
        gateway.wait(20)
        centre.close()
    return {
        "points_per_s": round(statistics.median(rates)),
        "cpu_s_per_100k": round(used / points * 100_000, 3),
        "cores": round(used / seconds, 4),
        "rss_mb": rss_mb,
    }


def _wait_for_readings(centre: _Centre, folder: Path) -> None:
    deadline = time.monotonic() + 60
    while centre.readings == 0:
        assert time.monotonic() < deadline, (folder / "gateway.log").read_text("utf-8")[-2_000:]
        time.sleep(0.1)
    time.sleep(3)


def _rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1_024, 1)
    return 0.0
