"""What `park serve` is told, checked before the first socket is opened."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from park_platform.access.origin import Origin
from park_wire.errors import ConfigError, Fault


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker listens and as whom this process signs in."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Database (role `api`), broker (user `serve`) and the address under which people reach the console."""

    database_url: str = field(repr=False)
    broker: BrokerAddress
    origin: Origin

    @staticmethod
    def of(database_url: str, broker_url: str, base_url: str) -> "ServeSettings":
        """Settings from three addresses. Raises ConfigError."""
        return ServeSettings(database_url, read_broker_url(broker_url), Origin.parse(base_url))


def read_broker_url(url: str) -> BrokerAddress:
    """Read mqtt://user:password@host:port. Raises ConfigError; the text never shows the password."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "mqtt" or parts.hostname is None or port is None:
        remedy = "write mqtt://user:password@host:port"
        raise ConfigError([Fault("environment", "PARK_MQTT_URL", "this is not a broker's address", remedy)])
    user = None if parts.username is None else unquote(parts.username)
    return BrokerAddress(parts.hostname, port, user, None if parts.password is None else unquote(parts.password))
