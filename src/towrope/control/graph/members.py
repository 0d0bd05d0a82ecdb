"""`/groups/{id}/members`: who is in a group. Users, service principals, and other groups."""

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.authority import allowed
from towrope.control.graph import groups, listing, names, references
from towrope.control.graph.answers import TypedObjects
from towrope.control.graph.errors import already_referenced, bad_request, conflicts_as, not_found
from towrope.control.graph.losing import losing
from towrope.control.graph.objects import Kind, typed
from towrope.control.graph.routes import graph_route
from towrope.control.json_body import decode
from towrope.control.operation import operation
from towrope.control.services import Services
from towrope.control.store import groups as store

PROVIDER = f"{groups.PROVIDER}/members"


class _Reference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str = msgspec.field(name="@odata.id")


class Members:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        add = allowed(f"{PROVIDER}/write", self._add)
        remove = allowed(f"{PROVIDER}/delete", self._remove)
        read = allowed(f"{PROVIDER}/read", self._list)
        routes: list[Route] = []
        for path in groups.PATHS:
            routes += [
                graph_route(f"{path}/members", get=read),
                graph_route(f"{path}/members/$ref", post=add),
                graph_route(f"{path}/members/{{member}}/$ref", delete=remove),
            ]
        return routes

    @operation(None, {HTTPStatus.OK: TypedObjects}, query=("$top", "$skipToken"))
    async def _list(self, request: Request) -> Response:
        options = listing.options(
            request, kind=Kind.GROUP, size=self._settings.page_size, columns=None
        )
        if options.select or options.wants_count:
            raise bad_request("The query options '$select' and '$count' are not supported here.")
        async with self._services.database.reading() as connection:
            group = await groups.find(connection, request.path_params["id"])
            found = await store.members_of(
                connection,
                group.object_id,
                after=options.after[0] if options.after else None,
                limit=options.size + 1,
            )
            here = [member.object_id for member in found[: options.size]]
            loaded = await references.load(connection, here, tenant=self._settings.tenant)
        value = [typed(shape, kind) for kind, shape in (loaded[o] for o in here if o in loaded)]
        last = [here[-1]] if len(found) > options.size else None
        context = "directoryObjects"
        return listing.page(request, self._settings.url, value, context=context, last=last)

    @operation(_Reference, {HTTPStatus.NO_CONTENT: None})
    async def _add(self, request: Request) -> Response:
        member_id = references.parse((await decode(request, _Reference)).url)
        with conflicts_as(already_referenced()):
            async with self._services.database.writing() as connection:
                group = await groups.find(connection, request.path_params["id"])
                [member] = await references.members(connection, [member_id])
                if member.object_id == group.object_id:
                    raise bad_request("A group cannot be a member of itself.")
                await store.add_member(connection, group.object_id, member)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @operation(None, {HTTPStatus.NO_CONTENT: None})
    async def _remove(self, request: Request) -> Response:
        member_id = names.object_id(request.path_params["member"])
        async with losing(self._services) as connection:
            group = await groups.find(connection, request.path_params["id"])
            if not await store.remove_member(connection, group.object_id, member_id):
                raise not_found(member_id)
        return Response(status_code=HTTPStatus.NO_CONTENT)
