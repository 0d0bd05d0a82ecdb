"""`…/hybridConnections/authorizationRules`: who may listen and send. Keys are derived on demand."""

import re
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import hybrid_connections
from towrope.control.arm_error import ArmError, invalid_content, invalid_name, resource_not_found
from towrope.control.authority import allowed
from towrope.control.hybrid_connections import HYBRID_CONNECTION
from towrope.control.json_body import answer, decode
from towrope.control.operation import Page, operation
from towrope.control.paging import whole
from towrope.control.routing import arm_route
from towrope.control.services import Services
from towrope.control.store import hybrid_connections as store
from towrope.control.store.hybrid_connections import AuthorizationRule, HybridConnection
from towrope.wire import sas
from towrope.wire.errors import foreign

PROVIDER = "Microsoft.Relay/namespaces/hybridConnections/authorizationRules"
COLLECTION = HYBRID_CONNECTION + "/authorizationRules"
RULE = COLLECTION + "/{rule}"
TYPE = "Microsoft.Relay/Namespaces/HybridConnections/AuthorizationRules"
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,48}[A-Za-z0-9])?")
LIMIT = 12
"""Rules of one hybrid connection, as with Azure."""


class _Rights(msgspec.Struct, frozen=True, kw_only=True):
    rights: list[sas.Right]


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    properties: _Rights


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    properties: _Rights
    type: str = TYPE


class _Keys(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    key_name: str
    primary_key: str
    secondary_key: str
    primary_connection_string: str
    secondary_connection_string: str


class AuthorizationRules:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        return [
            arm_route(self._settings, COLLECTION, get=allowed(f"{PROVIDER}/read", self._list)),
            arm_route(
                self._settings,
                RULE,
                put=allowed(f"{PROVIDER}/write", self._put),
                get=allowed(f"{PROVIDER}/read", self._show),
                delete=allowed(f"{PROVIDER}/delete", self._delete),
            ),
            arm_route(
                self._settings,
                RULE + "/listKeys",
                post=allowed(f"{PROVIDER}/listKeys/action", self._list_keys),
            ),
        ]

    def _shape(self, made: HybridConnection, rule: AuthorizationRule) -> _Shape:
        parent = hybrid_connections.resource_id(self._settings.subscription, made)
        return _Shape(
            id=f"{parent}/authorizationRules/{rule.name}",
            name=rule.name,
            properties=_Rights(rights=[sas.Right(right) for right in rule.rights]),
        )

    @operation(_Body, {HTTPStatus.OK: _Shape})
    async def _put(self, request: Request) -> Response:
        name = request.path_params["rule"]
        if not NAME.fullmatch(name):
            raise invalid_name(foreign(name), "1 to 50 letters, digits, '.', '-' and '_'")
        rights = _rights((await decode(request, _Body)).properties.rights)
        async with self._services.database.writing() as connection:
            made = await hybrid_connections.find(connection, request)
            there = await store.find_rule(connection, made.name, name)
            if there is None and len(await store.rules_of(connection, made.name)) >= LIMIT:
                raise _too_many(made)
            rule = AuthorizationRule(name=there.name if there else name, rights=rights)
            await store.put_rule(connection, made.name, rule)
        return answer(self._shape(made, rule))

    @operation(None, {HTTPStatus.OK: _Shape})
    async def _show(self, request: Request) -> Response:
        made, rule = await self._find(request)
        return answer(self._shape(made, rule))

    @operation(None, {HTTPStatus.OK: Page[_Shape]})
    async def _list(self, request: Request) -> Response:
        async with self._services.database.reading() as connection:
            made = await hybrid_connections.find(connection, request)
            rules = await store.rules_of(connection, made.name)
        return whole([self._shape(made, rule) for rule in rules])

    @operation(None, {HTTPStatus.OK: None, HTTPStatus.NO_CONTENT: None})
    async def _delete(self, request: Request) -> Response:
        name = request.path_params["rule"]
        async with self._services.database.writing() as connection:
            made = await hybrid_connections.find(connection, request)
            there = await store.find_rule(connection, made.name, name)
            if there is None:
                return Response(status_code=HTTPStatus.NO_CONTENT)
            await store.remove_rule(connection, made.name, name)
        return Response(status_code=HTTPStatus.OK)

    @operation(None, {HTTPStatus.OK: _Keys})
    async def _list_keys(self, request: Request) -> Response:
        made, rule = await self._find(request)
        primary, secondary = (self._key(made, rule, slot) for slot in sas.Slot)
        return answer(
            _Keys(
                key_name=rule.name,
                primary_key=primary,
                secondary_key=secondary,
                primary_connection_string=self._connection_string(made, rule, primary),
                secondary_connection_string=self._connection_string(made, rule, secondary),
            )
        )

    def _key(self, made: HybridConnection, rule: AuthorizationRule, slot: sas.Slot) -> str:
        rights = frozenset(sas.Right(right) for right in rule.rights)
        return sas.derive_key(
            self._settings.master, path=made.name, rule=rule.name, rights=rights, slot=slot
        )

    def _connection_string(self, made: HybridConnection, rule: AuthorizationRule, key: str) -> str:
        return (
            f"Endpoint=sb://{self._settings.url.netloc}/;SharedAccessKeyName={rule.name}"
            f";SharedAccessKey={key};EntityPath={made.name}"
        )

    async def _find(self, request: Request) -> tuple[HybridConnection, AuthorizationRule]:
        name = request.path_params["rule"]
        async with self._services.database.reading() as connection:
            made = await hybrid_connections.find(connection, request)
            rule = await store.find_rule(connection, made.name, name)
        if rule is None:
            raise resource_not_found(TYPE, foreign(name), made.group)
        return made, rule


def _rights(given: Sequence[sas.Right]) -> list[str]:
    """In the order of `sas.Right`. Raises `ArmError` where they are no rule's rights."""
    if frozenset(given) not in sas.RIGHTS_SETS:
        raise invalid_content(
            "A rule's rights are 'Listen', 'Send', both, or all three; 'Manage' needs the others."
        )
    return [right for right in sas.Right if right in given]


def _too_many(made: HybridConnection) -> ArmError:
    return ArmError(
        HTTPStatus.CONFLICT,
        "QuotaExceeded",
        f"The hybrid connection '{made.name}' has {LIMIT} authorization rules; delete one first.",
    )
