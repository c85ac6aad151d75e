"""The systems that the park has enabled, as the routes see them."""

import threading
from collections.abc import Mapping
from zoneinfo import ZoneInfo

import structlog

from park_platform.api.hub import Hub
from park_platform.storage.connect import Pool
from park_platform.storage.derived import enabled_settings
from park_platform.storage.park_view import park_row
from park_platform.storage.scope import borrowed
from park_platform.systems import Enabled, enable
from park_sdk.system import System
from park_wire.errors import Fault

log = structlog.get_logger()


class EnabledSystems:
    """Read from the database when they are first asked for, and again when the park's configuration has changed.

    At the start of the process itself the database may be away. Ask before a connection is borrowed from the pool.
    """

    def __init__(self, installed: Mapping[str, System], pool: Pool, hub: Hub) -> None:
        """`installed`: what `load_systems` gave. `hub` knows when the configuration changes."""
        self._installed = installed
        self._pool = pool
        self._hub = hub
        self._lock = threading.Lock()
        self._enabled: Mapping[str, Enabled] = {}
        self._faults: list[Fault] = []
        self._zone = ZoneInfo("UTC")
        self._said: set[tuple[str, str]] = set()
        self._seq: int | None = None

    def now(self) -> Mapping[str, Enabled]:
        """The enabled systems by id. One whose settings are wrong is left out, and the log says so once.

        Raises StoreUnavailable.
        """
        with self._lock:
            seq = self._hub.config_seq
            if seq != self._seq:
                with borrowed(self._pool) as connection:
                    enabled, faults = enable(self._installed, enabled_settings(connection), "database")
                    self._zone = ZoneInfo(park_row(connection).time_zone)
                if faults != self._faults:
                    for fault in faults:
                        log.error("system_not_shown", key=fault.key, problem=fault.problem, remedy=fault.remedy)
                self._enabled, self._faults, self._seq = enabled, faults, seq
                self._said.clear()
            return self._enabled

    def zone(self) -> ZoneInfo:
        """The park's time zone. Raises StoreUnavailable."""
        self.now()
        return self._zone

    def faults(self) -> dict[str, str]:
        """What is wrong with systems that the park has enabled, by their id. Raises StoreUnavailable."""
        self.now()
        found: dict[str, list[str]] = {}
        for fault in self._faults:
            found.setdefault(fault.key.split(".")[1], []).append(f"{fault.key} {fault.problem}; {fault.remedy}")
        return {system: "; ".join(sentences) for system, sentences in found.items()}

    def say_failed(self, part: str, where: str, reason: str, cause: BaseException | None = None) -> None:
        """Log that a part of a system (report, widget) failed, `where` it stands; once, until the systems change."""
        with self._lock:
            if (part, where) in self._said:
                return
            self._said.add((part, where))
        log.error("part_of_system_failed", part=part, where=where, reason=reason, exc_info=cause)
