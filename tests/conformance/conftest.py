"""The third-party clients, installed where they are not yet; and what the Azure CLI works with."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.control.conftest import new_onboarding_key
from tests.fixtures.azure_cli import Azure, azure_at
from tests.fixtures.server import Server
from towrope.wire import names

HERE = Path(__file__).parent
GROUP = "shops"
CLUSTER = "shop-17"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
def clients() -> Path:
    """The folder with `bin/node`, and with the clients in `node_modules`."""
    done = subprocess.run([HERE / "install.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@dataclass(frozen=True, kw_only=True)
class Site:
    """A server with a cluster's resource, a user and a group; `az` is its administrator's."""

    az: Azure
    server: Server
    cluster_id: str
    user_principal_name: str
    user_id: str
    group_id: str


@pytest.fixture(scope="module")
def site(server: Server, azure_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    az = azure_at(tmp_path_factory.mktemp("azure"), azure_python, server.ca_file)
    az.register(server.url)
    az.sign_in(server.app_id, server.secret, server.tenant)
    az.run("group", "create", "-n", GROUP, "-l", "local", "--tags", "owner=me")
    user = _post(
        server,
        "/v1.0/users",
        {
            "accountEnabled": True,
            "displayName": "Olga",
            "userPrincipalName": "olga@contoso.example",
            "passwordProfile": {"password": PASSWORD, "forceChangePasswordNextSignIn": False},
        },
    )
    group = _post(
        server,
        "/v1.0/groups",
        {
            "displayName": "Shop Operators",
            "mailEnabled": False,
            "mailNickname": "operators",
            "securityEnabled": True,
        },
    )
    return Site(
        az=az,
        server=server,
        cluster_id=_connect(server),
        user_principal_name=user["userPrincipalName"],
        user_id=user["id"],
        group_id=group["id"],
    )


def _post(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = server.api.post(path, json=body).raise_for_status().json()
    return made


def _connect(server: Server) -> str:
    """The resource id of a cluster that no agent speaks for."""
    resource_id = names.cluster_id(server.subscription, GROUP, CLUSTER)
    body = {
        "location": "local",
        "identity": {"type": "SystemAssigned"},
        "properties": {"agentPublicKeyCertificate": new_onboarding_key().public},
    }
    made: str = server.api.put(resource_id, json=body).raise_for_status().json()["id"]
    return made
