"""The seventh system, as its author tests it: installed in a folder, found by its entry point, figures by hand."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import ValidationError

from park_platform.systems import find_systems
from park_sdk.check import check_system
from park_sdk.derivation import AssetView, Params, StreamDerivation, Window
from park_sdk.register import Row
from park_sdk.report import Data, RegisterNeed
from park_sdk.system import System
from park_wire.quantities import Text
from support.seventh import entry_points_in, install_seventh

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed it."""
    return install_seventh(tmp_path_factory.mktemp("seventh"))


@pytest.fixture
def cooling(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """The system, loaded as the platform loads it."""
    monkeypatch.setattr(sys, "path", [str(installed), *sys.path])
    yield find_systems(entry_points_in(installed)).systems["cooling"]
    sys.modules.pop("park_seventh", None)


def test_it_is_sound(cooling: System) -> None:
    assert check_system(cooling) == []
    assert cooling.derivations
    assert cooling.registers
    assert cooling.reports
    assert cooling.pages
    assert cooling.rules(cooling.settings())


def test_an_installed_package_is_found_by_its_entry_point(installed: Path) -> None:
    """A process of its own, with nothing but the folder on its path, beside the systems of this release."""
    program = "from park_platform.systems import load_systems; print(*load_systems(), sep='\\n')"
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "cooling" in done.stdout.split()


def test_the_margin_by_hand(cooling: System) -> None:
    # Reactor designed for 200 °C: at 165.5 °C there are 34.5 K left, at 203 °C it is 3 K beyond. Drum designed for
    # 250 °C: at 231 °C there are 19 K left. A bad reading has no margin.
    (margin,) = cooling.derivations
    assert isinstance(margin, StreamDerivation)
    assets = (
        AssetView("reactor-1", "reactor", design={"temperature": 200.0}),
        AssetView("boiler-drum-1", "boiler-drum", design={"temperature": 250.0}),
    )
    window = Window(
        np.array([0, 0, 0, 1], np.intp),
        np.arange(4, dtype=np.int64),
        {"temperature": np.array([165.5, 203.0, np.nan, 231.0])},
    )
    columns, _ = margin.compute(window, Params(assets, cooling.settings(), {}, (), SHANGHAI), {})
    assert columns["temperature-margin"] == pytest.approx([34.5, -3.0, np.nan, 19.0], nan_ok=True)


def test_the_rule_follows_the_settings(cooling: System) -> None:
    (rule,) = cooling.rules(cooling.settings.model_validate({"least_margin": 25.0}))
    assert (rule.kind, rule.limit, rule.on.quantity) == ("L", 25.0, "temperature-margin")


@pytest.mark.parametrize("settings", [{"least_margin": 0}, {"least_margin": "some"}, {"least_margn": 20}])
def test_it_refuses_settings_that_make_no_sense(cooling: System, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        cooling.settings.model_validate(settings)


def test_the_register_says_what_is_due(cooling: System) -> None:
    (coolers,) = cooling.registers
    record = coolers.model.model_validate({"name": "E-101", "asset": "reactor-1", "cleaned": "2026-06-01", "every": 30})
    assert coolers.due is not None
    due = coolers.due(Row(record), cooling.settings(), SHANGHAI)
    assert due == datetime(2026, 7, 1, 23, 59, 59, tzinfo=SHANGHAI)
    for wrong in ({"name": ""}, {"cleaned": "9999-12-31"}, {"every": 0}):
        with pytest.raises(ValidationError):
            coolers.model.model_validate(record.model_dump() | wrong)


def test_the_report_by_hand(cooling: System) -> None:
    # Cleaned on 1 June, again after 30 days: on 1 July. On 11 July that is 10 days ago. The other has 180 days: due on
    # 28 November, in 140 days. The third is due on that very day, which is not late.
    (coolers,), (cleaning,) = cooling.registers, cooling.reports
    rows = [
        Row(
            coolers.model.model_validate({"name": "E-101", "asset": "reactor-1", "cleaned": "2026-06-01", "every": 30})
        ),
        Row(coolers.model.model_validate({"name": "E-102", "asset": "boiler-drum-1", "cleaned": "2026-06-01"})),
        Row(
            coolers.model.model_validate({"name": "E-103", "asset": "reactor-1", "cleaned": "2026-07-01", "every": 10})
        ),
    ]
    settings, park = cooling.settings(), Text("园", "Park")
    data = Data({}, {"coolers": rows}, {}, {}, park, SHANGHAI, settings, 0)
    params = cleaning.params.model_validate({"day": date(2026, 7, 11)})
    document = cleaning.build(params, data)
    assert [row[2] for row in document.tables[0].rows] == [-10, 140, 0]
    assert document.facts[0].value == 1
    begins = round(datetime(2026, 7, 10, 16, tzinfo=UTC).timestamp()) * 1_000_000
    assert cleaning.needs(params, SHANGHAI) == {"coolers": RegisterNeed("cooling.coolers", begins)}
    assert (document.start, document.end) == (begins, begins + 86_400_000_000)
