"""The agent's rules by their text. What they are worth, real clusters say: see `tests/system`."""

import pytest
from lightkube.models.rbac_v1 import PolicyRule

from towrope.client.agent_rights import (
    Impersonation,
    azure_rbac_rules,
    cluster_rules,
    namespace_rules,
)

CHANGING = {"create", "update", "patch", "delete", "deletecollection", "bind", "escalate", "*"}


def rights(impersonation: Impersonation) -> set[tuple[str, str]]:
    return {
        (verb, f"{group}/{resource}")
        for rule in cluster_rules(impersonation)
        for verb in rule.verbs
        for group in rule.apiGroups or []
        for resource in rule.resources or []
    }


@pytest.mark.parametrize("impersonation", Impersonation)
def test_in_the_whole_cluster_it_changes_nothing(impersonation: Impersonation) -> None:
    changing = {right for right in rights(impersonation) if right[0] in CHANGING}
    assert changing == {("create", "authorization.k8s.io/subjectaccessreviews")}


def test_constrained_it_has_no_right_to_users_and_groups_of_the_older_kind() -> None:
    older = {what for verb, what in rights(Impersonation.CONSTRAINED) if verb == "impersonate"}
    assert older == {
        "/serviceaccounts",
        "authentication.k8s.io/userextras/towrope.dev/impersonator",
    }
    assert {what for verb, what in rights(Impersonation.LEGACY) if verb == "impersonate"} == {
        "/users",
        "/groups",
        "/serviceaccounts",
        "authentication.k8s.io/uids",
        "authentication.k8s.io/userextras/towrope.dev/oid",
        "authentication.k8s.io/userextras/towrope.dev/impersonator",
    }


def test_only_what_is_said_in_an_impersonation_is_for_all_resources() -> None:
    for impersonation in Impersonation:
        for verb, what in rights(impersonation):
            assert "*" not in what or verb.startswith("impersonate-on:user-info:")


def test_in_its_namespace_it_reads_what_it_names() -> None:
    def is_open(rule: PolicyRule) -> bool:
        return not rule.resourceNames and rule.verbs != ["create"]

    assert not [rule for rule in namespace_rules() if is_open(rule)]


def test_what_azure_rbac_takes_is_no_part_of_it() -> None:
    beside = {
        (verb, resource)
        for rule in azure_rbac_rules()
        for verb in rule.verbs
        for resource in rule.resources or []
    }
    changing = {right for right in beside if right[0] in CHANGING}
    assert {resource for _, resource in changing} == {
        "clusterroles",
        "clusterrolebindings",
        "rolebindings",
    }
    assert {right for right in beside if right[0] in ("bind", "escalate")} == {
        ("bind", "clusterroles"),
        ("escalate", "clusterroles"),
    }
    assert "deletecollection" not in {verb for verb, _ in beside}
