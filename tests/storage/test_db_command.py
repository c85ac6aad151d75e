import json
import re

import pytest
from typer.testing import CliRunner

from park_platform.cli.db import app
from park_platform.embedded.postgres import Postgres
from park_platform.storage.connect import connect
from park_platform.storage.migrate import database_url
from park_platform.storage.readings import copy_readings
from park_platform.storage.roles import REVISION, check_roles
from support.database import ParkDatabase, role_passwords
from support.series import DAY, NOON, SECOND, add_stream, frame_of
from support.services import Databases
from support.serving import seed_park


def run(monkeypatch: pytest.MonkeyPatch, url: str | None, *arguments: str) -> tuple[int, str]:
    if url is None:
        monkeypatch.delenv("PARK_DB_URL", raising=False)
    else:
        monkeypatch.setenv("PARK_DB_URL", url)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_a_database_from_nothing(postgres: Postgres, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    for role, password in role_passwords(postgres).items():
        monkeypatch.setenv(f"PARK_DB_PASSWORD_{role.upper()}", password)
    url = postgres.url(database="park_by_command")
    try:
        for _ in range(2):
            code, output = run(monkeypatch, url, "migrate")
            assert (code, output.split(". ")[0]) == (
                0,
                f'database "park_by_command" is at schema {REVISION}, engine plain',
            )
        with connect(database_url(url, role="ingest", password=role_passwords(postgres)["ingest"]), "test") as ingest:
            check_roles(ingest, "ingest")
        code, output = run(monkeypatch, url, "migrate", "--engine", "timescale")
        assert code == 1
        assert "lives on the engine plain" in output
    finally:
        databases.drop(url)


def test_status_of_both_engines(park: ParkDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = run(monkeypatch, park.url(), "status")
    assert code == 0
    assert "no rows" in output
    with park.connection() as admin, park.connection("ingest") as ingest:
        _, [p] = add_stream(admin, 1)
        rows = [(p, NOON - i * DAY // 5000, float(i), 0) for i in range(10_000)]
        with ingest.transaction():
            copy_readings(ingest, frame_of(rows), now=NOON + SECOND)
        admin.execute("ANALYZE reading")
    code, output = run(monkeypatch, park.url(), "status", "--json")
    assert code == 0
    found = json.loads(output)
    reading = found["series"][0]
    assert (found["schema"], found["raw_days"], reading["table"], reading["rows"]) == (REVISION, 90, "reading", 10_000)
    assert found["edition"] in ({None} if found["engine"] == "plain" else {"apache", "tsl"})
    assert reading["oldest"] == rows[-1][1] // DAY * DAY
    assert reading["newest"] == (NOON // DAY + 1) * DAY
    assert 52 < reading["bytes_per_row"] < 200
    assert reading["bytes_per_row"] == reading["size_bytes"] / reading["rows"]
    code, output = run(monkeypatch, park.url(), "status")
    assert re.search(r"reading +\d+ partitions 分区, about 10000 rows .* 2026-11-2\d to 2026-11-24", output)


def test_without_settings_or_database(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = run(monkeypatch, None, "migrate")
    assert (code, "PARK_DB_URL: is not set" in output) == (2, True)
    for command in ("status", "verify"):
        code, output = run(monkeypatch, database, command)
        assert code == 1
        assert re.fullmatch(r"the database holds no park .* does not exist; run `park db migrate`\n", output), command
    code, output = run(monkeypatch, "postgresql://park:none@127.0.0.1:1/park", "status")
    assert (code, "can't be reached" in output) == (1, True)


def test_verify_counts_the_lines_and_names_the_first_broken_one(
    fresh_park_database: ParkDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = fresh_park_database.url()
    with fresh_park_database.connection() as connection:
        seed_park(connection)
        [(audited,)] = connection.execute("SELECT count(*) FROM audit").fetchall()
        code, output = run(monkeypatch, url, "verify")
        assert code == 0
        assert "journal 报警日志 gw-alpha: 1 lines 行, whole 完整\n" in output
        assert f"audit 审计: {audited} lines 行, whole 完整\n" in output
        connection.execute("SET session_replication_role = 'replica'")
        connection.execute(
            "UPDATE journal SET note = 'x' WHERE stream_id = (SELECT id FROM stream WHERE name = 'gw-beta')"
        )
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE id = 2")
    code, output = run(monkeypatch, url, "verify")
    assert code == 1
    assert "gw-alpha: 1 lines 行, whole 完整\n" in output
    assert "gw-beta: 1 lines 行, BROKEN 已断裂: journal of gw-beta: line 1 was changed" in output
    assert f"audit 审计: {audited} lines 行, BROKEN 已断裂: audit row 2 was changed" in output


def test_after_a_restore_the_database_is_another_one(park: ParkDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    with park.connection() as admin:
        before = admin.execute("SELECT db_incarnation FROM installation").fetchone()
        code, output = run(monkeypatch, park.url(), "restored")
        assert (code, output.split(";")[0]) == (0, "state of nothing 无数据")
        assert admin.execute("SELECT db_incarnation FROM installation").fetchone() != before
    code, output = run(monkeypatch, park.url(), "restored", "--json")
    assert (code, json.loads(output)) == (0, {"as_of": None, "gateways": [], "gaps": 0})
