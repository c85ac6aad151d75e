"""`park bench`: measurements, from a checkout. Exactly one JSON object, last on standard output; progress on stderr."""

import json
import os
import platform
import signal
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final

import typer

from park_platform.logs import log_as
from park_wire.errors import EXIT_CONFIGURATION

app = typer.Typer(add_completion=False, help="Measure. 性能测试")
ALL: Final = ("console", "gateway", "intake", "kernel", "latency")
# They take minutes: an outage of hours that drains, an installation anew, parts of a park that are killed.
ALONE: Final = ("backlog", "first_run", "kills")
_REST: Final = (
    f"`all` runs {', '.join(ALL)}; the rest runs alone: {', '.join(ALONE)}. "
    f"all 运行 {'、'.join(ALL)}，其余单独运行：{'、'.join(ALONE)}"
)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help=f"What to measure 测试项. {_REST}")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object. 输出一个 JSON 对象")] = False,
) -> None:
    """Run a benchmark of tests/bench. Ratios within one run mean something on any machine, absolute figures do not.

    运行性能测试；同一次运行内的比值可跨机器比较，绝对数值不可。
    """
    log_as("bench")
    # So that a benchmark that is ended stops the servers that it started.
    signal.signal(signal.SIGTERM, _end)
    folder = _folder()
    known = sorted(file.stem for file in folder.glob("*.py"))
    if name not in {*known, "all"}:
        typer.echo(f"park bench has no {name!r}; it has {', '.join(known)} and all", err=True)
        raise typer.Exit(EXIT_CONFIGURATION)
    results: dict[str, dict[str, Any]] = {}
    for each in ALL if name == "all" else (name,):
        typer.echo(f"bench {each} …", err=True)
        results[each] = import_module(f"bench.{each}").run()
    if as_json:
        typer.echo(json.dumps(results[name] if name != "all" else results))
    else:
        _show(results)
    if name == "all":
        typer.echo(_REST, err=True)


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(143)


def _folder() -> Path:
    folder = Path(__file__).resolve().parents[3] / "tests" / "bench"
    if not folder.is_dir():
        typer.echo(
            "park bench needs a checkout of Parkhub: its benchmarks are tests/bench, not in the package", err=True
        )
        raise typer.Exit(EXIT_CONFIGURATION)
    # `bench.intake` is then a module, and benchmarks share the tests' servers and gateways.
    sys.path.insert(0, str(folder.parent))
    return folder


def _show(results: dict[str, dict[str, Any]]) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    typer.echo(f"{os.cpu_count()} cores, {memory} GiB, Python {platform.python_version()}, {platform.platform()}")
    for name, result in results.items():
        for key, value in flatten(result):
            typer.echo(f"  {name:<10} {key:<28} {_shown(value):>14}")


def flatten(figures: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Names and figures, those of a part after its name: `1000000 quiet`."""
    for key, value in figures.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{within}{key} ")  # pyright: ignore[reportUnknownArgumentType]  # json's own types
        else:
            yield f"{within}{key}", value


def _shown(value: object) -> str:
    match value:
        case float() if abs(value) < 1_000:
            return f"{value:,.3g}"
        case int() | float():
            return f"{value:,}"
        case None:
            return "not measured 未测"
        case list():
            return "; ".join(map(str, value)) or "none 无"  # pyright: ignore[reportUnknownArgumentType]  # json's own types
        case _:
            return str(value)
