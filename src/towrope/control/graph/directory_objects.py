"""`/directoryObjects`: an object whose kind the caller does not know, and many by their ids."""

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.authority import allowed
from towrope.control.graph import names, references
from towrope.control.graph.answers import TypedEntity, TypedObjects
from towrope.control.graph.errors import bad_request, not_found
from towrope.control.graph.memberships import OBJECTS
from towrope.control.graph.objects import Kind, typed
from towrope.control.graph.routes import graph_route
from towrope.control.json_body import answer, decode
from towrope.control.operation import operation
from towrope.control.services import Services

IDS_LIMIT = 1000
"""As in Graph."""


class _GetByIds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ids: tuple[str, ...]
    types: tuple[str, ...] | None = None


class DirectoryObjects:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        read = f"{OBJECTS}/read"
        return [
            graph_route("/directoryObjects/getByIds", post=allowed(read, self._get_by_ids)),
            graph_route("/directoryObjects/{id}", get=allowed(read, self._show)),
        ]

    @operation(None, {HTTPStatus.OK: TypedEntity})
    async def _show(self, request: Request) -> Response:
        object_id = names.object_id(request.path_params["id"])
        async with self._services.database.reading() as connection:
            tenant = self._settings.tenant
            found = await references.load(connection, [object_id], tenant=tenant)
        if object_id not in found:
            raise not_found(object_id)
        kind, shape = found[object_id]
        context = f"{self._settings.url}/v1.0/$metadata#directoryObjects/$entity"
        return answer({"@odata.context": context, **typed(shape, kind)})

    @operation(_GetByIds, {HTTPStatus.OK: TypedObjects})
    async def _get_by_ids(self, request: Request) -> Response:
        body = await decode(request, _GetByIds)
        if not 1 <= len(body.ids) <= IDS_LIMIT:
            raise bad_request(f"1 to {IDS_LIMIT} ids can be asked for at once.")
        ids = [names.as_guid(each) for each in body.ids]
        if None in ids:
            raise bad_request("Invalid GUID among the ids.")
        wanted = list(dict.fromkeys(each for each in ids if each))
        async with self._services.database.reading() as connection:
            tenant = self._settings.tenant
            found = await references.load(connection, wanted, _kinds(body.types), tenant=tenant)
        value = [typed(shape, kind) for kind, shape in (found[i] for i in wanted if i in found)]
        context = f"{self._settings.url}/v1.0/$metadata#directoryObjects"
        return answer({"@odata.context": context, "value": value})


def _kinds(types: tuple[str, ...] | None) -> list[Kind]:
    """Types that this directory has none of are no error: clients name all that they know."""
    wanted = {each.lower() for each in types or ()}
    if types is None or "directoryobject" in wanted:
        return [Kind.USER, Kind.GROUP, Kind.SERVICE_PRINCIPAL]
    return [kind for kind in Kind if kind.lower() in wanted]
