"""`park serve` as a process: starts, answers, ends on SIGTERM, and says what is wrong with its settings."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from park_platform.api.app import create_app
from park_platform.api.settings import ServeSettings
from park_platform.cli.serve import STUCK_MS, app, listen
from park_platform.embedded.broker import Broker
from park_platform.storage.people import Role, add_person, make_signin_link
from park_wire.errors import ConfigError
from support.database import ParkDatabase
from support.serving import running, wait_until

runner = CliRunner()


def free_port() -> int:
    with listen("127.0.0.1", 0) as listener:
        return listener.getsockname()[1]


def test_it_serves_until_it_is_told_to_end(park_database: ParkDatabase, broker: Broker, tmp_path: Path) -> None:
    port = free_port()
    environment = {
        **os.environ,
        "PARK_DB_URL": park_database.url("api"),
        "PARK_MQTT_URL": broker.url("serve"),
        "PARK_BASE_URL": f"http://localhost:{port}",
    }
    log = tmp_path / "log"
    command = [sys.executable, "-m", "park_wire.command", "serve", "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        wait_until(lambda: is_healthy(port) or process.poll() is not None, "health", within_s=20)
        assert process.poll() is None, log.read_text()
        assert httpx.get(f"http://localhost:{port}/api/v1/points").status_code == 401
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) in (0, -signal.SIGTERM)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    text = log.read_text()
    assert '"event": "serving"' in text
    assert "Traceback" not in text
    assert "broker_lost" not in text, "its own end is no loss"
    assert not [password for password in park_database.passwords.values() if password in text]


def is_healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        ({}, ["PARK_DB_URL", "PARK_MQTT_URL"]),
        ({"PARK_DB_URL": "postgresql://x@127.0.0.1:1/x"}, ["PARK_MQTT_URL"]),
        ({"PARK_DB_URL": "postgresql://x@127.0.0.1:1/x", "PARK_MQTT_URL": "http://u:secret@h:1"}, ["mqtt://user"]),
        ({"PARK_DB_URL": "postgresql://x@127.0.0.1:1/x", "PARK_MQTT_URL": "mqtt://u:secret@h"}, ["mqtt://user"]),
        (
            {
                "PARK_DB_URL": "postgresql://x@127.0.0.1:1/x",
                "PARK_MQTT_URL": "mqtt://u:secret@h:1",
                "PARK_BASE_URL": "http://park.example",
            },
            ["in clear", "https://"],
        ),
    ],
)
def test_wrong_settings_are_named(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], problems: list[str]
) -> None:
    for name in ("PARK_DB_URL", "PARK_MQTT_URL", "PARK_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
        if name in settings:
            monkeypatch.setenv(name, settings[name])
    result = runner.invoke(app, [])
    assert result.exit_code == 2
    for problem in problems:
        assert problem in result.output
    assert "secret" not in result.output


@pytest.mark.parametrize("role", ["ingest", "owner", None])
def test_another_role_s_login_is_refused(
    park_database: ParkDatabase, monkeypatch: pytest.MonkeyPatch, role: str | None
) -> None:
    monkeypatch.setenv("PARK_DB_URL", park_database.url(role))
    monkeypatch.setenv("PARK_MQTT_URL", "mqtt://u:x@127.0.0.1:1")
    result = runner.invoke(app, [])
    assert (result.exit_code, "park_api" in result.output) == (2, True)


def test_a_port_in_use_is_a_sentence() -> None:
    with listen("127.0.0.1", 0) as listener:
        listener.listen()
        with pytest.raises(ConfigError, match="choose another --port"):
            listen("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(ConfigError, match="address of this machine"):
        listen("203.0.113.7", 8000)


def test_a_connection_inherits_the_bound_on_stuck_peers() -> None:
    with listen("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == STUCK_MS
                assert accepted.proto == socket.IPPROTO_TCP, "asyncio switches Nagle's algorithm off for such only"


def test_behind_tls_everything_is_strict(park_database: ParkDatabase, broker: Broker) -> None:
    with park_database.connection() as connection:
        add_person(connection, "tls", Role.OPERATOR, display_zh="值班", display_en="Operator")
        token = make_signin_link(connection, "tls", 5)
    settings = ServeSettings.of(park_database.url("api"), broker.url("serve"), "https://park.example")
    with (
        listen("127.0.0.1", 0) as listener,
        running(create_app(settings), listener),
        # What a proxy that ends TLS passes on.
        httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client,
    ):
        assert client.get("/api/v1/session").status_code == 421, "only under its own name"
        client.headers["Host"] = "park.example"
        answer = client.post("/api/v1/session", json={"token": token}, headers={"Origin": "http://park.example"})
        assert answer.status_code == 403, "the same name without TLS is another origin"
        answer = client.post("/api/v1/session", json={"token": token}, headers={"Origin": "https://park.example"})
    assert answer.status_code == 201
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-park=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
