"""The kinds of faults that the simulated park knows, with a sentence for each."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """What a fault can befall."""

    VESSEL = "vessel"
    PIPELINE = "pipeline"
    DEVICE = "device"
    WORDS = "Modbus device with values of several registers"
    POINT = "point"


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault. `magnitude` is its default, None where it has none; `unit` says what the number means."""

    name: str
    scope: Scope
    zh: str
    en: str
    magnitude: float | None = None
    unit: str = ""
    duration_s: float | None = None
    every_point: bool = False
    """Without a point it befalls all of the device's, not only the first."""


KINDS: Final = {
    kind.name: kind
    for kind in (
        FaultKind(
            "over-pressure",
            Scope.VESSEL,
            "容器压力以设定速率上升，达到整定压力时安全阀起跳泄压，回座后再次上升，直到清除。",
            "The vessel's pressure rises at this rate; at its set pressure the relief valve lifts, blows down and "
            "reseats, and the pressure rises again until the fault is cleared.",
            0.05,
            "MPa/s",
        ),
        FaultKind(
            "leak",
            Scope.PIPELINE,
            "管道泄漏：入口流量大于出口流量，管压下降，附近可燃气体探头读数上升。",
            "The pipeline leaks: more flows in than out, its pressure falls, and the gas detectors beside it rise.",
            20.0,
            "% of the normal flow",
        ),
        FaultKind(
            "stuck",
            Scope.POINT,
            "读数停在当前值，质量仍为良好。",
            "The reading stays at its present value; its quality still reads good.",
            every_point=True,
        ),
        FaultKind(
            "drift",
            Scope.POINT,
            "读数每分钟按当前值的百分比偏离真实值；OPC UA 状态为 UncertainSensorNotAccurate。",
            "The reading drifts from the truth; over OPC UA its status is UncertainSensorNotAccurate.",
            2.0,
            "% of the present value a minute",
        ),
        FaultKind(
            "spike",
            Scope.POINT,
            "读数短暂跳变后恢复。",
            "The reading jumps for a moment and returns.",
            50.0,
            "% of the present value",
            2.0,
        ),
        FaultKind(
            "nan",
            Scope.POINT,
            "传感器失效：寄存器为无效值 (NaN)，OPC UA 状态为 BadSensorFailure。",
            "The sensor fails: the registers hold no value (NaN), over OPC UA the status is BadSensorFailure.",
            every_point=True,
        ),
        FaultKind(
            "offline",
            Scope.DEVICE,
            "设备不应答 Modbus 请求；OPC UA 变量状态变为 BadNoCommunication 并停止更新。",
            "The device answers no Modbus request; its OPC UA variables turn BadNoCommunication and stop changing.",
        ),
        FaultKind(
            "wrong-word-order",
            Scope.WORDS,
            "多寄存器数值的字序颠倒，如同换表后配置错误。",
            "Values of more than one register come with their words reversed, as after a wrongly set-up replacement.",
        ),
    )
}
