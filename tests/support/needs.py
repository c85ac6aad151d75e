"""What some tests need and a machine may lack, and whether such a test may be skipped there.

PARK_REQUIRE names needs, with commas between them, whose tests may not be skipped. This module is a pytest plugin, too:
a PARK_REQUIRE that names something unknown ends the run before its first test.
"""

import os
from typing import Final, Literal, NoReturn, get_args

import pytest

Need = Literal["timescale", "strace", "mount", "browser", "node"]
"""PostgreSQL with TimescaleDB; strace and the right to trace; the right to mount a small disk;
Chromium and playwright; Node and the console's packages."""

NEEDS: Final[tuple[str, ...]] = get_args(Need)


def required_needs() -> set[str]:
    """The needs that PARK_REQUIRE names.

    Raises:
        pytest.UsageError: it names one that does not exist.
    """
    named = {name for name in os.environ.get("PARK_REQUIRE", "").split(",") if name}
    if unknown := sorted(named.difference(NEEDS)):
        raise pytest.UsageError(
            f"PARK_REQUIRE: no test needs {', '.join(map(repr, unknown))}; known are {', '.join(NEEDS)}, "
            "with a comma and no blank between them"
        )
    return named


def skip_or_fail(need: Need, reason: str) -> NoReturn:
    """Skip the test that runs, because this machine lacks what it needs; fail it where PARK_REQUIRE names that."""
    if need in required_needs():
        pytest.fail(f"PARK_REQUIRE names {need}: {reason}", pytrace=False)
    pytest.skip(reason)


def pytest_configure() -> None:
    """Called by pytest before it collects."""
    required_needs()
