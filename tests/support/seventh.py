"""The seventh system as pip installs it: a wheel made of `tests/seventh` without a build tool, put into a folder.

What a wheel holds is written down by the packaging standards; a build tool would have to be fetched first.
"""

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import Final

from support.source_scan import ROOT

SEVENTH: Final = ROOT / "tests" / "seventh"


def build_wheel(folder: Path) -> Path:
    """The wheel that its pyproject.toml describes, written into a folder."""
    document = tomllib.loads((SEVENTH / "pyproject.toml").read_text("utf-8"))
    project = document["project"]
    stem = f"{project['name'].replace('-', '_')}-{project['version']}"
    info = f"{stem}.dist-info"
    head = {"Metadata-Version": "2.1", "Name": project["name"], "Version": project["version"]}
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in points.items())])
        for group, points in project["entry-points"].items()
    ]
    wheel = {"Wheel-Version": "1.0", "Generator": "parkhub", "Root-Is-Purelib": "true", "Tag": "py3-none-any"}
    files = {
        **{
            name: (SEVENTH / name).read_text("utf-8")
            for name in document["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
        },
        f"{info}/METADATA": _fields(head) + "".join(f"Requires-Dist: {each}\n" for each in project["dependencies"]),
        f"{info}/WHEEL": _fields(wheel),
        f"{info}/entry_points.txt": "\n\n".join(groups) + "\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def _fields(fields: dict[str, str]) -> str:
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def install_seventh(folder: Path) -> Path:
    """Install it with pip, which asks no registry; gives the folder that has to be on the path."""
    target = folder / "installed"
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-compile"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(build_wheel(folder))]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


def entry_points_in(folder: Path) -> list[EntryPoint]:
    """The systems that are installed in a folder."""
    return [
        point
        for distribution in distributions(path=[str(folder)])
        for point in distribution.entry_points
        if point.group == "parkhub.systems"
    ]
