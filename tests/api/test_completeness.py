"""Completeness through the API: lines as JSON and CSV, whose points, and what is refused."""

import csv
import io
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from park_platform.storage.rollups import roll_all
from support.serving import NOW_US, Served

ROUTE = "/api/v1/completeness"
MINUTE_US = 60_000_000
# The 60 readings of each owner's point, a second apart, are before this.
NOW = datetime.fromtimestamp(NOW_US / 1e6, UTC)
SPAN: dict[str, str] = {"start": (NOW - timedelta(hours=1)).isoformat(), "end": (NOW + timedelta(hours=1)).isoformat()}


@pytest.fixture(scope="module", autouse=True)
def rolled(served: Served) -> Generator[None]:
    """The minutes of the readings are rolled up; of alpha's gateway a gap is declared."""
    until = (NOW_US // MINUTE_US + 1) * MINUTE_US
    with served.park.connection() as admin, served.park.connection("operate") as operate:
        admin.execute("UPDATE stream SET event_until = at_us(%s) WHERE kind = 'gateway'", (until,))
        admin.execute("UPDATE point SET period_ms = 500")
        admin.execute(
            """
            INSERT INTO gap (gateway_id, epoch, lane, from_seq, to_seq, from_ts, to_ts, reason)
            SELECT id, decode(repeat('04', 16), 'hex'), 'live', 1, 1, %s, %s, 'outbox full'
            FROM gateway WHERE key = 'alpha'
            """,
            (NOW - timedelta(seconds=50), NOW - timedelta(seconds=40)),
        )
        for _ in range(50):
            if not roll_all(operate, NOW_US + 3_600_000_000):
                break
    yield
    with served.park.connection() as admin:
        # Other tests ask of the same park what no rollup has.
        admin.execute("DELETE FROM gap WHERE epoch = decode(repeat('04', 16), 'hex')")
        admin.execute("UPDATE stream SET event_until = NULL WHERE kind = 'gateway'")
        admin.execute("UPDATE point SET period_ms = 1000")
        admin.execute("TRUNCATE rollup_1m, rollup_progress, dirty")


def asked(served: Served, role: str, **params: str) -> list[dict[str, Any]]:
    answer = served.client(role).get(ROUTE, params={**SPAN, "step": "hour", **params})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def test_half_of_what_should_have_come(served: Served) -> None:
    lines = [line for line in asked(served, "operator") if line["key"] == "alpha"]
    assert sum(line["received"] for line in lines) == 60
    assert sum(line["good"] for line in lines) == 60
    # Two a second are expected, from the first minute to the end of the last.
    expected = sum(line["expected"] for line in lines)
    assert expected in {120, 240}
    assert [line["reasons"] for line in lines] == [[{"zh": "网关发件箱已满", "en": "outbox full"}]] * len(lines)
    assert lines[0]["completeness"] == pytest.approx(lines[0]["received"] / lines[0]["expected"])
    assert lines[0]["good_share"] == 1.0


def test_everybody_sees_their_own(served: Served) -> None:
    assert {line["key"] for line in asked(served, "enterprise", by="enterprise")} == {"alpha"}
    assert {line["key"] for line in asked(served, "regulator", by="gateway")} == {"alpha"}
    assert {"alpha", "beta"} <= {line["key"] for line in asked(served, "operator", by="enterprise")}
    assert asked(served, "enterprise", enterprise="beta") == []
    assert {line["key"].split("/")[0] for line in asked(served, "operator", by="point", enterprise="beta")} == {"beta"}


def test_no_reason_on_record_is_said(served: Served) -> None:
    [reason] = asked(served, "operator", by="gateway", enterprise="beta")[0]["reasons"]
    assert reason == {"zh": "无登记原因", "en": "no reason is on record"}


def test_as_csv(served: Served) -> None:
    params = {**SPAN, "by": "point"}
    answer = served.client("operator").get(ROUTE, params=params, headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    [alpha] = [row for row in rows if row["key"] == f"alpha/{row['key'].split('/', 1)[1]}"][:1]
    assert (float(alpha["received"]), alpha["reason_en"], alpha["reason_zh"]) == (60.0, "outbox full", "网关发件箱已满")


@pytest.mark.parametrize("wrong", [{"start": SPAN["end"]}, {"by": "zone"}, {"step": "minute"}, {"end": "soon"}])
def test_what_is_refused(served: Served, wrong: dict[str, str]) -> None:
    answer = served.client("operator").get(ROUTE, params={**SPAN, **wrong})
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("request-wrong")


def test_too_much_is_refused_in_words(served: Served) -> None:
    params = {"start": "1990-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z", "step": "hour"}
    answer = served.client("operator").get(ROUTE, params=params)
    assert answer.json()["type"].endswith("query-too-large")
