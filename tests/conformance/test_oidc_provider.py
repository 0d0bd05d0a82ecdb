"""A certified OpenID provider as a trusted issuer: npm's oidc-provider, unchanged.

People sign in to it with our command line, by browser and by device code; and its tokens, asked for
as any client does, are shown to the server.
"""

import base64
import hashlib
import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.client.conftest import COMMAND, Shell
from tests.fixtures.oidc_provider import API_AUDIENCE, API_CLIENT, CLIENT, OidcProvider
from tests.fixtures.server import API_VERSION, Server
from towrope.wire.names import external_object_id

NAME = "certified"
REDIRECT = "http://127.0.0.1:5555/"
VERIFIER = "v" * 43
SCOPES = "openid offline_access profile email groups"
CODE = re.compile(r"\b[A-Z]{4}-[A-Z]{4}\b")


PATH = f"/providers/Towrope.Identity/issuers/{NAME}"


def trust(server: Server, provider: OidcProvider, *audiences: str) -> None:
    properties = provider.settings | {"audiences": [CLIENT, API_AUDIENCE, *audiences]}
    server.api.put(PATH, json={"properties": properties}).raise_for_status()


@pytest.fixture
def trusted(server: Server, oidc_provider: OidcProvider) -> Iterator[OidcProvider]:
    trust(server, oidc_provider)
    yield oidc_provider
    server.api.delete(PATH).raise_for_status()


def tokens(provider: OidcProvider, account: str, client: str = CLIENT) -> dict[str, str]:
    """By authorization code and PKCE."""
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    wish = {
        "client_id": client,
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": SCOPES,
        "state": "state",
        "prompt": "consent",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    with provider.browser(account) as browser:
        answer = browser.visit(f"{provider.url}/auth?{urlencode(wish)}", stop_at=REDIRECT)
        form = {
            "grant_type": "authorization_code",
            "client_id": client,
            "code": parse_qs(urlsplit(answer.headers["location"]).query)["code"][0],
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
        }
        redeemed = browser.client.post(f"{provider.url}/token", data=form)
    found: dict[str, str] = redeemed.raise_for_status().json()
    return found


def ask(server: Server, token: str, path: str = "/tenants") -> httpx2.Response:
    return httpx2.get(
        f"{server.url}{path}",
        params={"api-version": API_VERSION},
        headers={"authorization": f"Bearer {token}"},
        verify=server.tls(),
        trust_env=False,
    )


@pytest.fixture
def reader(trusted: OidcProvider, server: Server) -> None:
    """What the provider's ada is at the server."""
    scope = f"/subscriptions/{server.subscription}/providers/Microsoft.Authorization"
    properties = {
        "roleDefinitionId": f"{scope}/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7",
        "principalId": external_object_id(trusted.url, "ada"),
        "principalType": "User",
    }
    path = f"{scope}/roleAssignments/{uuid.uuid5(uuid.NAMESPACE_URL, trusted.url)}"
    server.api.put(path, json={"properties": properties}).raise_for_status()


def signed_in(server: Server, folder: Path, provider: OidcProvider, *words: str) -> Shell:
    """Somebody with nothing but a browser."""
    shell = Shell(folder=folder, environment=provider.environment("ada"))
    login = ["login", "--server", server.url, "--issuer", NAME, "--ca-fingerprint"]
    shell.ok(*login, server.ca_fingerprint, "-o", "none", *words)
    return shell


def test_what_is_said_about_it(trusted: OidcProvider, server: Server) -> None:
    shown = server.api.get(PATH).raise_for_status().json()["properties"]["discovered"]
    assert shown["jwksUri"] == f"{trusted.url}/jwks"
    assert shown["deviceAuthorizationEndpoint"] == f"{trusted.url}/device/auth"
    assert len(shown["keyIds"]) == 1
    assert shown["lastError"] == ""
    offered = server.api.get("/.well-known/towrope/issuers").raise_for_status().json()
    [told] = offered["value"]
    assert told["issuer"] == trusted.url
    assert told["clientId"] == told["audience"] == CLIENT


def test_signing_in_with_a_browser(
    trusted: OidcProvider, reader: None, server: Server, tmp_path: Path
) -> None:
    ada = signed_in(server, tmp_path, trusted)
    assert ada.json("account", "show")["user"]["name"] == "ada"
    refused = ada.run("group", "create", "-n", "mine")
    assert refused.returncode != 0
    assert f"The client '{NAME}:ada@example.org' with object id" in refused.stderr


def test_signing_in_by_device_code(
    trusted: OidcProvider, reader: None, server: Server, tmp_path: Path
) -> None:
    shell = Shell(folder=tmp_path)
    words = ["login", "--server", server.url, "--issuer", NAME, "--use-device-code"]
    words += ["--ca-fingerprint", server.ca_fingerprint]
    with subprocess.Popen(
        [*COMMAND, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=shell.env(),
    ) as running:
        try:
            assert running.stderr is not None
            said = running.stderr.readline()
            code = CODE.search(said)
            assert code is not None, said
            assert f"{trusted.url}/device" in said
            with trusted.browser("ada", user_code=code[0]) as browser:
                page = browser.visit(f"{trusted.url}/device")
            assert "was successful" in page.text
            printed, rest = running.communicate(timeout=60)
        except BaseException:
            running.kill()
            raise
    assert running.returncode == 0, rest
    assert json.loads(printed)[0]["user"]["name"] == "ada"


def test_tokens_that_are_good_and_those_that_are_not(trusted: OidcProvider, server: Server) -> None:
    own, other = tokens(trusted, "ada"), tokens(trusted, "ada", API_CLIENT)
    good = [own["id_token"], other["access_token"]]
    assert [ask(server, token).status_code for token in good] == [200, 200]
    # Another client's identity token, one that is opaque, refresh tokens, and who must not be.
    bad = [other["id_token"], own["access_token"], own["refresh_token"]]
    bad += [tokens(trusted, "system:admin")["id_token"]]
    assert [ask(server, token).status_code for token in bad] == [401] * 4
    trust(server, trusted, API_CLIENT)
    assert ask(server, other["id_token"]).status_code == 200
    server.api.delete(PATH).raise_for_status()
    assert [ask(server, token).status_code for token in good] == [401, 401]


def test_keys_that_change_while_it_is_trusted(trusted: OidcProvider, server: Server) -> None:
    before = tokens(trusted, "ada")["id_token"]
    assert ask(server, before).status_code == 200
    trusted.restart()
    after = tokens(trusted, "ada")["id_token"]
    assert ask(server, after).status_code == 200
    assert ask(server, before).status_code == 401
