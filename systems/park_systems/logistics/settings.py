"""What a park sets for its traffic, `[system.logistics]` in park.toml."""

from typing import Annotated

from pydantic import Field

from park_sdk.alarm_rule import Id, Strict

Speed = Annotated[float, Field(gt=0, le=200)]


class Settings(Strict):
    """Speeds in km/h, masses in t, times in s.

    GB 4387-2008 (工业企业厂内铁路、道路运输安全规程): 30 km/h on a works' main road without a sign, 20 km/h on
    its other roads, 5 km/h through gates and over weighbridges. 危险货物道路运输安全管理办法 (交通运输部令2019年第29号)
    article 46: vehicles with dangerous goods at most 80 km/h on expressways, 60 km/h on other roads, or what a lower
    sign says.

    speed_limit: in the park, where no zone sets one. zone_speeds: by zone; where zones overlap the lowest holds.
    outside_speed, outside_dangerous_speed: beyond the park's outline. There the kind of road is not known, so they are
    the highest that any road allows: the second is article 46's, the first is not confirmed.
    park_zone: the zone whose outline is the park's. forbidden_zones: where a vehicle with dangerous goods may not be.
    net_tolerance: by how much the net mass printed on a ticket may differ from gross less tare; two steps of a scale
    that counts by 20 kg, and a rounding. unknown_load: what is assumed that a vehicle with dangerous goods carries
    that the register doesn't know. dangerous_load_limit: in the whole park; not confirmed, so its rule is off.
    """

    speed_limit: Speed = 30.0
    zone_speeds: dict[Id, Speed] = Field(default_factory=dict[Id, Speed])
    outside_speed: Speed = 100.0
    outside_dangerous_speed: Speed = 80.0
    overspeed_delay_s: Annotated[float, Field(ge=0, le=600)] = 5.0
    park_zone: Id = "boundary"
    forbidden_zones: tuple[Id, ...] = ()
    forbidden_delay_s: Annotated[float, Field(ge=0, le=600)] = 5.0
    net_tolerance: Annotated[float, Field(ge=0, le=10)] = 0.05
    unknown_load: Annotated[float, Field(ge=0, le=100)] = 30.0
    dangerous_load_limit: Annotated[float, Field(gt=0)] = 200.0
    watch_dangerous_load: bool = False
