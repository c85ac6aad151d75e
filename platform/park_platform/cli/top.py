"""`park top`: rates, latest values and alarms of a running park in the terminal, through the public API."""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live

from park_platform.cli.ending import told_in_words
from park_platform.cli.top_frame import MOST_ALARMS, Room, Seen, draw, draw_trouble
from park_platform.cli.top_session import Api, open_api
from park_wire.errors import ServiceError

app = typer.Typer(add_completion=False, help="Watch rates, values and alarms in the terminal. 终端实时视图")
_EVERY_S: Final = 1.0


@app.command()
def run(
    data: Annotated[Path, typer.Option(help="Data folder of `park up`. 数据目录")] = Path(".park"),
    link: Annotated[str | None, typer.Option(help="One-time sign-in link. 一次性登录链接")] = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end. 输出一帧后退出")] = False,
) -> None:
    """Draw once a second until q is pressed. With PARK_SESSION and PARK_BASE_URL no link is needed.

    每秒刷新，按 q 退出；已设置 PARK_SESSION 与 PARK_BASE_URL 时无需登录链接。
    """
    console = Console()
    with told_in_words():
        api = open_api(data, link, os.environ)
        if once:
            room = Room.of(console.size.height)
            console.print(draw(look(api, room, 0), room, api.origin.url))
        else:
            _watch(console, api)


def look(api: Api, room: Room, page: int) -> Seen:
    """Ask the API for one frame; `page` counts pages of values from 0. Raises ConfigError or ServiceError."""
    latest = api.get("latest", limit=room.values)
    shown = 0
    while shown < page and latest["next"] is not None:
        shown += 1
        latest = api.get("latest", limit=room.values, cursor=latest["next"])
    return Seen(
        session=api.get("session"),
        status=api.get("status"),
        alarms=api.get("alarms", open="true", limit=MOST_ALARMS)["items"],
        latest=latest["items"],
        page=shown,
        has_more=latest["next"] is not None,
    )


def _watch(console: Console, api: Api) -> None:
    page = 0
    with _keys(), Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            began = time.monotonic()
            room = Room.of(console.size.height)
            try:
                seen = look(api, room, page)
            except ServiceError as error:
                live.update(draw_trouble(str(error)), refresh=True)
            else:
                page = seen.page
                live.update(draw(seen, room, api.origin.url), refresh=True)
            match _key(began + _EVERY_S - time.monotonic()):
                case "q":
                    return
                case "n":
                    page += 1
                case "p":
                    page = max(page - 1, 0)
                case _:
                    pass


@contextmanager
def _keys() -> Generator[None]:
    """Single keys without Enter, where the input is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _key(wait_s: float) -> str | None:
    if not sys.stdin.isatty():
        time.sleep(max(wait_s, 0.0))
        return None
    ready, _, _ = select.select([sys.stdin], [], [], max(wait_s, 0.0))
    return os.read(sys.stdin.fileno(), 1).decode(errors="replace") if ready else None
