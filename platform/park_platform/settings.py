"""The settings that a process takes from its environment; everything that is wrong with them is named at once."""

import os
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from park_wire.errors import ConfigError, Fault

DB_URL: Final = "postgresql://user:password@host:port/database of this process's own role"
MQTT_URL: Final = "mqtt://user:password@host:port of this process's own account"
_FORM: Final[Mapping[str, tuple[str, Callable[[str], bool]]]] = {
    "PARK_DB_URL": (DB_URL, lambda url: url.startswith(("postgresql://", "postgres://"))),
    "PARK_MQTT_URL": (MQTT_URL, lambda url: broker_address(url) is not None),
}


def broker_address(url: str) -> tuple[str, int] | None:
    """Host and port of an mqtt:// address; None when it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return None if parts.scheme != "mqtt" or host is None or port is None else (host, port)


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
            faults.append(Fault("environment", name, "does not have its form", f"set it to {form}"))
    if faults:
        raise ConfigError(faults)
    return tuple(os.environ[name] for name in names)
