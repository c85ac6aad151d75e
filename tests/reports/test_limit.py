"""Code that runs too long is stopped, and nothing else is."""

import threading
import time
from contextlib import suppress

import pytest

from park_platform.reports.limit import call_within


def test_what_ends_in_time_is_given() -> None:
    assert call_within(5.0, lambda: 7) == 7
    with pytest.raises(ValueError, match="invalid literal"):
        call_within(5.0, lambda: int("seven"))


def test_a_loop_without_end_is_stopped() -> None:
    def loop() -> None:
        while True:
            # As a system's code may do.
            with suppress(Exception):
                sum(range(100))

    with pytest.raises(TimeoutError, match=r"after 0\.1 s"):
        call_within(0.1, loop)


def test_what_ends_just_then_stops_nobody_else() -> None:
    """Calls that end about when they would be stopped: each ends one way, and what follows goes on."""
    ends: list[bool] = []
    for _ in range(50):
        until = time.perf_counter() + 0.002
        try:
            call_within(0.002, lambda until=until: [None for _ in iter(lambda: time.perf_counter() < until, False)])
            ends.append(True)
        except TimeoutError:
            ends.append(False)
        sum(range(1_000))
    assert len(ends) == 50


def test_each_thread_has_its_own_limit() -> None:
    found: list[str] = []

    def loop() -> None:
        while True:
            pass

    def stopped() -> None:
        with pytest.raises(TimeoutError):
            call_within(0.05, loop)
        found.append("stopped")

    other = threading.Thread(target=stopped)
    other.start()
    until = time.monotonic() + 0.3
    assert call_within(5.0, lambda: sum(1 for _ in iter(lambda: time.monotonic() < until, False))) > 0
    other.join(5)
    assert found == ["stopped"]
