"""Access tokens for this API: signed by the server, for the server, one hour.

They are made at the token endpoint and verified on every request; whether the principal is still
there is for the caller to see.
"""

import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from towrope.control.arm_error import ArmError
from towrope.control.settings import Settings
from towrope.control.store.service_principals import ServicePrincipal

LIFETIME = 3600
CLOCK_TOLERANCE = 60
TOKEN_LIMIT = 16 * 1024
ALGORITHM = "ES256"


class AccessTokens:
    def __init__(self, settings: Settings, *, clock: Callable[[], float]) -> None:
        self._key = settings.token_key
        self._kid = settings.token_key.thumbprint()
        self._tenant = settings.tenant
        self._clock = clock
        self.audience = str(settings.url)
        self.issuer = f"{settings.url}/{settings.tenant}/v2.0"

    def mint(self, principal: ServicePrincipal) -> str:
        now = int(self._clock())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "tid": self._tenant,
            "sub": principal.object_id,
            "oid": principal.object_id,
            "appid": principal.app_id,
            "azp": principal.app_id,
            "idtyp": "app",
            "ver": "2.0",
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            "uti": secrets.token_urlsafe(16),
        }
        header = {"alg": ALGORITHM, "typ": "JWT", "kid": self._kid}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])

    def verify(self, text: str) -> str:
        """The application id in a good token. Raises `ArmError` (401)."""
        if len(text) > TOKEN_LIMIT:
            raise unauthenticated("The access token is too long.")
        try:
            token = jwt.decode(text, self._key, algorithms=[ALGORITHM])
            self._registry().validate(token.claims)
        except (ValueError, JoseError, RecursionError) as error:
            raise unauthenticated(
                f"The access token is not valid: {type(error).__name__}."
            ) from None
        return str(token.claims["appid"])

    def _registry(self) -> JWTClaimsRegistry:
        return JWTClaimsRegistry(
            now=int(self._clock()),
            leeway=CLOCK_TOLERANCE,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.audience},
            tid={"essential": True, "value": self._tenant},
            appid={"essential": True},
            exp={"essential": True},
            nbf={"essential": True},
        )

    def public_keys(self) -> dict[str, Any]:
        """The JSON Web Key Set that anybody may verify with."""
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "kid": self._kid, "use": "sig", "alg": ALGORITHM}]}


def unauthenticated(message: str) -> ArmError:
    return ArmError(
        HTTPStatus.UNAUTHORIZED, "AuthenticationFailed", f"Authentication failed. {message}"
    )
