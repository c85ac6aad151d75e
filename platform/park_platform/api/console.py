"""The console as files: the page at `/console/`, at every address below it, and what the page loads from `assets/`.

The files are built from platform/console into platform/park_platform/web (hatch_build.py). They hold nothing of a park,
so they need no session; everything that the page shows it asks the API for. A file under `assets/` carries a digest of
its content in its name and never changes; the page itself is asked for anew each time.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from starlette.requests import Request

from park_platform.api.answers import AskedText
from park_platform.api.problems import Problem

router = APIRouter(include_in_schema=False)

WEB: Final = Path(__file__).parents[1] / "web"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_ASSETS: Final = "assets/"
_MEDIA: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_PACKED: Final = frozenset({".css", ".html", ".js", ".svg"})
_NOT_BUILT: Final = """\
控制台尚未构建。请在代码目录执行 pip install -e . ，它会构建控制台；接口不受影响，见 /api/v1 。

The console has not been built. Run `pip install -e .` in the checkout, which builds it; the API at /api/v1 works all
the same.
"""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the build; `packed` is its content in gzip, where that is worth it."""

    content: bytes
    packed: bytes | None
    media: str
    etag: str


def read_files(folder: Path) -> dict[str, File]:
    """The files of a build by their path in it: the page and its assets, empty when there is no page."""
    if not (folder / "index.html").is_file():
        return {}
    assets = (path for path in (folder / _ASSETS).glob("*") if path.suffix in _MEDIA and path.is_file())
    return {path.relative_to(folder).as_posix(): _read(path) for path in (folder / "index.html", *assets)}


def _read(path: Path) -> File:
    content = path.read_bytes()
    packed = gzip.compress(content, 9, mtime=0) if path.suffix in _PACKED else None
    return File(content, packed, _MEDIA[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')


class _Build:
    """The files in memory, read with the first request; read again while there are none, so a late build is found."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, File] = {}

    def files(self) -> dict[str, File]:
        if not self._files:
            self._files = read_files(self._folder)
        return self._files


_build: Final = _Build(WEB)


@router.get("/")
def open_console() -> Response:
    """Lead to the console."""
    return RedirectResponse("/console/", 307)


@router.get("/console/{path:path}")
def show_console(request: Request, path: AskedText) -> Response:
    """An asset, or the page, which knows its own addresses."""
    files = _build.files()
    if path.startswith(_ASSETS):
        if path not in files:
            raise Problem("not-found")
        return _send(request, files[path], "public, max-age=31536000, immutable")
    if not files:
        return PlainTextResponse(_NOT_BUILT, 503)
    return _send(request, files["index.html"], "no-cache")


def _send(request: Request, file: File, caching: str) -> Response:
    headers = {
        "Cache-Control": caching,
        "Content-Security-Policy": POLICY,
        "ETag": file.etag,
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match", "").removeprefix("W/") == file.etag:
        return Response(status_code=304, headers=headers)
    if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, media_type=file.media, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.content, media_type=file.media, headers=headers)
