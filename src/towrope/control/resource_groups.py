"""`Microsoft.Resources/resourceGroups`. Deleting one deletes what is in it."""

import re
from dataclasses import replace
from functools import partial
from http import HTTPStatus

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import fields, locations, resource_filter
from towrope.control.arm_error import ArmError, group_not_found, invalid_name
from towrope.control.authority import allowed, listed, visible
from towrope.control.filling import filled
from towrope.control.json_body import answer, decode
from towrope.control.operation import PAGED, Page, operation
from towrope.control.paging import page, position, size
from towrope.control.resource_filter import Facts
from towrope.control.roles.scope import Scope
from towrope.control.routing import GROUP, SUBSCRIPTION, arm_route
from towrope.control.services import Services
from towrope.control.store import clusters, hybrid_connections, role_assignments
from towrope.control.store import resource_groups as store
from towrope.control.store.resource_groups import ResourceGroup
from towrope.wire.errors import foreign

PROVIDER = "Microsoft.Resources/subscriptions/resourceGroups"
NAME = re.compile(r"[\w.()-]{0,89}[\w()-]")


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    location: str = ""
    tags: fields.Tags | None = None


class _Patch(msgspec.Struct, frozen=True, kw_only=True):
    tags: fields.Tags | None = None


class _Properties(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    provisioning_state: str = "Succeeded"


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    location: str
    tags: dict[str, str]
    type: str = locations.GROUP_TYPE
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
                get=listed(f"{PROVIDER}/read", self._list),
            ),
            arm_route(
                self._settings,
                GROUP,
                put=allowed(f"{PROVIDER}/write", self._put),
                get=allowed(f"{PROVIDER}/read", self._show),
                head=allowed(f"{PROVIDER}/read", self._exists),
                patch=allowed(f"{PROVIDER}/write", self._patch),
                delete=allowed(f"{PROVIDER}/delete", self._delete),
            ),
        ]

    def _id(self, name: str) -> str:
        return f"/subscriptions/{self._settings.subscription}/resourceGroups/{name}"

    def _shape(self, group: ResourceGroup) -> _Shape:
        return _Shape(
            id=self._id(group.name),
            name=group.name,
            location=group.location,
            tags=group.tags,
        )

    @operation(_Body, {HTTPStatus.OK: _Shape, HTTPStatus.CREATED: _Shape})
    async def _put(self, request: Request) -> Response:
        name = _valid_name(request.path_params["group"])
        body = await decode(request, _Body)
        wanted = ResourceGroup(
            name=name, location=fields.location(body.location), tags=body.tags or {}
        )
        async with self._services.database.writing() as connection:
            there = await store.find(connection, name)
            if there is None:
                locations.check(self._settings, wanted.location, resource_type=locations.GROUP_TYPE)
                await store.add(connection, wanted)
                return answer(self._shape(wanted), status=HTTPStatus.CREATED)
            if there.location != wanted.location:
                raise _other_location(there)
            await store.set_tags(connection, name, wanted.tags)
        return answer(self._shape(replace(there, tags=wanted.tags)))

    @operation(_Patch, {HTTPStatus.OK: _Shape})
    async def _patch(self, request: Request) -> Response:
        name = request.path_params["group"]
        body = await decode(request, _Patch)
        async with self._services.database.writing() as connection:
            there = await store.find(connection, name)
            if there is None:
                raise group_not_found(foreign(name))
            changed = there if body.tags is None else replace(there, tags=body.tags)
            await store.set_tags(connection, name, changed.tags)
        return answer(self._shape(changed))

    @operation(None, {HTTPStatus.OK: _Shape})
    async def _show(self, request: Request) -> Response:
        name = request.path_params["group"]
        async with self._services.database.reading() as connection:
            group = await store.find(connection, name)
        if group is None:
            raise group_not_found(foreign(name))
        return answer(self._shape(group))

    @operation(None, {HTTPStatus.NO_CONTENT: None})
    async def _exists(self, request: Request) -> Response:
        async with self._services.database.reading() as connection:
            group = await store.find(connection, request.path_params["group"])
        return Response(
            status_code=HTTPStatus.NO_CONTENT if group is not None else HTTPStatus.NOT_FOUND
        )

    @operation(None, {HTTPStatus.OK: Page[_Shape]}, query=(*PAGED, "$top", "$filter"))
    async def _list(self, request: Request) -> Response:
        after = position(request, keys=1)
        is_readable = visible(request, f"{PROVIDER}/read")
        is_chosen = resource_filter.asked(request)
        async with self._services.database.reading() as connection:
            found = await filled(
                partial(store.page, connection),
                after=after[0] if after else None,
                size=size(request, self._settings.page_size),
                key=lambda group: group.name.lower(),
                is_visible=lambda group: (
                    is_chosen(_facts(group)) and is_readable(self._id(group.name))
                ),
            )
        shapes = [self._shape(group) for group in found.shown]
        last = [found.last] if found.last is not None else None
        return page(request, self._settings.url, shapes, last=last)

    @operation(None, {HTTPStatus.OK: None})
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
            await role_assignments.remove_below(connection, Scope(path=self._id(name)))
        for path in paths:
            self._services.removed(path)
        return Response(status_code=HTTPStatus.OK)


async def check_group(connection: AsyncConnection, request: Request) -> None:
    """That the resource group of a list is there. Raises `ArmError` (404), but not to those who may
    not know: to them, a list in it is empty either way."""
    name, path = request.path_params["group"], request.scope["path"]
    if visible(request, f"{PROVIDER}/read")(path) and await store.find(connection, name) is None:
        raise group_not_found(foreign(name))


def _facts(group: ResourceGroup) -> Facts:
    return Facts(
        name=group.name,
        resource_type=locations.GROUP_TYPE,
        resource_group=group.name,
        location=group.location,
        tags=group.tags,
    )


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
