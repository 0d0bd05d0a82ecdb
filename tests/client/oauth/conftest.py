"""A provider whose endpoints are a scripted server's."""

from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.client.conftest import Scripted
from towrope.client.oauth.grant import Wish
from towrope.client.oauth.provider import Provider

WISH = Wish(client_id="client", scopes=("api/.default", "openid"))


@pytest.fixture
def provider(scripted: Scripted) -> Provider:
    return Provider(
        issuer=scripted.url,
        authorization_endpoint=f"{scripted.url}/authorize",
        token_endpoint=f"{scripted.url}/token",
        device_authorization_endpoint=f"{scripted.url}/devicecode",
        jwks_uri=f"{scripted.url}/keys",
        tls=scripted.tls,
    )


@pytest.fixture(scope="session")
def signing_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "k-1"})


@pytest.fixture(scope="session")
def jwks(signing_key: RSAKey) -> dict[str, Any]:
    return dict(KeySet([signing_key]).as_dict())


Sign = Callable[..., str]


@pytest.fixture(scope="session")
def sign(signing_key: RSAKey) -> Sign:
    """Makes identity tokens."""

    def sign(claims: dict[str, Any], **header: Any) -> str:
        header = {"alg": "RS256", "kid": "k-1", **header}
        return jwt.encode(
            {name: value for name, value in header.items() if value is not None},
            claims,
            signing_key,
            algorithms=["RS256", "PS256"],
        )

    return sign
