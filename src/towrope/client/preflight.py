"""What must hold before a cluster is connected; nothing is changed here."""

import re
from dataclasses import dataclass
from http import HTTPStatus

from lightkube.core.client import Client
from lightkube.core.exceptions import ApiError
from lightkube.models.authorization_v1 import (
    ResourceAttributes,
    SelfSubjectAccessReviewSpec,
)
from lightkube.models.core_v1 import Node as NodeModel
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview
from lightkube.resources.core_v1 import ConfigMap, Node

from towrope.client import constrained_impersonation
from towrope.client.agent_rights import Impersonation
from towrope.client.distribution import distribution_of, infrastructure_of
from towrope.client.kubernetes import FIELD_MANAGER, absent_as_none
from towrope.client.manifests import cluster_role
from towrope.client.rest import Conflict
from towrope.wire import names
from towrope.wire.errors import Forbidden, Hop, Refused, foreign

RESOURCE_ID = re.compile(
    rf"/subscriptions/[0-9a-f-]+/resourceGroups/(?P<group>[^/]+)/providers/{names.CLUSTER_TYPE}"
    r"/(?P<name>[^/]+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the checks found."""

    distribution: str
    infrastructure: str
    connected_as: str | None
    """The resource id that the cluster is connected as already."""
    impersonation: Impersonation = Impersonation.LEGACY
    """How the agent is to act for its callers."""


def check(client: Client, *, resource_id: str) -> Facts:
    """Raises, with what to do, where the cluster cannot be connected as `resource_id`."""
    nodes = list(client.list(Node))
    if not any(_is_usable(node) for node in nodes):
        raise Refused(
            "The cluster has no Linux node that is ready, and the agent needs one. Look at"
            " 'kubectl get nodes'.",
            hop=Hop.APISERVER,
        )
    if not _may_bind_cluster_roles(client):
        raise Forbidden(
            "The kubeconfig's user may not create cluster role bindings, and the agent needs one."
            " Use an administrator's kubeconfig.",
            hop=Hop.APISERVER,
        )
    found = connected_as(client)
    if found is not None and found.lower() != resource_id.lower():
        raise Conflict(
            f"The cluster is connected already, as {described(found)}, and not as"
            f" {described(resource_id)}. Delete that one first with 'towrope connectedk8s delete';"
            f" where its server is gone, with 'kubectl delete namespace {names.NAMESPACE}'.",
            hop=Hop.APISERVER,
        )
    impersonation = _impersonation(client)
    _check_may_grant(client, impersonation)
    return Facts(
        distribution=distribution_of(nodes),
        infrastructure=infrastructure_of(nodes),
        connected_as=found,
        impersonation=impersonation,
    )


def described(resource_id: str) -> str:
    """A connected cluster's resource id, for people."""
    match = RESOURCE_ID.fullmatch(resource_id)
    if match is None:
        return foreign(resource_id)
    return f"'{match['name']}' of the resource group '{match['group']}'"


def connected_as(client: Client) -> str | None:
    """The resource id in the agent's ConfigMap, or None where the cluster has none."""
    config = absent_as_none(
        lambda: client.get(ConfigMap, names.AGENT_NAME, namespace=names.NAMESPACE)
    )
    return None if config is None else (config.data or {}).get(names.CONFIG_RESOURCE_ID)


def _impersonation(client: Client) -> Impersonation:
    is_constrained = constrained_impersonation.is_in_force(client)
    return Impersonation.CONSTRAINED if is_constrained else Impersonation.LEGACY


def _check_may_grant(client: Client, impersonation: Impersonation) -> None:
    """RBAC lets nobody grant what they may not do themselves; a dry run asks it."""
    try:
        client.apply(
            cluster_role(impersonation), field_manager=FIELD_MANAGER, force=True, dry_run=True
        )
    except ApiError as error:
        if error.status.code != HTTPStatus.FORBIDDEN:
            raise
        raise Forbidden(
            "The kubeconfig's user may not give the agent its rights, among them to act for its"
            f" callers (impersonation): {foreign(error.status.message or 'forbidden')}. Use an"
            " administrator's kubeconfig, or one that has these rights or the verb 'escalate' on"
            " cluster roles.",
            hop=Hop.APISERVER,
        ) from None


def _is_usable(node: NodeModel) -> bool:
    status = node.status
    labels = (node.metadata and node.metadata.labels) or {}
    system = labels.get("kubernetes.io/os") or (
        status.nodeInfo.operatingSystem if status and status.nodeInfo else ""
    )
    conditions = (status and status.conditions) or []
    ready = any(each.type == "Ready" and each.status == "True" for each in conditions)
    return ready and system in ("linux", "")


def _may_bind_cluster_roles(client: Client) -> bool:
    review = client.create(
        SelfSubjectAccessReview(
            spec=SelfSubjectAccessReviewSpec(
                resourceAttributes=ResourceAttributes(
                    group="rbac.authorization.k8s.io",
                    resource="clusterrolebindings",
                    verb="create",
                )
            )
        )
    )
    return bool(review.status and review.status.allowed)
