"""What tells a client how to find the issuer (OpenID Connect Discovery), and its public keys."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.issuer.authorization import ResponseMode
from towrope.control.issuer.endpoints import shape_of, tenant_of
from towrope.control.issuer.oauth_error import told
from towrope.control.issuer.signing_keys import ALGORITHM
from towrope.control.issuer.token_endpoint import GRANT_TYPES
from towrope.control.json_body import answer
from towrope.control.routing import CaselessRoute
from towrope.control.services import Services

CACHEABLE = {"cache-control": "public, max-age=3600"}
"""Far shorter than a key is published before it signs."""
_CLAIMS = (
    *("iss", "aud", "tid", "sub", "oid", "upn", "preferred_username", "name", "groups", "idtyp"),
    *("nonce", "auth_time", "iat", "nbf", "exp", "ver", "uti"),
)


class _Configuration(msgspec.Struct, frozen=True, kw_only=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    device_authorization_endpoint: str
    revocation_endpoint: str
    end_session_endpoint: str
    jwks_uri: str
    response_types_supported: tuple[str, ...] = ("code",)
    response_modes_supported: tuple[str, ...] = tuple(mode.value for mode in ResponseMode)
    grant_types_supported: tuple[str, ...] = GRANT_TYPES
    subject_types_supported: tuple[str, ...] = ("public",)
    id_token_signing_alg_values_supported: tuple[str, ...] = (ALGORITHM,)
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = (
        "client_secret_post",
        "client_secret_basic",
        "private_key_jwt",
        "none",
    )
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = ("RS256", "PS256", "ES256")
    scopes_supported: tuple[str, ...] = ("openid", "profile", "offline_access")
    claims_supported: tuple[str, ...] = _CLAIMS
    authorization_response_iss_parameter_supported: bool = True
    request_uri_parameter_supported: bool = False
    claims_parameter_supported: bool = False


def routes(services: Services) -> list[Route]:
    settings, tokens = services.settings, services.tokens

    async def show(request: Request) -> Response:
        shape = shape_of(settings, tenant_of(request, settings))
        configuration = _Configuration(
            issuer=tokens.issuer,
            authorization_endpoint=shape.endpoint("authorize"),
            token_endpoint=shape.endpoint("token"),
            device_authorization_endpoint=shape.endpoint("devicecode"),
            revocation_endpoint=shape.endpoint("revoke"),
            end_session_endpoint=shape.endpoint("logout"),
            jwks_uri=shape.keys,
        )
        return answer(configuration, headers=CACHEABLE)

    async def keys(request: Request) -> Response:
        tenant_of(request, settings)
        return answer(tokens.public_keys(), headers=CACHEABLE)

    shown, published = ({"GET": told(each, services.clock)} for each in (show, keys))
    return [
        CaselessRoute("/{tenant}/v2.0/.well-known/openid-configuration", shown),
        CaselessRoute("/adfs/.well-known/openid-configuration", shown),
        CaselessRoute("/{tenant}/discovery/v2.0/keys", published),
        CaselessRoute("/adfs/discovery/keys", published),
    ]
