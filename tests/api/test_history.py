"""History through the API: columns, CSV, buckets, and what is refused."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from support.serving import NOW_US, Planted, Served

START = datetime.fromtimestamp(NOW_US / 1e6, UTC) - timedelta(minutes=10)
SPAN: dict[str, str | int] = {"start": START.isoformat(), "end": (START + timedelta(minutes=20)).isoformat()}


@pytest.fixture
def alpha(served: Served) -> Planted:
    """The 60 readings of alpha's point: 1.00, 1.01 … 1.59, a second apart, the last a second ago."""
    return served.planted["alpha"]


def test_readings_as_columns(served: Served, alpha: Planted) -> None:
    answer = served.client("operator").get("/api/v1/history", params={"point": alpha.point, **SPAN})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["grain"], told["bucket_us"]) == ("raw", None)
    (series,) = told["series"]
    assert (series["point"], series["quantity"], series["unit"]) == (alpha.point, "pressure", "MPa")
    assert (series["low"], series["high"]) == (None, None)
    assert series["time_us"][:60] == [NOW_US - (60 - n) * 1_000_000 for n in range(60)]
    assert series["value"][:60] == [1.0 + n / 100 for n in range(60)]
    assert series["quality"][:60] == [0] * 60
    # Nothing is known after max_age: the gap stays a gap, and NaN is null.
    assert (series["value"][60:], series["quality"][60:]) == ([None], [-1])


def test_few_rows_are_buckets_with_their_extremes(served: Served, alpha: Planted) -> None:
    params = {"point": alpha.point, **SPAN, "max_points": 3}
    told = served.client("operator").get("/api/v1/history", params=params).json()
    assert told["bucket_us"] is not None
    (series,) = told["series"]
    assert min(low for low in series["low"] if low is not None) == 1.0
    assert max(high for high in series["high"] if high is not None) == pytest.approx(1.59)


def test_series_come_in_the_order_asked_and_once(served: Served) -> None:
    ids = [served.planted[owner].point for owner in ("park", "alpha", "beta", "alpha")]
    told = served.client("operator").get("/api/v1/history", params={"point": ids, **SPAN}).json()
    assert [series["point"] for series in told["series"]] == ids[:3]


def test_csv(served: Served, alpha: Planted) -> None:
    answer = served.client("enterprise").get(
        "/api/v1/history", params={"point": alpha.point, **SPAN}, headers={"Accept": "text/csv"}
    )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert (len(rows), rows[0]["value"], rows[0]["unit"], rows[0]["quality_name"]) == (61, "1.0", "MPa", "good")
    first = datetime.fromisoformat(rows[0]["time"])
    assert (first - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == NOW_US - 60_000_000
    assert (rows[60]["value"], rows[60]["quality_name"]) == ("", "no_reading")


def test_unknown_and_foreign_points_look_the_same(served: Served, alpha: Planted) -> None:
    beta = served.planted["beta"].point
    for number in (beta, 999_999):
        answer = served.client("enterprise").get("/api/v1/history", params={"point": [alpha.point, number], **SPAN})
        assert (answer.status_code, answer.json()["code"]) == (404, "points-unknown")
        assert answer.json()["points"] == [number]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"point": []}, "request-wrong"),
        ({"point": ["x"]}, "request-wrong"),
        ({"point": list(range(1, 102))}, "request-wrong"),
        ({"start": "2026-11-23T10:00:00"}, "request-wrong"),
        ({"start": "yesterday"}, "request-wrong"),
        ({"start": SPAN["end"]}, "request-wrong"),
        ({"max_points": 1}, "request-wrong"),
        ({"max_points": 10_001}, "request-wrong"),
    ],
)
def test_what_is_refused(served: Served, alpha: Planted, change: dict[str, str], code: str) -> None:
    params = {"point": alpha.point, **SPAN, **change}
    answer = served.client("operator").get("/api/v1/history", params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_too_much_at_once_says_how_to_ask_for_less(served: Served) -> None:
    with served.park.connection() as connection:
        rows = connection.execute(
            "INSERT INTO point (stream_id, device, name, quantity, unit, low, high, period_ms, max_age_ms) "
            "SELECT %s, 'many', 'p-' || n, 'pressure', 'MPa', 0, 1, 1, 1 FROM generate_series(1, 30) n RETURNING id",
            (served.planted["park"].stream_id,),
        ).fetchall()
    params = {"point": [row[0] for row in rows], **SPAN, "max_points": 10_000}
    answer = served.client("operator").get("/api/v1/history", params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "query-too-large")
    assert "rows a point" in answer.json()["reason"]


def test_gaps_of_the_gateways_stand_beside_the_series(served: Served, alpha: Planted) -> None:
    """Those that reach into the span, of gateways whose points were asked for, with their reason in both languages."""
    minutes = {"before": (-20, -11), "closed": (-5, 2), "open": (5, None), "after": (25, 30)}
    with served.park.connection() as admin:
        for first, (begin, end) in enumerate(minutes.values(), 10):
            span = [None if minute is None else START + timedelta(minutes=minute) for minute in (begin, end)]
            for gateway in ("alpha", "beta"):
                admin.execute(
                    """
                    INSERT INTO gap (gateway_id, epoch, lane, from_seq, to_seq, from_ts, to_ts, reason)
                    SELECT id, decode(repeat('02', 16), 'hex'), 'live', %s, %s, %s, %s, 'outbox full'
                    FROM gateway WHERE key = %s
                    """,
                    (first, first, *span, gateway),
                )
    try:
        told = served.client("enterprise").get("/api/v1/history", params={"point": alpha.point, **SPAN}).json()
        assert [(gap["gateway"], gap["to_time"] is None, gap["reason"]) for gap in told["gaps"]] == [
            ("alpha", False, {"zh": "网关发件箱已满", "en": "outbox full"}),
            ("alpha", True, {"zh": "网关发件箱已满", "en": "outbox full"}),
        ]
    finally:
        with served.park.connection() as admin:
            admin.execute("DELETE FROM gap WHERE from_seq >= 10")
