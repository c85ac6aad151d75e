"""What the monthly report calls things."""

from collections.abc import Mapping
from typing import Final

from park_sdk.register import label_of
from park_systems.energy.registers import FactorRow
from park_wire.quantities import Text

_NAMES: Final[Mapping[str, Text]] = {
    "active-energy": Text("电", "Electricity"),
    "gas-volume": Text("天然气", "Natural gas"),
    "heat-energy": Text("热力（蒸汽）", "Heat (steam)"),
    "steam-mass": Text("蒸汽（质量）", "Steam by mass"),
    "water-volume": Text("新水", "Fresh water"),
    "reclaimed-water-volume": Text("中水", "Reclaimed water"),
}


def quantity_name(quantity: str) -> Text:
    """What was counted, in short."""
    return _NAMES[quantity]


def month_name(quantity: str) -> Text:
    """What was counted in the month."""
    name = _NAMES[quantity]
    return Text(f"{name.zh}用量", f"{name.en} used")


def figure_name(field: str, value: str) -> Text:
    """A value of an enumeration of the factors register."""
    label = label_of(FactorRow.model_fields[field])
    found = {} if label is None else {each: Text(zh, en) for each, zh, en in label.values}
    return found.get(value, Text(value, value))
