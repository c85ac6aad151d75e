"""openapi.json, from which the console's types are made, is what the routes say."""

from park_platform.api.describe import description_text
from support.source_scan import ROOT

KEPT = ROOT / "platform/console/openapi.json"


def test_the_kept_description_is_the_api_s() -> None:
    command = "python -m park_platform.api.describe > platform/console/openapi.json"
    assert KEPT.read_text("utf-8") == description_text(), f"the routes have changed; run: {command}"
