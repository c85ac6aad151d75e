"""How `park top` signs in and asks: the public API, like anybody else, with the standard library.

Where the session comes from, in this order: PARK_SESSION (a session cookie's value), a one-time link, the session that
a former `park top` kept in the data folder, the one-time token that `park up` left there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from park_platform.access.origin import Origin
from park_platform.files import write_private
from park_wire.errors import ConfigError, Fault, ServiceError

TOKEN_FILE: Final = "top.token"  # noqa: S105 - the file's name
SESSION_FILE: Final = "top.session"
_WAIT_S: Final = 5.0
_LARGEST_ANSWER: Final = 8 << 20


class SignInNeeded(ConfigError):
    """The API does not know this session or link (any more)."""


@dataclass(frozen=True, slots=True)
class Api:
    """A session at one API."""

    origin: Origin
    session: str = field(repr=False)

    def get(self, path: str, **parameters: str | int) -> dict[str, Any]:
        """The answer of a GET. Raises SignInNeeded, or ServiceError when the API does not answer as it should."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        answer, _ = _ask(
            self.origin, "GET", f"/api/v1/{path}{query}", {"Cookie": f"{self.origin.cookie}={self.session}"}
        )
        return answer


def sign_in(origin: Origin, token: str) -> Api:
    """Use a one-time token up. Raises SignInNeeded when it does not hold, ServiceError when the API does not answer."""
    _, cookies = _ask(origin, "POST", "/api/v1/session", {"Content-Type": "application/json"}, {"token": token})
    for cookie in cookies:
        name, _, value = cookie.partition(";")[0].partition("=")
        if name == origin.cookie:
            return Api(origin, value)
    raise ServiceError(f"{origin.url} signed us in without a session; it is not a Parkhub API")


def read_link(link: str) -> tuple[Origin, str]:
    """Address and token of `https://host/signin/TOKEN`. Raises ConfigError."""
    parts = urlsplit(link)
    folder, _, token = parts.path.rpartition("/")
    if folder != "/signin" or not token:
        remedy = "paste the whole link: https://host/signin/…"
        raise ConfigError([Fault("park top", "--link", "this is not a sign-in link", remedy)])
    return Origin.parse(f"{parts.scheme}://{parts.netloc}"), token


def open_api(folder: Path, link: str | None, environment: Mapping[str, str]) -> Api:
    """A session, from wherever there is one. Raises ConfigError with the remedy, or ServiceError."""
    if session := environment.get("PARK_SESSION"):
        base_url = environment.get("PARK_BASE_URL")
        if not base_url:
            remedy = "set it to the address of the API, http://127.0.0.1:8000 for example"
            raise ConfigError([Fault("environment", "PARK_BASE_URL", "is not set, but PARK_SESSION is", remedy)])
        return Api(Origin.parse(base_url), session)
    if link is not None:
        return _keep(folder, sign_in(*read_link(link)))
    if (kept := _read(folder / SESSION_FILE)) is not None:
        api = Api(*kept)
        try:
            api.get("session")
        except SignInNeeded:
            (folder / SESSION_FILE).unlink(missing_ok=True)
        else:
            return api
    if (left := _read(folder / TOKEN_FILE)) is not None:
        return _keep(folder, sign_in(*left))
    remedy = "start `park up`, or name its folder with --data, or give a link of `park user link NAME` with --link"
    raise ConfigError([Fault("park top", str(folder), f"there is no {TOKEN_FILE} to sign in with", remedy)])


def _keep(folder: Path, api: Api) -> Api:
    if folder.is_dir():
        write_private(folder / SESSION_FILE, f"{api.origin.url} {api.session}\n")
    return api


def _read(path: Path) -> tuple[Origin, str] | None:
    try:
        base_url, secret = path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        remedy = "remove it and start `park up` again"
        raise ConfigError([Fault("park top", str(path), f"it can't be read ({error})", remedy)]) from error
    return Origin.parse(base_url), secret


def _ask(
    origin: Origin, method: str, path: str, headers: Mapping[str, str], body: object = None
) -> tuple[dict[str, Any], list[str]]:
    data = None if body is None else json.dumps(body).encode()
    request = Request(  # noqa: S310 - Origin.parse let only http and https pass
        origin.url + path, data=data, method=method, headers={"Accept-Language": "en", **headers}
    )
    try:
        with urlopen(request, timeout=_WAIT_S) as answer:  # noqa: S310 - as above
            return json.loads(answer.read(_LARGEST_ANSWER)), answer.headers.get_all("Set-Cookie") or []
    except HTTPError as error:
        with error:
            if error.code == 401:
                remedy = "get a new link with `park user link NAME`, or start `park up` again"
                raise SignInNeeded([Fault("park top", origin.url, "the session or link has ended", remedy)]) from error
            raise ServiceError(f"{origin.url}{path} answers {error.code}: {_detail(error)}") from error
    except (URLError, OSError, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise ServiceError(f"the API at {origin.url} does not answer: {reason}; is `park serve` running?") from error


def _detail(error: HTTPError) -> str:
    try:
        return str(json.loads(error.read(65_536)).get("detail", error.reason))
    except (ValueError, OSError, AttributeError):
        return str(error.reason)
