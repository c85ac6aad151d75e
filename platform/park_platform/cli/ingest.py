"""`park ingest`: one intake worker; start as many as are wanted."""

import signal
from types import FrameType
from typing import Annotated

import structlog
import typer

from park_platform.logs import log_as
from park_platform.sensing.intake import Intake
from park_platform.settings import required
from park_wire.errors import ConfigError, OwnershipLost, ParkError

app = typer.Typer(add_completion=False, help="Take readings from the broker and commit them. 数据接入")
log = structlog.get_logger()
EXIT_CONFIGURATION = 2
EXIT_OWNERSHIP = 3


@app.command()
def run(
    name: Annotated[str, typer.Option(help="Name of this worker in its log.")] = "ingest",
) -> None:
    """Own streams, commit readings, evaluate alarms, answer gateways. Settings: PARK_DB_URL, PARK_MQTT_URL."""
    log_as(name)
    try:
        db_url, mqtt_url = required("PARK_DB_URL", "PARK_MQTT_URL")
        intake = Intake(db_url, mqtt_url)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CONFIGURATION) from error

    def end(_number: int, _frame: FrameType | None) -> None:
        intake.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        intake.run()
    except OwnershipLost as error:
        log.warning("ownership_lost", reason=str(error))
        raise typer.Exit(EXIT_OWNERSHIP) from error
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CONFIGURATION) from error
    except ParkError as error:
        log.error("intake_ended", reason=str(error))
        raise typer.Exit(1) from error
