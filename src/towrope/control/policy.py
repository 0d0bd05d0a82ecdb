"""The policy of a cluster: all role assignments that touch it, as its agent is told.

The core takes values and gives a value. What holds in no cluster (roles without data actions for
connected clusters, assignments of roles that are no more) is left out; so the agent need not tell.
How many grants there are is not limited here: the answer grows by some 200 bytes with each.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.roles.definition import RoleDefinition
from towrope.control.roles.place import Place, place_of
from towrope.control.roles.scope import Scope
from towrope.control.store import role_assignments, role_definitions
from towrope.control.store.clusters import Cluster
from towrope.control.store.groups import MemberKind
from towrope.control.store.role_assignments import RoleAssignment
from towrope.wire import names
from towrope.wire.agent_api import Policy, PolicyGrant, PolicyPermission, PolicyRole
from towrope.wire.data_actions import is_of_clusters


async def of(connection: AsyncConnection, cluster: Cluster, *, subscription: str) -> Policy:
    """What the agent of `cluster` is told."""
    if not cluster.has_azure_rbac:
        return NOT_ENFORCED
    scope = Scope(path=names.cluster_id(subscription, cluster.group, cluster.name))
    assignments = await role_assignments.touching(connection, scope)
    roles = await role_definitions.by_id(connection, {each.role_id for each in assignments})
    return compiled(scope, assignments, roles)


def compiled(
    cluster: Scope, assignments: Iterable[RoleAssignment], roles: Mapping[str, RoleDefinition]
) -> Policy:
    """The policy that is enforced at the cluster with this resource id. `roles` are by id."""
    granted = {role.id: role for role in map(_role, roles.values()) if role.permissions}
    grants = [
        _grant(each, place)
        for each in assignments
        if each.role_id in granted and (place := place_of(each.scope, cluster)) is not None
    ]
    used = {grant.role for grant in grants}
    return _versioned(
        Policy(
            version="",
            is_enforced=True,
            roles=tuple(granted[each] for each in sorted(used)),
            grants=tuple(sorted(grants, key=lambda grant: grant.assignment)),
        )
    )


def _role(role: RoleDefinition) -> PolicyRole:
    permissions = (
        PolicyPermission(
            data_actions=_of_clusters(each.data_actions),
            not_data_actions=_of_clusters(each.not_data_actions),
        )
        for each in role.permissions
    )
    return PolicyRole(
        id=role.id,
        name=role.name,
        permissions=tuple(
            sorted((each for each in permissions if each.data_actions), key=msgspec.json.encode)
        ),
    )


def _of_clusters(patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(pattern for pattern in set(patterns) if is_of_clusters(pattern)))


def _grant(assignment: RoleAssignment, place: Place) -> PolicyGrant:
    return PolicyGrant(
        assignment=assignment.id,
        role=assignment.role_id,
        principal=assignment.principal_id,
        is_group=assignment.principal_kind is MemberKind.GROUP,
        is_external=assignment.is_external,
        namespace=place.namespace,
    )


def _versioned(policy: Policy) -> Policy:
    digest = hashlib.sha256(msgspec.json.encode(policy)).hexdigest()
    return msgspec.structs.replace(policy, version=digest)


NOT_ENFORCED = _versioned(Policy(version=""))
"""The policy of a cluster whose own RBAC decides alone."""
