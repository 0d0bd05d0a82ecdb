"""In which groups somebody is: `memberOf`, `getMemberGroups`, `checkMemberGroups` and their like.

All of them know nested groups, but for `memberOf`. Every group is a security group, and there are
no directory roles, so that "groups" and "objects" are the same.
"""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.authority import OWN_ACCOUNT, Handler, allowed
from towrope.control.graph import groups, listing, names, references, users
from towrope.control.graph.answers import LISTED, Ids, TypedObjects
from towrope.control.graph.errors import bad_request, not_found, too_many
from towrope.control.graph.faces import PRINCIPALS
from towrope.control.graph.me import local_user_of
from towrope.control.graph.objects import Kind, of_group, typed
from towrope.control.graph.routes import graph_route
from towrope.control.json_body import answer, decode
from towrope.control.operation import operation
from towrope.control.services import Services
from towrope.control.store import groups as store

OBJECTS = "Towrope.Directory/directoryObjects"
RESULT_LIMIT = 11_000
"""Ids; as in Graph."""
CHECK_LIMIT = 20

Named = Callable[[AsyncConnection, Request], Awaitable[str]]
"""The object id that a path names. Raises `ArmError` (404)."""


class _Get(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    security_enabled_only: bool = False


class _CheckGroups(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ids: tuple[str, ...] = msgspec.field(name="groupIds")


class _CheckObjects(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ids: tuple[str, ...]


class Memberships:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        routes = self._routes("/me", _caller, f"{OWN_ACCOUNT}read")
        for paths, named, provider in (
            (users.PATHS, _user, users.PROVIDER),
            (groups.PATHS, _group, groups.PROVIDER),
            (PRINCIPALS.paths, _service_principal, PRINCIPALS.provider),
            (("/directoryObjects/{id}",), _any, OBJECTS),
        ):
            for path in paths:
                routes += self._routes(path, named, f"{provider}/read")
        return routes

    def _routes(self, path: str, named: Named, action: str) -> list[Route]:
        posts = {
            "getMemberGroups": self._get(named),
            "getMemberObjects": self._get(named),
            "checkMemberGroups": self._check(named, _CheckGroups),
            "checkMemberObjects": self._check(named, _CheckObjects),
        }
        gets = {
            "memberOf": self._list(named, is_transitive=False),
            "transitiveMemberOf": self._list(named, is_transitive=True),
        }
        return [
            *(graph_route(f"{path}/{name}", get=allowed(action, h)) for name, h in gets.items()),
            *(graph_route(f"{path}/{name}", post=allowed(action, h)) for name, h in posts.items()),
        ]

    def _get(self, named: Named) -> Handler:
        @operation(_Get, {HTTPStatus.OK: Ids})
        async def handle(request: Request) -> Response:
            await decode(request, _Get)
            async with self._services.database.reading() as connection:
                object_id = await named(connection, request)
                found = await store.groups_of(connection, object_id)
            if len(found) > RESULT_LIMIT:
                raise too_many("groups", RESULT_LIMIT)
            return self._ids(sorted(found))

        return handle

    def _check(self, named: Named, shape: type[_CheckGroups | _CheckObjects]) -> Handler:
        @operation(shape, {HTTPStatus.OK: Ids})
        async def handle(request: Request) -> Response:
            wanted = _guids((await decode(request, shape)).ids)
            async with self._services.database.reading() as connection:
                object_id = await named(connection, request)
                found = await store.groups_among(connection, object_id, wanted)
            return self._ids([each for each in wanted if each in found])

        return handle

    def _list(self, named: Named, *, is_transitive: bool) -> Handler:
        @operation(None, {HTTPStatus.OK: TypedObjects}, query=LISTED)
        async def handle(request: Request) -> Response:
            options = listing.options(
                request, kind=Kind.GROUP, size=self._settings.page_size, columns=None
            )
            async with self._services.database.reading() as connection:
                found = await store.page_of_member(
                    connection,
                    await named(connection, request),
                    is_transitive=is_transitive,
                    after=options.after[0] if options.after else None,
                    limit=options.size + 1,
                )
            here = found[: options.size]
            return listing.page(
                request,
                self._settings.url,
                [typed(of_group(group), Kind.GROUP, options.select) for group in here],
                context="directoryObjects",
                last=[here[-1].object_id] if len(found) > options.size else None,
            )

        return handle

    def _ids(self, ids: Sequence[str]) -> Response:
        context = f"{self._settings.url}/v1.0/$metadata#Collection(Edm.String)"
        return answer({"@odata.context": context, "value": ids})


async def _caller(_: AsyncConnection, request: Request) -> str:
    return local_user_of(request).object_id


async def _user(connection: AsyncConnection, request: Request) -> str:
    return (await users.find(connection, request.path_params["id"])).object_id


async def _group(connection: AsyncConnection, request: Request) -> str:
    return (await groups.find(connection, request.path_params["id"])).object_id


async def _service_principal(connection: AsyncConnection, request: Request) -> str:
    return (await PRINCIPALS.find(connection, request)).object_id


async def _any(connection: AsyncConnection, request: Request) -> str:
    object_id = names.object_id(request.path_params["id"])
    if not await references.load(connection, [object_id]):
        raise not_found(object_id)
    return object_id


def _guids(given: Sequence[str]) -> Sequence[str]:
    """In lower case, each once. Raises `ArmError` (400)."""
    if not 1 <= len(given) <= CHECK_LIMIT:
        raise bad_request(f"1 to {CHECK_LIMIT} ids can be checked at once.")
    found = [names.as_guid(each) for each in given]
    if None in found:
        raise bad_request("Invalid GUID among the ids to check.")
    return list(dict.fromkeys(each for each in found if each))
