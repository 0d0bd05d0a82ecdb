"""The OAuth token endpoint (RFC 6749, client credentials only) and what tells how to find it."""

import hmac
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.issuer.tokens import LIFETIME, IdentityType, Issuance, Subject
from towrope.control.json_body import answer, read
from towrope.control.routing import CaselessRoute
from towrope.control.services import Services
from towrope.control.store import groups, service_principals
from towrope.control.store.service_principals import ServicePrincipal, secret_hash

FORM_LIMIT = 64 * 1024
FIELD_LIMIT = 64
DEFAULT_SCOPE = "/.default"


class _Token(msgspec.Struct, frozen=True, kw_only=True):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750
    expires_in: int = LIFETIME
    ext_expires_in: int = LIFETIME


class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    error: str
    error_description: str


class _Configuration(msgspec.Struct, frozen=True, kw_only=True):
    issuer: str
    token_endpoint: str
    jwks_uri: str
    grant_types_supported: tuple[str, ...] = ("client_credentials",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_post",)
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    response_types_supported: tuple[str, ...] = ("token",)
    subject_types_supported: tuple[str, ...] = ("public",)


class Refusal(Exception):
    """An error of RFC 6749 §5.2."""

    def __init__(self, error: str, description: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(description)
        self.error = error
        self.status = status


class TokenEndpoint:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        return [
            CaselessRoute("/{tenant}/oauth2/v2.0/token", {"POST": self._token}),
            CaselessRoute("/{tenant}/discovery/v2.0/keys", {"GET": self._keys}),
            CaselessRoute(
                "/{tenant}/v2.0/.well-known/openid-configuration", {"GET": self._configuration}
            ),
        ]

    async def _token(self, request: Request) -> Response:
        try:
            self._check_tenant(request)
            form = await _form(request)
            self._check_grant(form)
            principal = await self._authenticate(form)
        except Refusal as refusal:
            return _failure(refusal)
        token = _Token(access_token=await self._minted(principal))
        return answer(token, headers={"cache-control": "no-store", "pragma": "no-cache"})

    async def _minted(self, principal: ServicePrincipal) -> str:
        async with self._services.database.reading() as connection:
            groups_of = await groups.groups_of(connection, principal.object_id)
        subject = Subject(
            identity_type=IdentityType.APP,
            object_id=principal.object_id,
            display_name=principal.display_name,
            user_principal_name=None,
            groups=groups_of,
        )
        tokens = self._services.tokens
        issued = Issuance(client_id=principal.app_id, authenticated_at=principal.valid_from)
        return tokens.mint_access(subject, issued, audience=tokens.audience)

    def _check_tenant(self, request: Request) -> None:
        if request.path_params["tenant"].lower() != self._settings.tenant:
            raise Refusal("invalid_request", "The tenant is not one of this server.")

    def _check_grant(self, form: Mapping[str, str]) -> None:
        if form.get("grant_type") != "client_credentials":
            raise Refusal("unsupported_grant_type", "The grant type must be client_credentials.")
        audience = self._services.tokens.audience
        ours = {audience + DEFAULT_SCOPE, f"{audience}/{DEFAULT_SCOPE}"}
        if form.get("scope", audience + DEFAULT_SCOPE) not in ours:
            raise Refusal("invalid_scope", f"The scope must be '{audience}{DEFAULT_SCOPE}'.")

    async def _authenticate(self, form: Mapping[str, str]) -> ServicePrincipal:
        given = secret_hash(form.get("client_secret", ""))
        async with self._services.database.reading() as connection:
            found = await service_principals.find(connection, form.get("client_id", ""))
            known = await service_principals.credentials_of(connection, form.get("client_id", ""))
        # A comparison is made for an unknown client too, so that it takes as long.
        hashes = [each.secret_hash or "" for each in known] or [secret_hash("nobody's")]
        is_right = sum(hmac.compare_digest(given, each) for each in hashes) > 0
        if not is_right or found is None or not found.account_enabled:
            raise Refusal(
                "invalid_client",
                "The client id or its secret is wrong.",
                status=HTTPStatus.UNAUTHORIZED,
            )
        return found

    async def _keys(self, request: Request) -> Response:
        try:
            self._check_tenant(request)
        except Refusal as refusal:
            return _failure(refusal)
        return answer(self._services.tokens.public_keys())

    async def _configuration(self, request: Request) -> Response:
        try:
            self._check_tenant(request)
        except Refusal as refusal:
            return _failure(refusal)
        base = f"{self._settings.url}/{self._settings.tenant}"
        return answer(
            _Configuration(
                issuer=self._services.tokens.issuer,
                token_endpoint=f"{base}/oauth2/v2.0/token",
                jwks_uri=f"{base}/discovery/v2.0/keys",
            )
        )


async def _form(request: Request) -> Mapping[str, str]:
    body = await read(request, limit=FORM_LIMIT)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELD_LIMIT)
    except ValueError:
        raise Refusal("invalid_request", "The body is not a form.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Refusal("invalid_request", "A parameter is given more than once.")
    return form


def _failure(refusal: Refusal) -> Response:
    body = _Failure(error=refusal.error, error_description=str(refusal))
    headers = {"cache-control": "no-store", "pragma": "no-cache"}
    return answer(body, status=refusal.status, headers=headers)
