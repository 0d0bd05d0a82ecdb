from typing import Any

import msgspec
import pytest
import trustme

from towrope.control.arm_error import ArmError
from towrope.control.issuer_settings import (
    ALGORITHMS,
    GRAPH,
    Given,
    IssuerSettings,
    checked,
    checked_name,
)
from towrope.wire.agent_api import IssuerKind

TENANT = "5b1e1c0e-52a5-4d3a-9c0e-0d1f3f0b9a77"
APPLICATION = "c0ffee00-0000-4000-8000-000000000001"
OIDC: dict[str, Any] = {"issuerUrl": "https://dex.example.com/auth", "audiences": ["towrope"]}
ENTRA: dict[str, Any] = {"kind": "entra", "tenantId": TENANT, "audiences": [APPLICATION]}
AUTHORITY = trustme.CA()


def settings(properties: dict[str, Any], name: str = "dex") -> IssuerSettings:
    return checked(name, msgspec.convert(properties, Given))


@pytest.mark.parametrize(
    "name", ["", ".", "-x", "a/b", "a b", "x" * 64, "ä", "a\n", "towrope", "TowRope"]
)
def test_bad_names(name: str) -> None:
    with pytest.raises(ArmError, match="is invalid"):
        checked_name(name)


def test_good_names() -> None:
    for name in ("dex", "Contoso-1.example_org", "0", "x" * 63):
        assert checked_name(name) == name


@pytest.mark.parametrize(
    "url",
    [
        "",
        "dex.example.com",
        "http://dex.example.com",
        "HTTP://dex.example.com",
        "ftp://dex.example.com",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user@dex.example.com",
        "https://user:pass@dex.example.com",
        "https://@dex.example.com",
        "https://dex.example.com#x",
        "https://dex.example.com/#",
        "https://dex.example.com?x=1",
        "https://dex.example.com?",
        "https://dex.example.com\\@evil.example",
        "https://dex.example.com:99999",
        "https://dex.example.com:x",
        "https://[::1",
        "https://dex.example.com/\n",
        " https://dex.example.com",
        "https://dex example.com",
        "https://dëx.example.com",
        "https://" + "x" * 512,
    ],
)
def test_bad_urls(url: str) -> None:
    with pytest.raises(ArmError, match="'issuerUrl' must be an https"):
        settings(OIDC | {"issuerUrl": url})
    for name in ("jwksUri",):
        if url and "?" not in url:
            with pytest.raises(ArmError, match=f"'{name}' must be an https"):
                settings(OIDC | {name: url})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"audiences": []}, "'audiences' is required"),
        ({"audiences": [""]}, "'audiences' must be"),
        ({"audiences": ["a\0"]}, "'audiences' must be"),
        ({"audiences": [" a"]}, "'audiences' must be"),
        ({"audiences": ["x" * 257]}, "'audiences' must be"),
        ({"audiences": [str(number) for number in range(17)]}, "'audiences' must be"),
        ({"clientId": "a\n"}, "'clientId' must be"),
        ({"scopes": ["openid email"]}, "'scopes' must be"),
        ({"scopes": ['"']}, "'scopes' must be"),
        ({"usernameClaims": ["a b"]}, "'usernameClaims' must be"),
        ({"groupsClaim": ""}, "'groupsClaim' must be"),
        ({"algorithms": ["none"]}, "'none' is not allowed"),
        ({"algorithms": ["RS256", "HS256"]}, "'HS256' is not allowed"),
        ({"algorithms": ["rs256"]}, "'rs256' is not allowed"),
        ({"usernamePrefix": "system:"}, "'usernamePrefix' must not make names"),
        ({"usernamePrefix": "SYS"}, "'usernamePrefix' must not make names"),
        ({"groupsPrefix": "system%3A"}, "'groupsPrefix' must not make names"),
        ({"groupsPrefix": "\u200bsystem:"}, "'groupsPrefix' must be"),
        ({"groupsPrefix": " x"}, "'groupsPrefix' must be"),
        ({"groupsPrefix": "x" * 65}, "'groupsPrefix' must be"),
        ({"kind": "towrope"}, "'kind' must be"),
        ({"tenantId": TENANT}, "for the kind 'entra' only"),
        ({"graph": {"clientId": APPLICATION}}, "for the kind 'entra' only"),
        ({"caCertificate": "x"}, "'caCertificate' must be"),
        ({"caCertificate": "é"}, "'caCertificate' must be"),
        ({"caCertificate": "x" * 70_000}, "'caCertificate' must be"),
    ],
    ids=str,
)
def test_bad_properties(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ArmError, match=sentence):
        settings(OIDC | change)


def test_a_name_that_would_make_the_default_prefix_a_reserved_one() -> None:
    with pytest.raises(ArmError, match="'usernamePrefix' must not make names"):
        settings(OIDC, name="system")
    assert settings(OIDC | {"usernamePrefix": "", "groupsPrefix": "x:"}, name="system")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tenantId": ""}, "'tenantId' must be"),
        ({"tenantId": "common"}, "'tenantId' must be"),
        ({"issuerUrl": "http://login.example"}, "'issuerUrl' must be"),
        ({"issuerUrl": "https://login.example/tenant"}, "'issuerUrl' must be"),
        ({"audiences": []}, "'audiences' is required"),
        ({"graph": {"clientId": "x"}}, "'graph.clientId' must be"),
        ({"graph": {"clientId": APPLICATION, "endpoint": "http://g"}}, "'graph.endpoint' must be"),
        (
            {"graph": {"clientId": APPLICATION, "endpoint": "https://g/x"}},
            "'graph.endpoint' must be",
        ),
    ],
    ids=str,
)
def test_bad_properties_of_an_entra_tenant(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ArmError, match=sentence):
        settings(ENTRA | change)


def test_a_slip_is_no_setting() -> None:
    with pytest.raises(msgspec.ValidationError, match="usernamPrefix"):
        settings(OIDC | {"usernamPrefix": "x"})


def test_a_private_key_is_not_taken_for_an_authority() -> None:
    leaf = AUTHORITY.issue_cert("x")
    pem = AUTHORITY.cert_pem.bytes().decode()
    with pytest.raises(ArmError, match="without a private key"):
        settings(OIDC | {"caCertificate": pem + leaf.private_key_pem.bytes().decode()})
    assert settings(OIDC | {"caCertificate": pem}).ca_certificate == pem


def test_what_follows_for_an_openid_provider() -> None:
    made = settings(OIDC)
    assert made == IssuerSettings(
        kind=IssuerKind.OIDC,
        issuer_url="https://dex.example.com/auth",
        audiences=("towrope",),
        client_id="",
        scopes=("openid", "profile", "offline_access"),
        username_claims=("sub",),
        groups_claim="groups",
        username_prefix="dex:",
        groups_prefix="dex:",
        algorithms=("RS256", "ES256"),
    )
    assert made.issuers == ("https://dex.example.com/auth",)
    assert made.authority == "https://dex.example.com/auth"


def test_the_issuer_is_kept_as_it_is_written() -> None:
    url = "https://Tenant.auth0.example/"
    assert settings(OIDC | {"issuerUrl": url}).issuers == (url,)


def test_what_follows_for_an_entra_tenant() -> None:
    made = settings(ENTRA | {"tenantId": TENANT.upper(), "clientId": "cli"})
    assert made.issuers == (
        f"https://sts.windows.net/{TENANT}/",
        f"https://login.microsoftonline.com/{TENANT}/v2.0",
    )
    assert made.authority == f"https://login.microsoftonline.com/{TENANT}/v2.0"
    assert made.token_url == f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"
    assert made.tenant_id == TENANT
    assert made.username_claims == ("upn", "oid")
    assert (made.username_prefix, made.groups_prefix) == ("", "")
    assert made.scopes == (f"{APPLICATION}/.default", "openid", "profile", "offline_access")
    assert made.algorithms == ("RS256",)


def test_an_entra_tenant_of_another_cloud() -> None:
    graph = {"clientId": APPLICATION.upper(), "endpoint": "https://graph.example/"}
    change = {"issuerUrl": "https://login.example/", "clientId": APPLICATION, "graph": graph}
    made = settings(ENTRA | change)
    assert made.issuers[-1] == f"https://login.example/{TENANT}/v2.0"
    assert made.scopes == ("openid", "profile", "offline_access")
    assert made.graph is not None
    assert made.graph.endpoint == "https://graph.example"
    assert made.graph.client_id == APPLICATION
    assert settings(ENTRA | {"graph": {"clientId": APPLICATION}}).graph is not None
    assert msgspec.convert({"clientId": APPLICATION}, type(made.graph)).endpoint == GRAPH


def test_what_is_given_is_kept() -> None:
    change = {
        "clientId": "cli",
        "scopes": ["openid", "email", "openid"],
        "usernameClaims": ["email", "sub"],
        "groupsClaim": "https://example.com/roles",
        "usernamePrefix": "",
        "groupsPrefix": "dex/",
        "algorithms": list(ALGORITHMS),
        "jwksUri": "https://keys.example.com/keys?p=1",
    }
    made = settings(OIDC | change)
    assert made.scopes == ("openid", "email")
    assert made.username_claims == ("email", "sub")
    assert (made.username_prefix, made.groups_prefix) == ("", "dex/")
    assert made.groups_claim == "https://example.com/roles"
    assert made.algorithms == ALGORITHMS
    assert made.jwks_uri == "https://keys.example.com/keys?p=1"


def test_what_was_shown_may_be_sent_back() -> None:
    made = settings(OIDC)
    shown = msgspec.to_builtins(made) | {"discovered": {"keyIds": []}, "provisioningState": "x"}
    assert settings(shown) == made


def test_a_secret_is_not_in_what_a_log_would_print() -> None:
    given = msgspec.convert(
        ENTRA | {"graph": {"clientId": APPLICATION, "clientSecret": "hush"}}, Given
    )
    assert "hush" not in repr(given)
    assert APPLICATION in repr(given)
