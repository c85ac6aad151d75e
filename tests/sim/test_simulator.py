import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from asyncua.client.client import Client
from pymodbus.client import AsyncModbusTcpClient

from park_sim.control import ask, sim_folder
from park_sim.journal import read_journal
from park_sim.simulator import Settings, Simulator
from park_sim.site import OPCUA, read_field
from park_wire.errors import ConfigError, ServiceError, StoreUnavailable
from support.simulated_field import site_on_free_ports


def park(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "park_wire.command", "sim", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"} | (environ or {}),
    )


def say(*arguments: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
    with park(*arguments, environ=environ) as process:
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def wait_until_it_listens(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stderr is not None
    for line in process.stderr:
        entry: dict[str, Any] = json.loads(line)
        if entry["event"] == "field_started":
            return entry
    raise AssertionError("the simulated field ended before it listened")


def test_the_command_runs_the_sample_site_takes_faults_and_stops_cleanly(tmp_path: Path) -> None:
    site = site_on_free_ports(tmp_path, "tank-2", "chem-water", "food-water")
    data = tmp_path / "data"
    with park("run", str(site), "--data", str(data), "--seed", "7") as process:
        try:
            entry = wait_until_it_listens(process)
            assert (entry["devices"], entry["seed"], len(entry["endpoints"])) == (3, 7, 3)

            code, out, err = say("fault", "over-pressure", "tank-2", "--magnitude", "2", "--data", str(data))
            assert (code, err) == (0, "")
            assert "over-pressure tank-2 2 MPa/s" in out
            assert "安全阀" in out
            assert "relief valve" in out
            code, out, _ = say("faults", environ={"PARK_DATA": str(data)})
            assert code == 0
            assert out.rstrip().endswith("当前故障 on now: over-pressure tank-2 2 MPa/s")

            code, _, err = say("fault", "over-pressure", "tank-3", "--data", str(data))
            assert code == 2
            assert err.strip().endswith("'tank-3' is not known; did you mean tank-2? known are tank-2")

            with pytest.raises(ServiceError) as refused:
                asyncio.run(Simulator(Settings(site, tmp_path / "other")).start())
            for address in {str(device.address) for device in read_field(site)}:
                assert f"{address} (Address already in use)" in str(refused.value)

            code, out, _ = say("fault", "clear", "tank-2", "--data", str(data))
            assert (code, out) == (0, "已清除 cleared: over-pressure tank-2\n")
        finally:
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0
        assert json.loads(err.splitlines()[-1])["event"] == "field_stopped"
    assert not (sim_folder(data) / "control.sock").exists()
    noted = [tuple(line[2:5]) for line in read_journal(sim_folder(data)) if line[0] in ("fault", "state")]
    assert noted[0] == ("over-pressure", "tank-2", "on")
    assert ("tank-2", "over-pressure", "on") in noted
    assert ("tank-2", "relief-lifted", "on") in noted
    with pytest.raises(ServiceError, match=r"no simulated field runs with .* start it with `park sim run"):
        ask(data, {"do": "list"})


def test_world_writes_a_table_and_a_wrong_site_is_a_sentence(tmp_path: Path) -> None:
    table = tmp_path / "out.csv"
    code, out, _ = say("world", "--hours", "0.5", "--csv", str(table), "--start", "2026-11-23")
    assert code == 0
    assert "30 行 rows, 574 测点 points" in out
    lines = table.read_text("utf-8").splitlines()
    assert len(lines) == 31
    assert lines[0].startswith("time,air-1/pm25,")
    assert lines[1].startswith("2026-11-23T00:01:01+00:00,")
    again = tmp_path / "again.csv"
    say("world", "--hours", "0.5", "--csv", str(again), "--start", "2026-11-23")
    assert again.read_bytes() == table.read_bytes()
    code, _, err = say("run", str(tmp_path / "none.toml"), "--data", str(tmp_path))
    assert code == 2
    assert "No such file or directory" in err
    assert "Traceback" not in err


async def test_everything_of_a_site_moves_and_is_noted(tmp_path: Path) -> None:
    site = site_on_free_ports(tmp_path, "tank-1", "chem-water", "truck-1", "weighbridge-1", "gate-north", "gate-south")
    simulator = Simulator(Settings(site, tmp_path / "data", seed=1, speed=60.0))
    await simulator.start()
    stopped = asyncio.Event()
    waiting = asyncio.create_task(simulator.wait(stopped))
    try:
        devices = {device.id: device for device in read_field(site)}
        water = devices["chem-water"].address
        client = AsyncModbusTcpClient(water.host, port=water.port)
        assert await client.connect()
        opcua = next(device.address for device in devices.values() if device.address.scheme == OPCUA)
        async with Client(str(opcua)) as plant:
            began_us = simulator.field.world.now_us
            volumes: list[int] = []
            samples: list[int] = []
            sample = plant.get_node("ns=2;s=truck-1.Sample")
            for _ in range(2):
                answer = await client.read_holding_registers(0, count=9, device_id=devices["chem-water"].unit)
                volumes.append((answer.registers[3] << 16) + answer.registers[2])
                samples.append(await sample.read_value())
                await asyncio.sleep(1.05)
            assert volumes == sorted(set(volumes))
            assert samples == sorted(set(samples))
            assert 60e6 < simulator.field.world.now_us - began_us < 600e6
        client.close()
    finally:
        stopped.set()
        await waiting
        await simulator.stop()
    lines = read_journal(tmp_path / "data" / "sim")
    blocks = {(line[2], line[3]) for line in lines if line[0] == "served"}
    assert {("chem-water", "h0"), ("truck-1", "ua"), ("gate-north", "ua")} <= blocks


async def test_one_data_folder_is_for_one_simulator_and_free_after_it(tmp_path: Path) -> None:
    first = Simulator(Settings(site_on_free_ports(tmp_path, "chem-water"), tmp_path / "data"))
    await first.start()
    (tmp_path / "second").mkdir()
    second = Simulator(Settings(site_on_free_ports(tmp_path / "second", "chem-water"), tmp_path / "data"))
    with pytest.raises(ServiceError, match="another simulated field runs with"):
        await second.start()
    await first.stop()
    # What a killed one leaves.
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "data" / "sim" / "control.sock"))
    await second.start()
    assert await asyncio.to_thread(ask, tmp_path / "data", {"do": "list"}) == []
    await second.stop()


async def test_the_control_socket_refuses_in_words_and_lives_in_a_deep_folder(tmp_path: Path) -> None:
    data = tmp_path / ("deep-" * 20) / ("deeper-" * 10)
    simulator = Simulator(Settings(site_on_free_ports(tmp_path, "chem-water"), data))
    await simulator.start()
    try:
        with pytest.raises(ConfigError, match="did you mean stuck"):
            await asyncio.to_thread(ask, data, {"do": "fault", "fault": "stucked", "target": "chem-water"})
        with pytest.raises(ConfigError, match="not a request"):
            await asyncio.to_thread(ask, data, {"do": "explode"})
        with pytest.raises(ConfigError, match="not a request"):
            await asyncio.to_thread(ask, data, {"do": "fault"})
        (told,) = await asyncio.to_thread(
            ask, data, {"do": "fault", "fault": "offline", "target": "chem-water", "duration_s": 0.2}
        )
        assert (told["fault"], told["target"]) == ("offline", "chem-water")
        for _ in range(100):
            if not await asyncio.to_thread(ask, data, {"do": "list"}):
                break
            await asyncio.sleep(0.05)
        assert await asyncio.to_thread(ask, data, {"do": "list"}) == []
        assert (sim_folder(data) / "control.sock").stat().st_mode & 0o777 == 0o600
    finally:
        await simulator.stop()
    faults = [line[2:5] for line in read_journal(sim_folder(data)) if line[0] == "fault"]
    assert faults == [["offline", "chem-water", "on"], ["offline", "chem-water", "off"]]


async def test_a_field_whose_journal_fails_ends(tmp_path: Path) -> None:
    simulator = Simulator(Settings(site_on_free_ports(tmp_path, "chem-water"), tmp_path / "data"))
    await simulator.start()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, simulator.journal.fileno())
    os.close(full)
    simulator.journal.note_state(time.time_ns() // 1_000, "tank-1", "over-pressure", on=True, value=1.0)
    with pytest.raises(StoreUnavailable) as ended:
        await asyncio.wait_for(simulator.wait(asyncio.Event()), 5)
    assert "No space left" in str(ended.value)
    await simulator.stop()
