"""Cursors, times, CSV and the choice of a format."""

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from park_platform.api.answers import Part, csv_response, iso, preferred, read_cursor, write_cursor
from park_platform.api.problems import Problem

IDS = st.integers(0, 2**63 - 1)
YEARS_1_TO_9999 = (-62_135_596_800_000_000, 253_402_300_799_999_999)
TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40)


@given(st.integers(*YEARS_1_TO_9999), IDS, TEXTS)
def test_a_cursor_comes_back(time: int, id_: int, text: str) -> None:
    assert read_cursor(write_cursor(time, id_), "time", "id") == [time, id_]
    assert read_cursor(write_cursor(text), "text") == [text]


@given(st.text(max_size=60))
def test_any_other_text_is_a_problem_or_nothing(text: str) -> None:
    with suppress(Problem):
        (part,) = read_cursor(text, "id") or [None]
        assert isinstance(part, int)


@pytest.mark.parametrize("parts", [(True,), (1.5,), ("1",), (1, 2), (), (2**63,), (-1,)])
def test_a_cursor_of_another_list_is_a_problem(parts: tuple[int, ...]) -> None:
    with pytest.raises(Problem):
        read_cursor(write_cursor(*parts), "id")


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        *[("text", text) for text in ("\0", "a\0b", "\ud800", "x" * 1_001, 1, None)],
        *[("time", time) for time in (YEARS_1_TO_9999[0] - 1, YEARS_1_TO_9999[1] + 1, 2**63 - 1, -(2**63), "1", 1.0)],
    ],
)
def test_a_cursor_holds_only_what_the_database_can_take(kind: Part, part: str | int) -> None:
    with pytest.raises(Problem):
        read_cursor(write_cursor(part), kind)


def test_times_have_their_microseconds() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000000Z"
    assert iso(1_795_399_200_123_456) == "2026-11-23T02:00:00.123456Z"


@given(st.lists(st.tuples(st.text(), st.floats()), max_size=5))
def test_a_spreadsheet_never_computes(rows: list[tuple[str, float]]) -> None:
    response = csv_response("x", ["text", "value"], rows)
    text = bytes(response.body).decode("utf-8-sig")
    for (text_cell, _), (was, _) in zip(list(csv.reader(io.StringIO(text, newline="")))[1:], rows, strict=True):
        assert not text_cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert text_cell.removeprefix("'") == was or text_cell == was


def test_numbers_keep_their_sign() -> None:
    response = csv_response("x", ["a", "b", "c"], [[-1.5, float("nan"), "-1"]])
    assert bytes(response.body).decode("utf-8-sig") == "a,b,c\r\n-1.5,,'-1\r\n"
    assert response.headers["content-disposition"] == 'attachment; filename="x.csv"'


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/csv, application/json;q=0.5", "text/csv"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/*, text/csv;q=x", "application/json"),
    ],
)
def test_the_preferred_format(accept: str | None, expected: str) -> None:
    assert preferred(request(accept)) == expected


@pytest.mark.parametrize("accept", ["text/html", "image/png", "application/json;q=0", ""])
def test_another_format_is_a_problem(accept: str) -> None:
    with pytest.raises(Problem) as raised:
        preferred(request(accept))
    assert raised.value.code == "not-acceptable"


def request(accept: str | None) -> Request:
    headers = [] if accept is None else [(b"accept", accept.encode())]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})
