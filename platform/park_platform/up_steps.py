"""What `park up` says while it starts: the steps in their order, and what a step waits for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from park_wire.quantities import Text

StepName: TypeAlias = Literal[
    "site", "database", "schema", "park", "broker", "field", "gateway", "intake", "operate", "serve"
]


@dataclass(frozen=True, slots=True)
class Begun:
    """A step begins."""

    step: StepName
    what: Text


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step waits, and tries again by itself. `reason`: the sentence of an error, in English."""

    step: StepName
    what: Text
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A step goes on without something. `reason`: the sentence of a fault, in English."""

    step: StepName
    what: Text
    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """A step has been done."""

    step: StepName
    what: Text
    seconds: float


Progress: TypeAlias = Callable[[Begun | Waiting | LeftOut | Done], None]

WITHOUT_PACKAGE: Final = Text("有系统软件包不可用，其余照常运行", "A system's package can't be used; the others run")
SITE: Final = Text("复制站点文件", "copies the site's files")
SCHEMA: Final = Text("准备角色与数据表", "prepares roles and tables")
FIELD: Final = Text("启动模拟的仪表与控制器", "starts the simulated meters and controllers")
INTAKE: Final = Text("启动数据接入", "starts the intake")
OPERATE: Final = Text("启动汇总、分区与监视", "starts rollups, partitions and watches")
SERVE: Final = Text("启动 API", "starts the API")


def database_step(place: str | None) -> Text:
    """`place`: host and port of a server of the park's own; None: the embedded one."""
    if place is None:
        return Text("启动 PostgreSQL", "starts PostgreSQL")
    return Text(f"连接数据库 {place}", f"connects to the database at {place}")


def broker_step(place: str | None) -> Text:
    """`place`: host and port of a broker of the park's own; None: the embedded one."""
    if place is None:
        return Text("启动消息代理", "starts the message broker")
    return Text(f"连接消息代理 {place}", f"connects to the broker at {place}")


def park_step(park: str, assets: int, rules: int) -> Text:
    """What park.toml brings."""
    return Text(f"应用 {park}：{assets} 个资产，{rules} 条规则", f"applies {park}: {assets} assets, {rules} rules")


def gateway_step(gateway: str) -> Text:
    """The site's gateway."""
    return Text(f"启动网关 {gateway}", f"starts gateway {gateway}")


def both(text: Text) -> str:
    """Both languages on one line, as the help of `park` has them."""
    return f"{text.en} {text.zh}"


def waits_for(what: Text) -> Text:
    """`what`: a server."""
    return Text(f"等待{what.zh}", f"waits for {what.en}")


DATABASE: Final = Text("数据库", "the database")
BROKER: Final = Text("消息代理", "the broker")
MISSING: Final = {"database": DATABASE, "broker": BROKER}
