"""What `park serve` is told, checked before the first socket is opened."""

from dataclasses import dataclass, field

from park_platform.access.origin import Origin
from park_platform.settings import BrokerAddress, read_broker_url


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
