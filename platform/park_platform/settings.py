"""The settings that a process takes from its environment; everything that is wrong with them is named at once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from park_wire.errors import ConfigError, Fault

DB_URL: Final = "postgresql://user:password@host:port/database of this process's own role"
MQTT_URL: Final = "mqtt://user:password@host:port of this process's own account"
_FORM: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "PARK_DB_URL": (DB_URL, ("postgresql", "postgres")),
    "PARK_MQTT_URL": (MQTT_URL, ("mqtt",)),
}
_PLACE: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>.*))?")


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker listens and as whom this process signs in."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)


def read_broker_url(url: str) -> BrokerAddress:
    """Read mqtt://user:password@host:port. Raises ConfigError; its text never shows the address, for its password."""
    if fault := _find_fault("PARK_MQTT_URL", url):
        raise ConfigError([fault])
    parts = urlsplit(url)
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    return BrokerAddress(parts.hostname or "", parts.port or 0, user, password)


def place_of(url: str) -> str:
    """`host:port` of an address whose form was checked: what may be shown of it."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parse_qs(parts.query)["host"][0]


def _find_fault(name: str, url: str) -> Fault | None:
    form, schemes = _FORM[name]
    problem = _problem(url, schemes)
    if problem is None:
        return None
    return Fault("environment", name, f"does not have its form: {problem}", f"set it to {form}")


def _problem(url: str, schemes: tuple[str, ...]) -> str | None:
    """What is wrong with an address, without its words: they may be a part of the password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "its host can't be read"
    if parts.scheme not in schemes or "://" not in url:
        return f"it does not begin with {schemes[0]}://"
    hosts = parts.netloc.rpartition("@")[2]
    if "mqtt" in schemes:
        return _place_problem(hosts)
    if not hosts and "host" in parse_qs(parts.query):
        # A socket's folder, as libpq takes it.
        return None
    # PostgreSQL's client takes several servers and finds the one that can be written.
    return next((problem for place in hosts.split(",") if (problem := _place_problem(place))), None)


def _place_problem(place: str) -> str | None:
    found = _PLACE.fullmatch(place)
    if found is None:
        return "it names no host" if not place or place.startswith(":") else "its host is no host's name"
    name, port = found["name"], found["port"]
    if name is not None and unquote(name).startswith("/"):
        return None
    if name is not None and not _is_host(name):
        return "its host is no host's name"
    if not port:
        return "it names no port"
    return None if port.isascii() and port.isdigit() and 0 < int(port) < 65_536 else "its port is not within 1 to 65535"


def _is_host(name: str) -> bool:
    try:
        # What a socket does with a name before it asks anybody.
        name.encode("idna")
    except UnicodeError:
        return False
    return re.fullmatch(r"[\w.-]+", name) is not None


def given(*names: str) -> Mapping[str, str]:
    """Those of these environment variables that are set. Raises ConfigError that names all that can't be used."""
    values = {name: value for name in names if (value := os.environ.get(name))}
    if faults := [fault for name, value in values.items() if (fault := _find_fault(name, value))]:
        raise ConfigError(faults)
    return values


def required(*names: str) -> tuple[str, ...]:
    """The values of these environment variables, in order. Raises ConfigError that names all that can't be used.

    A value is never shown: it holds a password.
    """
    faults: list[Fault] = []
    for name in names:
        value = os.environ.get(name)
        if not value:
            remedy = f"set it to {_FORM[name][0]}; `park up` does so by itself"
            faults.append(Fault("environment", name, "is not set", remedy))
        elif fault := _find_fault(name, value):
            faults.append(fault)
    if faults:
        raise ConfigError(faults)
    return tuple(os.environ[name] for name in names)
