"""`owners`, `/me/ownedObjects`: nobody owns an object here, and clients that ask are told so.

In Graph an owner may change the object; here administrators alone may, so that to make somebody an
owner is refused.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.authority import OWN_ACCOUNT, Handler, allowed
from towrope.control.graph import groups, listing
from towrope.control.graph.answers import LISTED, TypedObjects
from towrope.control.graph.errors import refused
from towrope.control.graph.faces import APPLICATIONS, PRINCIPALS
from towrope.control.graph.me import local_user_of
from towrope.control.graph.objects import Kind
from towrope.control.graph.routes import graph_route
from towrope.control.operation import operation
from towrope.control.services import Services

Found = Callable[[AsyncConnection, Request], Awaitable[object]]
"""What a path names. Raises `ArmError` (404)."""


class Owners:
    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        owned = allowed(f"{OWN_ACCOUNT}read", self._owned)
        routes = [graph_route("/me/ownedObjects", get=owned)]
        for paths, found, provider in (
            (groups.PATHS, _group, groups.PROVIDER),
            (PRINCIPALS.paths, PRINCIPALS.find, PRINCIPALS.provider),
            (APPLICATIONS.paths, APPLICATIONS.find, APPLICATIONS.provider),
        ):
            read = allowed(f"{provider}/read", self._list(found))
            write = allowed(f"{provider}/write", _add)
            for path in paths:
                routes.append(graph_route(f"{path}/owners", get=read))
                routes.append(graph_route(f"{path}/owners/$ref", post=write))
        return list(routes)

    def _list(self, found: Found) -> Handler:
        @operation(None, {HTTPStatus.OK: TypedObjects}, query=LISTED)
        async def handle(request: Request) -> Response:
            async with self._services.database.reading() as connection:
                await found(connection, request)
            return self._none(request)

        return handle

    @operation(None, {HTTPStatus.OK: TypedObjects}, query=LISTED)
    async def _owned(self, request: Request) -> Response:
        local_user_of(request)
        return self._none(request)

    def _none(self, request: Request) -> Response:
        settings = self._services.settings
        listing.options(request, kind=Kind.GROUP, size=settings.page_size, columns=None)
        return listing.page(request, settings.url, [], context="directoryObjects", last=None)


async def _group(connection: AsyncConnection, request: Request) -> object:
    return await groups.find(connection, request.path_params["id"])


@operation(None, {})
async def _add(_: Request) -> Response:
    raise refused("Objects of this directory have no owners: administrators change all of them.")
