"""What can go wrong, as one tree.

    ParkError
    ├── ConfigError          a file, a setting or a command line is wrong; every fault at once
    ├── DeviceError          a device in the field did not give a reading
    │   ├── Unreachable      no connection or no answer: retried with back-off
    │   ├── Refused          it answered with an exception or a bad status
    │   └── Nonsense         it answered with something that is not an answer
    ├── WireError            a message between edge and centre is malformed
    │   └── UnknownVersion   it names a wire version that this release does not read
    ├── StoreError           the outbox or the database can't keep what it was given
    │   ├── StoreUnavailable it is down or restarting: retried until it is back
    │   │   └── StoreTooSlow it stopped a question that took too long: ask for less
    │   ├── StoreFull        no room: retried, and an alarm
    │   └── OwnershipLost    another worker owns the stream now: drop the state and leave
    └── ServiceError         a program that Parkhub starts for itself did not start or stopped

A text names which thing, where, what was found, what was expected and the remedy. `retryable` says whether the same
call may succeed later without anybody changing anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

EXIT_CONFIGURATION: Final = 2
"""How a process ends whose configuration or command line is wrong: to start it again would change nothing."""


class ParkError(Exception):
    """The root of every error that Parkhub raises on purpose."""

    retryable: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong in a file: where it stands, what is wrong and what to do."""

    file: str
    key: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        """One line, as the command line prints it."""
        return f"{self.file}: {self.key}: {self.problem}; {self.remedy}"


class ConfigError(ParkError):
    """A configuration is wrong. Carries every fault that was found, not only the first."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class DeviceError(ParkError):
    """A device in the field did not give a reading."""

    retryable = True


class Unreachable(DeviceError):
    """No connection to the device, or no answer in time."""


class Refused(DeviceError):
    """The device answered with an exception code or a bad status."""


class Nonsense(DeviceError):
    """The device answered with bytes that are not an answer to what was asked."""


class WireError(ParkError):
    """A message between edge and centre is malformed."""


class UnknownVersion(WireError):
    """A message names a wire version that this release does not read."""


class StoreError(ParkError):
    """The outbox or the database can't keep what it was given."""


class StoreUnavailable(StoreError):
    """The store is down, restarting or unreachable."""

    retryable = True


class StoreTooSlow(StoreUnavailable):
    """The store stopped a question that took longer than its role may ask for."""


class StoreFull(StoreError):
    """The store has no room left."""

    retryable = True


class OwnershipLost(StoreError):
    """Another worker owns the stream, or the database was restored: what this worker holds in memory is void."""


class ServiceError(ParkError):
    """A program that Parkhub starts for itself (database, broker) did not start or stopped."""

    retryable = True
