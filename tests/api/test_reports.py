"""Reports through the API: parameters, the document as JSON and CSV, whose data it holds, and what fails."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from park_platform.api.reports import DocumentAnswer
from park_platform.reports import run
from park_platform.storage.connect import Connection
from park_platform.storage.registers import seed_first
from support.serving import CANARY, Served
from support.trial_system import FORMULA, PARK, TRIAL, WRONG_REPORTS

MONTH = "/api/v1/reports/trial/month"
ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime.now(ZONE)
START = datetime(NOW.year, NOW.month, 1, tzinfo=ZONE)
ASKED: dict[str, Any] = {"year": NOW.year, "month": NOW.month}


@pytest.fixture(scope="module", autouse=True)
def meters(served: Served) -> None:
    """A meter for each owner that is read a minute before the local month begins, and counts 9, 20 and 40 in it."""
    with served.park.connection() as admin:
        for factor, (owner, planted) in enumerate(served.planted.items(), 1):
            row = admin.execute(
                """
                INSERT INTO point (stream_id, device, name, quantity, unit, low, high, period_ms, max_age_ms, asset_id)
                SELECT stream_id, device, 'energy', 'active-energy', 'kWh', 0, 1e9, 60000, 60000, asset_id
                FROM point WHERE id = %s RETURNING id
                """,
                (planted.point,),
            ).fetchone()
            assert row is not None, owner
            for minute, value in ((-1, 1.0), (0, 10.0), (1, 30.0), (2, 70.0)):
                at = START + timedelta(minutes=minute)
                admin.execute("SELECT make_partition('reading', %s)", (at,))
                admin.execute("INSERT INTO reading VALUES (%s, %s, %s, 0)", (at, value * factor, row[0]))
        seed_first(admin, TRIAL)


def month(served: Served, role: str, **params: Any) -> dict[str, Any]:
    answer = served.client(role).get(MONTH, params={**ASKED, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def energies(told: dict[str, Any]) -> dict[str, float]:
    """The energy of each meter by its owner."""
    return {row[2] or "park": row[3] for row in told["tables"][0]["rows"]}


def test_a_document_as_json(served: Served) -> None:
    told = month(served, "operator", enterprise="alpha")
    TypeAdapter(DocumentAnswer).validate_python(told, strict=False)
    assert told["title"]["en"] == "Month of alpha, beta"
    begin = START.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert (told["start"], told["made_for"]) == (begin, {"zh": "人员operator", "en": "operator"})
    # The step into the month is counted where it ends: 10 - 1, then 20 and 40.
    assert energies(told) == {"alpha": 69.0}
    [row] = told["tables"][0]["rows"]
    assert row[0] == {"zh": "储罐", "en": CANARY["alpha"]}
    assert 0 < row[4] < 1
    facts = {fact["id"]: fact for fact in told["facts"]}
    assert (facts["total"]["value"], facts["total"]["unit"], facts["total"]["source"]["en"]) == (69.0, "kWh", FORMULA)
    assert facts["unknown"]["value"] is None
    assert (facts["price"]["value"], facts["electricity"]["value"]) == (0.5, 0.1229)
    assert datetime.fromisoformat(told["made_at"]).tzinfo


def test_months_begin_in_the_park_s_time_zone(served: Served) -> None:
    before = START - timedelta(days=1)
    told = month(served, "operator", enterprise="alpha", year=before.year, month=before.month)
    assert told["end"] == START.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    # One reading, a minute before midnight, and nothing to count from.
    assert energies(told) == {"alpha": 0.0}
    assert told["tables"][0]["rows"][0][4] > 0
    assert month(served, "operator", enterprise="alpha", by="day")["tables"][0]["rows"][0][5] >= 28
    assert month(served, "operator", kinds=["steam-meter"])["tables"][0]["rows"] == []


def test_everybody_gets_their_own_figures_only(served: Served) -> None:
    assert energies(month(served, "operator")) == {"alpha": 69.0, "beta": 138.0, "park": 207.0}
    for role in ("enterprise", "regulator"):
        told = month(served, role)
        assert energies(told) == {"alpha": 69.0}
        assert told["title"]["en"] == "Month of alpha"
        assert energies(month(served, role, enterprise="alpha")) == {"alpha": 69.0}
        hidden = served.client(role).get(MONTH, params={**ASKED, "enterprise": "beta"})
        absent = served.client(role).get(MONTH, params={**ASKED, "enterprise": "no-such"})
        assert (hidden.status_code, hidden.json()) == (404, absent.json())
    with served.signed_in("neighbour") as client:
        assert energies(client.get(MONTH, params=ASKED).json()) == {"beta": 138.0}


def test_each_report_that_a_regulator_reads_is_in_the_trail(served: Served) -> None:
    administrator = served.client("administrator")
    served.client("regulator").get(MONTH, params={**ASKED, "enterprise": "alpha", "format": "csv"})
    [last] = administrator.get("/api/v1/audit", params={"limit": 1}).json()["items"]
    assert (last["actor"], last["action"]) == ("regulator", "read")
    assert last["object"].startswith(f"{MONTH}?year=")
    assert "enterprise=alpha" in last["object"]


@pytest.mark.parametrize("by", ["accept", "format"])
def test_a_document_as_csv(served: Served, by: str) -> None:
    headers = {"Accept": "text/csv"} if by == "accept" else {}
    params = {**ASKED, **({"format": "csv"} if by == "format" else {})}
    answer = served.client("operator").get(MONTH, params=params, headers=headers)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="trial-month.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert ["起 From", START.isoformat()] in rows
    assert ["total", "总电量", "Total energy", "414.0", "kWh", f"'{FORMULA}"] in rows
    assert ["unknown", "未知", "Not known", "", "", ""] in rows
    head = rows.index(
        ["电表 Meter", "测点 Point", "企业 Enterprise", "电量 Energy [kWh]", "覆盖率 Coverage [%]", "步数 Steps"]
    )
    assert rows[head - 1] == ["电表", "Meters"]
    assert [row[3] for row in rows[head + 1 : head + 4]] == ["207.0", "69.0", "138.0"]


def test_format_wins_over_accept(served: Served) -> None:
    answer = served.client("operator").get(MONTH, params={**ASKED, "format": "json"}, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "application/json"
    assert served.client("operator").get(MONTH, params=ASKED, headers={"Accept": "text/html"}).status_code == 406
    assert served.client("operator").get(MONTH, params={**ASKED, "format": "pdf"}).status_code == 422


def test_an_etag_stands_for_the_figures(served: Served) -> None:
    client = served.client("operator")
    first = client.get(MONTH, params={**ASKED, "enterprise": "alpha"})
    etag = first.headers["etag"]
    again = client.get(MONTH, params={**ASKED, "enterprise": "alpha"}, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    for other in ({"enterprise": "beta"}, {"enterprise": "alpha", "format": "csv"}):
        answer = client.get(MONTH, params={**ASKED, **other}, headers={"If-None-Match": etag})
        assert (answer.status_code, answer.headers["etag"] == etag) == (200, False)


def test_what_a_report_asks_for(served: Served) -> None:
    told = served.client("enterprise").get(f"{MONTH}/schema").json()
    assert (told["system"], told["id"], told["name"]) == ("trial", "month", {"zh": "月报", "en": "Month"})
    properties = told["schema"]["properties"]
    assert properties["month"]["x-label"] == {"zh": "月", "en": "Month"}
    assert told["schema"]["required"] == ["year", "month"]
    assert served.client("enterprise").get("/api/v1/reports/trial/inner/schema").status_code == 403
    assert served.client("operator").get("/api/v1/reports/trial/inner/schema").status_code == 200


@pytest.mark.parametrize(
    ("params", "fields"),
    [
        ({}, ["year", "month"]),
        ({"year": 1999, "month": "x", "by": "week"}, ["year", "month", "by"]),
        ({"year": 2026, "month": 1, "colour": "red"}, ["colour"]),
        ({"year": 2026, "month": [1, 2]}, ["month"]),
    ],
)
def test_every_fault_of_the_parameters_is_told(served: Served, params: dict[str, Any], fields: list[str]) -> None:
    answer = served.client("operator").get(MONTH, params=params)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (422, "parameters-wrong")
    assert sorted(told["fields"]) == sorted(fields)
    assert [fault["field"] for fault in told["faults"]] == told["fields"]
    assert all(fault["message"]["zh"] and fault["message"]["en"] for fault in told["faults"])
    assert all(name in told["detail"] for name in fields)


def test_parameters_that_do_not_go_together_are_all_named(served: Served) -> None:
    params = {"year": "2026", "month": "1", "by": "day", "kinds": "electricity-meter"}
    told = served.client("operator").get(MONTH, params=params).json()
    assert [fault["field"] for fault in told["faults"]] == [""]
    assert told["fields"] == list(params)
    assert "year, month, by, kinds" in told["detail"]


@pytest.mark.parametrize("report", [report.id for report in WRONG_REPORTS])
def test_a_report_that_fails_is_a_problem_of_its_own(
    served: Served, report: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for language, sentence in (
        ("en", f"The report {report} of the system trial"),
        ("zh", f"系统“trial”的报表“{report}”"),
    ):
        answer = served.client("operator").get(f"/api/v1/reports/trial/{report}", headers={"Accept-Language": language})
        told = answer.json()
        assert (answer.status_code, told["code"], told["system"], told["report"]) == (
            *(424, "report-failed", "trial", report),
        )
        assert told["detail"].startswith(sentence)
        assert "secret" not in answer.text
    lines = [line for line in capsys.readouterr().out.splitlines() if f"trial/{report}" in line]
    assert len(lines) == 1, "logged once"
    # The others run on.
    assert energies(month(served, "enterprise")) == {"alpha": 69.0}


def test_a_report_that_runs_too_long_is_stopped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "MOST_S", 0.2)
    for report in ("endless", "endless-needs"):
        for language, remedy in (("en", "Ask for a shorter time"), ("zh", "请缩短时间段")):
            headers = {"Accept-Language": language}
            answer = served.client("operator").get(f"/api/v1/reports/trial/{report}", headers=headers)
            told = answer.json()
            assert (answer.status_code, told["code"], told["report"]) == (424, "report-too-long", report)
            assert report in told["detail"]
            assert remedy in told["detail"]
    assert energies(month(served, "enterprise")) == {"alpha": 69.0}


def test_a_question_that_the_database_stops_is_a_report_that_took_too_long(served: Served) -> None:
    with served.park.connection() as admin, served.park.connection() as holder:
        _limit_statements(admin, "500ms")
        try:
            with holder.transaction():
                holder.execute("LOCK TABLE register_version")
                answer = served.client("operator").get(MONTH, params=ASKED)
        finally:
            _limit_statements(admin, "15s")
    assert (answer.status_code, answer.json()["code"]) == (424, "report-too-long")
    assert energies(month(served, "enterprise")) == {"alpha": 69.0}


def _limit_statements(admin: Connection, limit: str) -> None:
    """How long a statement of the API may take, from its next connection on."""
    admin.execute(f"ALTER ROLE park_api SET statement_timeout = '{limit}'".encode())
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'park_api'")


def test_rows_of_an_enterprise_that_the_reader_does_not_see(served: Served) -> None:
    def asked(role: str, report: str) -> int:
        return served.client(role).get(f"/api/v1/reports/trial/{report}").status_code

    assert (asked("operator", "rows-of-beta"), asked("enterprise", "rows-of-beta")) == (200, 404)
    assert (asked("enterprise", "rows-of-alpha"), asked("operator", "rows-of-nobody")) == (200, 404)


def test_a_report_for_the_park_s_people_is_for_nobody_else(served: Served) -> None:
    for role in ("operator", "auditor", "enterprise", "regulator"):
        answer = served.client(role).get("/api/v1/reports/trial/inner")
        assert answer.status_code == (200 if role in PARK else 403)
        assert role in PARK or answer.json()["code"] == "not-allowed"


def test_alarms_come_by_owner(served: Served) -> None:
    def assets(role: str) -> list[str]:
        told = served.client(role).get("/api/v1/reports/trial/happened").json()
        return sorted(row[0] for row in told["tables"][0]["rows"])

    assert assets("operator") == ["tank-alpha", "tank-beta", "tank-park"]
    assert assets("enterprise") == assets("regulator") == ["tank-alpha"]


def test_a_register_s_row_that_no_longer_fits_is_told(served: Served) -> None:
    with served.park.connection() as admin:
        admin.execute(
            """
            WITH added AS (
              INSERT INTO register_row (system, register, key, version) VALUES ('trial', 'factors', '["old"]', 1)
              RETURNING id
            )
            INSERT INTO register_version (row_id, version, record, valid_from, action, actor)
            SELECT id, 1, '{"medium": "old", "value": -1}', 'epoch', 'added', 'test' FROM added
            """
        )
    [note] = month(served, "operator")["notes"]
    assert "1 entries of registers" in note["en"]
    assert "1 处" in note["zh"]


def test_a_gap_of_a_meter_s_gateway_is_noted(served: Served) -> None:
    with served.park.connection() as admin:
        admin.execute(
            """
            INSERT INTO gap (gateway_id, epoch, lane, from_seq, to_seq, from_ts, to_ts, reason)
            SELECT id, decode(repeat('03', 16), 'hex'), 'live', 1, 1, %s, %s, 'outbox full'
            FROM gateway WHERE key = 'alpha'
            """,
            (START + timedelta(minutes=5), START + timedelta(minutes=6)),
        )
    try:
        [note] = [note for note in month(served, "enterprise")["notes"] if "gateway" in note["en"]]
        day = f"{START:%Y-%m-%d}"
        assert note == {
            "zh": f"数据缺口：网关 alpha，{day} 00:05:00 至 {day} 00:06:00，网关发件箱已满。",
            "en": f"Gap in the data: gateway alpha, {day} 00:05:00 to {day} 00:06:00: outbox full.",
        }
    finally:
        with served.park.connection() as admin:
            admin.execute("DELETE FROM gap WHERE epoch = decode(repeat('03', 16), 'hex')")
