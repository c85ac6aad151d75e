"""`park sim …`: the simulated park from the command line."""

import asyncio
import csv
import logging
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import structlog
import typer

from park_sim.bench_field import BenchField
from park_sim.clock import instant
from park_sim.control import ask
from park_sim.fault_kinds import KINDS
from park_sim.sample import sample_site
from park_sim.site_copy import copy_site
from park_sim.world import World
from park_wire.errors import EXIT_CONFIGURATION, ConfigError, ParkError

app = typer.Typer(
    help="模拟园区：现场设备、故障与真值日志。 The simulated park: field devices, faults and their ground truth.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Data = Annotated[Path, typer.Option("--data", envvar="PARK_DATA", help="数据目录 the data folder")]
Start = Annotated[datetime | None, typer.Option("--start", help="园区时钟的起点 (UTC) where the park's clock begins")]
_HERE = Path(".park")
# Midnight in China, so that the load shapes of a day begin with the table.
_SAMPLE_START_US: Final = 1_795_363_200_000_000
_T = TypeVar("_T")


@app.command()
def run(
    site: Annotated[Path, typer.Argument(help="网关的站点文件 the SITE.toml of a gateway")],
    data: Data = _HERE,
    seed: Annotated[int, typer.Option(help="随机种子 the seed of the park's history")] = 1,
    speed: Annotated[float, typer.Option(min=0.01, max=600.0, help="园区时间倍速 park seconds a second")] = 1.0,
    start: Start = None,
) -> None:
    """运行现场设备直至 SIGTERM 或 Ctrl-C。 Run the field devices of a site until SIGTERM or Ctrl-C."""
    # The servers' libraries take a second to import; `park sim fault` does without them.
    from park_sim.simulator import Settings, serve  # noqa: PLC0415

    _log_to_stderr()
    settings = Settings(site, data, seed, speed, _us(start))
    _or_sentence(lambda: asyncio.run(serve(settings, _stop_on_signals)))


@app.command()
def fault(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(KINDS)}, 或 or clear")],
    target: Annotated[str, typer.Argument(help="设备或 设备/测点 a device or device/point; clear: 或 or all")],
    magnitude: Annotated[float | None, typer.Option(help="强度，单位见 faults; its unit is shown by faults")] = None,
    duration_s: Annotated[float | None, typer.Option("--for", help="持续秒数 seconds until it ends by itself")] = None,
    data: Data = _HERE,
) -> None:
    """让故障发生或清除。 Let a fault begin, or clear the faults of a device."""
    if kind == "clear":
        ended = _or_sentence(lambda: ask(data, {"do": "clear", "target": target}))
        for told in ended:
            typer.echo(f"已清除 cleared: {told['fault']} {told['target']}")
        if not ended:
            typer.echo(f"{target} 没有故障 has no fault")
        return
    request = {"do": "fault", "fault": kind, "target": target, "magnitude": magnitude, "duration_s": duration_s}
    for told in _or_sentence(lambda: ask(data, request)):
        typer.echo(f"{_line(told)}\n  {told['zh']}\n  {told['en']}")


@app.command()
def faults(data: Data = _HERE) -> None:
    """列出故障种类与当前故障。 List the kinds of faults, and those that are on."""
    for kind in KINDS.values():
        size = "" if kind.magnitude is None else f"  [--magnitude {kind.magnitude:g}: {kind.unit}]"
        typer.echo(f"{kind.name} ({kind.scope.value}){size}\n  {kind.zh}\n  {kind.en}")
    try:
        active = ask(data, {"do": "list"})
    except ParkError as error:
        typer.echo(f"\n{error}", err=True)
        return
    typer.echo("\n当前故障 on now: " + ("; ".join(_line(told) for told in active) or "无 none"))


@app.command()
def site(
    target: Annotated[Path, typer.Argument(help="目标目录 the folder to copy to")],
    source: Annotated[Path | None, typer.Option("--site", help="站点目录，缺省为示范园区 default: the sample")] = None,
) -> None:
    """复制站点文件并换成空闲端口。 Copy a site's files, with ports that are free on this machine."""
    ports = _or_sentence(lambda: copy_site(source or sample_site(), target))
    typer.echo(f"{target}: " + ", ".join(f"{port} -> {kept}" for port, kept in ports.items()))


@app.command()
def world(
    hours: Annotated[float, typer.Option(min=0.01, max=24.0 * 366, help="时长 hours of the park's time")] = 24.0,
    table: Annotated[Path, typer.Option("--csv", help="输出文件 the file to write")] = Path("world.csv"),
    every_s: Annotated[float, typer.Option("--every", min=0.1, help="行间隔秒数 seconds between two rows")] = 60.0,
    seed: Annotated[int, typer.Option(help="随机种子 the seed")] = 1,
    start: Start = None,
) -> None:
    """不开端口运行物理世界并写成 CSV。 Run the physics without sockets and write what the instruments show."""
    start_us = _us(start)
    park = World(seed, _SAMPLE_START_US if start_us is None else start_us)
    steps = max(1, round(hours * 3_600.0 / every_s))
    with table.open("w", encoding="utf-8", newline="") as file:
        columns = [(device, point) for device, values in sorted(park.observe().items()) for point in values]
        writer = csv.writer(file)
        writer.writerow(["time", *(f"{device}/{point}" for device, point in columns)])
        for _ in range(steps):
            park.step(every_s)
            seen = park.observe()
            shown = (f"{seen[device][point]:.6g}" for device, point in columns)
            writer.writerow([instant(park.now_us).isoformat(), *shown])
    happened = len(park.take_happenings())
    typer.echo(f"{table}: {steps} 行 rows, {len(columns)} 测点 points, {happened} 事件 events")


@app.command("bench-field")
def bench_field(
    devices: Annotated[int, typer.Option(min=1, max=20_000, help="设备数 how many devices")] = 100,
    registers: Annotated[int, typer.Option(min=1, max=65_536, help="每台寄存器数 registers of each")] = 125,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="第一个端口 the first port")] = 5_900,
) -> None:
    """运行测速用的轻量 Modbus 服务。 Run the light Modbus server for `park bench gateway`."""
    _log_to_stderr()
    _or_sentence(lambda: asyncio.run(_serve_bench(BenchField(devices, registers, port))))


async def _serve_bench(field: BenchField) -> None:
    stopped = _stop_on_signals()
    await field.start()
    structlog.get_logger().info("bench_field_started", host=field.host, ports=field.ports)
    await stopped.wait()
    await field.stop()


def _stop_on_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def _log_to_stderr() -> None:
    # asyncua warns that the server has no certificates; the simulated field is meant to have none.
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _us(start: datetime | None) -> int | None:
    if start is None:
        return None
    return round((start - datetime(1970, 1, 1)).total_seconds() * 1e6)  # noqa: DTZ001  # typer gives a naive time


def _line(told: dict[str, Any]) -> str:
    size = f" {told['magnitude']:g} {told['unit']}" if told["unit"] else ""
    return f"{told['fault']} {told['target']}{size}"


def _or_sentence(work: Callable[[], _T]) -> _T:
    """The result of `work`; what Parkhub refuses is a sentence on stderr and an exit code, not a traceback."""
    try:
        return work()
    except ParkError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CONFIGURATION if isinstance(error, ConfigError) else 1) from error
