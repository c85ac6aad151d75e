"""`park gateway …` as people and the supervisor use it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from park_gateway.config import MQTT_VARIABLE
from park_gateway.outbox_rows import LaneState
from park_gateway.report import LaneReport, Rates, Report, disk_share
from park_platform.embedded.broker import Broker
from park_wire.batch import GENESIS, Lane
from park_wire.errors import EXIT_CONFIGURATION
from support.gateway_process import gateway_url, meter_table, start_gateway, write_site
from support.processes import wait_until

MOST_RSS_KB = 80 * 1024
WAIT_S = 30.0
_numbers = count(1)


@pytest.fixture
def site(tmp_path: Path, broker: Broker) -> Path:
    gateway = f"cli-{next(_numbers)}"
    return write_site(tmp_path, gateway, gateway_url(broker, gateway), meter_table("m-1", 1))


def park_gateway(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "park_wire.command", "gateway", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != MQTT_VARIABLE}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)


def report_at(at_s: float) -> Report:
    lanes = {
        Lane.LIVE: LaneReport(2, 300, 0.4, 100.0, 100.0),
        Lane.BACKFILL: LaneReport(5_000, 1_000_000, 7_200.0, 0.0, 1_000.0),
    }
    return Report("gw-1", round(at_s * 1e6), True, 5_000_000_000, 1_200, 0, 10, 0, 0, lanes)


# check


def test_check_says_in_both_languages_that_there_is_no_fault(site: Path) -> None:
    done = park_gateway("check", site)
    assert done.returncode == 0, done.stderr
    assert "无误，1 台设备，14 个测点" in done.stdout
    assert "no faults; devices: 1, points: 14" in done.stdout


def test_check_names_every_fault_and_exits_2(tmp_path: Path) -> None:
    file = tmp_path / "SITE.toml"
    file.write_text(
        '[gateway]\nid = "Not A Name"\n[mqtt]\nurl = "http://x"\n[[device]]\nid = "m-1"\nmodel = "no-such"\n'
    )
    done = park_gateway("check", file)
    assert done.returncode == 2
    for key in ("gateway.id", "mqtt.url", "model", "endpoint"):
        assert key in done.stderr
    assert "4 处错误 / 4 faults" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_shows_the_first_faults_of_many_and_counts_all(tmp_path: Path) -> None:
    file = tmp_path / "SITE.toml"
    file.write_text('[gateway]\nid = "gw-1"\n' + "[[device]]\n" * 1_000)
    done = park_gateway("check", file)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 52
    assert "device #1.id: is missing" in lines[0]
    assert lines[-2] == "…另有 2950 处 / and 2950 more"
    assert "3000 处错误 / 3000 faults" in lines[-1]


def test_check_of_what_is_nested_without_end_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "SITE.toml"
    file.write_text("x=" + "[" * 3_000 + "]" * 3_000)
    done = park_gateway("check", file)
    assert done.returncode == EXIT_CONFIGURATION
    assert "is nested more than 20 deep" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_run_refuses_a_site_with_faults_before_it_touches_anything(tmp_path: Path) -> None:
    """With the code that keeps the supervisor from starting it again: the file would be as wrong as before."""
    file = tmp_path / "SITE.toml"
    file.write_text('[gateway]\nid = "gw-1"\n')
    done = park_gateway("run", file)
    assert done.returncode == EXIT_CONFIGURATION
    assert "mqtt.url: is missing; add it, or set PARK_MQTT_URL" in done.stderr
    assert not (tmp_path / "outbox").exists()


def test_an_authority_that_is_none_is_a_wrong_site_too(site: Path) -> None:
    """It is found only when the connection is prepared."""
    (site.parent / "authority.pem").write_text("nothing")
    text = site.read_text().replace("mqtt://", "mqtts://").replace("[mqtt]", '[mqtt]\nca_file = "authority.pem"')
    site.write_text(text)
    done = park_gateway("run", site)
    assert done.returncode == EXIT_CONFIGURATION
    assert "authority.pem: mqtt.ca_file" in done.stderr


def test_help_lists_the_exit_codes() -> None:
    shown = " ".join(park_gateway("--help").stdout.replace("│", " ").split())
    assert "退出码 exit codes: 0 " in shown
    assert "2 命令行或站点文件有误" in shown


# Without a broker


@pytest.fixture
def brokerless(tmp_path: Path) -> Path:
    """A site whose broker comes from the environment."""
    file = tmp_path / "SITE.toml"
    file.write_text('[gateway]\nid = "gw-1"\n' + meter_table("m-1", 1))
    return file


def test_check_needs_no_broker_and_says_what_run_will_need(brokerless: Path) -> None:
    done = park_gateway("check", brokerless)
    assert done.returncode == 0, done.stderr
    assert "no faults; devices: 1, points: 14" in done.stdout
    assert "运行时须设 PARK_MQTT_URL" in done.stdout
    done = park_gateway("run", brokerless)
    assert done.returncode == EXIT_CONFIGURATION
    assert "1 处错误 / 1 fault" in done.stderr


def test_outbox_needs_no_broker(brokerless: Path) -> None:
    (brokerless.parent / "outbox").mkdir()
    report_at(time.time()).write(brokerless.parent / "outbox")
    done = park_gateway("outbox", brokerless)
    assert done.returncode == 0, done.stderr
    assert "在线 online" in done.stdout


# run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_logs_json_stays_small_and_stops_cleanly(site: Path, number: signal.Signals) -> None:
    process = start_gateway(site)
    assert process.stderr is not None
    first = [json.loads(process.stderr.readline())]
    while not {"broker_connected", "device_lost"} <= {event["event"] for event in first}:
        first.append(json.loads(process.stderr.readline()))
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.send_signal(number)
    out, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, log.decode()
    assert out == b""
    events = first + [json.loads(line) for line in log.decode().splitlines()]
    names = [event["event"] for event in events]
    assert names[0] == "gateway_started"
    assert names[-1] == "gateway_stopped"
    assert all({"level", "timestamp"} <= event.keys() for event in events)
    assert b"secret" not in log
    rss_kb = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert rss_kb < MOST_RSS_KB


def test_a_second_gateway_on_one_outbox_says_so_and_exits_1(site: Path) -> None:
    first = start_gateway(site)
    try:
        wait_until((site.parent / "outbox" / "report.json").exists, "the first runs", WAIT_S)
        done = park_gateway("run", site)
        assert done.returncode == 1
        assert "in use by another process" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        first.terminate()
        first.communicate()


# outbox


def test_outbox_shows_each_lane(site: Path) -> None:
    (site.parent / "outbox").mkdir()
    report_at(time.time()).write(site.parent / "outbox")
    done = park_gateway("outbox", site)
    assert done.returncode == 0, done.stderr
    live, backfill, counts = done.stdout.splitlines()[-3:]
    assert "2 批 batches, 300 读数 readings, 最早 oldest 0 s, 入 in 100/s, 出 out 100/s" in live
    assert "not shrinking" in live
    assert "1000000 读数 readings, 最早 oldest 2.0 h" in backfill
    assert "empty in 17 min" in backfill
    assert (
        "blocks read 10, 失败 failed 0, 漏读 polls missed 0, 重发 resends 0, 时钟偏差 clock ahead by +0.001 s" in counts
    )
    assert "未运行" not in done.stdout


def test_outbox_says_when_the_gateway_does_not_run(site: Path) -> None:
    (site.parent / "outbox").mkdir()
    report_at(time.time() - 600).write(site.parent / "outbox")
    done = park_gateway("outbox", site)
    assert "网关未运行" in done.stdout
    assert "not running; as of 10 min ago" in done.stdout


@pytest.mark.parametrize("content", [None, "", "{}", '{"lanes": 3}', "[]", '{"lanes": {"live": {}}}'])
def test_outbox_without_a_report_says_what_to_do(site: Path, content: str | None) -> None:
    folder = site.parent / "outbox"
    folder.mkdir()
    if content is not None:
        (folder / "report.json").write_text(content)
    done = park_gateway("outbox", site)
    assert done.returncode == 1
    assert "report.json" in done.stderr
    assert "Traceback" not in done.stderr


# The figures


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    report = replace(report_at(1.0), skew_us=None)
    report.write(tmp_path)
    assert Report.read(tmp_path) == report


def test_rates_are_means_over_a_minute() -> None:
    rates = Rates()
    empty = LaneState(1, 1, 1, GENESIS, 0)
    states = [replace(empty, sealed=s * 10, delivered=max(0, s - 100) * 20) for s in range(0, 200, 5)]
    shown = [rates.show(5.0 * at, {Lane.LIVE: state}) for at, state in enumerate(states)][-1]
    assert shown[Lane.LIVE] == (pytest.approx(10.0), pytest.approx(20.0))


def test_the_quota_is_below_what_the_disk_has(tmp_path: Path) -> None:
    assert disk_share(tmp_path, 0.8, 1_000) == 1_000
    share = disk_share(tmp_path, 0.5, 1 << 60)
    (tmp_path / "held").write_bytes(bytes(50_000_000))
    assert disk_share(tmp_path, 0.5, 1 << 60) == pytest.approx(share, rel=0.05)
