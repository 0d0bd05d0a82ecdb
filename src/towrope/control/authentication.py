"""Who calls: the gate before every route that is not public. Nothing passes without a token."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from towrope.control import external_tokens
from towrope.control.arm_error import ArmError, envelope, unauthenticated
from towrope.control.held_roles import held_by
from towrope.control.issuer.tokens import AccessClaims, IdentityType
from towrope.control.principal import Principal
from towrope.control.services import Services
from towrope.control.store import groups, service_principals, users
from towrope.control.store.groups import MemberKind

SCHEME = "bearer "


class Authenticated:
    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope["towrope.principal"] = await self._principal(Headers(scope=scope))
        except ArmError as error:
            headers = {"www-authenticate": self._challenge()}
            refusal = envelope(error.answer, error.code, error.message, headers)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _principal(self, headers: Headers) -> Principal:
        """The caller with its roles, as they are now. Raises `ArmError` (401)."""
        found = await self._verified(bearer_token(headers))
        async with self._services.database.reading() as connection:
            held = await held_by(
                connection,
                {found.object_id, *found.group_ids},
                is_external=found.issuer != "",
            )
        return replace(found, held=held)

    async def _verified(self, text: str) -> Principal:
        tokens = self._services.tokens
        if external_tokens.issuer_of(text) not in ("", tokens.issuer):
            return await external_tokens.principal(self._services, text)
        claims = tokens.verify(text, audience=tokens.audience)
        async with self._services.database.reading() as connection:
            if claims.idtyp is IdentityType.USER:
                kind, name = MemberKind.USER, await _user(connection, claims)
            else:
                kind, name = MemberKind.SERVICE_PRINCIPAL, await _application(connection, claims)
            found = await groups.groups_of(connection, claims.oid)
            return Principal(
                object_id=claims.oid, kind=kind, name=name, groups=found, group_ids=found
            )

    def _challenge(self) -> str:
        settings = self._services.settings
        return (
            f'Bearer authorization_uri="{settings.url}/{settings.tenant}",'
            ' error="invalid_token", error_description="A valid access token is required."'
        )


async def _user(connection: AsyncConnection, claims: AccessClaims) -> str:
    """The name of the user that a token is about. Raises `ArmError` (401)."""
    found = await users.find(connection, claims.oid)
    if found is None or not found.account_enabled or claims.iat < found.valid_from:
        raise _gone()
    return found.user_principal_name


async def _application(connection: AsyncConnection, claims: AccessClaims) -> str:
    """The id of the application that a token is about. Raises `ArmError` (401)."""
    found = await service_principals.find_by_object_id(connection, claims.oid)
    if found is None or not found.account_enabled or claims.iat < found.valid_from:
        raise _gone()
    return found.app_id


def _gone() -> ArmError:
    return unauthenticated(
        "The access token's account was deleted or disabled, or its sign-ins were ended. Sign in"
        " again."
    )


def bearer_token(headers: Headers) -> str:
    """The token of the one Authorization field. Raises `ArmError` (401)."""
    values = headers.getlist("authorization")
    if len(values) != 1:
        raise unauthenticated("Exactly one 'Authorization' header is expected.")
    if not values[0].lower().startswith(SCHEME):
        raise unauthenticated("The 'Authorization' header must be 'Bearer' and an access token.")
    return values[0][len(SCHEME) :].strip()
