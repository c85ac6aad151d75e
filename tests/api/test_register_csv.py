"""Registers through the API: CSV out and in."""

import csv
import io
from typing import Any

import pytest

from park_platform.storage import audit
from support.ledger_api import DEVICES, HEAD, added, fault_fields, load, rows, step
from support.serving import Served


def test_out_and_in_again_changes_nothing(empty: Served) -> None:
    added(empty, code="=1+1", remark="'@x", enterprise="beta")
    for number in range(150):
        added(empty, code=f"T-{number}", remark="多行\r\n文本" if number else None)
    answer = empty.client("operator").get(DEVICES, headers={"Accept": "text/csv"}, params={"limit": 3})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="ledger-devices.csv"'
    lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert (lines[0], len(lines)) == (HEAD.split(","), 152)
    assert (lines[1][0], lines[1][-1]) == ("'=1+1", "''@x")
    done = load(empty, "operator", answer.content)
    assert done.json() == {"rows": 151, "added": 0, "changed": 0, "unchanged": 151, "faults": []}
    narrowed = empty.client("operator").get(DEVICES, headers={"Accept": "text/csv"}, params={"text": "T-14"})
    assert len(narrowed.content.decode().splitlines()) > 10
    assert load(empty, "operator", narrowed.content).json()["rows"] == 11


def test_a_file_is_tried_and_then_taken(empty: Served) -> None:
    row = added(empty, code="T-1")
    file = f"{HEAD}\nT-1,,tank,9,2026-05-01,1,true,\nT-2,beta,boiler,3,2026/5/2,2,否,\n"
    expected: dict[str, Any] = {"rows": 2, "added": 1, "changed": 1, "unchanged": 0, "faults": []}
    assert load(empty, "operator", file, dry_run="true").json() == expected
    assert rows(empty, "operator") == [row]
    done = load(empty, "operator", file, note="Q2", valid_from="2026-04-01T00:00:00Z")
    assert (done.status_code, done.json()) == (200, expected)
    first, second = rows(empty, "operator")
    assert (first["version"], first["record"]["pressure"], first["action"], first["note"]) == (2, 9, "imported", "Q2")
    assert (second["enterprise"], second["state"], second["valid_from"][:10]) == ("beta", "draft", "2026-04-01")
    with empty.park.connection("api") as connection:
        (entry,) = audit.audit_rows(connection, None, 1)
    assert (entry.actor, entry.action, entry.object) == ("operator", "register-imported", "register/ledger/devices")
    assert entry.after["added"] == [[second["id"], 1]]
    assert (entry.before["changed"], entry.after["changed"]) == ([[first["id"], 1]], [[first["id"], 2]])


def test_ten_faults_are_ten_and_nothing_is_taken(empty: Served) -> None:
    filed = added(empty, code="filed")
    step(empty, "operator", filed, "file")
    good = "good,,tank,1,2026-05-01,1,true,"
    bad = [
        *(",,tank,1,2026-05-01,1,true,", "b,,kettle,-1,soon,x,maybe,"),
        *("good,,tank,1,2026-05-01,1,true,", "e,,boiler,31,2026-05-01,1,true,", "f,,tank,,2026-05-01,0,true,"),
    ]
    file = "\n".join([HEAD, good, *bad])
    expected = [
        *[(3, "code"), (4, "kind"), (4, "pressure"), (4, "inspected"), (4, "units"), (4, "in_use"), (5, "code")],
        *[(6, ""), (7, "pressure"), (7, "units")],
    ]
    tried = load(empty, "operator", file, dry_run="true")
    assert (tried.status_code, tried.json()["rows"], tried.json()["added"]) == (200, 6, 0)
    assert [(fault["line"], fault["field"]) for fault in tried.json()["faults"]] == expected
    taken = load(empty, "operator", file)
    assert fault_fields(taken) == [field for _, field in expected]
    assert [fault["line"] for fault in taken.json()["faults"]] == [line for line, _ in expected]
    # What only the database knows is told by line, too.
    known = "\n".join([HEAD, good, "n,nobody,tank,1,2026-05-01,1,true,"])
    assert [fault["line"] for fault in load(empty, "operator", known, dry_run="true").json()["faults"]] == [3]
    state = "\n".join([HEAD, good, "filed,,tank,7,2026-05-01,1,true,"])
    assert [fault["line"] for fault in load(empty, "operator", state, dry_run="true").json()["faults"]] == [3]
    assert [row["key"] for row in rows(empty, "operator")] == ["filed"]


def test_ten_faults_of_ten_kinds_are_listed_at_once(empty: Served) -> None:
    """Of the header, of cells, of rows, and what only the database knows: each is told whatever else is wrong."""
    step(empty, "operator", added(empty, code="filed"), "file")
    lines = [
        "T-1,nobody,tank,1,2026-05-01,1,true,red",
        "T-2,alpha,kettle,1,2026-05-01,1,true,",
        "T-3,,tank,many,2026-05-01,1,true,",
        "T-4,,tank,1,2026-02-30,1,true,",
        "T-5,,tank,1,2026-05-01,0,true,",
        "T-6,nobody,tank,1,2026-05-01,1,perhaps,",
        "T-7,,boiler,31,2026-05-01,1,true,",
        "T-8,,tank,1,2026-05-01,1,true,,more",
        "T-9,,tank,1,2026-05-01,1,true,",
        "T-9 ,,tank,1,2026-05-01,1,true,",
        "filed,,tank,7,2026-05-01,1,true,",
    ]
    expected = [
        *[(1, "colour"), (1, "remark"), (2, "enterprise"), (3, "kind"), (4, "pressure"), (5, "inspected")],
        *[(6, "units"), (7, "in_use"), (7, "enterprise"), (8, ""), (9, ""), (11, "code"), (12, "")],
    ]
    file = "\n".join([HEAD.replace("remark", "colour"), *lines])
    for dry_run in ("true", "false"):
        answer = load(empty, "operator", file, dry_run=dry_run)
        assert answer.status_code == (200 if dry_run == "true" else 422)
        assert [(fault["line"], fault["field"]) for fault in answer.json()["faults"]] == expected
        assert all(fault["message"]["zh"] != fault["message"]["en"] for fault in answer.json()["faults"])
    assert [row["key"] for row in rows(empty, "operator")] == ["filed"]
    taken = load(empty, "enterprise", "\n".join([HEAD, "filed,alpha,tank,7,2026-05-01,1,true,", "T,,tank,x,,,,"]))
    assert [(fault["line"], fault["field"]) for fault in taken.json()["faults"]] == [
        *[(2, "code"), (3, "pressure"), (3, "inspected")],
    ]


def test_an_enterprise_imports_its_own(empty: Served) -> None:
    head = HEAD.replace(",enterprise", "")
    assert load(empty, "enterprise", f"{head}\nT-1,tank,1,2026-05-01,1,true,").json()["added"] == 1
    assert rows(empty, "enterprise")[0]["enterprise"] == "alpha"
    for owner in ("beta", "nobody"):
        tried = load(empty, "enterprise", f"{HEAD}\nT-2,{owner},tank,1,2026-05-01,1,true,", dry_run="true").json()
        assert [(fault["line"], fault["field"]) for fault in tried["faults"]] == [(2, "enterprise")]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"x" * 100_000, b"code\n", "编号\n1".encode(), b'"'])
def test_no_file_is_an_error_inside(empty: Served, content: bytes) -> None:
    assert load(empty, "operator", content, dry_run="true").json()["faults"] != []
    assert load(empty, "operator", content).status_code == 422


def test_a_file_that_is_too_large(empty: Served) -> None:
    answer = load(empty, "operator", b"x" * ((1 << 20) + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
