"""`park db`: make or migrate the database, look at it, check its chains. PARK_DB_URL: an administrator's address."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from park_platform.cli.ending import told_in_words
from park_platform.settings import required
from park_platform.storage.chains import check_chains
from park_platform.storage.connect import ROLES, connect
from park_platform.storage.migrate import EngineChoice, make_park
from park_platform.storage.restore import declare_restored
from park_platform.storage.status import DbStatus, SeriesStatus, db_status
from park_wire.clock import wall_us

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The park's database. 数据库")


@app.command()
def migrate(
    engine: Annotated[
        EngineChoice,
        typer.Option(help="auto: TimescaleDB where the server has loaded it; an engine is for life. 存储引擎"),
    ] = "auto",
) -> None:
    """建立或升级数据库 Make roles and database where they are missing and bring the schema up to this release.

    PARK_DB_URL: a superuser's address of the park's database. PARK_DB_PASSWORD_INGEST, _OPERATE, _API, ... give the
    roles' passwords; a role without one keeps what it has, and can't sign in when it has none.
    """
    passwords = {role: os.environ[name] for role in ROLES if (name := f"PARK_DB_PASSWORD_{role.upper()}") in os.environ}
    with told_in_words():
        (url,) = required("PARK_DB_URL")
        name = make_park(url, passwords, engine)
        with connect(url, "park db migrate") as connection:
            found = db_status(connection)
    typer.echo(f'database "{name}" is at schema {found.schema}, engine {found.engine}. 数据库已就绪')


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object. 以 JSON 输出")] = False,
) -> None:
    """数据库状态 Schema, engine, sizes, oldest readings, bytes per reading."""
    with told_in_words():
        (url,) = required("PARK_DB_URL")
        with connect(url, "park db status") as connection:
            found = db_status(connection)
    typer.echo(json.dumps(_as_json(found)) if as_json else _as_text(found))


@app.command()
def verify() -> None:
    """核对日志链 Check the hash chains of alarm journals and audit trail; exit 1 when one is broken."""
    broken = 0
    with told_in_words():
        (url,) = required("PARK_DB_URL")
        with connect(url, "park db verify") as connection:
            for chain in check_chains(connection):
                name = "audit 审计" if chain.stream is None else f"journal 报警日志 {chain.stream}"
                verdict = "whole 完整" if chain.fault is None else f"BROKEN 已断裂: {chain.fault}"
                typer.echo(f"{name}: {chain.lines} lines 行, {verdict}")
                broken += chain.fault is not None
    if broken:
        raise typer.Exit(1)


@app.command()
def restored(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object. 以 JSON 输出")] = False,
) -> None:
    """恢复备份之后 Say that the database was restored from a backup, before anything else of Parkhub connects to it.

    Whatever the backup did not have yet is then a gap until the gateways say what they still hold.
    """
    with told_in_words():
        (url,) = required("PARK_DB_URL")
        with connect(url, "park db restored") as connection:
            done = declare_restored(connection, wall_us())
    if as_json:
        typer.echo(json.dumps(asdict(done)))
        return
    moment = "nothing 无数据"
    if done.as_of is not None:
        moment = f"{datetime.fromtimestamp(done.as_of / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
    typer.echo(
        f"state of {moment}; {done.gaps} open gaps for {len(done.gateways)} gateways: each closes when its gateway "
        f"reports. 数据库恢复至此时刻；已登记 {done.gaps} 个待核缺口，网关上线后自动核实"
    )


def _as_json(found: DbStatus) -> Mapping[str, object]:
    series = [asdict(one) | {"bytes_per_row": one.bytes_per_row} for one in found.series]
    return asdict(found) | {"series": series}


def _as_text(found: DbStatus) -> str:
    edition = f" ({found.edition})" if found.edition else ""
    return "\n".join(
        [
            f"database  数据库  {found.database}, {_megabytes(found.size_bytes)}, PostgreSQL {found.server}",
            f"schema    模式    {found.schema}",
            f"engine    引擎    {found.engine}{edition}, readings are kept for {found.raw_days} days",
            *(_line(one) for one in found.series),
        ]
    )


def _line(one: SeriesStatus) -> str:
    if one.bytes_per_row is None:
        return f"{one.table:<17} {one.partitions} partitions 分区, no rows 无数据"
    return (
        f"{one.table:<17} {one.partitions} partitions 分区, about {one.rows} rows 行, {_megabytes(one.size_bytes)}, "
        f"{one.bytes_per_row:.0f} bytes a row 每行字节, {_day(one.oldest)} to {_day(one.newest)}"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _day(moment: int | None) -> str:
    return "" if moment is None else f"{datetime.fromtimestamp(moment / 1e6, UTC):%Y-%m-%d}"
