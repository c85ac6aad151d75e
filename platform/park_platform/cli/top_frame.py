"""What `park top` draws: one frame from what the API said. Knows no socket and no keyboard."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_FEWEST_LINES: Final = 12
MOST_ALARMS: Final = 100
"""How many open alarms are asked for."""
_PRIORITY_STYLE: Final = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}
_STATES: Final = {
    "unacknowledged": "未确认 unacked",
    "acknowledged": "已确认 acked",
    "returned": "已恢复 returned",
    "latched_unacknowledged": "锁存 latched",
    "latched_acknowledged": "锁存 latched",
    "normal": "正常 normal",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the API: answers of session, status, alarms (open ones) and latest."""

    session: dict[str, Any]
    status: dict[str, Any]
    alarms: list[dict[str, Any]]
    latest: list[dict[str, Any]]
    page: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class Room:
    """How many lines of a screen each part gets."""

    streams: int
    alarms: int
    values: int

    @staticmethod
    def of(height: int) -> "Room":
        """Share `height` lines: seven are heads, gaps and the foot."""
        free = max(height, _FEWEST_LINES) - 8
        streams = max(1, free // 5)
        alarms = max(1, free // 3)
        return Room(streams, alarms, max(1, free - streams - alarms))


def draw(seen: Seen, room: Room, base_url: str) -> RenderableType:
    """The whole frame."""
    now = _seconds(seen.status["at"])
    return Group(
        _head(seen, base_url),
        Text(),
        _streams(seen.status["streams"], room.streams),
        Text(),
        _alarms(seen.alarms, room.alarms, now),
        Text(),
        _values(seen.latest, room.values, now),
        _foot(seen),
    )


def draw_trouble(sentence: str) -> RenderableType:
    """What is shown while the API does not answer."""
    return Group(Text(sentence, style="bold red"), Text("正在重试 trying again …    q 退出 quit"))


def _head(seen: Seen, base_url: str) -> Text:
    text = Text("Parkhub 园枢  ", style="bold", no_wrap=True, overflow="ellipsis")
    text.append(
        f"{base_url.partition('//')[2]}  {seen.session['name']}  {seen.status['at'][11:19]}Z  ", style="default"
    )
    for name, is_up in (("库 db", seen.status["database"]), ("消息 mqtt", seen.status["broker"])):
        text.append(f"{name} {'✓' if is_up else '✗'}  ", style="default" if is_up else "bold red")
    return text


def _streams(rows: list[dict[str, Any]], room: int) -> Table:
    table = _table(
        ("流 stream", 30, "left"), ("接入 owned", 12, "left"), ("滞后 lag s", 12, "right"), ("值/秒 val/s", 14, "right")
    )
    # The stream in trouble first: without an owner, then the one that lags most.
    for row in sorted(rows, key=lambda row: (row["has_owner"], -(row["lag_us"] or 0)))[:room]:
        lag = "-" if row["lag_us"] is None else f"{row['lag_us'] / 1e6:.1f}"
        owned = Text("是 yes") if row["has_owner"] else Text("否 NO", style="bold red")
        table.add_row(row["name"], owned, lag, f"{row['values_per_s']:.1f}")
    return table


def _alarms(rows: list[dict[str, Any]], room: int, now: float) -> Table:
    table = _table(
        (f"报警 alarms ({len(rows)}{'+' if len(rows) == MOST_ALARMS else ''})", 34, "left"),
        ("优先级 prio", 12, "left"),
        ("状态 state", 16, "left"),
        ("龄 age", 8, "right"),
    )
    for row in rows[:room]:
        where = row["point"]["key"] if row["point"] else row["subject"]
        name = f"{row['rule']['name']['zh']} {row['rule']['name']['en']}: {where}"
        style = _PRIORITY_STYLE.get(row["priority"], "default")
        age = _age(now - _seconds(row["raised_at"]))
        table.add_row(name, Text(row["priority"], style=style), _STATES.get(row["state"], row["state"]), age)
    return table


def _values(rows: list[dict[str, Any]], room: int, now: float) -> Table:
    table = _table(
        ("测点 point", 36, "left"),
        ("值 value", 12, "right"),
        ("单位 unit", 10, "left"),
        ("质量 quality", 13, "left"),
        ("龄 age", 6, "right"),
    )
    for row in rows[:room]:
        value = "-" if row["value"] is None else f"{row['value']:.6g}"
        bad = row["quality_name"] not in {"good", "none"}
        quality = Text(row["quality_name"].removeprefix("bad_"), style="bold red" if bad else "default")
        age = "-" if row["time"] is None else _age(now - _seconds(row["time"]))
        table.add_row(row["key"], value, row["unit"], quality, age)
    return table


def _foot(seen: Seen) -> Text:
    pages = f"第 {seen.page + 1} 页 page {seen.page + 1}{' …' if seen.has_more else ''}"
    return Text(
        f"q 退出 quit   n 下页 next   p 上页 previous   {pages}", style="dim", no_wrap=True, overflow="ellipsis"
    )


def _table(*columns: tuple[str, int, str]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, expand=True)
    for head, share, side in columns:
        table.add_column(
            Text(head, no_wrap=True),
            ratio=share,
            justify="right" if side == "right" else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    return table


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def _age(seconds: float) -> str:
    seconds = max(seconds, 0.0)
    if seconds < 100:
        return f"{seconds:.0f}s"
    if seconds < 6000:
        return f"{seconds / 60:.0f}m"
    return f"{seconds / 3600:.0f}h" if seconds < 360_000 else f"{seconds / 86_400:.0f}d"
