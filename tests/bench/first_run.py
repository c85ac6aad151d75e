"""From a fresh clone to a live value in a browser: git clone, `make up`, a sign-in link, the first good number painted.

What is committed is cloned into a folder of its own, and installed with pip as it is set up on this machine. The ports
of the sample park must be free.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from support.bench_services import bench_folder
from support.browser import Window, missing_browser, open_browser

CHECKOUT: Final = Path(__file__).resolve().parents[2]
PATIENCE_S: Final = 600.0
_LINK: Final = re.compile(r"\((\w+)\): (http\S+/signin/\S+)")
_VALUE: Final = "[data-asset] tspan.good"


def run() -> dict[str, Any]:
    """Seconds since the clone began; `browser_live_s` is null where there is no browser."""
    missing = missing_browser()
    with bench_folder() as folder:
        began = time.monotonic()
        clone = folder / "parkhub"
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
        # Not with the packages of this process: `make up` makes its own.
        env = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
        log = (folder / "up.log").open("wb")
        process = subprocess.Popen(
            ["make", "up"], cwd=clone, env=env, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
        try:
            installed_s, link = _ready(process, began, folder / "up.log")
            ready_s = time.monotonic() - began
            live_s = None
            if missing is None:
                with open_browser() as browser, Window(browser, link.partition("/signin/")[0]) as window:
                    window.page.goto(link)
                    window.page.get_by_role("button").click()
                    window.page.locator(_VALUE).first.wait_for()
                    live_s = time.monotonic() - began
            else:
                sys.stderr.write(f"the browser is not measured: {missing}\n")
        finally:
            _end(process)
            log.close()
    return {
        "installed_s": round(installed_s, 1),
        "links_s": round(ready_s, 1),
        "browser_live_s": None if live_s is None else round(live_s, 1),
    }


def _ready(process: "subprocess.Popen[str]", began: float, log: Path) -> tuple[float, str]:
    """When the first step of `park up` was done, and the operator's link."""
    assert process.stdout is not None
    installed_s = None
    for line in process.stdout:
        sys.stderr.write(line)
        if installed_s is None and line.startswith("  site"):
            installed_s = time.monotonic() - began
        found = _LINK.search(line)
        if found is not None and found[1] == "operator" and installed_s is not None:
            return installed_s, found[2]
        if time.monotonic() - began > PATIENCE_S:
            break
    raise RuntimeError(f"`make up` printed no link within {PATIENCE_S:.0f} s:\n{log.read_text('utf-8')[-4_000:]}")


def _end(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
