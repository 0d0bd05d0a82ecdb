"""`Microsoft.ExtendedLocation/customLocations`: there are none on this server.

Clients that look for them find an empty list; who would make one is told why not.
"""

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.arm_error import ArmError, group_not_found, resource_not_found
from towrope.control.authority import allowed, listed
from towrope.control.operation import Page, operation
from towrope.control.paging import whole
from towrope.control.resource_groups import check_group
from towrope.control.routing import GROUP, SUBSCRIPTION, arm_route
from towrope.control.services import Services
from towrope.control.store import resource_groups
from towrope.wire.errors import foreign

TYPE = "Microsoft.ExtendedLocation/customLocations"
COLLECTION = f"/providers/{TYPE}"
CUSTOM_LOCATION = f"{GROUP}{COLLECTION}/{{name}}"


class ExtendedLocations:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        return [
            arm_route(
                self._settings, SUBSCRIPTION + COLLECTION, get=listed(f"{TYPE}/read", self._list)
            ),
            arm_route(self._settings, GROUP + COLLECTION, get=listed(f"{TYPE}/read", self._list)),
            arm_route(
                self._settings,
                CUSTOM_LOCATION,
                put=allowed(f"{TYPE}/write", self._put),
                get=allowed(f"{TYPE}/read", self._show),
                patch=allowed(f"{TYPE}/write", self._show),
                delete=allowed(f"{TYPE}/delete", self._delete),
            ),
        ]

    @operation(None, {HTTPStatus.OK: Page[Any]})
    async def _list(self, request: Request) -> Response:
        if "group" in request.path_params:
            async with self._services.database.reading() as connection:
                await check_group(connection, request)
        return whole([])

    @operation(None, {})
    async def _show(self, request: Request) -> Response:
        await self._check_group(request)
        group, name = request.path_params["group"], request.path_params["name"]
        raise resource_not_found(TYPE, foreign(name), foreign(group))

    @operation(None, {})
    async def _put(self, request: Request) -> Response:
        await self._check_group(request)
        raise ArmError(
            HTTPStatus.CONFLICT,
            "CustomLocationsNotAvailable",
            "This server has no custom locations yet. Address the connected cluster itself, and"
            " assign roles at it or at one of its namespaces.",
        )

    @operation(None, {HTTPStatus.NO_CONTENT: None})
    async def _delete(self, request: Request) -> Response:
        await self._check_group(request)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _check_group(self, request: Request) -> None:
        group = request.path_params["group"]
        async with self._services.database.reading() as connection:
            if await resource_groups.find(connection, group) is None:
                raise group_not_found(foreign(group))
