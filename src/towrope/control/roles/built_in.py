"""The roles that are there from the start: Arc's and the general ones, with Azure's own ids.

Their permissions are those that Azure publishes. Where they allow what this server does not have
(deployments, alerts), they are kept, so that a role looks the same at both.
"""

from towrope.control.roles.definition import Permission, RoleDefinition, RoleKind
from towrope.wire.data_actions import PREFIX

_COMMON = (
    "Microsoft.Authorization/*/read",
    "Microsoft.Insights/alertRules/*",
    "Microsoft.Resources/deployments/write",
    "Microsoft.Resources/subscriptions/operationresults/read",
    "Microsoft.Resources/subscriptions/read",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Support/*",
)

_READ_ONLY = (
    "apps/controllerrevisions",
    "events.k8s.io/events",
    "events",
    "limitranges",
    "namespaces",
    "resourcequotas",
)
"""What even a writer only reads."""

_WORKLOADS = (
    "apps/daemonsets",
    "apps/deployments",
    "apps/replicasets",
    "apps/statefulsets",
    "autoscaling/horizontalpodautoscalers",
    "batch/cronjobs",
    "batch/jobs",
    "configmaps",
    "endpoints",
    "extensions/daemonsets",
    "extensions/deployments",
    "extensions/ingresses",
    "extensions/networkpolicies",
    "extensions/replicasets",
    "networking.k8s.io/ingresses",
    "networking.k8s.io/networkpolicies",
    "persistentvolumeclaims",
    "pods",
    "policy/poddisruptionbudgets",
    "replicationcontrollers",
    "serviceaccounts",
    "services",
)


def _each(operation: str, *resources: str) -> tuple[str, ...]:
    return tuple(f"{PREFIX}{resource}/{operation}" for resource in resources)


_VIEW = _each("read", *_READ_ONLY, *_WORKLOADS)
_WRITE = (*_each("*", *_WORKLOADS, "secrets"), *_each("read", *_READ_ONLY))
_ADMINISTER = (
    *_WRITE,
    *_each("write", "authorization.k8s.io/localsubjectaccessreviews"),
    *_each("*", "rbac.authorization.k8s.io/rolebindings", "rbac.authorization.k8s.io/roles"),
)


def _role(id: str, name: str, description: str, permission: Permission) -> RoleDefinition:  # noqa: A002
    return RoleDefinition(
        id=id,
        name=name,
        description=description,
        kind=RoleKind.BUILT_IN,
        permissions=(permission,),
    )


OWNER = _role(
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "Owner",
    "Grants full access to manage all resources, including the ability to assign roles.",
    Permission(actions=("*",)),
)
CLUSTER_USER = _role(
    "00493d72-78f6-4148-b6c5-d3ce8e4799dd",
    "Azure Arc Enabled Kubernetes Cluster User Role",
    "List cluster user credentials action.",
    Permission(
        actions=(
            *_COMMON,
            f"{PREFIX}listClusterUserCredential/action",
            f"{PREFIX}listClusterUserCredentials/action",
        )
    ),
)

BUILT_IN_ROLES = (
    OWNER,
    _role(
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
        "Grants full access to manage all resources, but does not allow you to assign roles.",
        Permission(
            actions=("*",),
            not_actions=(
                "Microsoft.Authorization/*/Delete",
                "Microsoft.Authorization/*/Write",
                "Microsoft.Authorization/elevateAccess/Action",
            ),
        ),
    ),
    _role(
        "acdd72a7-3385-48ef-bd42-f606fba81ae7",
        "Reader",
        "View all resources, but does not allow you to make any changes.",
        Permission(actions=("*/read",)),
    ),
    _role(
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        "User Access Administrator",
        "Lets you manage user access to resources.",
        Permission(actions=("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*")),
    ),
    CLUSTER_USER,
    _role(
        "34e09817-6cbe-4d01-b1a2-e0eac5743d41",
        "Kubernetes Cluster - Azure Arc Onboarding",
        "Role definition to authorize any user/service to create connectedClusters resource",
        Permission(actions=(*_COMMON, f"{PREFIX}Write", f"{PREFIX}read")),
    ),
    _role(
        "65a14201-8f6c-4c28-bec4-12619c5a9aaa",
        "Connected Cluster Managed Identity CheckAccess Reader",
        "Built-in role that allows a Connected Cluster managed identity to call the checkAccess"
        " API",
        Permission(actions=("Microsoft.Authorization/*/read",)),
    ),
    _role(
        "63f0a09d-1495-4db4-a681-037d84835eb4",
        "Azure Arc Kubernetes Viewer",
        "Lets you view all resources in cluster/namespace, except secrets.",
        Permission(actions=_COMMON, data_actions=_VIEW),
    ),
    _role(
        "5b999177-9696-4545-85c7-50de3797e5a1",
        "Azure Arc Kubernetes Writer",
        "Lets you update everything in cluster/namespace, except (cluster)roles and"
        " (cluster)role bindings.",
        Permission(actions=_COMMON, data_actions=_WRITE),
    ),
    _role(
        "dffb1e0c-446f-4dde-a09f-99eb5cc68b96",
        "Azure Arc Kubernetes Admin",
        "Lets you manage all resources under cluster/namespace, except update or delete resource"
        " quotas and namespaces.",
        Permission(actions=_COMMON, data_actions=_ADMINISTER),
    ),
    _role(
        "8393591c-06b9-48a2-a542-1bd6b377f6a2",
        "Azure Arc Kubernetes Cluster Admin",
        "Lets you manage all resources in the cluster.",
        Permission(actions=_COMMON, data_actions=(f"{PREFIX}*",)),
    ),
)
