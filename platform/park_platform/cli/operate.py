"""`park operate`: rollups, partitions, the watch over silent gateways."""

import signal
from types import FrameType

import structlog
import typer

from park_platform.logs import log_as
from park_platform.operations.operate import Operate
from park_platform.settings import required
from park_wire.errors import ConfigError, ParkError

app = typer.Typer(add_completion=False, help="Keep house: rollups, partitions, silent gateways. 运维任务")
log = structlog.get_logger()
EXIT_CONFIGURATION = 2


@app.command()
def run() -> None:
    """Do the park's recurring work; one process at a time does, others stand by. Setting: PARK_DB_URL."""
    log_as("operate")
    try:
        (db_url,) = required("PARK_DB_URL")
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CONFIGURATION) from error
    operate = Operate(db_url)

    def end(_number: int, _frame: FrameType | None) -> None:
        operate.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        operate.run()
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CONFIGURATION) from error
    except ParkError as error:
        log.error("operate_ended", reason=str(error))
        raise typer.Exit(1) from error
