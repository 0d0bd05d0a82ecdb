"""`towrope issuer`, against a real server and a provider as far as it is looked at."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.conftest import Shell
from tests.fixtures.entra import EntraServer
from tests.fixtures.oidc_stub import AUDIENCE, OidcStub


@pytest.fixture
def ca_file(oidc_stub: OidcStub, tmp_path: Path) -> str:
    path = tmp_path / "provider.pem"
    path.write_text(oidc_stub.ca)
    return str(path)


@pytest.fixture
def added(signed_in: Shell, oidc_stub: OidcStub, ca_file: str) -> Iterator[Any]:
    words = ["--issuer-url", oidc_stub.url, "--audience", AUDIENCE, "--ca-file", ca_file]
    yield signed_in.json("issuer", "add", "-n", "dex", *words, "--client-id", "cli")
    signed_in.ok("issuer", "remove", "-n", "dex", "-y")


def test_an_issuer_that_is_added(signed_in: Shell, oidc_stub: OidcStub, added: Any) -> None:
    assert added["name"] == "dex"
    assert added["issuer"] == oidc_stub.url
    assert added["usernamePrefix"] == "dex:"
    assert added["keyIds"] == [oidc_stub.key.thumbprint()]
    assert added["jwksUri"] == f"{oidc_stub.url}/keys"
    assert added["lastError"] == ""
    assert signed_in.json("issuer", "show", "-n", "DEX") == added
    assert signed_in.json("issuer", "list") == [added]
    heading, _, row = signed_in.ok("issuer", "list", "-o", "table").splitlines()
    assert heading.split() == ["Name", "Kind", "Issuer", "LastFetched"]
    assert row.split() == ["dex", "oidc", oidc_stub.url, added["lastFetched"]]


def test_what_can_be_chosen(
    signed_in: Shell, oidc_stub: OidcStub, added: Any, ca_file: str
) -> None:
    words = ["--issuer-url", oidc_stub.url, "--audience", "a", "b", "--ca-file", ca_file]
    words += ["--scope", "openid", "email", "--username-claim", "email", "sub"]
    words += ["--groups-claim", "roles", "--username-prefix", "", "--groups-prefix", "d/"]
    words += ["--algorithm", "ES256", "--jwks-uri", f"{oidc_stub.url}/keys"]
    made = signed_in.json("issuer", "add", "-n", "dex", *words)
    assert made["audiences"] == ["a", "b"]
    assert made["scopes"] == ["openid", "email"]
    assert made["usernameClaims"] == ["email", "sub"]
    assert made["groupsClaim"] == "roles"
    assert (made["usernamePrefix"], made["groupsPrefix"]) == ("", "d/")
    assert made["algorithms"] == ["ES256"]
    assert made["clientId"] == ""


def test_an_entra_tenant_and_its_secret(
    signed_in: Shell, entra: EntraServer, tmp_path: Path
) -> None:
    ca_file = tmp_path / "entra.pem"
    ca_file.write_text(entra.ca)
    words = ["issuer", "add", "-n", "contoso", "--kind", "entra", "--issuer-url", entra.url]
    words += ["-t", entra.tokens.tenant, "--audience", entra.tokens.audience]
    words += ["--ca-file", str(ca_file)]
    as_application = [*words, "--graph-client-id", entra.client_id, "--graph-endpoint", entra.url]
    try:
        assert "clientSecret" in signed_in.error(1, *as_application)
        made = signed_in.json(*as_application, input=f"{entra.secret}\n")
        assert made["issuer"] == f"{entra.url}/{entra.tokens.tenant}/v2.0"
        assert made["graph"] == {"clientId": entra.client_id, "endpoint": entra.url}
        assert entra.secret not in signed_in.ok("issuer", "show", "-n", "contoso")
        # It stays where it is not given again.
        assert signed_in.json(*as_application)["graph"] == made["graph"]
        assert signed_in.json(*words)["graph"] is None
        secret = {"TOWROPE_GRAPH_CLIENT_SECRET": entra.secret}
        assert signed_in.json(*as_application, **secret)["graph"] == made["graph"]
    finally:
        signed_in.ok("issuer", "remove", "-n", "contoso", "--yes")


def test_what_is_not_right_is_said(signed_in: Shell, oidc_stub: OidcStub) -> None:
    known = ["issuer", "add", "-n", "dex", "--audience", "x"]
    assert "'issuerUrl' must be an https" in signed_in.error(1, *known, "--issuer-url", "http://x")
    refused = signed_in.error(1, *known, "--issuer-url", oidc_stub.url)
    assert "is not usable: it cannot be reached" in refused
    assert "--audience" in signed_in.error(2, "issuer", "add", "-n", "dex")
    said = signed_in.error(2, *known, "--graph-endpoint", "https://x")
    assert "--graph-client-id" in said
    assert "issuers/dex" in signed_in.error(3, "issuer", "show", "-n", "dex")
    assert "--yes" in signed_in.error(2, "issuer", "remove", "-n", "dex")
    signed_in.ok("issuer", "remove", "-n", "dex", "--yes")
    assert "is no name" in signed_in.error(1, "issuer", "show", "-n", "..")
    assert "is invalid" in signed_in.error(1, *known, "-n", "a/b")
