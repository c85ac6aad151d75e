"""`python -m park_platform.api.describe > platform/console/openapi.json`: what the types of the console follow.

Nothing is opened for it: no database, no broker. tests/console/test_description.py compares the file with the routes.
"""

import json
import sys
from typing import Any

from park_platform.api.app import create_app
from park_platform.api.settings import ServeSettings


def describe() -> dict[str, Any]:
    """The OpenAPI description of every route, without what depends on an installation."""
    settings = ServeSettings.of("postgresql://127.0.0.1/park", "mqtt://127.0.0.1:1883", "http://127.0.0.1:8000")
    description = create_app(settings).openapi()
    # A release number in the file would make each release change it.
    description["info"]["version"] = "1"
    return description


def description_text() -> str:
    """The file's text."""
    return json.dumps(describe(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(description_text())
