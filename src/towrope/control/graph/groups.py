"""`/groups`: security groups. Their members are in `members`."""

import uuid
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.authority import allowed
from towrope.control.graph import listing, names, references
from towrope.control.graph.answers import FILTERED, SELECTED, entities, entity
from towrope.control.graph.errors import bad_request, conflicts_as, not_found, refused
from towrope.control.graph.losing import losing
from towrope.control.graph.objects import GroupShape, Kind, Shape, of_group, shown
from towrope.control.graph.routes import graph_route
from towrope.control.json_body import answer, decode
from towrope.control.operation import operation
from towrope.control.services import Services
from towrope.control.store import groups as store
from towrope.control.store.groups import ADMINISTRATORS, Group

PROVIDER = "Towrope.Directory/groups"
FILTERS = {"id": "object_id", "displayname": "key", "mailnickname": "mail_nickname"}
PATHS = ("/groups/{id}", "/groups('{id}')")


class _New(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    display_name: str
    mail_nickname: str
    mail_enabled: bool
    security_enabled: bool
    description: str | None = None
    group_types: tuple[str, ...] = ()
    members: tuple[str, ...] = msgspec.field(default=(), name="members@odata.bind")


class _Changed(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    display_name: str | UnsetType = UNSET
    mail_nickname: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET


async def find(connection: AsyncConnection, name: str) -> Group:
    """By object id. Raises `ArmError` (404)."""
    found = await store.find(connection, names.object_id(name))
    if found is None:
        raise not_found(name)
    return found


class Groups:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        read, write = f"{PROVIDER}/read", f"{PROVIDER}/write"
        return [
            graph_route(
                "/groups", get=allowed(read, self._list), post=allowed(write, self._create)
            ),
            *(
                graph_route(
                    path,
                    get=allowed(read, self._show),
                    patch=allowed(write, self._change),
                    delete=allowed(f"{PROVIDER}/delete", self._delete),
                )
                for path in PATHS
            ),
        ]

    @operation(None, {HTTPStatus.OK: entities(GroupShape)}, query=FILTERED)
    async def _list(self, request: Request) -> Response:
        options = listing.options(
            request, kind=Kind.GROUP, size=self._settings.page_size, keys=2, columns=FILTERS
        )
        async with self._services.database.reading() as connection:
            found = await store.page(
                connection, after=options.after, limit=options.size + 1, matches=options.matches
            )
            count = await store.count(connection, options.matches) if options.wants_count else None
        here = found[: options.size]
        last = [here[-1].display_name, here[-1].object_id] if len(found) > options.size else None
        return listing.page(
            request,
            self._settings.url,
            [shown(of_group(group), Kind.GROUP, options.select) for group in here],
            context="groups",
            last=last,
            count=count,
        )

    @operation(None, {HTTPStatus.OK: entity(GroupShape)}, query=SELECTED)
    async def _show(self, request: Request) -> Response:
        select = listing.select_alone(request, Kind.GROUP)
        async with self._services.database.reading() as connection:
            group = await find(connection, request.path_params["id"])
        return answer(self._entity(group, select))

    def _entity(self, group: Group, select: tuple[str, ...] = ()) -> Shape:
        context = f"{self._settings.url}/v1.0/$metadata#groups/$entity"
        return {"@odata.context": context, **shown(of_group(group), Kind.GROUP, select)}

    @operation(_New, {HTTPStatus.CREATED: entity(GroupShape)})
    async def _create(self, request: Request) -> Response:
        body = await decode(request, _New)
        group = Group(
            object_id=str(uuid.uuid4()),
            display_name=names.display_name(body.display_name),
            description=_description(body.description),
            mail_nickname=names.mail_nickname(body.mail_nickname),
            created=int(self._services.clock()),
        )
        _check_kind(body)
        wanted = references.parse_all(body.members)
        with conflicts_as(not_found("members@odata.bind")):
            async with self._services.database.writing() as connection:
                await store.add(connection, group)
                for member in await references.members(connection, wanted):
                    await store.add_member(connection, group.object_id, member)
        location = {"location": f"{self._settings.url}/v1.0/groups/{group.object_id}"}
        return answer(self._entity(group), status=HTTPStatus.CREATED, headers=location)

    @operation(_Changed, {HTTPStatus.NO_CONTENT: None})
    async def _change(self, request: Request) -> Response:
        values = _values(await decode(request, _Changed))
        async with self._services.database.writing() as connection:
            group = await find(connection, request.path_params["id"])
            if values:
                await store.change(connection, group.object_id, **values)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @operation(None, {HTTPStatus.NO_CONTENT: None})
    async def _delete(self, request: Request) -> Response:
        if names.object_id(request.path_params["id"]) == ADMINISTRATORS:
            raise refused("The group of administrators cannot be deleted.")
        async with losing(self._services) as connection:
            group = await find(connection, request.path_params["id"])
            await store.remove(connection, group.object_id)
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _check_kind(body: _New) -> None:
    if body.mail_enabled or not body.security_enabled or body.group_types:
        raise bad_request(
            "Every group here is a security group: mailEnabled must be false, securityEnabled true,"
            " and groupTypes empty."
        )


def _values(body: _Changed) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if body.display_name is not UNSET:
        values["display_name"] = names.display_name(body.display_name)
    if body.mail_nickname is not UNSET:
        values["mail_nickname"] = names.mail_nickname(body.mail_nickname)
    if body.description is not UNSET:
        values["description"] = _description(body.description)
    return values


def _description(given: str | None) -> str | None:
    return None if given is None else names.description(given)
