"""One real park and one real browser for each module that looks at the whole console; async tests run beside them."""

import shutil
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from park_sim.sample import sample_site
from support.browser import open_browser
from support.park import WholePark, park_folder, whole_park
from support.simulated_field import site_on_free_ports

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Generator["Browser"]:
    """A headless Chromium."""
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def park(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Generator[WholePark]:
    """The sample park with readings of what is measured and what is derived; none where there is no browser."""
    del browser
    site = tmp_path_factory.mktemp("park") / "site"
    shutil.copytree(sample_site(), site)
    site_on_free_ports(site)
    with park_folder() as folder, whole_park(folder, site=site) as running:
        for point in ("pressure", "safety.pressure-ratio"):
            running.wait(lambda point=point: running.latest(f"gw-1/tank-2/{point}").get("time"), f"a {point}", 60)
        yield running
