"""Microsoft's Python SDKs (PyPI azure-mgmt-*, azure-identity) against a real server."""

import base64
import json
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.control.conftest import new_onboarding_key
from tests.fixtures.people import People
from tests.fixtures.server import Server
from towrope.control.roles.built_in import CLUSTER_USER

HERE = Path(__file__).parent
NAMESPACES = [
    "Microsoft.Authorization",
    "Microsoft.ExtendedLocation",
    "Microsoft.Kubernetes",
    "Microsoft.KubernetesConfiguration",
    "Microsoft.Relay",
    "Microsoft.Resources",
]


@pytest.fixture(scope="session")
def sdk_python() -> Path:
    """The interpreter of the environment that has the SDKs."""
    words = [str(HERE / "install-azure.sh"), "azure-sdk"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@dataclass(frozen=True, kw_only=True)
class Sdk:
    """Runs scenarios of `azure_mgmt.py` as a service principal."""

    python: Path
    arguments: tuple[str, ...]
    """The server, its authority, the tenant and the subscription."""
    client_id: str
    client_secret: str

    def run(self, scenario: str, **environment: str) -> Any:
        done = subprocess.run(
            [str(self.python), str(HERE / "azure_mgmt.py"), scenario, *self.arguments],
            env={
                "PATH": os.environ["PATH"],
                "CLIENT_ID": self.client_id,
                "CLIENT_SECRET": self.client_secret,
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def sdk(sdk_python: Path, server: Server) -> Sdk:
    return Sdk(
        python=sdk_python,
        arguments=(server.url, str(server.ca_file), server.tenant, server.subscription),
        client_id=server.app_id,
        client_secret=server.secret,
    )


@pytest.fixture(scope="session")
def key() -> str:
    return new_onboarding_key().public


def test_subscriptions_tenants_and_locations(sdk: Sdk, server: Server) -> None:
    assert sdk.run("subscriptions") == {
        "listed": server.subscription,
        "shown": "Towrope",
        "tenants": [server.tenant],
        "locations": [["local", "Local"]],
        "other": ["ResourceNotFoundError", 404, "SubscriptionNotFound"],
    }


def test_resource_groups_and_resources_of_any_type(sdk: Sdk, key: str) -> None:
    assert sdk.run("resources", ONBOARDING_KEY=key) == {
        "before": False,
        "created": "sdk",
        "exists": True,
        "patched": {"owner": "ada"},
        "tagged": ["sdk"],
        "others": [],
        "listed": ["shop-0", "shop-1", "shop-2", "shop-4"],
        "states": ["Succeeded"],
        "in group": ["shop-0", "shop-1", "shop-2", "shop-3", "shop-4"],
        "found": True,
        "shown": ["Microsoft.Kubernetes/connectedClusters", "local", "k3s"],
        "updated": {"a": "b"},
        "deleted": False,
        "gone": ["ResourceNotFoundError", 404, "ResourceGroupNotFound"],
    }


def test_providers(sdk: Sdk) -> None:
    assert sdk.run("providers") == {
        "listed": NAMESPACES,
        "tenant": NAMESPACES,
        "type": ["connectedClusters", ["Local"]],
        "registered": "Registered",
        "unregistered": ["ResourceExistsError", 409, "CannotUnregisterResourceNamespace"],
        "other": ["ResourceNotFoundError", 404, "InvalidResourceNamespace"],
    }


def test_connected_clusters(sdk: Sdk, key: str) -> None:
    seen = sdk.run("hybridkubernetes", ONBOARDING_KEY=key)
    assert "Microsoft.Kubernetes/connectedClusters/read" in seen.pop("operations")
    assert seen == {
        "made": ["shop-17", "Succeeded"],
        "replaced": True,
        "patched": [{"a": "b"}, "1.35"],
        "shown": "True",
        "listed": ["shop-17"],
        "credential": ["ResourceNotFoundError", 404, "HybridConnectionNotFound"],
        "bad": ["HttpResponseError", 400, "InvalidRequestContent"],
        "deleted": ["ResourceNotFoundError", 404, "ResourceNotFound"],
    }


def test_long_running_operations_are_polled_by_both_headers(
    sdk: Sdk, key: str, server: Server
) -> None:
    assert sdk.run("polling", ONBOARDING_KEY=key) == {
        "made": "polled",
        "patched": {"a": "b"},
        "deleted": ["ResourceNotFoundError", 404, "ResourceNotFound"],
    }
    logged = server.log.read_text()
    assert "/operationStatuses/" in logged
    assert "/operationResults/" in logged


def test_role_definitions_and_assignments(sdk: Sdk, server: Server) -> None:
    listed = server.api.get("/v1.0/servicePrincipals").raise_for_status().json()["value"]
    [principal] = [each["id"] for each in listed if each["appId"] == server.app_id]
    assignment = str(uuid.uuid4())
    seen = sdk.run("authorization", ASSIGNMENT=assignment, PRINCIPAL=principal)
    scope = f"/subscriptions/{server.subscription}/resourceGroups/sdk"
    assert seen.pop("data actions") > 20
    assert ["*"] in seen.pop("permissions")
    assert seen == {
        "viewer": ["63f0a09d-1495-4db4-a681-037d84835eb4", "BuiltInRole"],
        "made": [assignment, scope, principal, True],
        "twice": ["ResourceExistsError", 409, "RoleAssignmentExists"],
        "listed": [assignment],
        "by id": assignment,
        "deleted": ["ResourceNotFoundError", 404, "RoleAssignmentNotFound"],
    }


def test_the_cluster_user_role_gives_a_credential_of_a_cluster(
    sdk_python: Path, people: People
) -> None:
    robot = people.application("sdk-robot", reaches=False)
    sdk = Sdk(
        python=sdk_python,
        arguments=(
            people.installation.url,
            str(people.authority),
            people.tenant,
            people.subscription_id.rpartition("/")[2],
        ),
        client_id=robot.app_id,
        client_secret=robot.secret,
    )
    names = {"GROUP": "shops", "CLUSTER": people.installation.name}
    assert sdk.run("credential", **names) == ["HttpResponseError", 403, "AuthorizationFailed"]
    people.assign(CLUSTER_USER.id, robot.object_id, people.cluster_id)
    seen = sdk.run("credential", **names)
    kubeconfig = YAML(typ="safe", pure=True).load(base64.b64decode(seen["kubeconfig"]))
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:47011"
    assert seen["path"].startswith("microsoft.kubernetes/connectedclusters/")
    assert seen["relay"] == people.installation.url.removeprefix("https://")
