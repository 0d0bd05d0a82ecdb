"""Addresses of servers, and what a server says about signing in to it."""

import pytest

from tests.client.conftest import Answer, Scripted
from towrope.client.account import discover, find_issuer, normalize_server
from towrope.client.rest import Rest
from towrope.wire.errors import Malformed, NotFound, Refused

CONTOSO = {
    "name": "contoso",
    "kind": "oidc",
    "issuer": "https://login.contoso.example",
    "clientId": "c-1",
    "audience": "c-1",
    "scopes": ["openid"],
    "caCertificate": None,
}


@pytest.mark.parametrize(
    ("given", "server"),
    [
        ("https://a.example", "https://a.example"),
        (" https://A.example/ ", "https://a.example"),
        ("a.example", "https://a.example"),
        ("a.example:8443", "https://a.example:8443"),
        ("https://a.example:443", "https://a.example"),
        ("https://[::1]:8443/", "https://[::1]:8443"),
    ],
)
def test_addresses(given: str, server: str) -> None:
    assert normalize_server(given) == server


@pytest.mark.parametrize(
    "given",
    [
        "",
        "http://a.example",
        "ftp://a.example",
        "https://",
        "https://a.example/path",
        "https://a.example?x=y",
        "https://a.example#x",
        "https://user:pass@a.example",
        "https://:pass@a.example",
        "https://a.example:x",
        "https://a.example:99999",
        "https://ä.example",
        "https://a b.example",
        "https://[::1",
        "https://-a.example",
        "https://a.example\n.evil.example",
    ],
)
def test_no_addresses(given: str) -> None:
    with pytest.raises(Malformed) as caught:
        normalize_server(given)
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"resourceManager": "x", "authentication": {}},
        {"resourceManager": "x", "authentication": {"tenant": "", "audiences": ["a"]}},
        {"resourceManager": "x", "authentication": {"tenant": "t", "audiences": []}},
    ],
)
def test_no_towrope_server(body: object, scripted: Scripted) -> None:
    scripted.answers = [Answer(body=body)]
    rest = Rest(scripted.url, tls=scripted.tls)
    with pytest.raises(Refused, match="does not say how to sign in"):
        discover(rest)
    rest.close()


def test_issuer_is_found_by_its_name(scripted: Scripted) -> None:
    scripted.answers = [Answer(body={"value": [CONTOSO]})]
    rest = Rest(scripted.url, tls=scripted.tls)
    assert find_issuer(rest, "Contoso").client_id == "c-1"
    with pytest.raises(NotFound, match=r"no issuer 'x'\. It trusts contoso"):
        find_issuer(rest, "x")
    assert {asked.path for asked in scripted.asked} == {"/.well-known/towrope/issuers"}
    rest.close()


@pytest.mark.parametrize("body", [{}, {"value": [{"name": "x"}]}])
def test_no_list_of_issuers(body: object, scripted: Scripted) -> None:
    scripted.answers = [Answer(body=body)]
    rest = Rest(scripted.url, tls=scripted.tls)
    with pytest.raises(Refused, match="which issuers it trusts"):
        find_issuer(rest, "contoso")
    rest.close()
