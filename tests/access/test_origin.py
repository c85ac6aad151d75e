"""Addresses under which people reach Parkhub, and the brake on sign-in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from park_platform.access.attempts import MOST_PER_SOURCE, WINDOW_S, Attempts
from park_platform.access.origin import Origin
from park_wire.errors import ConfigError


def test_https_gets_the_strict_cookie() -> None:
    origin = Origin.parse("https://park.example")
    assert (origin.cookie, origin.secure, origin.url) == ("__Host-park", True, "https://park.example")
    assert origin.admits("https://park.example")
    assert not origin.admits("http://park.example")
    assert not origin.admits("https://park.example:8443")
    assert not origin.admits("https://evil.park.example")
    assert origin.is_host("park.example")
    assert not origin.is_host("127.0.0.1"), "the loopback names belong to a loopback installation only"


def test_loopback_has_three_names() -> None:
    origin = Origin.parse("http://127.0.0.1:8000/")
    assert (origin.cookie, origin.secure) == ("park", False)
    for name in ("127.0.0.1", "localhost", "[::1]"):
        assert origin.admits(f"http://{name}:8000")
        assert origin.is_host(f"{name}:8000")
        assert not origin.admits(f"http://{name}")
        assert not origin.is_host(f"{name}:8001")


@pytest.mark.parametrize(
    "url",
    ["", "park.example", "ftp://park.example", "http://park.example", "http://192.168.1.2:8000", "https://", "https://x:y",
     "https://x/path", "https://x?q=1", "https://x:99999"],
)  # fmt: skip
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="PARK_BASE_URL"):
        Origin.parse(url)


@given(st.text(max_size=40))
def test_no_header_raises(text: str) -> None:
    for origin in (Origin.parse("https://park.example"), Origin.parse("http://localhost:8000")):
        assert origin.is_host(text) in (True, False)
        assert origin.admits(text) in (True, False)


def test_an_address_waits_after_ten_failures_and_others_do_not() -> None:
    attempts = Attempts()
    for second in range(MOST_PER_SOURCE):
        assert attempts.wait_s("a", float(second)) == 0
        attempts.failed("a", float(second))
    assert attempts.wait_s("a", 10.0) == WINDOW_S - 10.0
    assert attempts.wait_s("b", 10.0) == 0
    assert attempts.wait_s("a", WINDOW_S) == 0, "the first is forgotten"
    attempts.failed("a", WINDOW_S)
    assert attempts.wait_s("a", WINDOW_S) > 0


def test_memory_is_bounded() -> None:
    attempts = Attempts()
    for number in range(20_000):
        attempts.failed(f"2001:db8::{number:x}", 1.0)
    assert len(attempts._failures) <= 10_000  # pyright: ignore[reportPrivateUsage]
