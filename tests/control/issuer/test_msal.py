"""Microsoft's own libraries sign in at a server's issuer, as they do at Entra.

What a person does in the browser is done here by the functions that the pages call, on the
server's database.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import jwt
import msal
import pytest
from azure.identity import CertificateCredential, ClientSecretCredential
from cryptography.hazmat.primitives import hashes
from sqlalchemy import text

from tests.control.conftest import OnboardingKey
from tests.control.issuer.certificates import rsa_certified
from tests.fixtures.server import Server
from towrope.control.app import ControlPlane
from towrope.control.issuer import authorization, device_authorization
from towrope.control.issuer.clients import AZURE_CLI
from towrope.control.issuer.scopes import ARC_SERVER
from towrope.control.services import Services
from towrope.control.settings import Settings, parse_public_url
from towrope.control.store import service_principals, users
from towrope.control.store.service_principals import ApplicationCredential
from towrope.control.store.users import User

ADA = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"
REQUESTED_KEY = "eyJraWQiOiJrIiwieG1zX2tzbCI6InN3In0"
T = TypeVar("T")


def inside(server: Server, work: Callable[[Services], Awaitable[T]]) -> T:
    """Does something as the server's own pages would."""

    async def run() -> T:
        control = ControlPlane(
            Settings(
                url=parse_public_url(server.url),
                tenant=server.tenant,
                subscription=server.subscription,
                master=(server.state_dir / "master.key").read_bytes(),
                signing_keys=server.state_dir / "signing-keys",
                database_url=f"sqlite:///{server.state_dir / 'towrope.db'}",
            )
        )
        await control.services.database.open()
        try:
            return await work(control.services)
        finally:
            await control.services.database.close()

    return asyncio.run(run())


@pytest.fixture(scope="module")
def ada(server: Server) -> str:
    """A user of the server's directory."""

    async def add(services: Services) -> None:
        ada = User(
            object_id=ADA,
            user_principal_name="ada@example.org",
            display_name="Ada",
            created=int(time.time()),
        )
        async with services.database.writing() as connection:
            await users.add(connection, ada)

    inside(server, add)
    return ADA


@pytest.fixture(scope="module")
def cluster(server: Server, onboarding_key: OnboardingKey) -> str:
    """The resource id of a connected cluster."""
    group = f"/subscriptions/{server.subscription}/resourceGroups/shops"
    server.api.put(group, json={"location": "local"}).raise_for_status()
    body = {
        "location": "local",
        "identity": {"type": "SystemAssigned"},
        "properties": {"agentPublicKeyCertificate": onboarding_key.public},
    }
    path = f"{group}/providers/Microsoft.Kubernetes/connectedClusters/shop-17"
    made: str = server.api.put(path, json=body).raise_for_status().json()["id"]
    return made


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the libraries are told counts, and not what the machine is set to."""
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["adfs", "tenant", "organizations"])
def authority(request: pytest.FixtureRequest, server: Server) -> str:
    shape = {"tenant": server.tenant}.get(request.param, request.param)
    return f"{server.url}/{shape}"


@pytest.fixture(params=["adfs", "tenant"])
def own_authority(request: pytest.FixtureRequest, server: Server) -> str:
    """For applications, which have one tenant."""
    return f"{server.url}/{server.tenant if request.param == 'tenant' else 'adfs'}"


@pytest.fixture
def app(server: Server, authority: str) -> Iterator[msal.PublicClientApplication]:
    made = msal.PublicClientApplication(
        AZURE_CLI, authority=authority, instance_discovery=False, verify=str(server.ca_file)
    )
    yield made
    made.http_client.close()


def good(answer: dict[str, Any]) -> dict[str, Any]:
    assert "access_token" in answer, answer
    return answer


def claims_of(server: Server, answer: dict[str, Any], audience: str) -> dict[str, Any]:
    """What an access token says, verified with the server's keys by another library."""
    keys = jwt.PyJWKSet.from_dict(server_keys(server))
    key = keys[jwt.get_unverified_header(answer["access_token"])["kid"]]
    said: dict[str, Any] = jwt.decode(
        answer["access_token"],
        key,
        algorithms=["RS256"],
        audience=audience,
        issuer=f"{server.url}/{server.tenant}/v2.0",
    )
    return said


def server_keys(server: Server) -> dict[str, Any]:
    keys: dict[str, Any] = server.api.get("/adfs/discovery/keys").json()
    return keys


def check_silent(server: Server, app: msal.PublicClientApplication, cluster: str) -> None:
    """Tokens for other resources, by the refresh token, one after another."""
    [account] = app.get_accounts()
    assert account["username"] == "ada@example.org"
    assert account["home_account_id"] == f"{ADA}.{server.tenant}"
    same = good(app.acquire_token_silent([f"{server.url}/.default"], account))
    assert same["token_source"] == "cache"
    other = good(app.acquire_token_silent([f"{cluster}/.default"], account))
    assert other["token_source"] == "identity_provider"
    assert claims_of(server, other, cluster)["upn"] == "ada@example.org"
    bound = good(
        app.acquire_token_silent(
            [f"{ARC_SERVER}/.default"],
            account,
            data={"token_type": "pop", "key_id": "k", "req_cnf": REQUESTED_KEY},
        )
    )
    assert bound["token_type"] == "pop"
    assert claims_of(server, bound, ARC_SERVER)["cnf"]["kid"] == "k"


def test_a_code_in_the_browser(
    server: Server, ada: str, cluster: str, app: msal.PublicClientApplication
) -> None:
    flow = app.initiate_auth_code_flow(
        [f"{server.url}/.default"],
        redirect_uri="http://localhost:40123",
        response_mode="form_post",
        claims_challenge='{"access_token":{"xms_cc":{"values":["cp1"]}}}',
        prompt="select_account",
    )

    async def sign_in(services: Services) -> dict[str, str]:
        asked = parse_qsl(urlsplit(flow["auth_uri"]).query)
        request = await authorization.parse(services, asked)
        answer = await authorization.grant(
            services, request, object_id=ada, authenticated_at=int(time.time())
        )
        return dict(answer.parameters)

    tokens = good(app.acquire_token_by_auth_code_flow(flow, inside(server, sign_in)))
    assert tokens["id_token_claims"]["oid"] == ada
    assert claims_of(server, tokens, server.url)["appid"] == AZURE_CLI
    check_silent(server, app, cluster)


def test_a_code_on_a_device(
    server: Server, ada: str, cluster: str, app: msal.PublicClientApplication
) -> None:
    flow = app.initiate_device_flow([f"{server.url}/.default"])
    assert flow["message"].startswith("To sign in, use a web browser to open the page")
    waiting = app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
    assert waiting["error"] == "authorization_pending"

    async def approve(services: Services) -> bool:
        return await device_authorization.approve(
            services, flow["user_code"], object_id=ada, authenticated_at=int(time.time())
        )

    assert inside(server, approve)

    async def wait_no_longer(services: Services) -> None:
        async with services.database.writing() as connection:
            await connection.execute(text("update device_codes set polled_at = 0"))

    inside(server, wait_no_longer)
    flow["latest_attempt_at"] = 0
    good(app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True))
    check_silent(server, app, cluster)


def application(server: Server, own_authority: str, credential: Any) -> dict[str, Any]:
    app = msal.ConfidentialClientApplication(
        server.app_id,
        client_credential=credential,
        authority=own_authority,
        instance_discovery=False,
        verify=str(server.ca_file),
    )
    try:
        # The library makes one assertion and uses it for both.
        good(app.acquire_token_for_client([f"{ARC_SERVER}/.default"]))
        answer: dict[str, Any] = app.acquire_token_for_client([f"{server.url}/.default"])
        return answer
    finally:
        app.http_client.close()


def test_an_application_with_a_secret(server: Server, own_authority: str) -> None:
    tokens = good(application(server, own_authority, server.secret))
    assert claims_of(server, tokens, server.url)["idtyp"] == "app"


def test_a_wrong_secret_is_said_as_azures_clients_expect(
    server: Server, own_authority: str
) -> None:
    app = msal.ConfidentialClientApplication(
        server.app_id,
        client_credential="wrong",
        authority=own_authority,
        instance_discovery=False,
        verify=str(server.ca_file),
    )
    answer = app.acquire_token_for_client([f"{server.url}/.default"])
    app.http_client.close()
    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [7000215])
    assert answer["error_description"].startswith("AADSTS7000215: ")


@pytest.fixture(scope="module")
def _certificate(server: Server) -> None:
    """The administrator may sign in with a certificate too."""

    async def add(services: Services) -> None:
        made = ApplicationCredential(
            key_id=str(uuid.uuid4()),
            app_id=server.app_id,
            certificate=rsa_certified().certificate,
            starts=int(time.time()) - 60,
            ends=int(time.time()) + 3600,
        )
        async with services.database.writing() as connection:
            await service_principals.add_credential(connection, made)

    inside(server, add)


@pytest.mark.usefixtures("_certificate")
def test_an_application_with_a_certificate(server: Server, own_authority: str) -> None:
    made = rsa_certified()
    credentials = [
        {
            "private_key": made.private_key,
            "thumbprint": made.thumbprint(hashes.SHA1()).hex(),  # noqa: S303
        },
        {"private_key": made.private_key, "public_certificate": made.certificate},
    ]
    for credential in credentials:
        tokens = good(application(server, own_authority, credential))
        assert claims_of(server, tokens, server.url)["appid"] == server.app_id


@pytest.mark.usefixtures("_certificate")
def test_the_credentials_of_azures_sdks(server: Server) -> None:
    options: dict[str, Any] = {
        "authority": server.url,
        "disable_instance_discovery": True,
        "connection_verify": str(server.ca_file),
    }
    made = rsa_certified()
    pem = (made.private_key + made.certificate).encode()
    credentials = [
        ClientSecretCredential(server.tenant, server.app_id, server.secret, **options),
        CertificateCredential(server.tenant, server.app_id, certificate_data=pem, **options),
        CertificateCredential(
            server.tenant,
            server.app_id,
            certificate_data=pem,
            send_certificate_chain=True,
            **options,
        ),
    ]
    for credential in credentials:
        with credential:
            for resource in (server.url, ARC_SERVER):
                token = credential.get_token(f"{resource}/.default")
                said = claims_of(server, {"access_token": token.token}, resource)
                assert said["appid"] == server.app_id
