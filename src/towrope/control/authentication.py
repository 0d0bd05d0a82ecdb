"""Who calls: the gate before every route that is not public. Nothing passes without a token."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from towrope.control.access_tokens import unauthenticated
from towrope.control.arm_error import ArmError, envelope
from towrope.control.principal import Principal
from towrope.control.services import Services
from towrope.control.store import groups, service_principals
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
        """The caller, as the directory has it now. Raises `ArmError` (401)."""
        app_id = self._services.tokens.verify(bearer_token(headers))
        async with self._services.database.reading() as connection:
            found = await service_principals.find(connection, app_id)
            if found is None or not found.account_enabled:
                raise unauthenticated("The access token's account does not exist any more.")
            return Principal(
                object_id=found.object_id,
                kind=MemberKind.SERVICE_PRINCIPAL,
                name=found.app_id,
                groups=await groups.groups_of(connection, found.object_id),
            )

    def _challenge(self) -> str:
        settings = self._services.settings
        return (
            f'Bearer authorization_uri="{settings.url}/{settings.tenant}",'
            ' error="invalid_token", error_description="A valid access token is required."'
        )


def bearer_token(headers: Headers) -> str:
    """The token of the one Authorization field. Raises `ArmError` (401)."""
    values = headers.getlist("authorization")
    if len(values) != 1:
        raise unauthenticated("Exactly one 'Authorization' header is expected.")
    if not values[0].lower().startswith(SCHEME):
        raise unauthenticated("The 'Authorization' header must be 'Bearer' and an access token.")
    return values[0][len(SCHEME) :].strip()
