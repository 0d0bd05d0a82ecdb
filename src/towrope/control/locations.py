"""The locations of a server: where resources may be made, and by which relay nodes.

Only what is made is checked: what is in a location that the server no longer has stays usable.
"""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.arm_error import ArmError
from towrope.control.operation import Page, operation
from towrope.control.paging import whole
from towrope.control.routing import SUBSCRIPTION, arm_route
from towrope.control.settings import Location, Settings
from towrope.control.subscriptions import for_readers
from towrope.wire.errors import foreign

GROUP_TYPE = "Microsoft.Resources/resourceGroups"


class _Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    region_type: str = "Physical"
    region_category: str = "Recommended"


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    name: str
    display_name: str
    regional_display_name: str
    type: str = "Region"
    metadata: _Metadata = _Metadata()


def routes(settings: Settings) -> list[Route]:
    shown = [_shape(settings, location) for location in settings.locations]

    @operation(None, {HTTPStatus.OK: Page[_Shape]})
    async def list_all(_: Request) -> Response:
        return whole(shown)

    return [
        arm_route(
            settings,
            SUBSCRIPTION + "/locations",
            get=for_readers(settings, "Microsoft.Resources/subscriptions/locations/read", list_all),
        )
    ]


def check(settings: Settings, name: str, *, resource_type: str) -> None:
    """Raises `ArmError` where a resource of this type cannot be made in the location `name`."""
    known = [location.name for location in settings.locations]
    if name in known:
        return
    is_group = resource_type == GROUP_TYPE
    kind = "resource group" if is_group else f"resource type '{resource_type}'"
    raise ArmError(
        HTTPStatus.BAD_REQUEST,
        f"LocationNotAvailableForResource{'Group' if is_group else 'Type'}",
        f"The provided location '{name}' is not available for {kind}. List of available regions is"
        f" '{','.join(known)}'.",
    )


def hosts(settings: Settings, name: str | None) -> Sequence[str]:
    """What must be reachable from a location, or from all where `name` is None: this server, and
    the relay nodes. Raises `ArmError` where there is no such location."""
    wanted = name and name.lower().replace(" ", "")
    chosen = [each for each in settings.locations if wanted in (None, each.name)]
    if not chosen:
        raise ArmError(
            HTTPStatus.NOT_FOUND,
            "LocationNotFound",
            f"The location '{foreign(name or '')}' could not be found. The locations are"
            f" {', '.join(each.name for each in settings.locations)}.",
        )
    nodes = [node for location in chosen for node in location.relay_nodes]
    names = [node.rpartition(":")[0].strip("[]") for node in nodes]
    return list(dict.fromkeys([settings.url.host, *names]))


def _shape(settings: Settings, location: Location) -> _Shape:
    return _Shape(
        id=f"/subscriptions/{settings.subscription}/locations/{location.name}",
        name=location.name,
        display_name=location.display_name,
        regional_display_name=location.display_name,
    )
