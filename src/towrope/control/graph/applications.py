"""`/applications` and `/servicePrincipals`: what signs in by itself, by each of its two faces."""

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
from towrope.control.graph import key_credentials, listing, names
from towrope.control.graph.answers import FILTERED, SELECTED, entities, entity
from towrope.control.graph.errors import bad_request, conflicts_as, taken
from towrope.control.graph.faces import Face
from towrope.control.graph.key_credentials import GivenKey
from towrope.control.graph.losing import end_tokens, losing
from towrope.control.graph.objects import Kind, ServicePrincipalShape, Shape, shown
from towrope.control.graph.routes import graph_route
from towrope.control.json_body import answer, decode
from towrope.control.operation import operation
from towrope.control.services import Services
from towrope.control.store import service_principals as store
from towrope.control.store.directory import from_next_second
from towrope.control.store.service_principals import ServicePrincipal
from towrope.wire.errors import foreign

AUDIENCE = "AzureADMyOrg"


class _NewApplication(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    display_name: str
    sign_in_audience: str = AUDIENCE
    key_credentials: tuple[GivenKey, ...] = ()


class _NewPrincipal(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    app_id: str
    account_enabled: bool = True


class _Changed(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    display_name: str | UnsetType = UNSET
    account_enabled: bool | UnsetType = UNSET
    key_credentials: tuple[GivenKey, ...] | UnsetType = UNSET


class Applications:
    """The objects of one face."""

    def __init__(self, services: Services, face: Face) -> None:
        self._services = services
        self._settings = services.settings
        self._face = face

    def routes(self) -> list[Route]:
        read, write, delete = (f"{self._face.provider}/{n}" for n in ("read", "write", "delete"))
        create = self._create if self._face.kind is Kind.APPLICATION else self._create_principal
        return [
            graph_route(
                f"/{self._face.collection}",
                get=allowed(read, self._list),
                post=allowed(write, create),
            ),
            *(
                graph_route(
                    path,
                    get=allowed(read, self._show),
                    patch=allowed(write, self._change),
                    delete=allowed(delete, self._delete),
                )
                for path in self._face.paths
            ),
        ]

    @operation(None, {HTTPStatus.OK: entities(ServicePrincipalShape)}, query=FILTERED)
    async def _list(self, request: Request) -> Response:
        options = listing.options(
            request,
            kind=self._face.kind,
            size=self._settings.page_size,
            columns=self._face.filters,
        )
        async with self._services.database.reading() as connection:
            found = await store.page(
                connection,
                after=options.after[0] if options.after else None,
                limit=options.size + 1,
                matches=options.matches,
            )
            here = found[: options.size]
            shapes = await self._face.shapes(connection, here, self._services)
            count = await store.count(connection, options.matches) if options.wants_count else None
        return listing.page(
            request,
            self._settings.url,
            [shown(shape, self._face.kind, options.select) for shape in shapes],
            context=self._face.collection,
            last=[here[-1].app_id] if len(found) > options.size else None,
            count=count,
        )

    @operation(None, {HTTPStatus.OK: entity(ServicePrincipalShape)}, query=SELECTED)
    async def _show(self, request: Request) -> Response:
        select = listing.select_alone(request, self._face.kind)
        async with self._services.database.reading() as connection:
            principal = await self._face.find(connection, request)
            return answer(await self._entity(connection, principal, select))

    async def _entity(
        self,
        connection: AsyncConnection,
        principal: ServicePrincipal,
        select: tuple[str, ...] = (),
    ) -> Shape:
        [shape] = await self._face.shapes(connection, [principal], self._services)
        context = f"{self._settings.url}/v1.0/$metadata#{self._face.collection}/$entity"
        return {"@odata.context": context, **shown(shape, self._face.kind, select)}

    @operation(_NewApplication, {HTTPStatus.CREATED: entity(ServicePrincipalShape)})
    async def _create(self, request: Request) -> Response:
        body = await decode(request, _NewApplication)
        if body.sign_in_audience != AUDIENCE:
            raise bad_request(f"The signInAudience must be {AUDIENCE}: there is one tenant.")
        now = int(self._services.clock())
        made = ServicePrincipal(
            app_id=str(uuid.uuid4()),
            object_id=str(uuid.uuid4()),
            application_object_id=str(uuid.uuid4()),
            display_name=names.display_name(body.display_name),
            created=now,
        )
        with conflicts_as(taken("keyId")):
            async with self._services.database.writing() as connection:
                await store.add(connection, made)
                keys = body.key_credentials
                await key_credentials.replace(connection, made.app_id, keys, now=now)
                shape = await self._entity(connection, made)
        return self._created(shape)

    @operation(_NewPrincipal, {HTTPStatus.CREATED: entity(ServicePrincipalShape)})
    async def _create_principal(self, request: Request) -> Response:
        """It is there since its application was made; clients that make it are told so."""
        body = await decode(request, _NewPrincipal)
        if not body.account_enabled:
            raise bad_request("A service principal is made enabled; disable it with PATCH.")
        async with self._services.database.reading() as connection:
            principal = await store.find(connection, body.app_id)
            if principal is None:
                raise bad_request(
                    f"The appId '{foreign(body.app_id)}' of the service principal does not"
                    " reference a valid application object."
                )
            return self._created(await self._entity(connection, principal))

    def _created(self, shape: Shape) -> Response:
        location = f"{self._settings.url}/v1.0/{self._face.collection}/{shape['id']}"
        return answer(shape, status=HTTPStatus.CREATED, headers={"location": location})

    @operation(_Changed, {HTTPStatus.NO_CONTENT: None})
    async def _change(self, request: Request) -> Response:
        body = await decode(request, _Changed)
        values = self._values(body)
        is_loss = body.account_enabled is False or body.key_credentials is not UNSET
        write = losing(self._services) if is_loss else self._services.database.writing()
        with conflicts_as(taken("keyId")):
            async with write as connection:
                principal = await self._face.find(connection, request)
                if body.key_credentials is not UNSET:
                    keys, now = body.key_credentials, self._services.clock()
                    if await key_credentials.replace(connection, principal.app_id, keys, now=now):
                        await end_tokens(connection, principal, request, self._services)
                if values:
                    await store.change(connection, principal.app_id, **values)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _values(self, body: _Changed) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if body.display_name is not UNSET:
            values["display_name"] = names.display_name(body.display_name)
        if body.account_enabled is not UNSET:
            if self._face.kind is Kind.APPLICATION:
                raise bad_request(
                    "An application has no accountEnabled; its service principal has."
                )
            values["account_enabled"] = body.account_enabled
            if not body.account_enabled:
                values["valid_from"] = from_next_second(self._services.clock())
        return values

    @operation(None, {HTTPStatus.NO_CONTENT: None})
    async def _delete(self, request: Request) -> Response:
        async with losing(self._services) as connection:
            await store.remove(connection, await self._face.find(connection, request))
        return Response(status_code=HTTPStatus.NO_CONTENT)
