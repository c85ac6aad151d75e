"""Intake workers for tests, in a thread or as real processes, and the park that they serve."""

import os
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from types import MappingProxyType
from typing import Any

from park_platform.embedded.broker import Broker
from park_platform.embedded.broker_accounts import gateway_account
from park_platform.park_file import ParkFile
from park_platform.sensing.intake import Intake
from park_platform.storage.park import PlanLine, apply_park
from park_sdk.system import System
from support.database import ParkDatabase
from support.processes import IMPORTS

_TEXT = {"zh": "某", "en": "some"}
Rule = dict[str, object]
_NONE: Mapping[str, System] = MappingProxyType({})


class RunningIntake:
    """A worker in a thread, which runs until `stop`; `error` is what ended it otherwise."""

    def __init__(self, park: ParkDatabase, broker: Broker, systems: Mapping[str, System] = _NONE) -> None:
        self.intake = Intake(park.url("ingest"), broker.url("ingest"), systems)
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.intake.run()
        except BaseException as error:  # noqa: BLE001  # shown to the test
            self.error = error

    def stop(self) -> None:
        """End it in order."""
        self.intake.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()


@contextmanager
def running_intake(
    park: ParkDatabase, broker: Broker, systems: Mapping[str, System] = _NONE
) -> Generator[RunningIntake]:
    """A worker for the length of a block; the test fails when it ended by an error."""
    running = RunningIntake(park, broker, systems)
    try:
        yield running
    finally:
        running.stop()
    if running.error is not None:
        raise running.error


class IntakeProcess:
    """`park ingest` as a process of its own. `fault`: Python that runs in it first, to bring about a rare moment."""

    def __init__(self, park: ParkDatabase, broker: Broker, *, fault: str = "") -> None:
        environment = {
            **os.environ,
            "PARK_DB_URL": park.url("ingest"),
            "PARK_MQTT_URL": broker.url("ingest"),
        }
        code = f"import sys; sys.path[:0] = {IMPORTS!r}\n{fault}\nfrom park_platform.cli.ingest import app\napp([])"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def kill(self) -> None:
        """As a power cut would."""
        self.process.send_signal(SIGKILL)
        self.process.wait(5)

    def freeze(self) -> None:
        """It stops wherever it is."""
        self.process.send_signal(SIGSTOP)

    def thaw(self) -> None:
        """It goes on as if nothing had been."""
        self.process.send_signal(SIGCONT)

    def exit_code(self, within_s: float = 10.0) -> int:
        """Wait for its end."""
        return self.process.wait(within_s)

    def ended_within(self, seconds: float) -> bool:
        """Whether it has ended by then."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def log(self) -> str:
        """What it has logged, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def close(self) -> None:
        """End it, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(SIGCONT)
            self.process.send_signal(SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        assert self.process.stderr is not None
        self.process.stderr.close()


def park_file(*gateways: str, rules: Sequence[Rule] = (), **content: Any) -> ParkFile:
    """A park with these gateways, for each a vessel with a design pressure of 2 MPa, and rules with their texts."""
    return ParkFile.model_validate(
        {
            "park": {"id": "test", "name": _TEXT},
            "gateway": [{"id": gateway, "name": _TEXT} for gateway in gateways],
            "asset": [
                {
                    "id": f"vessel-{gateway}"[:32],
                    "kind": "vessel",
                    "name": _TEXT,
                    "design": {"pressure": 2.0},
                    "devices": [f"{gateway}/plc-1"],
                }
                for gateway in gateways
            ],
            "rule": [
                {
                    "name": _TEXT,
                    "cause": _TEXT,
                    "consequence": _TEXT,
                    "action": _TEXT,
                    "priority": "high",
                    "respond_s": 60,
                    "source": "test",
                    **rule,
                }
                for rule in rules
            ],
            **content,
        }
    )


def apply(park: ParkDatabase, content: ParkFile, systems: Mapping[str, System] = _NONE) -> list[PlanLine]:
    """`park apply`."""
    with park.connection("owner") as connection:
        return apply_park(connection, content, systems)


def make_park(
    park: ParkDatabase,
    broker: Broker,
    *gateways: str,
    rules: Sequence[Rule] = (),
    systems: Mapping[str, System] = _NONE,
) -> None:
    """Apply a park with these gateways, in which these systems are enabled, and give the gateways their accounts."""
    apply(park, park_file(*gateways, rules=rules, system={id_: {} for id_ in systems}), systems)
    broker.accounts.add(*(gateway_account(gateway) for gateway in gateways))
    broker.reload()
