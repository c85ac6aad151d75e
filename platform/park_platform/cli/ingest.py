"""`park ingest`: one intake worker; start as many as are wanted."""

import signal
from types import FrameType
from typing import Annotated

import structlog
import typer

from park_platform.cli.ending import told_in_words
from park_platform.logs import log_as
from park_platform.sensing.intake import Intake
from park_platform.settings import required
from park_platform.systems import load_systems
from park_wire.errors import OwnershipLost

app = typer.Typer(add_completion=False, help="Take readings from the broker and commit them. 数据接入")
log = structlog.get_logger()
EXIT_OWNERSHIP = 3


@app.command()
def run(
    name: Annotated[str, typer.Option(help="Name of this worker in its log. 日志中的进程名")] = "ingest",
) -> None:
    """Own streams, commit readings, evaluate alarms, answer gateways. Settings: PARK_DB_URL, PARK_MQTT_URL.

    接收数据流、提交读数、判定报警并应答网关；需要 PARK_DB_URL 与 PARK_MQTT_URL。
    """
    log_as(name)
    with told_in_words():
        db_url, mqtt_url = required("PARK_DB_URL", "PARK_MQTT_URL")
        intake = Intake(db_url, mqtt_url, load_systems())

    def end(_number: int, _frame: FrameType | None) -> None:
        intake.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with told_in_words():
        try:
            intake.run()
        except OwnershipLost as error:
            log.warning("ownership_lost", reason=str(error))
            raise typer.Exit(EXIT_OWNERSHIP) from error
