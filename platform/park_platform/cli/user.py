"""`park user`: people, their sign-in links and what regulators may read. Settings: PARK_DB_URL."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import typer

from park_platform.access.caller import LINK_MINUTES
from park_platform.cli.ending import told_in_words
from park_platform.settings import required
from park_platform.storage.connect import Connection, connect
from park_platform.storage.people import (
    MOST_LINK_MINUTES,
    Role,
    add_person,
    disable_person,
    grant_access,
    make_signin_link,
    people,
)

app = typer.Typer(add_completion=False, no_args_is_help=True, help="People and their sign-in links. 人员与登录链接")

Name = Annotated[str, typer.Argument(help="Name of the person, e.g. li-ming. 人员标识")]


@contextmanager
def _database() -> Generator[Connection]:
    with told_in_words():
        (url,) = required("PARK_DB_URL")
        with connect(url, "park user") as connection:
            yield connection


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What the person may do. 角色")],
    zh: Annotated[str, typer.Option(help="Name as shown in Chinese. 中文显示名")],
    en: Annotated[str, typer.Option(help="Name as shown in English. 英文显示名")],
    enterprise: Annotated[
        str | None, typer.Option(help="Key of the enterprise; role enterprise only. 企业编号")
    ] = None,
) -> None:
    """新增人员 Make a person."""
    with _database() as connection:
        add_person(connection, name, role, display_zh=zh, display_en=en, enterprise=enterprise)
    typer.echo(f"{name} added; `park user link {name}` makes a sign-in link. 已新增 {name}")


@app.command(name="list")
def list_people() -> None:
    """列出人员 Show everybody."""
    with _database() as connection:
        everybody = people(connection)
    for person in everybody:
        enterprise = f" {person.enterprise}" if person.enterprise else ""
        state = "  disabled 已停用" if person.disabled else ""
        typer.echo(f"{person.name:<20} {person.role}{enterprise}  {person.display_zh} / {person.display_en}{state}")


@app.command()
def disable(name: Name) -> None:
    """停用人员 End a person's sessions and let nobody in under this name again."""
    with _database() as connection:
        disable_person(connection, name)
    typer.echo(f"{name} is disabled; open sessions have ended. 已停用 {name}")


@app.command()
def link(
    name: Name,
    minutes: Annotated[
        int, typer.Option(min=1, max=MOST_LINK_MINUTES, help="How long the link holds. 有效分钟数")
    ] = LINK_MINUTES,
) -> None:
    """生成一次性登录链接 Print a link that signs the person in once; its base is PARK_BASE_URL."""
    with _database() as connection:
        token = make_signin_link(connection, name, minutes)
    base = os.environ.get("PARK_BASE_URL", "").rstrip("/")
    typer.echo(f"{base}/signin/{token}")


@app.command()
def grant(
    name: Name,
    enterprise: Annotated[str, typer.Argument(help="Key of the enterprise. 企业编号")],
    days: Annotated[int, typer.Option(min=1, max=3660, help="How long the grant holds. 有效天数")] = 365,
) -> None:
    """授权监管人员 Let a regulator read what belongs to an enterprise."""
    with _database() as connection:
        grant_access(connection, name, enterprise, days)
    typer.echo(f"{name} may read {enterprise} for {days} days. 已授权 {name} 查看 {enterprise}，{days} 天")
