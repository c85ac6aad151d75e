"""Test lanes: things that a machine may lack, and whether the tests that need one may be skipped there.

PARK_REQUIRE names lanes, with commas between them, whose tests may not be skipped. This module is a pytest plugin, too:
a PARK_REQUIRE that names an unknown lane ends the run before its first test.
"""

import os
from typing import Final, Literal, NoReturn, get_args

import pytest

TestLane = Literal["timescale", "strace", "mount"]
"""PostgreSQL with TimescaleDB; strace and the right to trace; the right to mount a small disk."""

LANES: Final[tuple[str, ...]] = get_args(TestLane)


def required_lanes() -> set[str]:
    """The lanes that PARK_REQUIRE names.

    Raises:
        pytest.UsageError: it names one that does not exist.
    """
    named = {name for name in os.environ.get("PARK_REQUIRE", "").split(",") if name}
    if unknown := sorted(named.difference(LANES)):
        raise pytest.UsageError(
            f"PARK_REQUIRE names no lane with {', '.join(map(repr, unknown))}; known are {', '.join(LANES)}, "
            "with a comma and no blank between them"
        )
    return named


def skip_or_fail(lane: TestLane, reason: str) -> NoReturn:
    """Skip the test that runs, because this machine lacks what the lane needs; fail it where the lane is required."""
    if lane in required_lanes():
        pytest.fail(f"PARK_REQUIRE names {lane}: {reason}", pytrace=False)
    pytest.skip(reason)


def pytest_configure() -> None:
    """Called by pytest before it collects."""
    required_lanes()
