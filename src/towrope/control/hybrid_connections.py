"""`Microsoft.Relay/namespaces/hybridConnections`: hybrid connections that are not clusters.

A namespace exists as soon as something is in it. A hybrid connection's name is its path at the
relay, so it is unique on the server, and no name may be above or below another: a token for a path
is good for what is below it.
"""

import re
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.arm_error import (
    ArmError,
    group_not_found,
    invalid_content,
    invalid_name,
    resource_not_found,
)
from towrope.control.authority import allowed
from towrope.control.json_body import answer, decode
from towrope.control.operation import PAGED, Page, operation
from towrope.control.paging import page, position
from towrope.control.routing import GROUP, arm_route
from towrope.control.services import Services
from towrope.control.store import hybrid_connections as store
from towrope.control.store import resource_groups
from towrope.control.store.hybrid_connections import HybridConnection
from towrope.wire import names
from towrope.wire.errors import foreign

PROVIDER = "Microsoft.Relay/namespaces/hybridConnections"
COLLECTION = GROUP + "/providers/Microsoft.Relay/namespaces/{namespace}/hybridConnections"
HYBRID_CONNECTION = COLLECTION + "/{name}"
TYPE = "Microsoft.Relay/Namespaces/HybridConnections"

NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]")
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?")
METADATA_LIMIT = 1024
RESERVED = names.CLUSTER_TYPE.split("/")[0].lower()
"""The first segment of the clusters' paths. Who had a rule on it would have one on each cluster."""


class _Given(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    user_metadata: str | None = None
    requires_client_authorization: bool | None = None


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    properties: _Given = _Given()


class _Properties(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    created_at: datetime
    updated_at: datetime
    listener_count: int
    user_metadata: str
    requires_client_authorization: bool = True


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    properties: _Properties
    type: str = TYPE


class HybridConnections:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        return [
            arm_route(self._settings, COLLECTION, get=allowed(f"{PROVIDER}/read", self._list)),
            arm_route(
                self._settings,
                HYBRID_CONNECTION,
                put=allowed(f"{PROVIDER}/write", self._put),
                get=allowed(f"{PROVIDER}/read", self._show),
                delete=allowed(f"{PROVIDER}/delete", self._delete),
            ),
        ]

    def _shape(self, made: HybridConnection) -> _Shape:
        return _Shape(
            id=resource_id(self._settings.subscription, made),
            name=made.name,
            properties=_Properties(
                created_at=datetime.fromtimestamp(made.created, UTC),
                updated_at=datetime.fromtimestamp(made.updated, UTC),
                listener_count=self._services.presence.listeners(made.name),
                user_metadata=made.user_metadata,
            ),
        )

    @operation(_Body, {HTTPStatus.OK: _Shape})
    async def _put(self, request: Request) -> Response:
        wanted = await self._wanted(request)
        async with self._services.database.writing() as connection:
            if await resource_groups.find(connection, wanted.group) is None:
                raise group_not_found(foreign(wanted.group))
            there = await store.find(connection, wanted.name)
            if there is None:
                if await store.find_relative(connection, wanted.name) is not None:
                    raise _taken(wanted, "is above or below that of another")
                await store.add(connection, wanted)
            elif not there.is_in(wanted.group, wanted.namespace):
                raise _taken(wanted, "is in use in another namespace of this server")
            else:
                await store.set_metadata(
                    connection,
                    wanted.name,
                    user_metadata=wanted.user_metadata,
                    updated=wanted.updated,
                )
            made = await store.find(connection, wanted.name)
        assert made is not None
        return answer(self._shape(made))

    async def _wanted(self, request: Request) -> HybridConnection:
        name, namespace = name_of(request), request.path_params["namespace"]
        _check_names(name, namespace)
        given = (await decode(request, _Body)).properties
        if given.requires_client_authorization is False:
            raise invalid_content(
                "'requiresClientAuthorization' cannot be false: every sender has a token."
            )
        if given.user_metadata is not None and len(given.user_metadata) > METADATA_LIMIT:
            raise invalid_content(f"'userMetadata' is over {METADATA_LIMIT} characters.")
        now = int(self._services.clock())
        return HybridConnection(
            group=request.path_params["group"],
            namespace=namespace,
            name=name,
            user_metadata=given.user_metadata or "",
            created=now,
            updated=now,
        )

    @operation(None, {HTTPStatus.OK: _Shape})
    async def _show(self, request: Request) -> Response:
        async with self._services.database.reading() as connection:
            return answer(self._shape(await find(connection, request)))

    @operation(None, {HTTPStatus.OK: Page[_Shape]}, query=PAGED)
    async def _list(self, request: Request) -> Response:
        after = position(request, keys=1)
        group = request.path_params["group"]
        size = self._settings.page_size
        async with self._services.database.reading() as connection:
            if await resource_groups.find(connection, group) is None:
                raise group_not_found(foreign(group))
            found = await store.page(
                connection,
                group=group,
                namespace=request.path_params["namespace"],
                after=after[0] if after else None,
                limit=size + 1,
            )
        shown = found[:size]
        last = [shown[-1].name.lower()] if len(found) > size else None
        return page(request, self._settings.url, [self._shape(h) for h in shown], last=last)

    @operation(None, {HTTPStatus.OK: None, HTTPStatus.NO_CONTENT: None})
    async def _delete(self, request: Request) -> Response:
        async with self._services.database.writing() as connection:
            made = await store.find(connection, name_of(request))
            there = made is not None and made.is_in(
                request.path_params["group"], request.path_params["namespace"]
            )
            if not there:
                return Response(status_code=HTTPStatus.NO_CONTENT)
            await store.remove(connection, name_of(request))
        self._services.removed(name_of(request))
        return Response(status_code=HTTPStatus.OK)


def name_of(request: Request) -> str:
    """A slash of the name came encoded, for it divides no path."""
    return str(request.path_params["name"]).replace("%2F", "/")


async def find(connection: AsyncConnection, request: Request) -> HybridConnection:
    """The hybrid connection that a request's path names. Raises `ArmError` (404)."""
    group, namespace = request.path_params["group"], request.path_params["namespace"]
    made = await store.find(connection, name_of(request))
    if made is not None and made.is_in(group, namespace):
        return made
    if await resource_groups.find(connection, group) is None:
        raise group_not_found(foreign(group))
    kind = f"Microsoft.Relay/namespaces/{foreign(namespace)}/hybridConnections"
    raise resource_not_found(kind, foreign(name_of(request)), foreign(group))


def resource_id(subscription: str, made: HybridConnection) -> str:
    return (
        f"/subscriptions/{subscription}/resourceGroups/{made.group}/providers/Microsoft.Relay"
        f"/namespaces/{made.namespace}/hybridConnections/{made.name.replace('/', '%2F')}"
    )


def _check_names(name: str, namespace: str) -> None:
    segments = name.lower().split("/")
    odd = {"", ".", ".."}.intersection(segments)
    if not NAME.fullmatch(name) or odd or segments[0] == RESERVED:
        rule = (
            "1 to 260 letters, digits, '.', '-', '_' and '/', a letter or digit at both ends, no"
            f" empty or dot segments, and nothing under '{RESERVED}'"
        )
        raise invalid_name(foreign(name), rule)
    if not NAMESPACE.fullmatch(namespace):
        rule = "6 to 50 letters, digits and '-', a letter first, no '-' at its end"
        raise invalid_name(foreign(namespace), rule)


def _taken(wanted: HybridConnection, why: str) -> ArmError:
    return ArmError(
        HTTPStatus.CONFLICT,
        "Conflict",
        f"The hybrid connection's name '{wanted.name}' {why}. Choose another one.",
    )
