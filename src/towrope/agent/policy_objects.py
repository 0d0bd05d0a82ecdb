"""The native objects that a policy asks for: pure, from the policy and what the cluster has.

RBAC alone then decides: what is not here is not allowed. What cannot be honoured is left out with a
sentence that says so, never made in part.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from towrope.wire import data_actions, policy_names
from towrope.wire.agent_api import Policy, PolicyRole
from towrope.wire.data_actions import Permission, Resource
from towrope.wire.errors import foreign

RBAC_GROUP = "rbac.authorization.k8s.io"
CONTENT_LIMIT = 1024 * 1024
"""Bytes of one object; etcd takes 1.5 MB, with the object's metadata."""


class Kind(StrEnum):
    """The values are the resources' names."""

    CLUSTER_ROLE = "clusterroles"
    CLUSTER_ROLE_BINDING = "clusterrolebindings"
    ROLE_BINDING = "rolebindings"

    @property
    def shown(self) -> str:
        return {"clusterroles": "ClusterRole", "rolebindings": "RoleBinding"}.get(
            self.value, "ClusterRoleBinding"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Which object; `namespace` is empty for those of the cluster."""

    kind: Kind
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        where = f" in namespace '{foreign(self.namespace)}'" if self.namespace else ""
        return f"{self.kind.shown} '{foreign(self.name)}'{where}"


class PolicyRule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """rbac.authorization.k8s.io/v1"""

    verbs: tuple[str, ...]
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = msgspec.field(default=(), name="nonResourceURLs")


class RoleRef(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    api_group: str
    kind: str
    name: str


class Subject(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    kind: str
    name: str
    api_group: str = ""
    namespace: str = ""


class Content(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Of a role, its rules; of a binding, the role and the subjects."""

    rules: tuple[PolicyRule, ...] = ()
    role_ref: RoleRef | None = None
    subjects: tuple[Subject, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    objects: Mapping[Key, Content]
    problems: tuple[str, ...] = ()
    """What of the policy cannot be honoured."""


def wanted(policy: Policy, cluster: Iterable[Resource]) -> Wanted:
    """Nothing where the policy is not enforced."""
    if not policy.is_enforced:
        return Wanted(objects={})
    resources = tuple(cluster)
    objects: dict[Key, Content] = {}
    problems: list[str] = []
    held = _held(policy, problems)
    for role in policy.roles:
        if role.id not in held or not policy_names.is_role_id(role.id):
            continue
        content = Content(rules=_rules(role, resources))
        if len(msgspec.json.encode(content)) > CONTENT_LIMIT:
            problems.append(_too_large(role))
            continue
        objects[Key(kind=Kind.CLUSTER_ROLE, name=policy_names.cluster_role(role.id))] = content
        for namespace, subjects in held[role.id].items():
            objects.update(_bindings(role, namespace, subjects))
    return Wanted(objects=objects, problems=tuple(problems))


def _held(policy: Policy, problems: list[str]) -> dict[str, dict[str, set[str]]]:
    """The subjects of each role, by namespace."""
    held: dict[str, dict[str, set[str]]] = {}
    for grant in policy.grants:
        namespace = grant.namespace.lower()
        if namespace and not policy_names.is_namespace(namespace):
            problems.append(
                f"The role assignment {foreign(grant.assignment)} names the namespace"
                f" '{foreign(namespace)}', which no cluster can have. Delete it."
            )
            continue
        members = held.setdefault(grant.role, {}).setdefault(namespace, set())
        members.add(policy_names.subject(grant))
    return held


def _rules(role: PolicyRole, cluster: Iterable[Resource]) -> tuple[PolicyRule, ...]:
    permissions = [
        Permission(data_actions=each.data_actions, not_data_actions=each.not_data_actions)
        for each in role.permissions
    ]
    return tuple(
        PolicyRule(
            verbs=rule.verbs,
            api_groups=rule.groups,
            resources=rule.resources,
            non_resource_urls=rule.urls,
        )
        for rule in data_actions.rules(permissions, cluster)
    )


def _bindings(
    role: PolicyRole, namespace: str, subjects: set[str]
) -> Iterable[tuple[Key, Content]]:
    kind = Kind.ROLE_BINDING if namespace else Kind.CLUSTER_ROLE_BINDING
    role_ref = RoleRef(
        api_group=RBAC_GROUP, kind="ClusterRole", name=policy_names.cluster_role(role.id)
    )
    for name, members in policy_names.bindings(role.id, subjects).items():
        groups = tuple(
            Subject(kind="Group", api_group=RBAC_GROUP, name=member) for member in members
        )
        key = Key(kind=kind, name=name, namespace=namespace)
        yield key, Content(role_ref=role_ref, subjects=groups)


def _too_large(role: PolicyRole) -> str:
    return (
        f"The role '{foreign(role.name)}' spells out to more rules than a ClusterRole can hold, so"
        " it gives nothing in this cluster. Name the resources that it is for, or use fewer"
        " wildcards."
    )
