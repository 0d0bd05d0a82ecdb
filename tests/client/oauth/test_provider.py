"""Where secrets go: to addresses that the user vouched for, or that an issuer says of itself."""

import ssl
from typing import Any

import pytest

from tests.client.conftest import Answer, Scripted
from towrope.client.oauth.provider import Provider, check_tenant, discover_issuer, own_issuer
from towrope.wire.errors import Malformed, Refused

TLS = ssl.create_default_context()


def configuration(scripted: Scripted, **changes: Any) -> dict[str, Any]:
    made = {
        "issuer": scripted.url,
        "authorization_endpoint": "https://login.example/authorize?p=1",
        "token_endpoint": f"{scripted.url}/token",
        "jwks_uri": f"{scripted.url}/keys",
        "device_authorization_endpoint": f"{scripted.url}/device",
        "scopes_supported": ["openid", "offline_access"],
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def test_own_issuer_is_where_the_user_reaches_it() -> None:
    made = own_issuer("https://here.example:1", "https://public.example", "t-1", TLS)
    assert made.token_endpoint == "https://here.example:1/t-1/oauth2/v2.0/token"
    assert made.authorization_endpoint.startswith("https://here.example:1/")
    assert made.device_authorization_endpoint.startswith("https://here.example:1/")
    assert made.jwks_uri.startswith("https://here.example:1/")
    assert made.issuer == "https://public.example/t-1/v2.0"
    assert made.names_itself


@pytest.mark.parametrize("tenant", ["", ".", "..", "../x", "a/b", "a b", "a?b", "é"])
def test_tenant_that_would_change_the_path(tenant: str) -> None:
    with pytest.raises(Malformed, match="is no tenant"):
        own_issuer("https://a.example", "https://a.example", tenant, TLS)


def test_tenant_may_be_a_domain() -> None:
    assert check_tenant("contoso.example") == "contoso.example"


def test_issuer_describes_itself(scripted: Scripted) -> None:
    scripted.answers = [Answer(body=configuration(scripted))]
    found = discover_issuer(scripted.url, scripted.tls)
    assert found.token_endpoint == f"{scripted.url}/token"
    assert found.offers_offline_access
    assert not found.names_itself
    assert scripted.asked[0].path == "/.well-known/openid-configuration"


def test_issuer_with_a_path_and_without_device_codes(scripted: Scripted) -> None:
    issuer = f"{scripted.url}/realms/a"
    body = configuration(scripted, issuer=issuer, device_authorization_endpoint=None)
    scripted.answers = [Answer(body=body)]
    assert discover_issuer(issuer, scripted.tls).device_authorization_endpoint == ""
    assert scripted.asked[0].path == "/realms/a/.well-known/openid-configuration"


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": "http://plain.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://user:secret@host.example/"},
        {"token_endpoint": "https://[::1"},
        {"device_authorization_endpoint": "http://plain.example"},
    ],
)
def test_issuer_that_is_not_believed(changes: dict[str, Any], scripted: Scripted) -> None:
    scripted.answers = [Answer(body=configuration(scripted, **changes))]
    with pytest.raises(Refused):
        discover_issuer(scripted.url, scripted.tls)


def test_issuer_without_tls() -> None:
    with pytest.raises(Refused, match="expected https"):
        discover_issuer("http://issuer.example", TLS)


@pytest.mark.parametrize("body", [{}, {"access_token": 1}])
def test_answer_without_a_token(body: object, provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body=body)]
    with pytest.raises(Refused, match="no access token"):
        provider.redeem({})


def test_query_of_an_endpoint_is_kept(scripted: Scripted) -> None:
    made = own_issuer(scripted.url, scripted.url, "t", scripted.tls)
    scripted.answers = [Answer(body={"x": 1})]
    assert made.post(f"{scripted.url}/token?p=1", {"a": "b"}) == {"x": 1}
    assert made.post(scripted.url, {}) == {"x": 1}
    assert [asked.path for asked in scripted.asked] == ["/token?p=1", "/"]


def test_tokens_are_not_shown(provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body={"access_token": "s3cret", "refresh_token": "s3cret"})]
    assert "s3cret" not in repr(provider.redeem({}))
