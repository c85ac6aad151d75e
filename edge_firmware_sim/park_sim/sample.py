"""Where the sample site lies: in a checkout, or in the installed package."""

from pathlib import Path

from park_wire.errors import ConfigError, Fault


def sample_site() -> Path:
    """The folder of the sample site: `gateway.toml` (a SITE.toml) and `park.toml`. Raises ConfigError without it."""
    here = Path(__file__).resolve()
    in_checkout = here.parents[2] / "deploy" / "sites" / "sample"
    in_package = here.parent / "sample"
    for folder in (in_checkout, in_package):
        if (folder / "gateway.toml").is_file():
            return folder
    remedy = "install the package again; the sample site is part of it"
    raise ConfigError([Fault(str(in_package), "gateway.toml", "the sample site is not there", remedy)])
