"""What is sent to end a sign-in, and to whom."""

from urllib.parse import parse_qs

from tests.client.conftest import Answer, Scripted
from towrope.client.oauth.provider import Provider
from towrope.client.oauth.revocation import revoke


def provider(scripted: Scripted, endpoint: str) -> Provider:
    return Provider(
        issuer=scripted.url,
        authorization_endpoint=f"{scripted.url}/authorize",
        token_endpoint=f"{scripted.url}/token",
        jwks_uri=f"{scripted.url}/keys",
        revocation_endpoint=endpoint,
        tls=scripted.tls,
    )


def test_the_token_goes_into_the_body(scripted: Scripted) -> None:
    scripted.answers = [Answer(body="")]
    assert revoke(provider(scripted, f"{scripted.url}/revoke"), "c-1", "s3cret")
    (asked,) = scripted.asked
    assert asked.path == "/revoke"
    assert parse_qs(asked.body.decode()) == {
        "client_id": ["c-1"],
        "token": ["s3cret"],
        "token_type_hint": ["refresh_token"],
    }


def test_a_provider_that_cannot_be_told(scripted: Scripted) -> None:
    assert not revoke(provider(scripted, ""), "c-1", "s3cret")
    assert scripted.asked == []
