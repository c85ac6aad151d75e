"""`park check` and `park apply`: park.toml checked, planned and applied."""

from pathlib import Path
from typing import Annotated, Final

import typer

from park_platform.cli.ending import told_in_words
from park_platform.park_file import ParkFile, load_park
from park_platform.settings import required
from park_platform.storage.connect import connect
from park_platform.storage.park import PlanLine, apply_park, plan_park
from park_platform.systems import find_systems
from park_sdk.system import System
from park_wire.errors import EXIT_CONFIGURATION, ConfigError

check = typer.Typer(add_completion=False, help="Find every fault in a park.toml. 检查园区配置")
apply = typer.Typer(add_completion=False, help="Put a park.toml into the database. 应用园区配置")

_MOST_SHOWN: Final = 50


@check.command()
def check_park(file: Annotated[Path, typer.Argument(help="park.toml")]) -> None:
    """Read park.toml and what it includes; print every fault with file, key and remedy. Opens no socket.

    检查园区配置文件，一次列出全部错误及处理办法；不打开任何连接。
    """
    park, _ = _load(file)
    counts = f"{len(park.enterprise)} enterprises, {len(park.asset)} assets, {len(park.gateway)} gateways"
    typer.echo(f"{file}: {counts}, {len(park.rule)} rules: no faults 配置无误")


@apply.command()
def apply_file(
    file: Annotated[Path, typer.Argument(help="park.toml")],
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would change. 仅显示将发生的变更")] = False,
) -> None:
    """Make the database hold what park.toml says. What only the database has stays. Setting: PARK_DB_URL (owner).

    使数据库与园区配置一致；仅存在于数据库中的内容保留。
    """
    park, systems = _load(file)
    with told_in_words():
        (url,) = required("PARK_DB_URL")
        with connect(url, "park apply") as connection:
            lines = plan_park(connection, park, systems) if plan else apply_park(connection, park, systems)
    for line in lines:
        typer.echo(describe(line))
    changed = sum(line.action != "kept" for line in lines)
    typer.echo(f"{changed} {'changes planned 项变更待应用' if plan else 'changes applied 项变更已应用'}")


def describe(line: PlanLine) -> str:
    """One line for people: `+ asset tank-1`, `~ rule tank-hh (limit_value)`, `= zone old: not in the file, kept`."""
    sign = {"add": "+", "change": "~", "kept": "=", "remove": "-"}[line.action]
    fields = f" ({', '.join(line.fields)})" if line.fields else ""
    note = {"kept": ": not in the file, kept", "remove": ": not in the file, no longer used"}.get(line.action, "")
    return f"{sign} {line.kind} {line.key}{fields}{note}"


def _load(file: Path) -> tuple[ParkFile, dict[str, System]]:
    installed = find_systems()
    # A package that the park does not use is no fault of the park.
    for fault in installed.faults:
        typer.echo(str(fault), err=True)
    try:
        return load_park(file, installed.systems), installed.systems
    except ConfigError as error:
        for fault in error.faults[:_MOST_SHOWN]:
            typer.echo(str(fault), err=True)
        if (more := len(error.faults) - _MOST_SHOWN) > 0:
            typer.echo(f"… and {more} more 另有 {more} 处", err=True)
        typer.echo(f"{len(error.faults)} faults 处错误", err=True)
        raise typer.Exit(EXIT_CONFIGURATION) from error
