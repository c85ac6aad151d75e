"""`park up`: the whole park on one machine; `park up --check` proves the path from a register to an alarm and stops."""

import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from park_platform.check import Hop, run_check
from park_platform.embedded.account import choose_user
from park_platform.files import write_private
from park_platform.logs import log_as
from park_platform.storage.people import Role
from park_platform.supervise import Ended, NotRestarted
from park_platform.up import Park, SigninLink
from park_wire.errors import ConfigError, ParkError

app = typer.Typer(add_completion=False, help="Run a whole park on this machine. 启动园区")
EXIT_CONFIGURATION = 2


@app.command()
def up(
    data: Annotated[Path, typer.Option(help="Data folder; made when missing, found again on the next start.")] = Path(
        ".park"
    ),
    site: Annotated[
        Path | None, typer.Option(help="Folder with park.toml and gateway.toml; default: the sample.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API; default: a free one, kept.")] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Start in a temporary folder, prove every hop, stop.")] = False,
    without: Annotated[list[str] | None, typer.Option(help="Leave a part out, to see that --check names it.")] = None,
) -> None:
    """Start database, broker, simulated field, gateway, intake, operate and API; Ctrl-C stops all of them in order."""
    # The steps are told to whoever watches; a log of them would only stand between.
    log_as("up", logging.WARNING)
    try:
        if check:
            raise typer.Exit(_check(site, without or []))
        _run(data, site, port, without or [])
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CONFIGURATION) from error
    except ParkError as error:
        typer.echo(f"\n{error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


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


def _check(site: Path | None, without: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="parkhub-check-") as name:
        folder = Path(name)
        if choose_user(None) is not None:
            folder.chmod(0o711)  # PostgreSQL's user must pass through
        with Park(folder / "data", progress=show_step, site=site, without=without, trace=True) as park:
            links = park.start()
            hops = run_check(park, {link.role: link.token for link in links})
    _show_hops(hops)
    return 0 if all(hop.ok for hop in hops) else 1


def show_step(name: str, sentence: str, seconds: float) -> None:
    """Print a step on one line: what it does, then how long it took."""
    if seconds < 0:
        typer.echo(f"  {name:<9} {sentence} …", nl=not sys.stdout.isatty())
    else:
        lead = "\r" if sys.stdout.isatty() else ""
        typer.echo(f"{lead}  {name:<9} {sentence}: {seconds:.2f} s")


def _say_ready(park: Park, links: list[SigninLink]) -> None:
    typer.echo(
        f"\nParkhub 园枢 runs at {park.base_url} 已启动\nOne-time sign-in links, good for a day 一次性登录链接："
    )
    for link in links:
        typer.echo(f"  {link.name_zh} {link.name_en} ({link.role}): {link.url}")
    typer.echo(f"Watch it in another terminal: park top --data {park.folder}    Ctrl-C stops it.\n")


def _keep_top_token(park: Park, links: list[SigninLink]) -> None:
    # A token of its own: a link is good once, and the printed one belongs to a person.
    operator = next((link.person for link in links if link.role == Role.OPERATOR), None)
    if operator is not None:
        write_private(park.folder / "top.token", f"{park.base_url} {park.signin_token(operator)}\n")


def _say_event(event: object) -> None:
    match event:
        case Ended(name, exit_code, None, last_lines):
            typer.echo(f"{name} ended with code {exit_code} and stays down:\n{last_lines}", err=True)
        case Ended(name, exit_code, delay, _):
            typer.echo(f"{name} ended with code {exit_code}; starts again in {delay:.1f} s", err=True)
        case NotRestarted(name, reason, delay):
            typer.echo(f"{name} does not start: {reason}; tried again in {delay:.1f} s", err=True)
        case _:
            pass


def _show_hops(hops: list[Hop]) -> None:
    typer.echo(f"\n  {'hop 环节':<12} {'':<6} {'count':>9} {'ms':>8}  what 说明")
    for hop in hops:
        count = "" if hop.count is None else f"{hop.count:,}"
        latency = "" if hop.latency_ms is None else f"{hop.latency_ms:,.0f}"
        typer.echo(f"  {hop.name:<14} {'ok' if hop.ok else 'BROKEN':<6} {count:>9} {latency:>8}  {hop.note}")
    broken = next((hop for hop in hops if not hop.ok), None)
    if broken is None:
        typer.echo("\nevery hop works 全部环节正常")
        return
    typer.echo(f"\nbroken at 故障环节: {broken.name}: {broken.note}\nits last words 最后日志:\n{broken.last_words}")
