"""Addresses of database and broker: what can't be one is said before anything is asked, and never shown."""

import pytest

from park_platform.settings import given, place_of, read_broker_url, required
from park_wire.errors import ConfigError

DATABASE = "postgresql://park:s%40cret@db.example:5432/park"
BROKER = "mqtt://all:s%40cret@10.0.0.7:1883"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://u:secret@h:1", "it does not begin with mqtt://"),
        ("mqtts://u:secret@h:1", "it does not begin with mqtt://"),
        ("mqtt:u:secret@h:1", "it does not begin with mqtt://"),
        ("secret", "it does not begin with mqtt://"),
        ("mqtt://u:secret@a..b:1", "its host is no host's name"),
        ("mqtt://u:secret@a b:1", "its host is no host's name"),
        ("mqtt://u:secret@" + "a" * 64 + ":1", "its host is no host's name"),
        ("mqtt://u:secret@:1", "it names no host"),
        ("mqtt://", "it names no host"),
        ("mqtt://u:secret@h", "it names no port"),
        ("mqtt://u:secret@h:", "it names no port"),
        ("mqtt://u:secret@h:0", "its port is not within 1 to 65535"),
        ("mqtt://u:secret@h:65536", "its port is not within 1 to 65535"),
        ("mqtt://u:secret@h:x", "its port is not within 1 to 65535"),
        ("mqtt://u:sec/ret@h:1", "its port is not within 1 to 65535"),
        ("mqtt://u:secret@[::1:1", "its host can't be read"),
        ("mqtt://u:secret@h:1,i:1", "its port is not within 1 to 65535"),
    ],
)
def test_a_broker_address_that_is_none(monkeypatch: pytest.MonkeyPatch, url: str, problem: str) -> None:
    monkeypatch.setenv("PARK_MQTT_URL", url)
    for read in (lambda: read_broker_url(url), lambda: given("PARK_MQTT_URL"), lambda: required("PARK_MQTT_URL")):
        with pytest.raises(ConfigError) as caught:
            read()
        assert f"PARK_MQTT_URL: does not have its form: {problem}; set it to mqtt://" in str(caught.value)
        assert "sec" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://u:secret@h:1/park", "it does not begin with postgresql://"),
        ("postgresql://u:secret@a..b:1/park", "its host is no host's name"),
        ("postgresql://u:secret@h/park", "it names no port"),
        ("postgresql:///park", "it names no host"),
        ("postgresql://u:secret@h:1,a..b:1/park", "its host is no host's name"),
    ],
)
def test_a_database_address_that_is_none(monkeypatch: pytest.MonkeyPatch, url: str, problem: str) -> None:
    monkeypatch.setenv("PARK_DB_URL", url)
    monkeypatch.setenv("PARK_MQTT_URL", "mqtt://")
    with pytest.raises(ConfigError) as caught:
        given("PARK_DB_URL", "PARK_MQTT_URL")
    assert len(caught.value.faults) == 2, "both are named"
    assert f"PARK_DB_URL: does not have its form: {problem}; set it to postgresql://" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (DATABASE, "db.example:5432"),
        ("postgres://u@[::1]:5432/park", "[::1]:5432"),
        ("postgresql://u@one:5432,two:5433/park?target_session_attrs=read-write", "one:5432,two:5433"),
        ("postgresql://u@%2Fvar%2Frun/park", "%2Fvar%2Frun"),
        ("postgresql:///park?host=/var/run/postgresql", "/var/run/postgresql"),
    ],
)
def test_a_database_address(monkeypatch: pytest.MonkeyPatch, url: str, place: str) -> None:
    monkeypatch.setenv("PARK_DB_URL", url)
    monkeypatch.delenv("PARK_MQTT_URL", raising=False)
    assert given("PARK_DB_URL", "PARK_MQTT_URL") == {"PARK_DB_URL": url}
    assert required("PARK_DB_URL") == (url,)
    assert place_of(url) == place


def test_a_broker_address() -> None:
    address = read_broker_url(BROKER)
    assert (address.host, address.port, address.user, address.password) == ("10.0.0.7", 1883, "all", "s@cret")
    assert "s@cret" not in repr(address)
    assert place_of(BROKER) == "10.0.0.7:1883"
    assert read_broker_url("mqtt://h:1").user is None
