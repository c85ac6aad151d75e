"""Where the console lives: which origins may call, which host names are ours, how the cookie is named and sent."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from park_wire.errors import ConfigError, Fault

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Origin:
    """The address under which people reach Parkhub: plain http on loopback only, elsewhere TLS stands in front."""

    scheme: str
    host: str
    port: int

    @staticmethod
    def parse(base_url: str) -> "Origin":
        """Read PARK_BASE_URL. Raises ConfigError when it is no origin, or http anywhere but on loopback."""
        parts = urlsplit(base_url)
        try:
            port = parts.port
        except ValueError:
            raise _fault(base_url, "the port is no number from 0 to 65535") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
            raise _fault(base_url, "this is not the address of a host")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise _fault(base_url, "sessions would cross the network in clear")
        return Origin(parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80))

    @property
    def url(self) -> str:
        """The address as a browser writes it in `Origin`."""
        return self._url(self.host)

    @property
    def secure(self) -> bool:
        """Whether cookies travel by TLS only."""
        return self.scheme == "https"

    @property
    def cookie(self) -> str:
        """The session cookie's name. `__Host-` makes a browser refuse it from a sister domain or without TLS."""
        return "__Host-park" if self.secure else "park"

    def admits(self, origin: str) -> bool:
        """Whether a request's `Origin` header is one of our own pages."""
        return origin in {self._url(host) for host in self._hosts()}

    def is_host(self, header: str) -> bool:
        """Whether a `Host` header names us; another name means that somebody's DNS points at this machine."""
        try:
            parts = urlsplit(f"//{header}")
            return parts.hostname in self._hosts() and (self.secure or (parts.port or 80) == self.port)
        except ValueError:
            return False

    def _hosts(self) -> tuple[str, ...]:
        return _LOOPBACK if self.host in _LOOPBACK else (self.host,)

    def _url(self, host: str) -> str:
        name = f"[{host}]" if ":" in host else host
        is_usual = self.port == (443 if self.secure else 80)
        return f"{self.scheme}://{name}" if is_usual else f"{self.scheme}://{name}:{self.port}"


def _fault(base_url: str, problem: str) -> ConfigError:
    remedy = "write https://host, or http://127.0.0.1:port for one machine"
    return ConfigError([Fault("environment", "PARK_BASE_URL", f"{base_url!r}: {problem}", remedy)])
