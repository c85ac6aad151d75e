"""PARK_REQUIRE turns the skips of a lane into failures, and a lane that does not exist is refused."""

from typing import get_args

import pytest

from support.lanes import TestLane, pytest_configure, skip_or_fail

LANES: tuple[TestLane, ...] = get_args(TestLane)


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("required", ["", ",", *LANES, "timescale,strace", ",".join(LANES)])
def test_a_required_lane_fails_and_another_skips(
    monkeypatch: pytest.MonkeyPatch, lane: TestLane, required: str
) -> None:
    monkeypatch.setenv("PARK_REQUIRE", required)
    outcome = pytest.fail.Exception if lane in required.split(",") else pytest.skip.Exception
    with pytest.raises(outcome, match="needs the thing"):
        skip_or_fail(lane, "needs the thing")


def test_nothing_is_required_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARK_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception):
        skip_or_fail("strace", "needs strace")


@pytest.mark.parametrize("required", ["timescaledb", "timescale,mosquitto", "timescale, strace"])
def test_an_unknown_lane_ends_the_run(monkeypatch: pytest.MonkeyPatch, required: str) -> None:
    monkeypatch.setenv("PARK_REQUIRE", required)
    with pytest.raises(pytest.UsageError, match="known are timescale, strace, mount"):
        pytest_configure()
