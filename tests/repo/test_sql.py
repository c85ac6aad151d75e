"""SQL stands in platform/park_platform/storage/ and nowhere else: import-linter sees the libraries, this the texts."""

import re
from fnmatch import fnmatch

import pytest

from support.source_scan import ROOT, SOURCE_ROOTS, Finding, kept_files, python_files, relative, report, strings

STORAGE = "platform/park_platform/storage/"

# Elsewhere only for a reason.
ALLOWED = {
    "gateway/park_gateway/outbox*.py": "the outbox is an SQLite file; the edge has no database stack",
}

_STATEMENTS = re.compile(
    r"""
      \bSELECT\b .* \bFROM\b
    | ^\s* SELECT \s
    | \bINSERT \s+ INTO \b
    | \bUPDATE \s+ \S+ \s+ SET \b
    | \bDELETE \s+ FROM \b
    | \b(?:CREATE|ALTER|DROP|TRUNCATE|REINDEX) \s+ (?:OR\s+REPLACE\s+|UNIQUE\s+|TEMP\w*\s+|UNLOGGED\s+|MATERIALIZED\s+)*
      (?:TABLE|INDEX|VIEW|FUNCTION|TRIGGER|SCHEMA|ROLE|USER|DATABASE|EXTENSION|POLICY|SEQUENCE|TYPE|SYSTEM)\b
    | ^\s* (?:GRANT|REVOKE) \s .* \s (?:ON|TO|FROM) \s
    | ^\s* COPY \s+ \S+ .* \b(?:FROM|TO)\b
    | ^\s* WITH \s+ (?:RECURSIVE\s+)? \w+ \s .* \bAS\s*\(
    | ^\s* (?:PRAGMA|VACUUM|LISTEN|NOTIFY|SAVEPOINT) \s+ \w
    | ^\s* SET \s+ (?:LOCAL|ROLE|SESSION) \s
    | ^\s* (?:BEGIN|COMMIT|ROLLBACK|BEGIN\s+IMMEDIATE) \s* ;? \s* $
    """,
    re.VERBOSE | re.DOTALL,
)
# In lower case only where no English sentence would begin that way.
_LOWER = re.compile(
    r"""
    ^\s* (?: select \s .* \s from \s | insert\s+into\s+\S+\s*[\s(] | update\s+\S+\s+set\s+\S+\s*= | delete\s+from\s+\S+
           | (?:create|alter|drop)\s+(?:table|index|role|view)\s )
    """,
    re.VERBOSE | re.DOTALL,
)


def find_sql(source: str) -> list[Finding]:
    """Texts that look like SQL."""
    return [
        Finding(text.line, " ".join(text.what.split())[:80])
        for text in strings(source)
        if _STATEMENTS.search(text.what) or _LOWER.search(text.what)
    ]


def is_allowed(path: str) -> bool:
    return path.startswith(STORAGE) or any(fnmatch(path, pattern) for pattern in ALLOWED)


def test_sql_stands_in_storage_only() -> None:
    found: list[str] = []
    for path in python_files(*SOURCE_ROOTS):
        if not is_allowed(relative(path)):
            found += report(path, find_sql(path.read_text("utf-8")))
    assert not found, f"SQL outside of {STORAGE}: move it there:\n" + "\n".join(found)


def test_sql_files_lie_in_storage_only() -> None:
    files = [relative(path) for path in kept_files() if path.suffix == ".sql"]
    assert [path for path in files if not path.startswith((STORAGE, "deploy/"))] == []


@pytest.mark.parametrize("pattern", ALLOWED)
def test_every_exception_is_needed(pattern: str) -> None:
    matching = [path for path in ROOT.glob(pattern) if find_sql(path.read_text("utf-8"))]
    assert matching, f"{pattern} holds no SQL any more: take it off the list"


@pytest.mark.parametrize(
    "planted",
    [
        'q = "SELECT value FROM reading"',
        'q = "select value from reading where point_id = %s"',
        "q = 'SELECT 1'",
        'q = """\n  SELECT point_id,\n         value\n  FROM reading"""',
        'q = f"SELECT {columns} FROM {table}"',
        'q = f"INSERT INTO {table} VALUES (1)"',
        'q = "INSERT " "INTO reading VALUES (1)"',
        'q = "INSERT " + "INTO " + table',
        'q = "UPDATE %s SET mark = mark + 1" % table',
        'q = "UPDATE stream SET owner = ?"',
        'q = "update stream set owner = null"',
        'q = "DELETE FROM reading"',
        'q = "CREATE TABLE IF NOT EXISTS x (a int)"',
        'q = "create index on reading (ts)"',
        'q = "CREATE UNIQUE INDEX x ON y (z)"',
        'q = "ALTER TABLE reading ADD COLUMN z int"',
        'q = "DROP ROLE api"',
        'q = "CREATE OR REPLACE FUNCTION f() RETURNS int"',
        'q = "COPY reading (ts, value) FROM STDIN BINARY"',
        'q = "WITH last AS (SELECT 1) TABLE last"',
        'q = "GRANT SELECT ON reading TO api"',
        'q = "PRAGMA journal_mode=WAL"',
        'q = "SET LOCAL synchronous_commit = on"',
        'q = "BEGIN IMMEDIATE"',
        'def f(db):\n    """Docstring."""\n    return db.execute("NOTIFY journal")',
        'rows = run(text("DELETE FROM reading"))',
    ],
)
def test_scanner_finds_what_is_planted(planted: str) -> None:
    assert find_sql(planted)


@pytest.mark.parametrize(
    "innocent",
    [
        '"""SELECT value FROM reading: what storage does."""',
        'def f():\n    """INSERT INTO reading, as storage does it."""',
        'class C:\n    a: int\n    """CREATE TABLE in words."""',
        '# SELECT value FROM reading\nx = "value"',
        'x = "Select a device from the list"',
        'x = "Update the centre first"',
        'x = "delete the folder and start again"',
        'x = "drop the batch, create a tombstone"',
        'x = "copy the file from the old folder"',
        'x = "with the gateway"',
    ],
)
def test_scanner_leaves_sentences_alone(innocent: str) -> None:
    assert not find_sql(innocent)
