"""`park operate`: rollups, partitions, the watch over silent gateways."""

import signal
from types import FrameType

import structlog
import typer

from park_platform.cli.ending import told_in_words
from park_platform.logs import log_as
from park_platform.operations.operate import Operate
from park_platform.settings import required
from park_platform.systems import load_systems

app = typer.Typer(add_completion=False, help="Keep house: rollups, partitions, silent gateways. 运维任务")
log = structlog.get_logger()


@app.command()
def run() -> None:
    """Do the park's recurring work; one process at a time does, others stand by. Setting: PARK_DB_URL.

    汇总、分区与网关静默监视；同一时刻仅一个进程工作，其余待命；需要 PARK_DB_URL。
    """
    log_as("operate")
    with told_in_words():
        (db_url,) = required("PARK_DB_URL")
        systems = load_systems()
    operate = Operate(db_url, systems)

    def end(_number: int, _frame: FrameType | None) -> None:
        operate.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with told_in_words():
        operate.run()
