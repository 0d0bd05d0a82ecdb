"""What a policy asks for, and what is to be done for it: without a cluster."""

import pytest

from tests.agent.reconciled import grant, role
from towrope.agent import policy_objects
from towrope.agent.policy_objects import Content, Key, Kind, PolicyRule, RoleRef, Subject, wanted
from towrope.wire import policy_names
from towrope.wire.agent_api import Policy, PolicyGrant, PolicyRole
from towrope.wire.data_actions import Resource

PODS = role(1, "pods/read")
EVERY = role(2, "*/read", without=("secrets/read",))
NAME = policy_names.cluster_role(PODS.id)
CLUSTER = (
    Resource(group="", name="pods", subresources=frozenset({"log", "exec"})),
    Resource(group="", name="secrets"),
    Resource(group="shop.example", name="widgets"),
)
READ = ("get", "list", "watch")


def policy(*grants: PolicyGrant, roles: tuple[PolicyRole, ...] = (PODS,)) -> Policy:
    return Policy(version="1", is_enforced=True, roles=roles, grants=grants)


def test_a_role_and_its_bindings() -> None:
    found = wanted(
        policy(grant(PODS, "Ada"), grant(PODS, "bob"), grant(PODS, "ada", "Shop")), CLUSTER
    )
    assert found.problems == ()
    assert set(found.objects) == {
        Key(kind=Kind.CLUSTER_ROLE, name=NAME),
        Key(kind=Kind.CLUSTER_ROLE_BINDING, name=NAME),
        Key(kind=Kind.ROLE_BINDING, name=NAME, namespace="shop"),
    }
    rules = found.objects[Key(kind=Kind.CLUSTER_ROLE, name=NAME)].rules
    assert rules == (PolicyRule(verbs=READ, api_groups=("",), resources=("pods", "pods/log")),)
    group = policy_objects.RBAC_GROUP
    assert found.objects[Key(kind=Kind.CLUSTER_ROLE_BINDING, name=NAME)] == Content(
        role_ref=RoleRef(api_group=group, kind="ClusterRole", name=NAME),
        subjects=tuple(
            Subject(kind="Group", api_group=group, name=f"towrope:oid:{each}")
            for each in ("ada", "bob")
        ),
    )


def test_wildcards_are_spelled_out_over_what_the_cluster_has() -> None:
    found = wanted(policy(grant(EVERY, "ada"), roles=(EVERY,)), CLUSTER)
    name = policy_names.cluster_role(EVERY.id)
    named = {
        (group, resource)
        for rule in found.objects[Key(kind=Kind.CLUSTER_ROLE, name=name)].rules
        for group in rule.api_groups
        for resource in rule.resources
    }
    assert {("", "pods"), ("", "pods/log"), ("shop.example", "widgets")} <= named
    assert ("", "secrets") not in named
    assert ("", "pods/exec") not in named
    assert "*" not in {part for each in named for part in each}


def test_nothing_where_it_is_not_enforced() -> None:
    off = Policy(version="1", roles=(PODS,), grants=(grant(PODS, "ada"),))
    assert wanted(off, CLUSTER).objects == {}


@pytest.mark.parametrize("namespace", ["a/b", "..", "x" * 64])
def test_a_namespace_that_no_cluster_can_have_is_left_out_and_said(namespace: str) -> None:
    found = wanted(policy(grant(PODS, "ada", namespace)), CLUSTER)
    assert found.objects == {}
    assert "no cluster can have" in found.problems[0]


def test_a_role_whose_id_is_none_makes_nothing() -> None:
    odd = PolicyRole(id="../x", name="odd", permissions=PODS.permissions)
    assert wanted(policy(grant(odd, "ada"), roles=(odd,)), CLUSTER).objects == {}


def test_a_role_without_grants_makes_nothing() -> None:
    assert wanted(policy(), CLUSTER).objects == {}


def test_a_role_that_no_object_can_hold_gives_nothing_at_all() -> None:
    many = [Resource(group=f"{number:0200}", name="r") for number in range(4000)]
    found = wanted(policy(grant(EVERY, "ada"), roles=(EVERY,)), many)
    assert found.objects == {}
    assert "more rules than a ClusterRole can hold" in found.problems[0]


def test_keys_are_shown_as_kubernetes_says_them() -> None:
    assert str(Key(kind=Kind.CLUSTER_ROLE, name="a")) == "ClusterRole 'a'"
    assert str(Key(kind=Kind.CLUSTER_ROLE_BINDING, name="a")) == "ClusterRoleBinding 'a'"
    shown = str(Key(kind=Kind.ROLE_BINDING, name="a", namespace="b"))
    assert shown == "RoleBinding 'a' in namespace 'b'"
