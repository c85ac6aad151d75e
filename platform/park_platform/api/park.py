"""The park: its plan, enterprises and assets; and the devices that are read in it."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field
from starlette.requests import Request

from park_platform.api.answers import (
    DEFAULT_ROWS,
    Answer,
    Both,
    Cursor,
    Limit,
    Reference,
    Time,
    answer,
    iso,
    read_cursor,
    write_cursor,
)
from park_platform.api.door import SignedIn
from park_platform.storage.latest import read_latest
from park_platform.storage.park_view import DeviceRow, assets, devices, enterprise_names, park_row, zones
from park_sdk.frame import NEVER, Image

router = APIRouter(tags=["park"])

_PLACE = [107.5, 39.1]


class ZoneAnswer(Reference):
    """A zone; `outline` holds the [longitude, latitude] of its corners (WGS-84) and is empty when nobody drew it."""

    outline: list[tuple[float, float]] = Field(examples=[[_PLACE]])


class AssetOfParkAnswer(Reference):
    """An asset: keys of its zone, its owner (null: the park) and the asset upstream of it; `at` is where it stands."""

    kind: str = Field(examples=["sphere-tank"])
    zone: str | None
    enterprise: str | None
    at: tuple[float, float] | None = Field(examples=[_PLACE])
    fed_from: str | None


class ParkAnswer(Answer):
    """The park, cut to what the reader may see. `id` is null before park.toml was applied."""

    id: str | None = Field(examples=["sample"])
    name: Both
    time_zone: str = Field(examples=["Asia/Shanghai"])
    zones: list[ZoneAnswer]
    enterprises: list[Reference]
    assets: list[AssetOfParkAnswer]


class DeviceAnswer(Answer):
    """A device that a gateway reads. `asset` null: no asset of park.toml names it. `points`: how many are read.

    `heard_at` is the time of its newest reading.
    """

    gateway: str = Field(examples=["gw-1"])
    device: str = Field(examples=["meter-7"])
    asset: str | None
    points: int
    heard_at: Time | None


class DevicesAnswer(Answer):
    """Some devices; `next`, sent as `cursor`, asks for those that follow, null when there are none."""

    devices: list[DeviceAnswer]
    next: str | None


@router.get("/api/v1/park", response_model=ParkAnswer)
def show_park(request: Request, visit: SignedIn) -> Response:
    """Zones, enterprises and assets of the park 园区."""
    scope = visit.caller.scope
    with visit.read() as connection:
        park = park_row(connection)
        body = ParkAnswer(
            id=park.id,
            name=Both.model_validate(park.name),
            time_zone=park.time_zone,
            zones=[ZoneAnswer.model_validate(row) for row in zones(connection, scope)],
            enterprises=[
                Reference(key=key, name=Both.model_validate(name))
                for key, name in enterprise_names(connection, scope).items()
            ],
            assets=[AssetOfParkAnswer.model_validate(row) for row in assets(connection, scope)],
        )
    return answer(request, body)


@router.get("/api/v1/devices", response_model=DevicesAnswer)
def list_devices(
    request: Request,
    visit: SignedIn,
    assigned: Annotated[bool | None, Query(description="false: those that no asset names 仅未分配")] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_ROWS,
) -> Response:
    """Devices of the gateways, by gateway and id 设备列表."""
    parts = read_cursor(cursor, "text", "text")
    with visit.read() as connection:
        rows = devices(connection, assigned=assigned, after=(parts[0], parts[1]) if parts else ("", ""), limit=limit)
        ids = np.array([point for row in rows for point in row.points], np.int32)
        image = read_latest(connection, ids).image
    following = write_cursor(rows[-1].gateway, rows[-1].device) if len(rows) == limit else None
    return answer(request, DevicesAnswer(devices=[_device(row, image) for row in rows], next=following))


def _device(row: DeviceRow, image: Image) -> DeviceAnswer:
    times = image.time[image.slots(np.array(row.points, np.int32))]
    newest = int(times.max(initial=NEVER))
    return DeviceAnswer(
        gateway=row.gateway,
        device=row.device,
        asset=row.asset,
        points=len(row.points),
        heard_at=None if newest == NEVER else iso(newest),
    )
