"""The settings that a process takes from its environment; every missing one is named at once."""

import os
from collections.abc import Mapping

from park_wire.errors import ConfigError, Fault

_MEANING: Mapping[str, str] = {
    "PARK_DB_URL": "postgresql://user:password@host:port/database of this process's own role",
    "PARK_MQTT_URL": "mqtt://user:password@host:port of this process's own account",
}


def required(*names: str) -> tuple[str, ...]:
    """The values of these environment variables, in order. Raises ConfigError that names every missing one."""
    faults = [
        Fault("environment", name, "is not set", f"set it to {_MEANING[name]}; `park up` does so by itself")
        for name in names
        if not os.environ.get(name)
    ]
    if faults:
        raise ConfigError(faults)
    return tuple(os.environ[name] for name in names)
