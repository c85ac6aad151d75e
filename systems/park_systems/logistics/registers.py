"""The register of vehicles: whose they are, what they may weigh and what they may carry."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from park_sdk.alarm_rule import Id, Strict
from park_sdk.days import Day, due_by
from park_sdk.register import Label, Register, Row
from park_wire.quantities import Text

ORDER_62: Final = "交通运输部令2016年第62号 超限运输车辆行驶公路管理规定（2021年第12号令修正）第三条"
"""The decision of 2021 (交通运输部令2021年第12号) is the last that is known here; article 3 reads as in 2016."""

Kind = Literal["truck", "train"]
LEGAL_T: Final[dict[tuple[Kind, int], float]] = {
    ("truck", 2): 18.0,
    ("truck", 3): 25.0,
    ("truck", 4): 31.0,
    ("train", 3): 27.0,
    ("train", 4): 36.0,
    ("train", 5): 43.0,
    ("train", 6): 49.0,
}
"""Mass of vehicle and load in t by kind and axles, article 3 (4) to (8); a train of more axles weighs as one of six."""
_SINGLE_DRIVE_TRAIN_T: Final = 46.0
_SINGLE_TYRES_T: Final = 3.0

_NOT_IN_THE_ORDER: Final = Text(
    "第三条只列有二至四轴货车和三轴及以上汽车列车，请核对车型和轴数",
    "article 3 knows trucks of 2 to 4 axles and trains of 3 and more; check kind and axles",
)
_TOO_MANY_SINGLE: Final = Text(
    "前轴本为单轮胎，不计入，请核对轴数", "the front axle has single tyres anyway and is not counted; check the axles"
)
_NO_CERTIFIED_MASS: Final = Text(
    "不认定超限的车辆须填写行驶证核定总质量", "a vehicle that article 3 exempts needs the total mass on its licence"
)
_NO_LICENCE: Final = Text(
    "危险货物运输车辆须填写许可证号及有效期",
    "a vehicle for dangerous goods needs its licence and the day until which that is valid",
)


class Vehicle(Strict):
    """A vehicle that comes to the park."""

    plate: Annotated[str, Field(min_length=1, max_length=16), Label("车牌号", "Plate")]
    enterprise: Annotated[Id | None, Label("所属企业", "Enterprise")] = None
    asset: Annotated[Id | None, Label("车载终端对应资产", "Asset of its tracker")] = None
    kind: Annotated[
        Kind,
        Label("车型", "Kind", values=(("truck", "货车", "Truck"), ("train", "汽车列车", "Truck with trailer"))),
    ]
    axles: Annotated[int, Field(ge=2, le=20), Label("轴数", "Axles")]
    single_drive_axle: Annotated[bool, Label("牵引车驱动轴为单轴", "Tractor has one drive axle")] = False
    single_tyre_axles: Annotated[
        int,
        Field(ge=0, le=20),
        Label("每侧单轮胎的轴数（应为双轮胎者）", "Axles on single tyres that should have twins"),
    ] = 0
    exempt: Annotated[
        bool, Label("第三条第二款第五项不认定超限的车辆", "Not counted as over the limit (article 3, 2 (5))")
    ] = False
    certified_mass: Annotated[
        float | None, Field(gt=0, le=500), Label("行驶证核定总质量", "Total mass on its licence", unit="t")
    ] = None
    dangerous: Annotated[bool, Label("危险货物运输车辆", "Carries dangerous goods")] = False
    rated_load: Annotated[float | None, Field(ge=0, le=200), Label("核定载质量", "Rated load", unit="t")] = None
    licence: Annotated[
        str | None, Field(max_length=64), Label("危险货物道路运输许可证号", "Dangerous goods licence")
    ] = None
    licence_until: Annotated[Day | None, Label("许可证有效期至", "Licence valid until")] = None

    @model_validator(mode="after")
    def _fits_the_order(self) -> "Vehicle":
        if not self.exempt and (self.kind, min(self.axles, 6)) not in LEGAL_T:
            raise ValueError(_NOT_IN_THE_ORDER)
        if self.single_tyre_axles >= self.axles:
            raise ValueError(_TOO_MANY_SINGLE)
        if self.exempt and self.certified_mass is None:
            raise ValueError(_NO_CERTIFIED_MASS)
        if self.dangerous and (self.licence is None or self.licence_until is None):
            raise ValueError(_NO_LICENCE)
        return self


def legal_mass(vehicle: Vehicle) -> float:
    """What vehicle and load may weigh together, t: article 3, and never more than its licence says.

    Axles on single tyres where article 3 takes twins for granted count 3 t each, the strict reading of its paragraph
    2 (2).
    """
    limits = [vehicle.certified_mass] if vehicle.certified_mass is not None else []
    if not vehicle.exempt:
        heavy_train = vehicle.kind == "train" and vehicle.axles >= 6 and vehicle.single_drive_axle
        legal = _SINGLE_DRIVE_TRAIN_T if heavy_train else LEGAL_T[vehicle.kind, min(vehicle.axles, 6)]
        limits.append(legal - _SINGLE_TYRES_T * vehicle.single_tyre_axles)
    return min(limits)


def plate_key(plate: object) -> str | None:
    """A plate as it is compared: capitals without spaces, dots and dashes. None when it is no plate."""
    if not isinstance(plate, str) or len(plate) > 64:
        return None
    return "".join(letter for letter in plate.upper() if letter.isalnum()) or None


def _due(row: Row, _settings: Any, zone: ZoneInfo) -> datetime | None:
    """The end of the last day on which its licence holds."""
    vehicle: Vehicle = row.record
    if not vehicle.dangerous or vehicle.licence_until is None:
        return None
    return due_by(vehicle.licence_until, zone)


VEHICLES: Final = Register(
    id="vehicles",
    name=Text("车辆台账", "Vehicles"),
    model=Vehicle,
    key=("plate",),
    enterprise="enterprise",
    assets=("asset",),
    due=_due,
)
