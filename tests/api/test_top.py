"""`park top`: one frame as text, its size on a small terminal, keys on a real pseudo-terminal, and how it signs in."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

from park_platform.cli.top import app, look
from park_platform.cli.top_frame import Room, draw
from park_platform.cli.top_session import Api, SignInNeeded, open_api, read_link
from park_wire.errors import ConfigError, ServiceError
from support.serving import CANARY, Served

runner = CliRunner()


@pytest.fixture
def folder(served: Served, tmp_path: Path) -> Path:
    """A data folder as `park up` leaves it."""
    (tmp_path / "top.token").write_text(f"{served.base_url} {served.link('operator')}\n")
    return tmp_path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PARK_SESSION", "PARK_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")


def test_one_frame(folder: Path) -> None:
    result = runner.invoke(app, ["--data", str(folder), "--once"])
    assert result.exit_code == 0, result.output
    text = result.output
    for expected in (
        "Parkhub 园枢",
        "operator",
        "流 stream",
        "滞后 lag s",
        "报警 alarms (3)",
        "超压 Too high",
        "critical",
    ):
        assert expected in text, text
    assert "测点 point" in text
    assert "1.25" in text
    assert "MPa" in text
    assert CANARY["alpha"] in text
    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(cell_len(line) for line in lines) <= 80


def test_the_token_is_used_once_and_the_session_kept(folder: Path) -> None:
    for _ in range(3):
        assert runner.invoke(app, ["--data", str(folder), "--once"]).exit_code == 0
    kept = folder / "top.session"
    assert kept.stat().st_mode & 0o777 == 0o600
    base_url, session = kept.read_text().split()
    kept.write_text(f"{base_url} {session[:-2]}xx\n")
    result = runner.invoke(app, ["--data", str(folder), "--once"])
    assert result.exit_code == 2, "the session is unknown and the token is used"
    assert "park user link" in result.output
    assert not kept.exists()


def test_a_link_and_a_session_of_one_s_own(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = f"{served.base_url}/signin/{served.link('safety')}"
    result = runner.invoke(app, ["--data", str(tmp_path / "none"), "--once", "--link", link])
    assert (result.exit_code, "safety" in result.output) == (0, True)
    assert not (tmp_path / "none").exists()
    monkeypatch.setenv("PARK_SESSION", served.client("administrator").cookies["park"])
    assert "PARK_BASE_URL" in runner.invoke(app, ["--once"]).output
    monkeypatch.setenv("PARK_BASE_URL", served.base_url)
    result = runner.invoke(app, ["--once"])
    assert (result.exit_code, "administrator" in result.output) == (0, True)


def test_without_any_way_in_it_says_what_to_do(tmp_path: Path) -> None:
    result = runner.invoke(app, ["--data", str(tmp_path), "--once"])
    assert result.exit_code == 2
    assert "park up" in result.output
    (tmp_path / "top.token").write_text("half")
    assert "can't be read" in runner.invoke(app, ["--data", str(tmp_path), "--once"]).output
    (tmp_path / "top.token").write_text("http://127.0.0.1:9 token")
    result = runner.invoke(app, ["--data", str(tmp_path), "--once"])
    assert (result.exit_code, "is `park serve` running?" in result.output) == (1, True)
    for link in ("nonsense", "http://127.0.0.1:9/other/x", "http://127.0.0.1:9/signin/"):
        with pytest.raises(ConfigError):
            read_link(link)
    with pytest.raises(ConfigError, match="PARK_BASE_URL"):
        read_link("http://park.example/signin/x")


def test_what_a_role_may_not_see_is_a_sentence(served: Served, folder: Path) -> None:
    link = f"{served.base_url}/signin/{served.link('enterprise')}"
    result = runner.invoke(app, ["--data", str(folder), "--once", "--link", link])
    assert (result.exit_code, "403" in result.output) == (1, True)


def test_pages_of_values(served: Served, folder: Path) -> None:
    api = open_api(folder, None, {})
    room = Room(1, 1, 1)
    pages = [look(api, room, page) for page in range(4)]
    assert [seen.latest[0]["key"].split("/")[0] for seen in pages[:3]] == ["alpha", "beta", "park"]
    assert pages[3].latest == [], "a page behind the last"
    assert [seen.has_more for seen in pages[:2]] == [True, True]
    with pytest.raises(SignInNeeded):
        Api(api.origin, "wrong").get("status")
    with pytest.raises(ServiceError, match="404"):
        api.get("nothing")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 12), (120, 50), (60, 24)])
def test_a_frame_fits_its_terminal(served: Served, folder: Path, width: int, height: int) -> None:
    room = Room.of(height)
    seen = look(open_api(folder, None, {}), room, 0)
    seen.latest.extend(seen.latest * 50)
    seen.alarms.extend(seen.alarms * 50)
    seen.status["streams"] *= 30
    with Path(os.devnull).open("w") as nowhere:
        console = Console(width=width, height=height, record=True, file=nowhere)
        console.print(draw(seen, room, served.base_url))
        lines = console.export_text().splitlines()
    assert len(lines) <= height
    assert max(cell_len(line) for line in lines) <= width


def test_keys_on_a_terminal(folder: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES"):
        del environment[name]
    command = [sys.executable, "-c", "from park_platform.cli.top import app; app()", "--data", str(folder)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    try:
        read_until(ours, "Parkhub")
        # Three points and room for two of them.
        for key, page in ((b"", 1), (b"n", 2), (b"p", 1)):
            os.write(ours, key)
            read_until(ours, f"page {page}")
        os.write(ours, b"q")
        drain(ours, process)
        assert process.wait(timeout=10) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)


def read_until(terminal: int, text: str) -> None:
    seen = ""
    deadline = time.monotonic() + 15
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(deadline - time.monotonic(), 0))
        assert ready, seen
        seen += os.read(terminal, 65_536).decode(errors="replace")


def drain(terminal: int, process: "subprocess.Popen[bytes]") -> None:
    """Read what it still draws, or it would block at its end."""
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 0.1)
        if ready:
            try:
                os.read(terminal, 65_536)
            except OSError:
                return
