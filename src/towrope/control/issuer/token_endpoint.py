"""The token endpoint (RFC 6749 §3.2): a form in, tokens out, at both of its paths."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.issuer import confirmation
from towrope.control.issuer.client_authentication import client_form
from towrope.control.issuer.endpoints import oauth2_routes, tenant_of
from towrope.control.issuer.forms import Form, read_form, required
from towrope.control.issuer.grants import GRANTS, Granted
from towrope.control.issuer.oauth_error import NO_STORE, OAuthError, told
from towrope.control.issuer.tokens import LIFETIME, IdentityType
from towrope.control.json_body import answer
from towrope.control.services import Services

GRANT_TYPES = tuple(GRANTS)
BEARER = "Bearer"


class _Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    token_type: str
    scope: str = ""
    expires_in: int
    ext_expires_in: int
    access_token: str
    refresh_token: str | None = None
    id_token: str | None = None
    client_info: str | None = None


def routes(services: Services) -> list[Route]:
    async def token(request: Request) -> Response:
        tenant_of(request, services.settings)
        form = await read_form(request)
        grant = GRANTS.get(required(form, "grant_type"))
        if grant is None:
            raise OAuthError(
                "unsupported_grant_type",
                70003,
                f"The grant type must be one of: {', '.join(GRANT_TYPES)}.",
            )
        bound_to = confirmation.key_id(form)
        granted = await grant(services, client_form(request, form))
        return answer(_answer(services, form, granted, bound_to), headers=NO_STORE)

    return oauth2_routes("token", {"POST": told(token, services.clock)})


def _answer(services: Services, form: Form, granted: Granted, bound_to: str | None) -> _Answer:
    tokens = services.tokens
    subject, issued = granted.subject, granted.issued
    id_token = client_info = None
    is_of_user = subject.identity_type is IdentityType.USER
    if is_of_user and granted.scope.openid:
        id_token = tokens.mint_id(subject, issued, nonce=granted.nonce)
    if is_of_user and form.get("client_info") == "1":
        client_info = tokens.client_info(subject)
    return _Answer(
        token_type=BEARER if bound_to is None else confirmation.POP,
        # As it was asked for: clients find a token again by it.
        scope=granted.scope.text or f"{granted.audience}/.default",
        expires_in=LIFETIME,
        ext_expires_in=LIFETIME,
        access_token=tokens.mint_access(
            subject, issued, audience=granted.audience, confirmation=bound_to
        ),
        refresh_token=granted.refresh_token,
        id_token=id_token,
        client_info=client_info,
    )
