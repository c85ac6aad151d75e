"""One gateway's site as it runs: its broker, its devices and their points with indices. Made by `config.load_site`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from park_gateway.decode import Block, compile_block
from park_gateway.plan import Request
from park_gateway.point import DeviceModel, Point, Protocol
from park_wire.messages import Birth, BirthPoint


class Scheme(StrEnum):
    """How an endpoint is reached."""

    MODBUS_TCP = "modbus-tcp"
    MODBUS_RTU = "modbus-rtu-over-tcp"
    OPCUA = "opc.tcp"

    @property
    def protocol(self) -> Protocol:
        """The protocol spoken there."""
        return Protocol.OPCUA if self is Scheme.OPCUA else Protocol.MODBUS

    @property
    def default_port(self) -> int:
        """The port where none is written."""
        return 4840 if self is Scheme.OPCUA else 502


@dataclass(frozen=True, slots=True)
class Credential:
    """User and password; a repr does not show the password."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credential({self.user!r}, ...)"


class SecurityPolicy(StrEnum):
    """How an OPC UA channel is signed and encrypted, by the names of the standard."""

    BASIC256SHA256 = "Basic256Sha256"
    AES128 = "Aes128_Sha256_RsaOaep"
    AES256 = "Aes256_Sha256_RsaPss"


class SecurityMode(StrEnum):
    """Whether messages are signed, or encrypted too."""

    SIGN = "Sign"
    SIGN_AND_ENCRYPT = "SignAndEncrypt"


@dataclass(frozen=True, slots=True)
class Security:
    """A secured OPC UA channel: our certificate and its key, and the certificate that the server must have."""

    policy: SecurityPolicy
    mode: SecurityMode
    certificate_file: Path
    key_file: Path
    server_certificate_file: Path


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where devices are reached. Devices of one endpoint share one connection. `security` None: an open channel."""

    scheme: Scheme
    host: str
    port: int
    path: str = ""
    credential: Credential | None = None
    security: Security | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class Mqtt:
    """The broker. `ca_file` is the authority of its certificate where the system's are not meant."""

    host: str
    port: int
    tls: bool
    credential: Credential
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the site. Its model has the site's byte orders and ratios already.

    `points` are the model's and, with `sample`, one `sample-<block>` for each block; `index` has an entry for each.
    `requests` is empty and `root` is set for OPC UA.
    """

    id: str
    model: DeviceModel
    endpoint: Endpoint
    unit: int
    period_ms: int
    timeout_ms: int
    sample: bool
    root: str | None
    points: tuple[Point, ...]
    index: Mapping[str, int]
    requests: tuple[Request, ...]

    def period_of(self, point: Point) -> int:
        """How often the point is read, ms."""
        return point.period_ms or self.period_ms

    def blocks(self) -> tuple[Block, ...]:
        """The requests, ready to be decoded."""
        return tuple(
            compile_block(
                self.model, request, self.index, device=self.id, unit=self.unit, timeout_s=self.timeout_ms / 1000
            )
            for request in self.requests
        )


@dataclass(frozen=True, slots=True)
class Site:
    """What a site file says. `data` is the folder of the outbox; `mqtt` is None only when it was not asked for."""

    file: Path
    gateway: str
    data: Path
    mqtt: Mqtt | None
    devices: tuple[Device, ...]

    def endpoints(self) -> dict[Endpoint, tuple[Device, ...]]:
        """The devices of each endpoint."""
        shared: dict[Endpoint, list[Device]] = {}
        for device in self.devices:
            shared.setdefault(device.endpoint, []).append(device)
        return {endpoint: tuple(devices) for endpoint, devices in shared.items()}


def birth(site: Site) -> Birth:
    """The points behind the indices, as the centre is told them."""
    return Birth.of(
        tuple(
            BirthPoint(
                index=device.index[point.name],
                device=device.id,
                name=point.name,
                quantity=point.quantity,
                unit=point.unit,
                low=point.low,
                high=point.high,
                period_ms=device.period_of(point),
            )
            for device in site.devices
            for point in device.points
        )
    )
