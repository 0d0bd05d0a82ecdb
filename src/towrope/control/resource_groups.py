"""`Microsoft.Resources/resourceGroups`. Deleting one deletes what is in it."""

import re
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import fields
from towrope.control.arm_error import ArmError, group_not_found, invalid_name
from towrope.control.authority import allowed
from towrope.control.json_body import answer, decode
from towrope.control.paging import page, position
from towrope.control.routing import GROUP, SUBSCRIPTION, arm_route
from towrope.control.services import Services
from towrope.control.store import clusters, hybrid_connections
from towrope.control.store import resource_groups as store
from towrope.control.store.resource_groups import ResourceGroup
from towrope.wire.errors import foreign

PROVIDER = "Microsoft.Resources/subscriptions/resourceGroups"
NAME = re.compile(r"[\w.()-]{0,89}[\w()-]")


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    location: str = ""
    tags: fields.Tags | None = None


class _Properties(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    provisioning_state: str = "Succeeded"


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    location: str
    tags: dict[str, str]
    type: str = "Microsoft.Resources/resourceGroups"
    properties: _Properties = _Properties()


class ResourceGroups:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        return [
            arm_route(
                self._settings,
                SUBSCRIPTION + "/resourceGroups",
                get=allowed(f"{PROVIDER}/read", self._list),
            ),
            arm_route(
                self._settings,
                GROUP,
                put=allowed(f"{PROVIDER}/write", self._put),
                get=allowed(f"{PROVIDER}/read", self._show),
                head=allowed(f"{PROVIDER}/read", self._exists),
                delete=allowed(f"{PROVIDER}/delete", self._delete),
            ),
        ]

    def _shape(self, group: ResourceGroup) -> _Shape:
        return _Shape(
            id=f"/subscriptions/{self._settings.subscription}/resourceGroups/{group.name}",
            name=group.name,
            location=group.location,
            tags=group.tags,
        )

    async def _put(self, request: Request) -> Response:
        name = _valid_name(request.path_params["group"])
        body = await decode(request, _Body)
        wanted = ResourceGroup(
            name=name, location=fields.location(body.location), tags=body.tags or {}
        )
        async with self._services.database.writing() as connection:
            there = await store.find(connection, name)
            if there is None:
                await store.add(connection, wanted)
                return answer(self._shape(wanted), status=HTTPStatus.CREATED)
            if there.location != wanted.location:
                raise _other_location(there)
            await store.set_tags(connection, name, wanted.tags)
        changed = ResourceGroup(name=there.name, location=there.location, tags=wanted.tags)
        return answer(self._shape(changed))

    async def _show(self, request: Request) -> Response:
        name = request.path_params["group"]
        async with self._services.database.reading() as connection:
            group = await store.find(connection, name)
        if group is None:
            raise group_not_found(foreign(name))
        return answer(self._shape(group))

    async def _exists(self, request: Request) -> Response:
        async with self._services.database.reading() as connection:
            group = await store.find(connection, request.path_params["group"])
        return Response(
            status_code=HTTPStatus.NO_CONTENT if group is not None else HTTPStatus.NOT_FOUND
        )

    async def _list(self, request: Request) -> Response:
        after = position(request, keys=1)
        size = self._settings.page_size
        async with self._services.database.reading() as connection:
            found = await store.page(connection, after=after[0] if after else None, limit=size + 1)
        shown = found[:size]
        last = [shown[-1].name.lower()] if len(found) > size else None
        return page(request, self._settings.url, [self._shape(g) for g in shown], last=last)

    async def _delete(self, request: Request) -> Response:
        name = request.path_params["group"]
        async with self._services.database.writing() as connection:
            if await store.find(connection, name) is None:
                raise group_not_found(foreign(name))
            paths = [
                *await clusters.paths_in(connection, name),
                *await hybrid_connections.paths_in(connection, name),
            ]
            await store.remove(connection, name)
        for path in paths:
            self._services.removed(path)
        return Response(status_code=HTTPStatus.OK)


def _valid_name(name: str) -> str:
    if not NAME.fullmatch(name):
        rule = "1 to 90 letters, digits, '-', '_', '.', '(' and ')', and no '.' at its end"
        raise invalid_name(foreign(name), rule)
    return name


def _other_location(there: ResourceGroup) -> ArmError:
    return ArmError(
        HTTPStatus.CONFLICT,
        "InvalidResourceGroupLocation",
        f"The resource group '{there.name}' exists in location '{there.location}'; it cannot move.",
    )
