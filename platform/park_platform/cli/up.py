"""`park up`: the whole park on one machine; `park up --check` proves the path from a register to an alarm and stops."""

import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.cells import cell_len, set_cell_size

from park_platform import up_check
from park_platform.cli.ending import told_in_words
from park_platform.embedded.unix_user import choose_user
from park_platform.files import write_private
from park_platform.logs import log_as
from park_platform.storage.people import Role
from park_platform.supervise import Ended, Event, NotRestarted, Restarted
from park_platform.up import Park, SigninLink
from park_platform.up_check import HOPS, Hop, broken_start, run_check
from park_platform.up_steps import Begun, Done, LeftOut, Waiting, both
from park_wire.errors import ConfigError, Fault, ParkError
from park_wire.quantities import Text

app = typer.Typer(add_completion=False, help="Run a whole park on this machine. 启动园区")


@app.command()
def up(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Data folder, found again on the next start; default .park. 数据目录，默认 .park，下次启动沿用"
        ),
    ] = None,
    site: Annotated[
        Path | None,
        typer.Option(help="Folder with park.toml and gateway.toml; default: the sample. 站点文件目录，默认示例园区"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Port of the API; default: a free one, kept. API 端口，默认取空闲端口并沿用"
        ),
    ] = None,
    *,
    check: Annotated[
        bool,
        typer.Option("--check", help="Start the sample in a temporary folder, prove every hop, stop. 逐环节自检后停止"),
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Leave a part out, to see that --check names it. 故意缺少某一部分，以验证自检"),
    ] = None,
) -> None:
    """Start database, broker, simulated field, gateway, intake, operate and API; Ctrl-C stops all of them in order.

    依次启动数据库、消息代理、模拟现场、网关、接入、运维与 API；按 Ctrl-C 依次停止。
    """
    # The steps are told to whoever watches; a log of them would only stand between.
    log_as("up", logging.WARNING)
    with told_in_words():
        if check:
            _refuse_beside_check(data=data, site=site, port=port)
            raise typer.Exit(_check(without or []))
        _run(data or Path(".park"), site, port, without or [])


def _run(data: Path, site: Path | None, port: int | None, without: list[str]) -> None:
    with Park(data, progress=show_step, site=site, port=port, without=without) as park:
        links = park.start()
        _keep_top_token(park, links)
        _say_ready(park, links)
        while not park.supervisor.stopping:
            for event in park.poll():
                _say_event(event)
            time.sleep(0.2)
        typer.echo("\nstops everything in order … 正在依次停止")
    typer.echo(f"stopped; the data stay in {data} 已停止，数据保留")


def _refuse_beside_check(**given: object) -> None:
    """The check has its own folder, ports and park: what it proves of the sample holds for the installation."""
    if asked := [f"--{name}" for name, value in given.items() if value is not None]:
        problem = f"can't be combined with {', '.join(asked)}"
        raise ConfigError([Fault("park up", "--check", problem, f"leave {', '.join(asked)} out")])


def _check(without: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="parkhub-check-") as name:
        folder = Path(name)
        if choose_user(None) is not None:
            folder.chmod(0o711)  # PostgreSQL's user must pass through
        patience_s = up_check.WITHIN_S
        with Park(folder / "data", progress=show_step, without=without, trace=True, patience_s=patience_s) as park:
            hops = _prove_hops(park)
    _show_hops(hops)
    return 0 if all(hop.ok for hop in hops) else 1


def _prove_hops(park: Park) -> list[Hop]:
    try:
        links = park.start()
    except ConfigError:
        raise
    except ParkError as error:
        hops = broken_start(park, error)
        if not hops:
            raise
        typer.echo(str(error), err=True)
        return hops
    return run_check(park, {link.role: link.token for link in links})


def show_step(news: Begun | Waiting | LeftOut | Done) -> None:
    """Print a step on one line: what it does, then how long it took; what it waits for on lines of their own."""
    on_terminal = sys.stdout.isatty()
    lead = f"  {news.step:<9} {both(news.what)}"
    match news:
        case Begun():
            typer.echo(f"{lead} …", nl=not on_terminal)
        case Waiting(reason=reason) | LeftOut(reason=reason):
            # It follows a step that has begun and not ended its line.
            typer.echo(f"\n{lead}: {reason}" if on_terminal else f"{lead}: {reason}")
        case Done(seconds=seconds):
            typer.echo(f"\r{lead}: {seconds:.2f} s" if on_terminal else f"{lead}: {seconds:.2f} s")


def _say_ready(park: Park, links: list[SigninLink]) -> None:
    typer.echo(
        f"\nParkhub 园枢 runs at {park.base_url} 已启动\nOne-time sign-in links, good for a day 一次性登录链接："
    )
    for link in links:
        typer.echo(f"  {link.name_zh} {link.name_en} ({link.role}): {link.url}")
    typer.echo(f"Watch it in another terminal 在另一终端查看: park top --data {park.folder}")
    typer.echo("Ctrl-C stops it. 按 Ctrl-C 停止。\n")


def _keep_top_token(park: Park, links: list[SigninLink]) -> None:
    # A token of its own: a link is good once, and the printed one belongs to a person.
    operator = next((link.person for link in links if link.role == Role.OPERATOR), None)
    if operator is not None:
        write_private(park.folder / "top.token", f"{park.base_url} {park.signin_token(operator)}\n")


def _say_event(event: Event) -> None:
    said = in_words(event)
    if said is not None:
        text, details = said
        typer.echo(f"{both(text)}\n{details}".rstrip(), err=True)


def in_words(event: Event) -> tuple[Text, str] | None:
    """What is said of a child's fate, and its own words where they say what to do; None: nothing."""
    match event:
        case Ended(name, exit_code, None, last_lines):
            text = Text(
                f"{name} 已退出，代码 {exit_code}，不再启动", f"{name} ended with code {exit_code} and stays down"
            )
            return text, last_lines
        case Ended(name, exit_code, delay, _):
            text = Text(
                f"{name} 已退出，代码 {exit_code}，{delay:.1f} 秒后重新启动",
                f"{name} ended with code {exit_code}; starts again in {delay:.1f} s",
            )
            return text, ""
        case NotRestarted(name, reason, delay):
            text = Text(
                f"{name} 无法启动，{delay:.1f} 秒后重试", f"{name} does not start; tried again in {delay:.1f} s"
            )
            return text, reason
        case Restarted():
            return None


def _show_hops(hops: list[Hop]) -> None:
    typer.echo(f"\n{_row('hop 环节', '', 'count 计数', 'ms 毫秒')}  what 说明")
    for hop in hops:
        count = "" if hop.count is None else f"{hop.count:,}"
        latency = "" if hop.latency_ms is None else f"{hop.latency_ms:,.0f}"
        typer.echo(f"{_row(_named(hop), 'ok 正常' if hop.ok else 'BROKEN 故障', count, latency)}  {both(hop.note)}")
    broken = next((hop for hop in hops if not hop.ok), None)
    if broken is None:
        typer.echo("\nevery hop works 全部环节正常")
        return
    typer.echo(
        f"\nbroken at 故障环节: {_named(broken)}: {both(broken.note)}\nits last words 最后日志:\n{broken.last_words}"
    )


def _named(hop: Hop) -> str:
    return f"{hop.name} {HOPS[hop.name]}"


def _row(name: str, verdict: str, count: str, latency: str) -> str:
    # A Chinese character takes two cells.
    return f"  {set_cell_size(name, 26)} {set_cell_size(verdict, 11)} {_right(count, 10)} {_right(latency, 8)}"


def _right(text: str, cells: int) -> str:
    return " " * (cells - cell_len(text)) + text
