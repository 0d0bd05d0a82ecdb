"""A provider whose endpoints are a scripted server's."""

import pytest

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
