"""An intake worker in a thread of the test, and the rows it leaves in the database."""

import threading
from collections.abc import Generator
from contextlib import contextmanager

from park_platform.embedded.accounts import gateway_account
from park_platform.embedded.broker import Broker
from park_platform.park_file import ParkFile
from park_platform.sensing.intake import Intake
from park_platform.storage.park import apply_park
from support.database import ParkDatabase


class RunningIntake:
    """A worker that runs until `stop`; `error` is what ended it otherwise."""

    def __init__(self, park: ParkDatabase, broker: Broker) -> None:
        self.intake = Intake(park.url("ingest"), broker.url("ingest"))
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
def running_intake(park: ParkDatabase, broker: Broker) -> Generator[RunningIntake]:
    """A worker for the length of a block; the test fails when it ended by an error."""
    running = RunningIntake(park, broker)
    try:
        yield running
    finally:
        running.stop()
    if running.error is not None:
        raise running.error


def make_park(park: ParkDatabase, broker: Broker, *gateways: str, rules: tuple[dict[str, object], ...] = ()) -> None:
    """Apply a park with these gateways, one vessel each as asset, and give the gateways their accounts."""
    text = {"zh": "某", "en": "some"}
    content = {
        "park": {"id": "test", "name": text},
        "gateway": [{"id": gateway, "name": text} for gateway in gateways],
        "asset": [
            {
                "id": f"vessel-{gateway}",
                "kind": "vessel",
                "name": text,
                "design": {"pressure": 2.0},
                "devices": [f"{gateway}/plc-1"],
            }
            for gateway in gateways
        ],
        "rule": [
            {
                "name": text,
                "cause": text,
                "consequence": text,
                "action": text,
                "priority": "high",
                "respond_s": 60,
                "source": "test",
                **rule,
            }
            for rule in rules
        ],
    }
    with park.connection("owner") as connection:
        apply_park(connection, ParkFile.model_validate(content))
    broker.accounts.add(*(gateway_account(gateway) for gateway in gateways))
    broker.reload()
