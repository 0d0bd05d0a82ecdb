"""What the `connectedk8s` extension of the Azure CLI asks of the resource API, in its words.

The requests were recorded from extension 1.11.3; here they come in the order and with the paths,
the headers and the bodies that it sends. What it needs besides (the data plane, the registry of
charts) is not served.
"""

import base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx2
import pytest
from ruamel.yaml import YAML

from tests.control.conftest import NOW, SUBSCRIPTION, TENANT, OnboardingKey, Plane, error_of
from tests.control.test_agents import call, enrolment
from towrope.wire import assertion

SUBSCRIPTION_PATH = f"/subscriptions/{SUBSCRIPTION}"
# The casing differs from one client library to the next that the extension is made of.
GROUP = f"{SUBSCRIPTION_PATH}/resourcegroups/Shops"
CLUSTER = (
    f"{SUBSCRIPTION_PATH}/resourceGroups/Shops/providers/Microsoft.Kubernetes"
    "/connectedClusters/Shop-17"
)
AS_IN_RESOURCE_SHOW = CLUSTER.replace("/connectedClusters/", "//connectedClusters/")
LIST_CREDENTIAL = f"{CLUSTER}/listClusterUserCredential"
# The same id on every request of a run.
HEADERS = {
    "x-ms-azurearc-cli": "true",
    "x-ms-client-request-id": "77ade16b-0f55-403b-b7d2-739554a897f2",
    "CommandName": "connectedk8s connect",
    "ParameterSetName": "-n -g",
    "Accept": "application/json",
}
VERSION = "2025-08-01-preview"
FINISHED = ("Succeeded", "Failed", "Canceled")
CUSTOM_LOCATIONS_APP = "bc313c14-388c-4e7d-a58e-70017303ee3b"
POLLS_LIMIT = 10


def new_cluster(key: OnboardingKey, **properties: Any) -> dict[str, Any]:
    """The body of `connect` and of `update`."""
    return {
        "location": "local",
        "identity": {"type": "SystemAssigned"},
        "tags": {},
        "properties": {
            "agentPublicKeyCertificate": key.public,
            "distribution": "generic",
            "infrastructure": "generic",
            "azureHybridBenefit": "NotApplicable",
            "arcAgentProfile": {"desiredAgentVersion": "", "agentAutoUpgrade": "Enabled"},
            "arcAgentryConfigurations": [],
            "gateway": {"enabled": False},
            "oidcIssuerProfile": {"enabled": False},
            "securityProfile": {"workloadIdentity": {"enabled": False}},
            **properties,
        },
    }


class Extension:
    """Sends what the extension sends, and follows a long-running operation as it does."""

    def __init__(self, plane: Plane) -> None:
        self._api = plane.api

    async def ask(
        self,
        method: str,
        path: str,
        *,
        version: str = VERSION,
        body: Any = None,
        query: Mapping[str, str] = MappingProxyType({}),
        headers: Mapping[str, str] = HEADERS,
    ) -> httpx2.Response:
        params = {"api-version": version, **query}
        given = {"json": body} if body is not None else {}
        return await self._api.request(method, path, params=params, headers=headers, **given)

    async def finish(self, begun: httpx2.Response) -> httpx2.Response:
        """The resource at the end of an operation, in whichever of the three styles it is told:
        by `Azure-AsyncOperation`, by `Location`, or by the resource's own `provisioningState`."""
        begun.raise_for_status()
        operation = begun.headers.get("azure-asyncoperation")
        location = begun.headers.get("location")
        answer = begun
        for _ in range(POLLS_LIMIT):
            if operation:
                answer = (await self._api.get(operation)).raise_for_status()
                if answer.json()["status"] in FINISHED:
                    assert answer.json()["status"] == "Succeeded"
                    return await self.ask("GET", begun.request.url.path)
            elif location:
                answer = (await self._api.get(location)).raise_for_status()
                if answer.status_code != 202:
                    return answer
            elif not answer.content or answer.json()["properties"]["provisioningState"] in FINISHED:
                return answer
            else:
                answer = await self.ask("GET", begun.request.url.path)
        raise AssertionError(f"not at its end after {POLLS_LIMIT} polls")


@pytest.fixture
def extension(plane: Plane) -> Extension:
    return Extension(plane)


@pytest.fixture
async def connected(
    plane: Plane, extension: Extension, onboarding_key: OnboardingKey
) -> dict[str, Any]:
    """A cluster that `connect` has made, and whose agent has enrolled."""
    await extension.ask("PUT", GROUP, body={"location": "local"})
    put = await extension.ask("PUT", CLUSTER, body=new_cluster(onboarding_key))
    cluster: dict[str, Any] = (await extension.finish(put)).json()
    key = assertion.load_key(onboarding_key.private)
    await call(plane, "enroll", enrolment(), key=key, subject=cluster["id"])
    return cluster


async def test_connect_from_its_first_request_to_its_last(
    extension: Extension, onboarding_key: OnboardingKey
) -> None:
    await extension.ask("PUT", GROUP, body={"location": "local"})
    group = (await extension.ask("GET", GROUP, version="2024-11-01")).raise_for_status().json()
    assert group["location"] == "local"
    for provider in ("Microsoft.Kubernetes", "Microsoft.KubernetesConfiguration"):
        shown = await extension.ask("GET", f"{SUBSCRIPTION_PATH}/providers/{provider}")
        assert shown.json()["registrationState"] in ("Registered", "Registering")
    metadata = await extension.ask("GET", "/metadata/endpoints", version="2022-09-01")
    assert {"name", "suffixes", "resourceManager"} <= metadata.json().keys()
    assert "local" in await locations_of(extension)
    there = await extension.ask("GET", CLUSTER)
    assert error_of(there) == (404, "ResourceNotFound")
    assert (await extension.ask("HEAD", GROUP)).status_code == 204
    put = await extension.ask("PUT", CLUSTER, body=new_cluster(onboarding_key))
    made = (await extension.finish(put)).json()
    needs_nothing_more(made)
    extended = f"{SUBSCRIPTION_PATH}/providers/Microsoft.ExtendedLocation"
    assert (await extension.ask("GET", extended)).json()["registrationState"] == "Registered"
    principals = await extension.ask(
        "GET", "/v1.0/servicePrincipals", query={"$filter": f"appId eq '{CUSTOM_LOCATIONS_APP}'"}
    )
    assert principals.json()["value"] == [], "the extension warns, and goes on"


async def locations_of(extension: Extension) -> list[str]:
    """Where a cluster can be, as `connect` reads it."""
    path = f"{SUBSCRIPTION_PATH}/providers/Microsoft.Kubernetes"
    shown = (await extension.ask("GET", path, version="2024-11-01")).json()
    [of_clusters] = [
        each["locations"]
        for each in shown["resourceTypes"]
        if each["resourceType"] == "connectedClusters"
    ]
    return [name.replace(" ", "").lower() for name in of_clusters]


def needs_nothing_more(cluster: dict[str, Any]) -> None:
    """Every command of the extension works with what is asserted here."""
    assert cluster["id"].lower() == CLUSTER.lower()
    assert (cluster["name"], cluster["location"]) == ("Shop-17", "local")
    identity = cluster["identity"]
    assert identity["type"] == "SystemAssigned"
    assert identity["principalId"], "without it there is no agent's identity to give a role"
    assert identity["tenantId"] == TENANT
    properties = cluster["properties"]
    assert properties["agentPublicKeyCertificate"]
    assert properties["privateLinkState"] == "Disabled"
    assert properties["provisioningState"] == "Succeeded"
    # Another state, and `update` polls for a quarter of an hour.
    state = properties.get("arcAgentProfile", {}).get("agentState")
    assert state in (None, "Succeeded", "Failed")


@pytest.mark.parametrize("wants", [{}, {"Prefer": "respond-async"}], ids=["at once", "by polling"])
async def test_an_operation_is_followed_to_its_end_however_it_is_told(
    extension: Extension, onboarding_key: OnboardingKey, wants: dict[str, str]
) -> None:
    headers = {**HEADERS, **wants}
    await extension.ask("PUT", GROUP, body={"location": "local"})
    put = await extension.ask("PUT", CLUSTER, body=new_cluster(onboarding_key), headers=headers)
    assert ("azure-asyncoperation" in put.headers) == bool(wants)
    needs_nothing_more((await extension.finish(put)).json())
    patch = await extension.ask("PATCH", CLUSTER, body={"tags": {"a": "b"}}, headers=headers)
    assert (patch.status_code, "location" in patch.headers) in ((200, False), (202, True))
    assert (await extension.finish(patch)).json()["tags"] == {"a": "b"}
    delete = await extension.ask("DELETE", CLUSTER, headers=headers)
    assert (delete.status_code == 202) == bool(wants)
    assert (await extension.finish(delete)).status_code in (200, 204)
    assert error_of(await extension.ask("GET", CLUSTER)) == (404, "ResourceNotFound")


async def test_the_resource_group_is_made_where_there_is_none(extension: Extension) -> None:
    assert (await extension.ask("HEAD", GROUP)).status_code == 404
    made = await extension.ask("PUT", GROUP, body={"location": "local"}, version="2024-11-01")
    assert made.json()["properties"]["provisioningState"] == "Succeeded"
    assert (await extension.ask("HEAD", GROUP)).status_code == 204


async def test_a_request_id_that_is_always_the_same_stands_for_nothing(
    extension: Extension, connected: dict[str, Any], another_key: OnboardingKey
) -> None:
    first = await extension.ask("GET", CLUSTER)
    body = new_cluster(another_key, distribution="k3s")
    second = await extension.ask("PUT", CLUSTER, body=body)
    assert second.json()["properties"]["distribution"] == "k3s"
    assert second.json()["properties"] != connected["properties"]
    assert first.headers["x-ms-request-id"] != second.headers["x-ms-request-id"]


async def test_paths_are_read_as_they_come(extension: Extension, connected: dict[str, Any]) -> None:
    for path in (CLUSTER, CLUSTER.lower(), CLUSTER.upper(), AS_IN_RESOURCE_SHOW, f"/{CLUSTER}"):
        url = f"https://towrope.example.org:8443{path}"
        assert (await extension.ask("GET", url)).json()["id"] == connected["id"], path


@pytest.mark.parametrize("scope", [SUBSCRIPTION_PATH, GROUP])
async def test_list(extension: Extension, connected: dict[str, Any], scope: str) -> None:
    path = f"{scope}/providers/Microsoft.Kubernetes/connectedClusters"
    [listed] = (await extension.ask("GET", path)).json()["value"]
    needs_nothing_more(listed)
    assert listed["id"] == connected["id"]


async def test_update_puts_what_it_was_shown(
    extension: Extension, connected: dict[str, Any]
) -> None:
    shown = (await extension.ask("GET", CLUSTER)).json()
    profile = {"desiredAgentVersion": "", "agentAutoUpgrade": "Disabled"}
    shown["properties"]["arcAgentProfile"] = profile
    put = await extension.ask("PUT", CLUSTER, body=shown)
    changed = (await extension.finish(put)).json()
    needs_nothing_more(changed)
    assert changed["properties"]["arcAgentProfile"]["agentAutoUpgrade"] == "Disabled"
    assert changed["identity"] == connected["identity"]


async def test_tags_and_distribution_are_patched(
    extension: Extension, connected: dict[str, Any]
) -> None:
    body = {"tags": {"floor": "2"}, "properties": {"distribution": "k3s"}}
    patch = await extension.ask("PATCH", CLUSTER, body=body)
    changed = (await extension.finish(patch)).json()
    needs_nothing_more(changed)
    assert (changed["tags"], changed["properties"]["distribution"]) == ({"floor": "2"}, "k3s")


async def test_azure_rbac_is_switched_as_the_extension_and_the_portal_do(
    extension: Extension, connected: dict[str, Any]
) -> None:
    assert not connected["properties"].get("aadProfile", {}).get("enableAzureRBAC")
    for enabled in (True, False):
        body = {"properties": {"aadProfile": {"enableAzureRBAC": enabled}}}
        patch = await extension.ask("PATCH", CLUSTER, body=body)
        changed = (await extension.finish(patch)).json()
        assert changed["properties"]["aadProfile"]["enableAzureRBAC"] is enabled


async def test_delete_ends_with_nothing_there(
    extension: Extension, connected: dict[str, Any]
) -> None:
    assert connected["id"]
    gone = await extension.finish(await extension.ask("DELETE", CLUSTER, query={"force": "false"}))
    assert gone.status_code in (200, 204)
    assert error_of(await extension.ask("GET", CLUSTER)) == (404, "ResourceNotFound")
    again = await extension.ask("DELETE", CLUSTER)
    assert again.status_code in (200, 204)


@pytest.mark.parametrize("method", ["AAD", "Token"])
async def test_proxy_gets_what_it_writes_into_a_kubeconfig(
    extension: Extension, connected: dict[str, Any], method: str
) -> None:
    headers = {**HEADERS, "x-ms-correlation-request-id": "f6b5ac22-1fe0-4f18-9e4b-bb2e4fb1bd2f"}
    body = {"authenticationMethod": method, "clientProxy": True}
    answer = await extension.ask("POST", LIST_CREDENTIAL, body=body, headers=headers)
    given = answer.raise_for_status().json()
    correlation = answer.headers["x-ms-correlation-request-id"]
    assert correlation == headers["x-ms-correlation-request-id"]
    connection = given["hybridConnectionConfig"]
    assert {"relay", "hybridConnectionName", "token"} <= connection.keys()
    # Without it the extension dies after a minute, and leaves its proxy running.
    assert isinstance(connection["expirationTime"], int)
    assert connection["expirationTime"] > NOW + 300, "or it would ask again at once"
    [kubeconfig] = given["kubeconfigs"]
    [user] = YAML(typ="safe").load(base64.b64decode(kubeconfig["value"]))["users"]
    user["user"]["token"] = "as --token is put there"
    assert connected["name"] in user["name"]


async def test_proxy_is_refused_in_words_that_it_prints(extension: Extension) -> None:
    await extension.ask("PUT", GROUP, body={"location": "local"})
    body = {"authenticationMethod": "AAD", "clientProxy": True}
    refused = await extension.ask("POST", LIST_CREDENTIAL, body=body)
    assert error_of(refused) == (404, "ResourceNotFound")
    assert refused.json()["error"]["message"]


async def test_another_method_of_authentication_is_refused(
    extension: Extension, connected: dict[str, Any]
) -> None:
    assert connected["id"]
    body = {"authenticationMethod": "Password", "clientProxy": True}
    refused = await extension.ask("POST", LIST_CREDENTIAL, body=body)
    assert error_of(refused) == (400, "InvalidRequestContent")
