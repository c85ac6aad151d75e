"""The settings that a process takes from its environment; everything that is wrong with them is named at once."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from park_wire.errors import ConfigError, Fault

DB_URL: Final = "postgresql://user:password@host:port/database of this process's own role"
MQTT_URL: Final = "mqtt://user:password@host:port of this process's own account"
_FORM: Final[Mapping[str, tuple[str, Callable[[str], bool]]]] = {
    "PARK_DB_URL": (DB_URL, lambda url: url.startswith(("postgresql://", "postgres://"))),
    "PARK_MQTT_URL": (MQTT_URL, lambda url: _broker_address(url) is not None),
}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker listens and as whom this process signs in."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)


def read_broker_url(url: str) -> BrokerAddress:
    """Read mqtt://user:password@host:port. Raises ConfigError; its text never shows the address, for its password."""
    address = _broker_address(url)
    if address is None:
        raise ConfigError([_malformed("PARK_MQTT_URL", MQTT_URL)])
    return address


def _broker_address(url: str) -> BrokerAddress | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme != "mqtt" or host is None or port is None:
        return None
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    return BrokerAddress(host, port, user, password)


def _malformed(name: str, form: str) -> Fault:
    return Fault("environment", name, "does not have its form", f"set it to {form}")


def required(*names: str) -> tuple[str, ...]:
    """The values of these environment variables, in order. Raises ConfigError that names all that can't be used.

    A value is never shown: it holds a password.
    """
    faults: list[Fault] = []
    for name in names:
        form, fits = _FORM[name]
        value = os.environ.get(name)
        if not value:
            faults.append(Fault("environment", name, "is not set", f"set it to {form}; `park up` does so by itself"))
        elif not fits(value):
            faults.append(_malformed(name, form))
    if faults:
        raise ConfigError(faults)
    return tuple(os.environ[name] for name in names)
