"""`park up` with a database and a broker of the park's own that are away, and what a Ctrl-C finds it at."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from park_platform import up_check
from park_platform.cli.up import app
from park_platform.embedded.broker import Broker
from park_platform.embedded.broker_accounts import Account
from park_platform.embedded.ports import choose_port
from park_platform.embedded.postgres import Postgres
from park_platform.up import Park
from park_platform.up_steps import Begun, Done, LeftOut, Waiting
from support.park import park_folder
from support.processes import wait_until

ALL = Account("all", publish=("park/#",), subscribe=("park/#",), keeps_session=True)
COMMAND = (sys.executable, "-u", "-m", "park_wire.command", "up")


@contextmanager
def _up(log: Path, *words: str, **environment: str) -> Generator[subprocess.Popen[str]]:
    """A `park up` whose standard error goes to `log`."""
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [*COMMAND, *words], stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment(**environment)
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=40)


def _environment(**given: str) -> dict[str, str]:
    return {**os.environ, **given}


def _read_until(process: subprocess.Popen[str], words: str, log: Path) -> str:
    """What it says up to the line with these words."""
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it never said {words!r}:\n{said}{log.read_text('utf-8')}")


def _own_broker(folder: Path) -> Broker:
    broker = Broker(folder / "broker")
    broker.accounts.add(ALL)
    return broker


def test_a_database_and_a_broker_that_are_away_are_waited_for(service_folder: Path, tmp_path: Path) -> None:
    postgres, broker = Postgres(service_folder / "postgres"), _own_broker(service_folder)
    for server in (postgres, broker):
        server.start()
        server.stop()
    log = tmp_path / "up.log"
    urls = {"PARK_DB_URL": postgres.url(), "PARK_MQTT_URL": broker.url("all")}
    with park_folder() as data, _up(log, "--data", str(data), **urls) as up:
        try:
            said = _read_until(up, "waits for", log)
            assert re.search(r"waits for the database 等待数据库: .*refused", said), said
            postgres.start()
            said = _read_until(up, "waits for", log)
            place = f"127.0.0.1:{broker.port}"
            assert f"waits for the broker 等待消息代理: the broker at {place} does not answer" in said
            broker.start()
            _read_until(up, "按 Ctrl-C 停止", log)
            up.send_signal(signal.SIGINT)
            up.communicate(timeout=40)
            assert up.returncode == 0
            assert not (data / "postgres").exists()
            assert not (data / "broker").exists()
        finally:
            broker.stop()
            postgres.stop()


@pytest.mark.parametrize("server", ["PARK_DB_URL", "PARK_MQTT_URL"])
def test_ctrl_c_ends_the_waiting(tmp_path: Path, server: str) -> None:
    dead = f"127.0.0.1:{choose_port()}"
    url = {"PARK_DB_URL": f"postgresql://park:x@{dead}/park", "PARK_MQTT_URL": f"mqtt://all:x@{dead}"}[server]
    log = tmp_path / "up.log"
    with park_folder() as data, _up(log, "--data", str(data), **{server: url}) as up:
        _read_until(up, "waits for", log)
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=20)
        assert up.returncode == 130
    assert log.read_text("utf-8") == ""


@pytest.mark.parametrize("hop", ["database", "broker"])
def test_check_names_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch, hop: str) -> None:
    dead = f"127.0.0.1:{choose_port()}"
    monkeypatch.setattr(up_check, "WITHIN_S", 1.0)
    monkeypatch.setenv("PARK_MQTT_URL", f"mqtt://all:x@{dead}")
    if hop == "database":
        monkeypatch.setenv("PARK_DB_URL", f"postgresql://park:x@{dead}/park")
    done = CliRunner().invoke(app, ["--check"])
    assert done.exit_code == 1, done.output
    name = f"{hop} {up_check.HOPS[hop]}"
    assert re.search(rf"^  {name} +BROKEN 故障 ", done.output, re.MULTILINE), done.output
    assert f"broken at 故障环节: {name}: does not start: the {hop} " in done.output


@pytest.mark.parametrize("url", ["http://u:secret@127.0.0.1:1", "mqtt://u:secret@a..b:1", "mqtt://u:secret@h"])
def test_an_address_that_is_none_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    monkeypatch.setenv("PARK_MQTT_URL", url)
    monkeypatch.setenv("PARK_DB_URL", "postgresql://u:secret@a..b:1/park")
    done = CliRunner().invoke(app, ["--data", str(tmp_path / "data")])
    assert done.exit_code == 2, done.output
    assert "PARK_DB_URL: does not have its form" in done.output
    assert "PARK_MQTT_URL: does not have its form" in done.output
    assert "secret" not in done.output
    assert not (tmp_path / "data").exists()


def test_an_api_that_misses_its_broker_is_up(service_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = _own_broker(service_folder)
    broker.start()
    monkeypatch.setenv("PARK_MQTT_URL", broker.url("all"))
    waited: list[Waiting] = []

    def follow(news: Begun | Waiting | LeftOut | Done) -> None:
        if isinstance(news, Begun) and news.step == "field":
            broker.stop()
        if isinstance(news, Waiting):
            waited.append(news)

    with park_folder() as folder, Park(folder, progress=follow) as park:
        assert park.start()
        (last,) = waited
        assert (last.step, last.what.en) == ("serve", "waits for the broker")
        assert "answers, and does not reach it" in last.reason


def test_ctrl_c_while_the_api_starts(tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    with park_folder() as data, _up(log, "--data", str(data)) as up:
        _read_until(up, "starts the API", log)
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=40)
        assert up.returncode == 130
    assert "does not answer" not in log.read_text("utf-8")


def test_ctrl_c_while_hops_are_proved(tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    with _up(log, "--check") as up:
        said = _read_until(up, "starts the API", log)
        said += _read_until(up, "starts the API", log)
        up.send_signal(signal.SIGINT)
        rest, _ = up.communicate(timeout=40)
        assert up.returncode == 130
    assert "hop" not in said + rest
    assert log.read_text("utf-8") == ""


@pytest.mark.parametrize("loaded", ["_hashlib", "_pydantic_core", "psycopg"])
def test_ctrl_c_among_the_imports_is_quiet(tmp_path: Path, loaded: str) -> None:
    log = tmp_path / "up.log"
    with _up(log, "--data", str(tmp_path / "data")) as up:
        maps = Path(f"/proc/{up.pid}/maps")
        wait_until(lambda: loaded in maps.read_text(), f"{loaded} is loaded")
        time.sleep(0.02)
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=20)
        assert up.returncode == 130
    assert log.read_text("utf-8") == ""
