"""`park up` as people run it: started, stopped by Ctrl-C, started again; `park up --check`; and what it refuses."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGCONT, SIGINT, SIGSTOP
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from park_platform import up_check
from park_platform.cli.up import app, in_words
from park_platform.program import running_pid
from park_platform.supervise import Ended, Event, NotRestarted, Restarted
from support.failing_disk import small_disk
from support.park import park_command, park_folder, whole_park
from support.processes import children_of, is_alive, wait_until

HAN = "[\u4e00-\u9fff]"
VESSELS = {"tank-1", "tank-2", "reactor-1", "boiler-drum-1"}
_LINK = re.compile(r"\((?P<role>[a-z]+)\): (?P<base>http://\S+)/signin/(?P<token>\S+)$")


@dataclass
class Running:
    """A `park up` in a process of its own. `said` is what it printed."""

    process: subprocess.Popen[str]
    data: Path
    said: list[str] = field(default_factory=list[str])
    tokens: dict[str, str] = field(default_factory=dict[str, str])
    base_url: str = ""

    @contextmanager
    def signed_in(self, role: str) -> Generator[httpx.Client]:
        with httpx.Client(base_url=self.base_url, headers={"Origin": self.base_url}, timeout=10.0) as client:
            answer = client.post("/api/v1/session", json={"token": self.tokens[role]})
            assert answer.status_code == 201, answer.text
            yield client

    def family(self) -> set[int]:
        """Its process and all that it started, however deep."""
        found, left = {self.process.pid}, [self.process.pid]
        while left:
            some = children_of(left.pop())
            found.update(some)
            left.extend(some)
        return found

    def stop(self) -> list[str]:
        """Press Ctrl-C and wait for the end; returns the children in the order in which they have ended."""
        alive = {file.stem: pid for file in self.data.rglob("*.pid") if (pid := running_pid(file)) is not None}
        ended: list[str] = []
        self.process.send_signal(SIGINT)
        deadline = time.monotonic() + 40
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still up after 40 s: {alive.keys() - set(ended)}"
            ended += [name for name, pid in alive.items() if name not in ended and not is_alive(pid)]
            time.sleep(0.002)
        return ended + [name for name in alive if name not in ended]


@contextmanager
def _up(data: Path, log: Path) -> Generator[Running]:
    argv = [sys.executable, "-u", "-m", "park_wire.command", "up", "--data", str(data)]
    with log.open("wb") as errors, subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        running = Running(process, data)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                running.said.append(line)
                if found := _LINK.search(line.rstrip()):
                    running.tokens[found["role"]] = found["token"]
                    running.base_url = found["base"]
                if "park top" in line:
                    break
            assert running.tokens, "".join(running.said) + log.read_text("utf-8")
            yield running
        finally:
            if process.poll() is None:
                process.send_signal(SIGINT)
                process.wait(40)


def _latest(client: httpx.Client) -> dict[str, dict[str, Any]]:
    items = client.get("/api/v1/latest", params={"asset": "park-water"}).json()["items"]
    return {item["key"]: item for item in items if item["time"] is not None}


def _alarms(client: httpx.Client) -> list[dict[str, Any]]:
    return client.get("/api/v1/alarms", params={"limit": 1000}).json()["items"]


def _wait_for_readings(client: httpx.Client, after: str = "") -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while True:
        reading = _latest(client).get("gw-1/park-water/flow")
        if reading is not None and reading["time"] > after:
            return reading
        assert time.monotonic() < deadline, "no readings at the API within 20 s"
        time.sleep(0.1)


def test_ctrl_c_stops_all_in_order_and_a_second_start_finds_its_data(tmp_path: Path) -> None:
    with park_folder() as data:
        with _up(data, tmp_path / "first.log") as first:
            with first.signed_in("operator") as client:
                earlier = _wait_for_readings(client)
            family = first.family()
            assert len(family) > 7
            again = park_command("up", "--data", str(data))
            assert again.returncode == 1
            assert f"already runs on {data} as process {first.process.pid}" in again.stderr
            assert first.stop() == ["serve", "operate", "ingest", "gateway-gw-1", "sim", "broker", "postgres"]
            assert first.process.returncode == 0
            assert first.process.stdout is not None
            assert "the data stay" in first.process.stdout.read()
        assert [pid for pid in family if is_alive(pid)] == []
        ended_at = datetime.now(UTC)

        # What the gateway had read and could not send is sent now; nobody watched the vessels for more than 3 s.
        time.sleep(1.0)
        with _up(data, tmp_path / "second.log") as second, second.signed_in("operator") as client:
            later = _wait_for_readings(client, ended_at.isoformat())
            assert later["point"] == earlier["point"], "points keep their identity"
            began_at = ended_at - timedelta(minutes=5)
            span = {"start": began_at.isoformat(), "end": ended_at.isoformat(), "point": later["point"]}
            (series,) = client.get("/api/v1/history", params=span).json()["series"]
            assert earlier["value"] in series["value"]
            wait_until(
                lambda: [alarm["state"] for alarm in _alarms(client)] == ["returned"] * len(VESSELS),
                "an alarm for each vessel that nobody watched, and its end",
                10,
            )
            alarms = _alarms(client)
            assert {alarm["point"]["key"].split("/")[1] for alarm in alarms} == VESSELS
            assert {alarm["rule"]["key"] for alarm in alarms} == {"tank-stale", "reactor-stale", "drum-stale"}
            spent = client.post("/api/v1/session", json={"token": first.tokens["safety"]})
            assert spent.status_code == 201, "a link of the first start is good for a day"


def test_check_proves_every_hop() -> None:
    done = park_command("up", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    path = ["field", "gateway", "broker", "database", "intake", "readings", "operate", "api", "console"]
    hops = [*path, "live stream", "alarm", "alarm in api", "alarm live"]
    for hop in hops:
        assert re.search(rf"^  {hop} {HAN}+ +ok 正常 ", done.stdout, re.MULTILINE), done.stdout
    assert hops == list(up_check.HOPS)
    # Whatever is said is said in both languages.
    said = [line for line in done.stdout.splitlines() if line.strip()]
    assert [line for line in said if not re.search(HAN, line) or not re.search(r"[a-z]{2}", line)] == []


def test_check_names_the_hop_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command within this process, because here a hop need not be given 20 s to prove itself."""
    monkeypatch.setattr(up_check, "WITHIN_S", 4.0)
    done = CliRunner().invoke(app, ["--check", "--without", "broker"])
    assert done.exit_code == 1, done.output
    assert re.search(r"^  gateway 网关 +ok 正常 ", done.output, re.MULTILINE), done.output
    assert re.search(r"^  broker 消息代理 +BROKEN 故障 ", done.output, re.MULTILINE), done.output
    assert "broken at 故障环节: broker 消息代理: " in done.output
    assert "its last words 最后日志:\n" in done.output


def test_whatever_dies_the_check_names_its_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    """One park loses its parts from the end of the path to its beginning; readings of before prove nothing."""
    monkeypatch.setattr(up_check, "WITHIN_S", 3.0)
    with park_folder() as folder, whole_park(folder, trace=True) as park:
        tokens = {link.role: link.token for link in park.links.values()}
        park.park.supervisor.retire("serve")
        operate = park.child("operate").pid
        assert operate is not None
        # It still holds its lock, and its rollups are still there.
        os.kill(operate, SIGSTOP)
        try:
            hops = up_check.run_check(park.park, tokens)
        finally:
            os.kill(operate, SIGCONT)
        assert [(each.name, each.ok) for each in hops][-1] == ("operate", False), hops
        for part, hop in {
            "serve": "api",
            "operate": "operate",
            "ingest": "intake",
            "postgres": "database",
            "broker": "broker",
            "gateway-gw-1": "gateway",
            "sim": "field",
        }.items():
            park.park.supervisor.retire(part)
            hops = up_check.run_check(park.park, tokens)
            assert [(each.name, each.ok) for each in hops][-1] == (hop, False), hops
            assert all(each.ok for each in hops[:-1]), hops
            assert hops[-1].last_words


@pytest.mark.parametrize(
    ("event", "details"),
    [
        (Ended("serve", 2, None, "its last words"), "its last words"),
        (Ended("serve", 1, 0.4, "its last words"), ""),
        (NotRestarted("serve", "its port is in use", 0.4), "its port is in use"),
    ],
)
def test_what_becomes_of_a_child_is_said_in_both_languages(event: Event, details: str) -> None:
    said = in_words(event)
    assert said is not None
    text, own = said
    assert own == details
    assert re.search(HAN, text.zh)
    assert not re.search(HAN, text.en)
    assert text.zh.startswith("serve ")
    assert text.en.startswith("serve ")
    assert in_words(Restarted("serve", 7)) is None


@pytest.mark.parametrize("given", [["--data", "x"], ["--port", "8000"], ["--site", "x"]])
def test_check_takes_no_folder_port_or_site(given: list[str]) -> None:
    done = CliRunner().invoke(app, ["--check", *given])
    assert done.exit_code == 2
    assert f"park up: --check: can't be combined with {given[0]}; leave {given[0]} out" in done.output


@pytest.mark.parametrize("port", ["0", "99999", "-1"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    done = CliRunner().invoke(app, ["--port", port])
    assert done.exit_code == 2, done.output
    assert "--port" in done.output


def test_a_part_that_there_is_not_is_refused() -> None:
    done = CliRunner().invoke(app, ["--check", "--without", "engine"])
    assert done.exit_code == 2
    assert "no part engine runs here; choose from postgres, broker, sim, gateway, ingest, operate, serve" in done.output


def test_a_gateway_that_the_park_does_not_know_is_refused(tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert park_command("sim", "site", str(site)).returncode == 0
    gateway = site / "gateway.toml"
    gateway.write_text(gateway.read_text("utf-8").replace('id = "gw-1"', 'id = "gw-9"', 1), "utf-8")
    done = park_command("up", "--data", str(tmp_path / "data"), "--site", str(site))
    assert done.returncode == 2
    assert "gateway.toml: gateway.id: 'gw-9' is not among the gateways of park.toml: gw-1; use one id" in done.stderr
    assert not (tmp_path / "data" / "postgres").exists()


def test_a_port_in_use_is_said_before_anything_runs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = park_command("up", "--data", str(tmp_path / "data"), "--port", str(port))
    assert done.returncode == 1
    assert re.search(rf"port {port} .* is in use.*choose another port", done.stderr)
    assert not (tmp_path / "data" / "postgres").exists()


def test_a_disk_without_room_is_said(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:
        done = park_command("up", "--data", str(disk / "data"))
    assert done.returncode == 1
    assert str(disk) in done.stderr
    assert re.search(r"room|space", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
