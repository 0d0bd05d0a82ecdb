"""The agent's rights in its cluster: what it needs to act for verified callers, and no more.

Whoever steals its token can act as anybody whom it could act for, for RBAC knows no "all users but
these". Where the API server constrains impersonation (KEP-5284), the token never acts as
`system:masters` or as a node, and the audit log says with each request by which right it acted.
Where it does not, RBAC cannot keep the token from `system:masters`.
"""

from enum import Enum, auto

from lightkube.models.rbac_v1 import PolicyRule

from towrope.wire import names

USER_INFO = "user-info"
"""KEP-5284's mode for identities that are neither a node nor a service account."""
RESOURCE_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
PATH_VERBS = ("get", "head", "post", "put", "patch", "delete", "options")
EXTRAS = [f"userextras/{names.OBJECT_ID_EXTRA}", f"userextras/{names.IMPERSONATOR_EXTRA}"]
_AUTHENTICATION = ["authentication.k8s.io"]
_READ = ["get", "list", "watch"]
_RBAC_KINDS = ["clusterroles", "clusterrolebindings", "roles", "rolebindings"]


class Impersonation(Enum):
    """How the API server lets one act as another."""

    LEGACY = auto()
    CONSTRAINED = auto()
    """By KEP-5284: whom to act as, and what to do so, are rights of their own."""


def cluster_rules(impersonation: Impersonation) -> list[PolicyRule]:
    """Of the agent's ClusterRole."""
    rules = [
        PolicyRule(apiGroups=[""], resources=["nodes"], verbs=["get", "list"]),
        PolicyRule(
            apiGroups=["rbac.authorization.k8s.io"],
            resources=_RBAC_KINDS,
            verbs=_READ,
        ),
        PolicyRule(
            apiGroups=["authorization.k8s.io"],
            resources=["subjectaccessreviews"],
            verbs=["create"],
        ),
    ]
    if impersonation is Impersonation.CONSTRAINED:
        return [*rules, *_constrained()]
    return [*rules, *_legacy()]


def _legacy() -> list[PolicyRule]:
    return [
        PolicyRule(
            apiGroups=[""], resources=["users", "groups", "serviceaccounts"], verbs=["impersonate"]
        ),
        PolicyRule(apiGroups=_AUTHENTICATION, resources=["uids", *EXTRAS], verbs=["impersonate"]),
    ]


def _constrained() -> list[PolicyRule]:
    return [
        PolicyRule(
            apiGroups=_AUTHENTICATION,
            resources=["users", "groups", "uids", *EXTRAS],
            verbs=[f"impersonate:{USER_INFO}"],
        ),
        # RBAC has no wildcard within a verb, and a caller may do whatever its own rights allow.
        PolicyRule(apiGroups=["*"], resources=["*"], verbs=_on(RESOURCE_VERBS)),
        PolicyRule(nonResourceURLs=["*"], verbs=_on(PATH_VERBS)),
        # The mode for service accounts takes no extra, so that nobody could tell who acts as one.
        PolicyRule(apiGroups=[""], resources=["serviceaccounts"], verbs=["impersonate"]),
        PolicyRule(
            apiGroups=_AUTHENTICATION,
            resources=[f"userextras/{names.IMPERSONATOR_EXTRA}"],
            verbs=["impersonate"],
        ),
    ]


def _on(verbs: tuple[str, ...]) -> list[str]:
    return [f"impersonate-on:{USER_INFO}:{verb}" for verb in verbs]


def azure_rbac_rules() -> list[PolicyRule]:
    """What the agent needs beside to make native RBAC of role assignments.

    Whoever may give any role to anybody has them all: with this a thief of the agent's token is an
    administrator of the cluster, without the detour over another's identity.
    """
    return [
        PolicyRule(
            apiGroups=["rbac.authorization.k8s.io"],
            resources=["clusterroles", "clusterrolebindings", "rolebindings"],
            verbs=[*_READ, "create", "update", "patch", "delete"],
        ),
        PolicyRule(
            apiGroups=["rbac.authorization.k8s.io"],
            resources=["clusterroles"],
            verbs=["bind", "escalate"],
        ),
        # For wildcards in roles, and for namespaces that are not there yet.
        PolicyRule(
            apiGroups=["apiextensions.k8s.io"],
            resources=["customresourcedefinitions"],
            verbs=["list", "watch"],
        ),
        PolicyRule(
            apiGroups=["apiregistration.k8s.io"], resources=["apiservices"], verbs=["list", "watch"]
        ),
        PolicyRule(apiGroups=[""], resources=["namespaces"], verbs=["list", "watch"]),
    ]


def namespace_rules() -> list[PolicyRule]:
    """Of the agent's Role, in its own namespace."""
    secrets = [names.ONBOARDING_SECRET, names.IDENTITY_SECRET]
    return [
        PolicyRule(
            apiGroups=[""],
            resources=["secrets"],
            resourceNames=secrets,
            verbs=["get", "update", "patch", "delete"],
        ),
        # RBAC cannot bind `create` to a name: the name is not known yet when it is decided.
        PolicyRule(apiGroups=[""], resources=["secrets"], verbs=["create"]),
        PolicyRule(
            apiGroups=[""],
            resources=["configmaps"],
            resourceNames=[names.AGENT_NAME],
            verbs=["get"],
        ),
        PolicyRule(
            apiGroups=["coordination.k8s.io"],
            resources=["leases"],
            resourceNames=[names.LEASE_NAME],
            verbs=["get", "update", "patch"],
        ),
        PolicyRule(apiGroups=["coordination.k8s.io"], resources=["leases"], verbs=["create"]),
    ]
