"""A system whose page names a point that there is not, and whose register takes any text.

Children of a park find it by the entry point that `install_stray` writes, in folders that PYTHONPATH names.
"""

import os
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from park_sdk.alarm_rule import Strict
from park_sdk.page import Page, Points, RegisterTable, Values
from park_sdk.register import Label, Register
from park_sdk.system import CONTRACT, System
from park_wire.quantities import Text

MARKUP: Final = "<img src=x onerror=alert(1)>"
THERE: Final = "gw-1/tank-2/pressure"
MISSING: Final = "gw-1/tank-9/pressure"


class Settings(Strict):
    """It has none."""


class Remark(Strict):
    """A remark of anybody about anything."""

    title: Annotated[str, Field(min_length=1, max_length=80), Label("标题", "Title")]
    text: Annotated[str, Field(max_length=400), Label("内容", "Text")] = ""


REMARKS: Final = Register(id="remarks", name=Text("备忘台账", "Remarks"), model=Remark, key=("title",))

SYSTEM: Final = System(
    id="stray",
    contract=CONTRACT,
    name=Text("杂项", "Stray"),
    settings=Settings,
    rules=lambda _settings: (),
    registers=(REMARKS,),
    pages=(
        Page(
            id="stray",
            name=Text("杂项页面", "Stray page"),
            widgets=(
                Values(Text(f"数值 {MARKUP}", f"Values {MARKUP}"), Points(keys=(THERE, MISSING))),
                RegisterTable(REMARKS.name, register=REMARKS.id),
            ),
        ),
    ),
)


def install_stray(folder: Path) -> str:
    """Write what an installed package would leave in `folder`; gives the PYTHONPATH that finds it."""
    info = folder / "park_stray-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: park-stray\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[parkhub.systems]\n{SYSTEM.id} = {__name__}:SYSTEM\n")
    tests = Path(__file__).parents[1]
    return os.pathsep.join(filter(None, (str(folder), str(tests), os.environ.get("PYTHONPATH"))))
