"""`park gateway …`: run a gateway, check its site file, look at its outbox."""

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import structlog
import typer

from park_gateway.config import MQTT_VARIABLE, load_site
from park_gateway.report import LaneReport, Report
from park_gateway.site import Site
from park_wire.batch import Lane
from park_wire.errors import EXIT_CONFIGURATION, ConfigError, ParkError

app = typer.Typer(
    help="边缘网关：采集、缓存、上传。 The edge gateway: polls, buffers, sends.",
    epilog="退出码 exit codes: 0 正常 well; 1 运行失败，可重试 failed at work, may be tried again; "
    "2 命令行或站点文件有误，重试无益 the command line or the site file is wrong, trying again changes nothing",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

SiteFile = Annotated[Path, typer.Argument(help="站点文件 the SITE.toml of the gateway")]
_STALE_S = 15.0
_FAILED = 1
_MOST_SHOWN = 50
_LANES = {Lane.LIVE: "实时 live", Lane.BACKFILL: "补传 backfill"}


@app.command()
def run(site: SiteFile) -> None:
    """运行网关直至 SIGTERM 或 Ctrl-C。 Run the gateway until SIGTERM or Ctrl-C."""
    checked = _load(site, needs_broker=True)
    _log_to_stderr()
    try:
        asyncio.run(_run(checked))
    except ParkError as error:
        structlog.get_logger().error("gateway_failed", gateway=checked.gateway, error=str(error))
        raise typer.Exit(EXIT_CONFIGURATION if isinstance(error, ConfigError) else _FAILED) from error


@app.command()
def check(site: SiteFile) -> None:
    """检查站点文件，一次列出全部错误。 Check a site file and list every fault at once; opens no socket."""
    checked = _load(site)
    devices, points = len(checked.devices), sum(len(device.points) for device in checked.devices)
    typer.echo(f"{site}: 无误，{devices} 台设备，{points} 个测点 / no faults; devices: {devices}, points: {points}")
    if checked.mqtt is None:
        typer.echo(
            f"站点文件未写明 broker，运行时须设 {MQTT_VARIABLE} / it names no broker: to run it, set {MQTT_VARIABLE}"
        )


@app.command()
def outbox(site: SiteFile) -> None:
    """显示缓存：积压、时龄、速率、清空时间。 Show the outbox: depth, age, rates and time to empty, by lane."""
    try:
        report = Report.read(_load(site).data)
    except ParkError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_FAILED) from error
    age_s = max(0.0, time.time() - report.at / 1e6)
    if age_s > _STALE_S:
        typer.echo(f"网关未运行，以下为 {_span(age_s)} 前的状态 / the gateway is not running; as of {_span(age_s)} ago")
    link = "在线 online" if report.online else "离线 offline"
    typer.echo(f"{report.gateway}: {link}, 剩余空间 free {report.free_bytes / 1e6:,.0f} MB")
    for lane, name in _LANES.items():
        typer.echo(_lane_line(name, report.lanes[lane]))
    skew = "未知 unknown" if report.skew_us is None else f"{report.skew_us / 1e6:+.3f} s"
    typer.echo(
        f"  自启动 since the start: 读块 blocks read {report.blocks}, 失败 failed {report.failures}, "
        f"漏读 polls missed {report.missed}, 重发 resends {report.resends}, 时钟偏差 clock ahead by {skew}"
    )


def _lane_line(name: str, lane: LaneReport) -> str:
    empty = lane.empty_in_s
    return (
        f"  {name}: {lane.batches} 批 batches, {lane.readings} 读数 readings, 最早 oldest {_span(lane.age_s)}, "
        f"入 in {lane.in_per_s:,.0f}/s, 出 out {lane.out_per_s:,.0f}/s, "
        f"清空 empty in {'不减少 not shrinking' if empty is None else _span(empty)}"
    )


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def _load(site: Path, *, needs_broker: bool = False) -> Site:
    try:
        return load_site(site, needs_broker=needs_broker)
    except ConfigError as error:
        count = len(error.faults)
        for fault in error.faults[:_MOST_SHOWN]:
            typer.echo(str(fault), err=True)
        if count > _MOST_SHOWN:
            typer.echo(f"…另有 {count - _MOST_SHOWN} 处 / and {count - _MOST_SHOWN} more", err=True)
        typer.echo(f"{site}: {count} 处错误 / {count} fault{'s' if count > 1 else ''}", err=True)
        raise typer.Exit(EXIT_CONFIGURATION) from error


async def _run(site: Site) -> None:
    # Checking a file needs none of the protocol libraries that running brings.
    from park_gateway.app import Gateway  # noqa: PLC0415

    gateway = Gateway(site)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await gateway.run(stopped)


def _log_to_stderr() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
