import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.control.conftest import CLUSTERS, SUBSCRIPTION, OnboardingKey, Plane
from towrope.control import policy
from towrope.control.roles.built_in import BUILT_IN_ROLES, OWNER
from towrope.control.roles.definition import Permission, RoleDefinition
from towrope.control.roles.scope import Scope
from towrope.control.store import clusters, role_assignments, role_definitions
from towrope.control.store.groups import MemberKind
from towrope.control.store.role_assignments import RoleAssignment
from towrope.control.store.role_definitions import Authorship, CustomRole
from towrope.wire.agent_api import Policy
from towrope.wire.data_actions import PREFIX

NOBODY = Authorship(created_on=0, created_by="", updated_on=0, updated_by="")
CLUSTER = Scope(path=f"{CLUSTERS}/shop-17")
ROLES = {role.id: role for role in BUILT_IN_ROLES}
VIEWER = next(role for role in BUILT_IN_ROLES if role.name == "Azure Arc Kubernetes Viewer")
ANN = "aaaaaaaa-0000-4000-8000-000000000001"


def guid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def assigned(
    number: int,
    scope: str | Scope,
    *,
    role: RoleDefinition = VIEWER,
    principal: str = ANN,
    kind: MemberKind = MemberKind.USER,
) -> RoleAssignment:
    return RoleAssignment(
        id=guid(number),
        scope=scope if isinstance(scope, Scope) else Scope(path=scope),
        role_id=role.id,
        principal_id=principal,
        principal_kind=kind,
        authorship=NOBODY,
    )


def compiled(*assignments: RoleAssignment, roles: Sequence[RoleDefinition] = ()) -> Policy:
    return policy.compiled(CLUSTER, assignments, ROLES | {role.id: role for role in roles})


@pytest.mark.parametrize(
    "scope",
    [
        f"/subscriptions/{guid(0)}",
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shop",
        f"{CLUSTERS}/shop-1",
        f"{CLUSTERS}/shop-18",
        f"{CLUSTERS}/shop-18/namespaces/web",
        f"{CLUSTERS}/shop-170/namespaces/web",
        f"{CLUSTERS}/shop-17/providers/Microsoft.Other/things/one",
    ],
)
def test_what_is_assigned_elsewhere_is_nothing_here(scope: str) -> None:
    assert compiled(assigned(1, scope)).grants == ()


@pytest.mark.parametrize(
    "role",
    [
        OWNER,
        RoleDefinition(id=guid(7), name="Elsewhere", permissions=(Permission(actions=("*",)),)),
        RoleDefinition(
            id=guid(7),
            name="Of another provider",
            permissions=(Permission(data_actions=("Microsoft.Storage/*/read",)),),
        ),
    ],
    ids=lambda role: role.name,
)
def test_a_role_without_data_actions_of_clusters_is_nothing_here(role: RoleDefinition) -> None:
    made = compiled(assigned(1, CLUSTER, role=role), roles=[role])
    assert (made.roles, made.grants) == ((), ())


def test_a_role_that_is_no_more_gives_nothing() -> None:
    gone = RoleDefinition(id=guid(7), name="Gone", permissions=VIEWER.permissions)
    assert compiled(assigned(1, CLUSTER, role=gone)).grants == ()


@pytest.mark.parametrize(
    ("scope", "namespace"),
    [
        ("/", ""),
        (f"/subscriptions/{SUBSCRIPTION.upper()}", ""),
        (f"/subscriptions/{SUBSCRIPTION}/resourceGroups/SHOPS", ""),
        (CLUSTER.path, ""),
        (f"{CLUSTERS.upper()}/SHOP-17/namespaces/Web", "web"),
        (f"{CLUSTER.path}/providers/Microsoft.KubernetesConfiguration/namespaces/web", "web"),
    ],
)
def test_where_it_holds(scope: str, namespace: str) -> None:
    made = compiled(assigned(1, scope, kind=MemberKind.GROUP))
    [grant] = made.grants
    assert (grant.namespace, grant.principal, grant.is_group) == (namespace, ANN, True)
    [role] = made.roles
    assert (role.id, role.name) == (VIEWER.id, VIEWER.name) == (grant.role, role.name)
    assert made.is_enforced


def test_of_a_role_only_what_concerns_clusters_is_told() -> None:
    mixed = RoleDefinition(
        id=guid(7),
        name="Mixed",
        permissions=(
            Permission(actions=("*",)),
            Permission(
                data_actions=("Microsoft.Storage/*", f"{PREFIX}pods/read", "*/write"),
                not_data_actions=(f"{PREFIX}secrets/*", "Microsoft.Storage/x/read"),
            ),
        ),
    )
    [role] = compiled(assigned(1, CLUSTER, role=mixed), roles=[mixed]).roles
    [permission] = role.permissions
    assert permission.data_actions == ("*/write", f"{PREFIX}pods/read")
    assert permission.not_data_actions == (f"{PREFIX}secrets/*",)


ASSIGNMENTS = [
    assigned(1, "/"),
    assigned(2, CLUSTER, role=BUILT_IN_ROLES[-1]),
    assigned(3, f"{CLUSTER.path}/namespaces/web", principal=guid(5)),
    assigned(4, CLUSTER, kind=MemberKind.GROUP, principal=guid(6)),
]


@given(st.permutations(ASSIGNMENTS), st.randoms())
def test_the_version_is_of_the_content_alone(
    shuffled: list[RoleAssignment], chance: random.Random
) -> None:
    roles = list(ROLES.items())
    chance.shuffle(roles)
    assert policy.compiled(CLUSTER, shuffled, dict(roles)) == compiled(*ASSIGNMENTS)


@pytest.mark.parametrize(
    "change",
    [
        {"principal_id": guid(9)},
        {"role_id": BUILT_IN_ROLES[-1].id},
        {"scope": Scope(path=f"{CLUSTER.path}/namespaces/web")},
        {"principal_kind": MemberKind.GROUP},
        {"id": guid(9)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_content_has_another_version(change: dict[str, Any]) -> None:
    first, *rest = ASSIGNMENTS
    assert compiled(replace(first, **change), *rest).version != compiled(*ASSIGNMENTS).version
    assert compiled(*rest).version != compiled(*ASSIGNMENTS).version


def test_a_role_that_changes_has_another_version() -> None:
    before = RoleDefinition(
        id=guid(7), name="R", permissions=(Permission(data_actions=(f"{PREFIX}*/read",)),)
    )
    after = replace(
        before, permissions=(Permission(data_actions=("*/read",), not_data_actions=("*/x/read",)),)
    )
    one = assigned(1, CLUSTER, role=before)
    assert compiled(one, roles=[before]).version != compiled(one, roles=[after]).version


def test_an_enforced_policy_without_grants_is_not_an_unenforced_one() -> None:
    assert not policy.NOT_ENFORCED.is_enforced
    assert compiled().version != policy.NOT_ENFORCED.version != ""


def test_twenty_thousand_grants_are_all_told() -> None:
    many = [assigned(n, CLUSTER, principal=guid(n)) for n in range(20_000)]
    made = compiled(*many)
    assert len({grant.principal for grant in made.grants}) == 20_000
    assert len(made.roles) == 1
    # What the agent reads in one answer.
    assert len(msgspec.json.encode(made)) < 8 * 1024 * 1024


@pytest.mark.both_databases
async def test_a_cluster_is_told_what_touches_it(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    custom = RoleDefinition(
        id=guid(7), name="Gadgets", permissions=(Permission(data_actions=(f"{PREFIX}a.b/c/read",)),)
    )
    here = [*ASSIGNMENTS, assigned(8, CLUSTER, role=custom)]
    elsewhere = [assigned(20, f"{CLUSTERS}/shop-18"), assigned(21, f"{CLUSTERS}/shop-170")]
    database = plane.control.services.database
    async with database.writing() as connection:
        await role_definitions.add(connection, CustomRole(role=custom, authorship=NOBODY))
        for each in (*here, *elsewhere):
            await role_assignments.add(connection, each)
        cluster = await clusters.find(connection, "shops", "shop-17")
        assert cluster is not None
        kubernetes = await policy.of(connection, cluster, subscription=SUBSCRIPTION)
        rbac = replace(cluster, properties={"aadProfile": {"enableAzureRBAC": True}})
        enforced = await policy.of(connection, rbac, subscription=SUBSCRIPTION)
    assert kubernetes == policy.NOT_ENFORCED
    assert enforced == compiled(*here, roles=[custom])


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"aadProfile": None},
        {"aadProfile": []},
        {"aadProfile": {}},
        {"aadProfile": {"enableAzureRBAC": False}},
        {"aadProfile": {"enableAzureRBAC": "true"}},
        {"aadProfile": {"enableAzureRBAC": 1}},
    ],
)
async def test_no_other_value_switches_the_mode(
    plane: Plane, onboarding_key: OnboardingKey, properties: dict[str, Any]
) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    async with plane.control.services.database.reading() as connection:
        cluster = await clusters.find(connection, "shops", "shop-17")
    assert cluster is not None
    assert not replace(cluster, properties=properties).has_azure_rbac
