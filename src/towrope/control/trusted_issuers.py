"""`Towrope.Identity/issuers`: the OpenID providers whose people and programs may sign in.

`/providers/Towrope.Identity/issuers[/{name}]` is the administrator's; what a client needs to sign
in is public, at `/.well-known/towrope/issuers`.
"""

import time
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import issuers, sealed_secrets
from towrope.control.arm_error import ArmError
from towrope.control.authority import allowed
from towrope.control.issuer_metadata import Metadata, fetch
from towrope.control.issuer_settings import Given, IssuerSettings, checked, checked_name
from towrope.control.issuers import Issuer
from towrope.control.json_body import answer, decode
from towrope.control.operation import Page, operation
from towrope.control.paging import whole
from towrope.control.routing import CaselessRoute, arm_route
from towrope.control.services import Services
from towrope.control.store import trusted_issuers as store
from towrope.wire import agent_api
from towrope.wire.errors import Unreachable, foreign

TYPE = "Towrope.Identity/issuers"
PATH = f"/providers/{TYPE}"
PUBLIC_PATH = "/.well-known/towrope/issuers"
ISSUERS_LIMIT = 32


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    properties: Given


class _Discovered(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the issuer says about itself. Read-only."""

    issuers: tuple[str, ...]
    jwks_uri: str
    authorization_endpoint: str
    token_endpoint: str
    device_authorization_endpoint: str
    key_ids: list[str]
    last_fetched: str
    last_error: str


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    properties: dict[str, Any]
    type: str = TYPE


class _Public(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a client needs to sign in."""

    name: str
    kind: agent_api.IssuerKind
    issuer: str
    client_id: str
    audience: str
    scopes: tuple[str, ...]
    ca_certificate: str | None


class TrustedIssuers:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        read = f"{TYPE}/read"
        return [
            arm_route(self._settings, PATH, get=allowed(read, self._list)),
            arm_route(
                self._settings,
                PATH + "/{name}",
                put=allowed(f"{TYPE}/write", self._put),
                get=allowed(read, self._show),
                delete=allowed(f"{TYPE}/delete", self._delete),
            ),
        ]

    def public_routes(self) -> list[Route]:
        return [CaselessRoute(PUBLIC_PATH, {"GET": self._list_for_clients})]

    @operation(None, {HTTPStatus.OK: Page[_Shape]})
    async def _list(self, _: Request) -> Response:
        async with self._services.database.reading() as connection:
            found = await issuers.every(connection)
        return whole([_shape(issuer) for issuer in found])

    @operation(None, {HTTPStatus.OK: Page[_Public]})
    async def _list_for_clients(self, _: Request) -> Response:
        async with self._services.database.reading() as connection:
            found = await issuers.every(connection)
        return whole([_public(issuer) for issuer in found if issuer.settings.client_id])

    @operation(None, {HTTPStatus.OK: _Shape})
    async def _show(self, request: Request) -> Response:
        name = request.path_params["name"]
        async with self._services.database.reading() as connection:
            issuer = await issuers.find(connection, name)
        if issuer is None:
            raise _not_found(name)
        return answer(_shape(issuer))

    @operation(_Body, {HTTPStatus.OK: _Shape, HTTPStatus.CREATED: _Shape})
    async def _put(self, request: Request) -> Response:
        name = checked_name(request.path_params["name"])
        given = (await decode(request, _Body)).properties
        settings = checked(name, given)
        async with self._services.database.reading() as connection:
            self._check_others(name, settings, await issuers.every(connection))
            there = await issuers.find(connection, name)
        issuer = await self._made(name, settings, given, there)
        async with self._services.database.writing() as connection:
            # Another may have been added while this one was asked about itself.
            self._check_others(name, settings, await issuers.every(connection))
            await issuers.put(connection, issuer)
        self._changed(name)
        status = HTTPStatus.CREATED if there is None else HTTPStatus.OK
        return answer(_shape(issuer), status=status)

    @operation(None, {HTTPStatus.OK: None, HTTPStatus.NO_CONTENT: None})
    async def _delete(self, request: Request) -> Response:
        name = request.path_params["name"]
        async with self._services.database.writing() as connection:
            was_there = await store.remove(connection, name)
        if not was_there:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        self._changed(name)
        return Response(status_code=HTTPStatus.OK)

    def _changed(self, name: str) -> None:
        self._services.issuer_keys.forget(name)
        self._services.notify(None, agent_api.TRUST)

    async def _made(
        self, name: str, settings: IssuerSettings, given: Given, there: Issuer | None
    ) -> Issuer:
        metadata, fetched_at = await self._metadata(settings, there)
        return Issuer(
            name=there.name if there is not None else name,
            settings=settings,
            metadata=metadata,
            fetched_at=fetched_at,
            sealed_secret=sealed_secrets.kept(
                name, settings, given.graph, there, master=self._settings.master
            ),
        )

    async def _metadata(
        self, settings: IssuerSettings, there: Issuer | None
    ) -> tuple[Metadata, int]:
        """What the issuer says now; what it said before, where that is still about the same."""
        try:
            return await fetch(settings), int(self._services.clock())
        except Unreachable as error:
            if there is None or _source(there.settings) != _source(settings):
                raise ArmError(HTTPStatus.BAD_REQUEST, "IssuerNotUsable", error.message) from None
            kept = msgspec.structs.replace(there.metadata, last_error=error.message)
            return kept, there.fetched_at

    def _check_others(self, name: str, settings: IssuerSettings, found: list[Issuer]) -> None:
        """One value of `iss` is one issuer's. Raises `ArmError`."""
        others = [each for each in found if each.name.lower() != name.lower()]
        if len(others) >= ISSUERS_LIMIT:
            raise _conflict(f"There are {ISSUERS_LIMIT} issuers already; remove one first.")
        if self._services.tokens.issuer in settings.issuers:
            raise _conflict("This is the server's own issuer, which is trusted anyway.")
        for other in others:
            if set(other.settings.issuers) & set(settings.issuers):
                raise _conflict(
                    f"The issuer '{other.name}' is the same one; change that, with more audiences"
                    " if need be."
                )


def _source(settings: IssuerSettings) -> tuple[object, ...]:
    """What decides which keys are fetched, and which of them are taken."""
    return (
        settings.authority,
        settings.jwks_uri,
        settings.ca_certificate,
        settings.algorithms,
    )


def _shape(issuer: Issuer) -> _Shape:
    metadata = issuer.metadata
    fetched = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(issuer.fetched_at))
    discovered = _Discovered(
        issuers=issuer.settings.issuers,
        jwks_uri=metadata.jwks_uri,
        authorization_endpoint=metadata.authorization_endpoint,
        token_endpoint=metadata.token_endpoint,
        device_authorization_endpoint=metadata.device_authorization_endpoint,
        key_ids=[key.get("kid", "") for key in metadata.keys],
        last_fetched=fetched,
        last_error=metadata.last_error,
    )
    properties = msgspec.to_builtins(issuer.settings)
    read_only = {"discovered": discovered, "provisioningState": "Succeeded"}
    return _Shape(id=f"{PATH}/{issuer.name}", name=issuer.name, properties=properties | read_only)


def _public(issuer: Issuer) -> _Public:
    settings = issuer.settings
    return _Public(
        name=issuer.name,
        kind=settings.kind,
        issuer=settings.authority,
        client_id=settings.client_id,
        audience=settings.audiences[0],
        scopes=settings.scopes,
        ca_certificate=settings.ca_certificate or None,
    )


def _not_found(name: str) -> ArmError:
    message = f"The Resource '{TYPE}/{foreign(name)}' was not found."
    return ArmError(HTTPStatus.NOT_FOUND, "ResourceNotFound", message)


def _conflict(message: str) -> ArmError:
    return ArmError(HTTPStatus.CONFLICT, "IssuerConflict", message)
