"""Microsoft's own Python SDKs against a server: one of the scenarios below, by its name.

Run by the interpreter of an environment that has them; what was seen is printed as JSON, for
`test_azure_mgmt.py` to judge. The credential comes from the environment, the rest as arguments.
"""

import base64
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.hybridkubernetes import ConnectedKubernetesClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.subscriptions import SubscriptionClient

GROUP, CLUSTER = "sdk", "shop-17"
CREDENTIAL = {"authenticationMethod": "Token", "clientProxy": True}
POLLING = {"Prefer": "respond-async"}


class Clients:
    """One of each SDK, as a program would make them for another cloud."""

    def __init__(self, server: str, authority: str, tenant: str, subscription: str) -> None:
        self.subscription = subscription
        self.tenant = tenant
        credential = ClientSecretCredential(
            tenant,
            os.environ["CLIENT_ID"],
            os.environ["CLIENT_SECRET"],
            authority=server,
            disable_instance_discovery=True,
            connection_verify=authority,
        )
        options: dict[str, Any] = {
            "base_url": server,
            "credential_scopes": [f"{server}/.default"],
            "connection_verify": authority,
        }
        self.kubernetes = ConnectedKubernetesClient(credential, subscription, **options)
        self.authorization = AuthorizationManagementClient(credential, subscription, **options)
        self.resources = ResourceManagementClient(credential, subscription, **options)
        self.subscriptions = SubscriptionClient(credential, **options)

    def make_group(self) -> None:
        self.resources.resource_groups.create_or_update(GROUP, {"location": "local"})

    def cluster(self, **properties: Any) -> dict[str, Any]:
        return {
            "location": "local",
            "identity": {"type": "SystemAssigned"},
            "properties": {"agentPublicKeyCertificate": os.environ["ONBOARDING_KEY"], **properties},
        }

    def make_cluster(self, name: str = CLUSTER) -> Any:
        """A cluster, by a poller that polls only if it has to."""
        poller = self.kubernetes.connected_cluster.begin_create_or_replace(
            GROUP, name, self.cluster(distribution="k3s")
        )
        return poller.result()


def refusal(call: Callable[[], Any]) -> list[Any]:
    """The kind of error that the SDK makes of a refusal, with ARM's status and code."""
    try:
        call()
    except HttpResponseError as error:
        return _said(error)
    return []


def _said(error: HttpResponseError) -> list[Any]:
    assert error.error is not None
    return [type(error).__name__, error.status_code, error.error.code]


def subscriptions(clients: Clients) -> Any:
    service = clients.subscriptions
    [listed] = service.subscriptions.list()
    return {
        "listed": listed.subscription_id,
        "shown": service.subscriptions.get(clients.subscription).display_name,
        "tenants": [each.tenant_id for each in service.tenants.list()],
        "locations": [
            [each.name, each.display_name]
            for each in service.subscriptions.list_locations(clients.subscription)
        ],
        "other": refusal(lambda: service.subscriptions.get("0" * 8)),
    }


def resources(clients: Clients) -> Any:
    groups, generic = clients.resources.resource_groups, clients.resources.resources
    seen: dict[str, Any] = {"before": groups.check_existence(GROUP)}
    seen["created"] = groups.create_or_update(GROUP, {"location": "local"}).name
    seen["exists"] = groups.check_existence(GROUP)
    seen["patched"] = groups.update(GROUP, {"tags": {"owner": "ada"}}).tags
    tagged = "tagName eq 'owner' and tagValue eq 'ada'"
    seen["tagged"] = [each.name for each in groups.list(filter=tagged)]
    seen["others"] = [each.name for each in groups.list(filter=tagged.replace("ada", "bob"))]
    for number in range(5):
        clients.make_cluster(f"shop-{number}")
    chosen = "resourceType eq 'Microsoft.Kubernetes/connectedClusters' and name ne 'shop-3'"
    expand = "createdTime,changedTime,provisioningState"
    listed = list(generic.list(filter=chosen, expand=expand, top=2))
    seen["listed"] = [each.name for each in listed]
    seen["states"] = sorted({each.provisioning_state for each in listed})
    in_group = generic.list_by_resource_group(GROUP)
    seen["in group"] = sorted(each.name for each in in_group)
    one, version = listed[0].id, {"api_version": "2026-05-01"}
    seen["found"] = generic.check_existence_by_id(one, **version)
    shown = generic.get_by_id(one, **version)
    seen["shown"] = [shown.type, shown.location, shown.properties["distribution"]]
    update = generic.begin_update_by_id(one, {"tags": {"a": "b"}}, **version)
    seen["updated"] = update.result().tags
    generic.begin_delete_by_id(one, **version).result()
    seen["deleted"] = generic.check_existence_by_id(one, **version)
    groups.begin_delete(GROUP).result()
    seen["gone"] = refusal(lambda: groups.get(GROUP))
    return seen


def providers(clients: Clients) -> Any:
    service = clients.resources.providers
    shown = service.get("Microsoft.Kubernetes")
    return {
        "listed": sorted(each.namespace for each in service.list()),
        "tenant": sorted(each.namespace for each in service.list_at_tenant_scope()),
        "type": [shown.resource_types[0].resource_type, shown.resource_types[0].locations],
        "registered": service.register("Microsoft.Kubernetes").registration_state,
        "unregistered": refusal(lambda: service.unregister("Microsoft.Kubernetes")),
        "other": refusal(lambda: service.get("Microsoft.Compute")),
    }


def hybridkubernetes(clients: Clients) -> Any:
    clients.make_group()
    service = clients.kubernetes.connected_cluster
    made = clients.make_cluster()
    seen: dict[str, Any] = {"made": [made.name, made.properties.provisioning_state]}
    assert made.identity.tenant_id == clients.tenant
    assert made.properties.private_link_state == "Disabled"
    again = clients.cluster(
        distribution="k3s", azureHybridBenefit="True", aadProfile={"enableAzureRBAC": True}
    )
    replaced = service.begin_create_or_replace(GROUP, CLUSTER, again).result()
    seen["replaced"] = replaced.properties.aad_profile.enable_azure_rbac
    patch = {"tags": {"a": "b"}, "properties": {"distributionVersion": "1.35"}}
    patched = service.begin_update_async(GROUP, CLUSTER, patch).result()
    seen["patched"] = [patched.tags, patched.properties.distribution_version]
    seen["shown"] = service.get(GROUP, CLUSTER).properties.azure_hybrid_benefit
    seen["listed"] = [each.name for each in service.list_by_resource_group(GROUP)]
    assert CLUSTER in {each.name for each in service.list_by_subscription()}
    seen["operations"] = sorted(each.name for each in clients.kubernetes.operations.get())
    seen["credential"] = refusal(
        lambda: service.list_cluster_user_credential(GROUP, CLUSTER, CREDENTIAL)
    )
    seen["bad"] = refusal(
        lambda: service.begin_update_async(
            GROUP, CLUSTER, {"properties": {"azureHybridBenefit": "Maybe"}}
        )
    )
    service.begin_delete(GROUP, CLUSTER).result()
    seen["deleted"] = refusal(lambda: service.get(GROUP, CLUSTER))
    return seen


def polling(clients: Clients) -> Any:
    """Where a client prefers to poll, by both headers."""
    clients.make_group()
    service = clients.kubernetes.connected_cluster
    options: dict[str, Any] = {"headers": POLLING, "polling_interval": 0}
    made = service.begin_create_or_replace(GROUP, "polled", clients.cluster(), **options)
    seen: dict[str, Any] = {"made": made.result().name}
    patch = {"tags": {"a": "b"}}
    seen["patched"] = service.begin_update_async(GROUP, "polled", patch, **options).result().tags
    service.begin_delete(GROUP, "polled", **options).result()
    seen["deleted"] = refusal(lambda: service.get(GROUP, "polled"))
    return seen


def credential(clients: Clients) -> Any:
    """Of a cluster whose agent has enrolled."""
    service = clients.kubernetes.connected_cluster
    which, wanted = (os.environ["GROUP"], os.environ["CLUSTER"]), CREDENTIAL
    try:
        found = service.list_cluster_user_credential(*which, wanted)
    except HttpResponseError as error:
        return _said(error)
    connection = found.hybrid_connection_config
    return {
        "kubeconfig": base64.b64encode(found.kubeconfigs[0].value).decode(),
        "path": connection.hybrid_connection_name,
        "relay": connection.relay,
    }


def authorization(clients: Clients) -> Any:
    clients.make_group()
    scope = f"/subscriptions/{clients.subscription}/resourceGroups/{GROUP}"
    definitions = clients.authorization.role_definitions
    assignments = clients.authorization.role_assignments
    [viewer] = definitions.list(scope, filter="roleName eq 'Azure Arc Kubernetes Viewer'")
    assignment, principal = os.environ["ASSIGNMENT"], os.environ["PRINCIPAL"]
    wanted = {
        "properties": {
            "roleDefinitionId": viewer.id,
            "principalId": principal,
            "principalType": "ServicePrincipal",
        }
    }
    made = assignments.create(scope, assignment, wanted)
    seen: dict[str, Any] = {
        "viewer": [viewer.name, viewer.role_type],
        "data actions": len(viewer.permissions[0].data_actions),
        "made": [made.name, made.scope, made.principal_id, made.role_definition_id == viewer.id],
        "twice": refusal(lambda: assignments.create(scope, str(principal), wanted)),
    }
    held = assignments.list_for_scope(scope, filter=f"principalId eq '{principal}'")
    seen["listed"] = [each.name for each in held]
    shown = assignments.get(scope, assignment)
    assert shown.created_on == made.created_on
    seen["by id"] = assignments.get_by_id(made.id).name
    permissions = clients.authorization.permissions.list_for_resource_group(GROUP)
    seen["permissions"] = [each.actions for each in permissions]
    assignments.delete(scope, assignment)
    seen["deleted"] = refusal(lambda: assignments.get(scope, assignment))
    return seen


SCENARIOS: dict[str, Callable[[Clients], Any]] = {
    each.__name__: each
    for each in (
        subscriptions,
        resources,
        providers,
        hybridkubernetes,
        polling,
        credential,
        authorization,
    )
}

if __name__ == "__main__":
    name, *words = sys.argv[1:]
    print(json.dumps(SCENARIOS[name](Clients(*words))))  # noqa: T201 - this is the answer
