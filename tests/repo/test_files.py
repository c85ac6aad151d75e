"""Rules about files: short modules, no `except Exception` but at a boundary, nothing that names one machine."""

import ast
import re

import pytest

from support.source_scan import ROOT, SOURCE_ROOTS, Finding, kept_files, python_files, relative, report

MOST_LINES = 400
# Path -> why it is longer. Aim at 200; over 400 wants a reason.
LONG_FILES: dict[str, str] = {
    "tests/operations/test_park_stream.py": "one planted park and its words serve all of them",
}

# Path -> how many, and which boundary between processes or to a plug-in they stand at.
BROAD_HANDLERS: dict[str, tuple[int, str]] = {
    "gateway/park_gateway/boundary.py": (
        1,
        "the gateway towards each endpoint: one that fails must not stop the others",
    ),
    "platform/park_platform/derivations.py": (2, "a system's own code: it is fenced and the others run on"),
    "platform/park_platform/operations/duties.py": (1, "a system's own code: it is fenced and the others run on"),
    "platform/park_platform/systems.py": (2, "somebody else's package: whatever it does, the others are named too"),
    "platform/park_sdk/check.py": (1, "a system on trial: whatever it raises is the finding"),
    "platform/park_platform/api/boundary.py": (1, "the process towards its callers: any fault is answered and logged"),
    "platform/park_platform/api/register_desk.py": (
        2,
        "due dates and checks are a system's code: the row is shown without",
    ),
    "platform/park_platform/reports/run.py": (1, "a report's code is somebody else's: what it raises is one problem"),
    "platform/park_sdk/register_form.py": (1, "a model's validators are a system's code: the row is refused in words"),
    "platform/park_platform/sensing/commits.py": (1, "poison is whatever raises: it must not stop the other batches"),
}

_TEXT_SUFFIXES = {
    ".md",
    ".toml",
    ".py",
    ".yml",
    ".yaml",
    ".json",
    ".sh",
    ".sql",
    ".cfg",
    ".ini",
    ".txt",
    ".conf",
    ".ts",
}
_TEXT_NAMES = {"Makefile", "run", "Dockerfile", ".gitignore"}
# Put together here, so that this file does not hold what it looks for.
_REGISTRIES = "|".join(
    re.escape(f"{name}.{domain}")
    for name, domain in (
        *(("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("npmmirror", "com")),
        *(("yarnpkg", "com"), ("crates", "io"), ("proxy.golang", "org"), ("mirrors.aliyun", "com")),
        *(("tuna.tsinghua.edu", "cn"), ("deb.debian", "org"), ("archive.ubuntu", "com")),
    )
)
_HOME = "|".join(["work", "root", "home/[a-z]", "Users/[A-Za-z]"])
_MACHINE = re.compile(rf"(?<![\w.}}\])-])/(?:{_HOME})(?:/|\w)|{_REGISTRIES}")
# A document may not send its reader to a folder that is gone after the next start.
_DOCUMENT = re.compile(r"(?<![\w.}\])-])/tmp/")


def find_machine(text: str, *, document: bool) -> list[Finding]:
    """Lines that name a path of one machine, or the host of a package registry."""
    return [
        Finding(number, line.strip()[:100])
        for number, line in enumerate(text.splitlines(), 1)
        if _MACHINE.search(line) or (document and _DOCUMENT.search(line))
    ]


def find_broad_handlers(source: str) -> list[Finding]:
    """Handlers that catch everything and do not raise it again."""
    found: list[Finding] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _raises_again(node):
            found.append(Finding(node.lineno, "except " + ("" if node.type is None else ast.unparse(node.type))))
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("suppress")
            and any(map(_is_broad, node.args))
        ):
            found.append(Finding(node.lineno, ast.unparse(node)))
    return sorted(found)


def _is_broad(caught: ast.expr | None) -> bool:
    match caught:
        case None:
            return True
        case ast.Tuple(elts=each):
            return any(_is_broad(one) for one in each)
        case _:
            return ast.unparse(caught).split(".")[-1] in {"Exception", "BaseException"}


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether the handler's last word is a bare `raise`: it tidies up and passes the error on."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def count_lines(text: str) -> int:
    return len(text.splitlines())


def test_modules_are_short() -> None:
    lengths = {relative(path): count_lines(path.read_text("utf-8")) for path in python_files(*SOURCE_ROOTS, "tests")}
    long = {path: lines for path, lines in lengths.items() if lines > MOST_LINES and path not in LONG_FILES}
    assert not long, f"more than {MOST_LINES} lines: split them by what they are for, or give the reason here: {long}"
    assert all(lengths.get(path, 0) > MOST_LINES for path in LONG_FILES), "take what is short again off the list"
    assert all(len(reason) > 20 for reason in LONG_FILES.values())


def test_everything_is_caught_only_at_a_boundary() -> None:
    faults: list[str] = []
    counted: dict[str, int] = {}
    for path in python_files(*SOURCE_ROOTS):
        found = find_broad_handlers(path.read_text("utf-8"))
        allowed, _ = BROAD_HANDLERS.get(relative(path), (0, ""))
        counted[relative(path)] = len(found)
        if len(found) > allowed:
            faults += report(path, found)
    assert not faults, "catch what you expect; everything only at a process's or plug-in's boundary:\n" + "\n".join(
        faults
    )
    for listed, (allowed, reason) in BROAD_HANDLERS.items():
        assert counted.get(listed) == allowed, f"{listed}: the list says {allowed}, found {counted.get(listed)}"
        assert len(reason) > 20


def test_nothing_names_one_machine_or_a_registry() -> None:
    found: list[str] = []
    for path in kept_files():
        if path.suffix in _TEXT_SUFFIXES or path.name in _TEXT_NAMES:
            text = path.read_text("utf-8")
            found += report(path, find_machine(text, document=path.suffix in {".md", ".toml"}))
    assert not found, "\n".join(found)


def test_this_file_is_among_those_looked_at() -> None:
    assert ROOT / "tests" / "repo" / "test_files.py" in kept_files()


def test_line_counter_counts() -> None:
    assert count_lines("a\n" * 401) == 401


@pytest.mark.parametrize(
    "planted",
    [
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept:\n    pass",
        "try:\n    f()\nexcept BaseException as error:\n    log(error)",
        "try:\n    f()\nexcept (ValueError, Exception):\n    pass",
        "try:\n    f()\nexcept builtins.Exception:\n    pass",
        "try:\n    f()\nexcept Exception as error:\n    raise Other from error",
        "with suppress(Exception):\n    f()",
        "with contextlib.suppress(OSError, BaseException):\n    f()",
        "async def g():\n    try:\n        await f()\n    except Exception:\n        if x:\n            raise",
    ],
)
def test_scanner_finds_broad_handlers(planted: str) -> None:
    assert find_broad_handlers(planted)


@pytest.mark.parametrize(
    "innocent",
    [
        "try:\n    f()\nexcept ValueError:\n    pass",
        "try:\n    f()\nexcept BaseException:\n    close()\n    raise",
        "with suppress(OSError):\n    f()",
        '"""except Exception: never."""',
        "class Broken(Exception): ...",
    ],
)
def test_scanner_leaves_narrow_handlers_alone(innocent: str) -> None:
    assert not find_broad_handlers(innocent)


@pytest.mark.parametrize(
    ("planted", "document"),
    [
        ("see /" + "work/notes.md", False),
        ("`/" + "root/.cache`", False),
        ("cd /" + "home/anna/park", False),
        ("open /" + "Users/Anna/park", False),
        ("https://py" + "pi.org/simple", False),
        ("registry = https://registry.npm" + "js.org/", False),
        ("write it to /" + "tmp/x", True),
        ('path = "/' + 'tmp/x"', True),
    ],
)
def test_scanner_finds_machine_names(planted: str, document: bool) -> None:
    assert find_machine("first line\n" + planted, document=document) == [Finding(2, planted)]


@pytest.mark.parametrize(
    "innocent",
    [
        "https://example.org/work/1",
        "platform/work/x",
        "/var/lib/parkhub",
        "pip install parkhub",
        "$HOME/work",
        "{}/root/x",
    ],
)
def test_scanner_leaves_other_paths_alone(innocent: str) -> None:
    assert not find_machine(innocent, document=True)


def test_scanner_lets_code_use_temporary_folders() -> None:
    assert not find_machine('"/' + 'tmp/x"', document=False)
