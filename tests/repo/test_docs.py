"""What a reader sees is true: commands parse, files and tests exist, examples load, tables have every key and route.

Commands stand in ```sh blocks, or in backticks in a sentence (`park gateway check SITE.toml`); examples of files in
```toml blocks. What programs print stands in blocks without a language and is not looked at.
"""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import typer

from park_gateway.config import load_site
from park_gateway.model_file import load_model_file
from park_platform.access.policy import POLICY
from park_platform.park_file import load_park
from park_platform.park_model import Asset, NamedPart, ParkPart, PersonPart, ZonePart
from park_platform.systems import load_systems
from park_sdk.alarm_rule import AlarmRule, DesignLimit, Selector
from support.source_scan import PACKAGES, ROOT, SOURCE_ROOTS, python_files, relative, strings

ENGLISH = ROOT / "README.md"
CHINESE = ROOT / "README.zh-CN.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
DOCUMENTS = [ENGLISH, CHINESE, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEMPLATE = ["Context", "Decision", "Consequences", "Alternatives", "Check"]
# The parser that typer brings along has no public name for the root of its errors.
WRONG = next(
    kind for kind in typer.BadParameter.__mro__ if issubclass(kind, Exception) and kind.__name__ == "ClickException"
)
COMMANDS = {entry.name: entry for entry in entry_points(group="parkhub.commands")}

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_FILE = re.compile(
    rf"(?<![\w./-])(?:(?:{'|'.join(SOURCE_ROOTS)})/(?:{'|'.join(PACKAGES)})|docs|tests|deploy/sites|\.ci|{'|'.join(PACKAGES)})"
    r"/[\w./-]*\w"
)
_TEST = re.compile(r"`(test_\w+)`")
_SETTING = re.compile(r"\bPARK_[A-Z_]+")


def blocks(path: Path, language: str) -> list[str]:
    """The blocks of a document in this language."""
    return [found["text"] for found in _BLOCK.finditer(path.read_text("utf-8")) if found["language"] == language]


def prose(path: Path) -> str:
    """A document without its blocks."""
    return _BLOCK.sub("", path.read_text("utf-8"))


def shell_lines(path: Path) -> list[str]:
    """The lines of its sh blocks, continued ones joined, comments left out."""
    lines = [line for block in blocks(path, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [re.sub(r"\s+#.*$", "", line) for line in lines if line.strip()]


def headings(path: Path) -> list[str]:
    """The headings with their level, `## Status`."""
    return re.findall(r"^#+ .+$", prose(path), re.MULTILINE)


# Commands


def check_command(words: list[str], *, whole: bool) -> str | None:
    """What is wrong with `park …`; with `whole` its arguments are parsed too, else only command and options."""
    if not words or words[0] not in COMMANDS:
        return f"there is no command {' '.join(words[:1])!r}"
    command: Any = typer.main.get_command(COMMANDS[words[0]].load())
    rest = words[1:]
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            return f"park {words[0]} has no command {rest[0]!r}"
        command, rest = command.commands[rest[0]], rest[1:]
    if not whole:
        known = {option for parameter in command.params for option in parameter.opts}
        unknown = [word for word in rest if word.startswith("--") and word not in known]
        return f"no option {unknown}" if unknown else None
    try:
        command.make_context("park", rest)
    except WRONG as error:
        return str(error)
    return None


def command_faults(path: Path) -> Iterator[str]:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for line in shell_lines(path):
        words = shlex.split(line)
        if words[0] == "park" and (fault := check_command(words[1:], whole=True)):
            yield f"{line}: {fault}"
        elif words[0] == "make" and not set(words[1:]) <= targets:
            yield f"{line}: no such target"
    for code in _CODE.findall(prose(path)):
        words = code.split()
        if words[0] == "park" and len(words) > 1 and (fault := check_command(words[1:], whole=False)):
            yield f"`{code}`: {fault}"
        elif words[0] == "make" and not set(words[1:2]) <= targets:
            yield f"`{code}`: no such target"


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_every_command_is_there_with_its_options(path: Path) -> None:
    assert not list(command_faults(path))


@pytest.mark.parametrize(
    ("line", "whole", "why"),
    [
        ("park", False, None),
        ("paint", False, "no command 'paint'"),
        ("gateway paint", False, "no command 'paint'"),
        ("up --chek", False, "--chek"),
        ("up --check", True, None),
        ("up --chek", True, "--chek"),
        ("gateway check", True, "site"),
        ("sim fault over-pressure tank-2", True, None),
        ("user add li-ming --role king --zh a --en b", True, "king"),
    ],
)
def test_the_command_checker_sees_what_is_wrong(line: str, whole: bool, why: str | None) -> None:
    words = [] if line == "park" else line.split()
    fault = check_command(words or ["up"], whole=whole)
    assert fault is None if why is None else fault is not None and why in fault


# Files, tests, names


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_every_file_is_there(path: Path) -> None:
    linked = [(path.parent / link, link) for link in _LINK.findall(prose(path)) if "://" not in link]
    missing = [link for target, link in linked if not target.exists()]
    assert not missing, "links to nothing"
    for named in _FILE.findall(prose(path)):
        home = PACKAGES.get(named.split("/")[0], ".")
        assert (ROOT / home / named).exists(), f"names {named}, which is not there"


def test_every_test_that_is_named_exists() -> None:
    for path in DOCUMENTS:
        for section in re.split(r"^## ", prose(path), flags=re.MULTILINE):
            files = [
                ROOT / name for name in _FILE.findall(section) if name.startswith("tests/") and name.endswith(".py")
            ]
            source = "\n".join(file.read_text("utf-8") for file in files)
            for test in _TEST.findall(section):
                assert f"def {test}(" in source, f"{relative(path)} names {test}, which none of its files has"


def test_every_decision_has_the_template() -> None:
    assert DECISIONS
    for number, path in enumerate(DECISIONS, 1):
        title, *sections = headings(path)
        assert re.fullmatch(rf"# {number:04} \S.*", title), f"{path.name}: {title}"
        assert path.name.startswith(f"{number:04}-"), "numbers are unbroken"
        assert [section.removeprefix("## ") for section in sections] == TEMPLATE, path.name
        assert len(path.read_text("utf-8").splitlines()) <= 60, f"{path.name}: a decision has one page"
        assert "**" in prose(path), f"{path.name}: the line people will quote is bold"


def test_both_readmes_say_the_same() -> None:
    assert [line for line in shell_lines(ENGLISH) if not line.startswith("LINK=")] == [
        line for line in shell_lines(CHINESE) if not line.startswith("LINK=")
    ]
    assert blocks(ENGLISH, "") == blocks(CHINESE, "")
    levels = [[heading.split()[0] for heading in headings(path)] for path in (ENGLISH, CHINESE)]
    assert levels[0] == levels[1]
    links = [[link for link in _LINK.findall(prose(path)) if "README" not in link] for path in (ENGLISH, CHINESE)]
    assert links[0] == links[1]
    rows = [re.findall(r"^\| \d \| `([^`]+)`", prose(path), re.MULTILINE) for path in (ENGLISH, CHINESE)]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 9


def test_architecture_shows_the_same_path_as_the_readme() -> None:
    tables = [
        re.findall(r"^\| \d \| `([^`]+)`[^|]*\| (\S+)", prose(path), re.MULTILINE)
        for path in (ENGLISH, ROOT / "docs" / "architecture.md")
    ]
    assert tables[0] == tables[1]


# References


def test_api_page_has_every_route() -> None:
    found = re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE|LIVE) /\S*)`", prose(ROOT / "docs" / "api.md"))
    assert {tuple(route.split()) for route in found} == POLICY.routes


def test_park_file_page_has_every_key() -> None:
    codes = _CODE.findall(prose(ROOT / "docs" / "park-file.md"))
    for model in (ParkPart, NamedPart, ZonePart, Asset, AlarmRule, PersonPart, Selector, DesignLimit):
        missing = [name for name in model.model_fields if not any(re.search(rf"\b{name}\b", code) for code in codes)]
        assert not missing, f"{model.__name__}: {missing}"


def fields_of(path: str, *classes: str) -> list[str]:
    """The annotated names in these classes of a module."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in classes]
    assert len(found) == len(classes), path
    return [
        node.target.id
        for one in found
        for node in one.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]


def test_gateway_page_has_every_key() -> None:
    text = (ROOT / "docs" / "gateway.md").read_text("utf-8")
    keys = fields_of("gateway/park_gateway/config.py", "_Gateway", "_Mqtt", "_Device")
    keys += fields_of("gateway/park_gateway/model_file.py", "_Device", "_Point", "_Mark", "_Event")
    assert not [key for key in keys if not re.search(rf"\b{key}\b", text)]


def test_operations_page_has_every_setting() -> None:
    source = "\n".join(path.read_text("utf-8") for path in python_files(*SOURCE_ROOTS))
    settings = {name.rstrip("_") for name in _SETTING.findall(source)}
    text = prose(ROOT / "docs" / "operations.md")
    assert not [name for name in settings if name not in text and name != "PARK_DB_PASSWORD"]
    # What only the tests read is named where a document says how to run them.
    of_tests = {name for path in python_files("tests/support") for name in _SETTING.findall(path.read_text("utf-8"))}
    for path in DOCUMENTS:
        named = {name for name in _SETTING.findall(path.read_text("utf-8")) if "PASSWORD" not in name}
        assert named <= settings | of_tests, relative(path)


def first_column(path: Path, head: str) -> list[str]:
    """The first cells of the tables of a document whose first head is `head`."""
    tables = re.findall(rf"^\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", prose(path), re.MULTILINE)
    return [row.split("|")[1] for table in tables for row in table.splitlines()]


def test_every_log_event_is_logged() -> None:
    source = "\n".join(path.read_text("utf-8") for path in python_files(*SOURCE_ROOTS))
    events = [
        event
        for page in ("gateway.md", "operations.md")
        for cell in first_column(ROOT / "docs" / page, "event")
        for event in _CODE.findall(cell)
    ]
    assert len(events) > 20
    assert not [event for event in events if f'"{event}"' not in source]


def test_every_error_sentence_is_said() -> None:
    texts = [found.what for path in python_files(*SOURCE_ROOTS) for found in strings(path.read_text("utf-8"))]
    sentences = [
        code for cell in first_column(ROOT / "docs" / "operations.md", "sentence") for code in _CODE.findall(cell)
    ]
    assert len(sentences) > 10
    for sentence in sentences:
        # `…` and a lone capital stand for what the program fills in.
        pieces = [piece.strip() for piece in re.split(r"…|\b[A-Z]\b", sentence) if len(piece.strip()) > 3]
        assert pieces, sentence
        assert any(all(piece in text for piece in pieces) for text in texts), sentence


# Examples


def test_the_site_and_the_model_in_the_gateway_page_load(tmp_path: Path) -> None:
    site, model = blocks(ROOT / "docs" / "gateway.md", "toml")
    credential = tmp_path / tomllib.loads(site)["mqtt"]["credential_file"]
    credential.touch(0o600)
    credential.write_text("gw-1:secret", "utf-8")
    (tmp_path / "site.toml").write_text(site, "utf-8")
    assert len(load_site(tmp_path / "site.toml", {}).devices) == 2
    path = tmp_path / f"{tomllib.loads(model)['model']}.toml"
    path.write_text(model, "utf-8")
    assert len(load_model_file(path).points) == 3


def test_the_park_in_its_page_loads(tmp_path: Path) -> None:
    (text,) = blocks(ROOT / "docs" / "park-file.md", "toml")
    path = tmp_path / "park.toml"
    path.write_text(text, "utf-8")
    assert load_park(path, load_systems()).rule
