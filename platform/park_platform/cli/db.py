"""`park db`: make or migrate the database, and look at it. PARK_DB_URL is an administrator's address here."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from park_platform.settings import required
from park_platform.storage.connect import ROLES, connect
from park_platform.storage.migrate import EngineChoice, make_park
from park_platform.storage.status import DbStatus, SeriesStatus, db_status
from park_wire.errors import ConfigError, ParkError

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The park's database. 数据库")
EXIT_CONFIGURATION = 2


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
    try:
        (url,) = required("PARK_DB_URL")
        name = make_park(url, passwords, engine)
        with connect(url, "park db migrate") as connection:
            found = db_status(connection)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CONFIGURATION) from error
    except ParkError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f'database "{name}" is at schema {found.schema}, engine {found.engine}. 数据库已就绪')


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object. 以 JSON 输出")] = False,
) -> None:
    """数据库状态 Schema, engine, sizes, oldest readings, bytes per reading."""
    try:
        (url,) = required("PARK_DB_URL")
        with connect(url, "park db status") as connection:
            found = db_status(connection)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CONFIGURATION) from error
    except ParkError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(json.dumps(_as_json(found)) if as_json else _as_text(found))


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
