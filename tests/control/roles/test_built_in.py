import uuid

import pytest

from towrope.control.roles.built_in import BUILT_IN_ROLES
from towrope.control.roles.definition import RoleDefinition
from towrope.wire.data_actions import EVERYTHING, PREFIX, SENSITIVE, allows, rules


def role(name: str) -> RoleDefinition:
    [found] = [each for each in BUILT_IN_ROLES if each.name == name]
    return found


def in_cluster(name: str, action: str) -> bool:
    return allows([each.in_cluster for each in role(name).permissions], PREFIX + action)


def may(name: str, action: str) -> bool:
    return any(each.allows(action) for each in role(name).permissions)


def test_names_and_ids_are_each_a_roles_own() -> None:
    assert len({each.id for each in BUILT_IN_ROLES}) == len(BUILT_IN_ROLES) == 11
    assert len({each.name for each in BUILT_IN_ROLES}) == len(BUILT_IN_ROLES)
    for each in BUILT_IN_ROLES:
        assert str(uuid.UUID(each.id)) == each.id


VIEWER = "Azure Arc Kubernetes Viewer"
WRITER = "Azure Arc Kubernetes Writer"
ADMIN = "Azure Arc Kubernetes Admin"
CLUSTER_ADMIN = "Azure Arc Kubernetes Cluster Admin"


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("pods/read", {VIEWER, WRITER, ADMIN, CLUSTER_ADMIN}),
        ("services/read", {VIEWER, WRITER, ADMIN, CLUSTER_ADMIN}),
        ("namespaces/read", {VIEWER, WRITER, ADMIN, CLUSTER_ADMIN}),
        ("pods/write", {WRITER, ADMIN, CLUSTER_ADMIN}),
        ("pods/exec/action", {WRITER, ADMIN, CLUSTER_ADMIN}),
        ("pods/portforward/action", {WRITER, ADMIN, CLUSTER_ADMIN}),
        ("secrets/read", {WRITER, ADMIN, CLUSTER_ADMIN}),
        ("serviceaccounts/impersonate/action", {WRITER, ADMIN, CLUSTER_ADMIN}),
        ("namespaces/write", {CLUSTER_ADMIN}),
        ("rbac.authorization.k8s.io/roles/read", {ADMIN, CLUSTER_ADMIN}),
        ("rbac.authorization.k8s.io/rolebindings/write", {ADMIN, CLUSTER_ADMIN}),
        ("rbac.authorization.k8s.io/clusterroles/read", {CLUSTER_ADMIN}),
        ("nodes/read", {CLUSTER_ADMIN}),
        ("example.org/widgets/read", {CLUSTER_ADMIN}),
    ],
)
def test_what_arcs_roles_allow_in_a_cluster(action: str, allowed: set[str]) -> None:
    everyone = {each.name for each in BUILT_IN_ROLES}
    assert {name for name in everyone if in_cluster(name, action)} == allowed


def test_a_viewer_gets_no_sensitive_subresource() -> None:
    for (group, resource), subresources in SENSITIVE.items():
        assert group == ""
        for sub in subresources:
            assert not in_cluster(VIEWER, f"{resource}/{sub}/action")


def test_the_cluster_admin_has_everything() -> None:
    assert rules([each.in_cluster for each in role(CLUSTER_ADMIN).permissions], ()) == EVERYTHING


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        (f"{PREFIX}read", {"Owner", "Contributor", "Reader", "User Access Administrator"}),
        ("Microsoft.Kubernetes/connectedClusters/write", {"Owner", "Contributor"}),
        ("Microsoft.Kubernetes/connectedClusters/delete", {"Owner", "Contributor"}),
        ("Microsoft.Authorization/roleAssignments/write", {"Owner", "User Access Administrator"}),
        ("microsoft.authorization/ROLEASSIGNMENTS/delete", {"Owner", "User Access Administrator"}),
        (f"{PREFIX}listClusterUserCredential/action", {"Owner", "Contributor"}),
    ],
)
def test_what_the_general_roles_allow_at_the_resource_api(action: str, allowed: set[str]) -> None:
    general = {"Owner", "Contributor", "Reader", "User Access Administrator"}
    assert {name for name in general if may(name, action)} == allowed


def test_arcs_own_roles_at_the_resource_api() -> None:
    user, onboarding = (
        "Azure Arc Enabled Kubernetes Cluster User Role",
        "Kubernetes Cluster - Azure Arc Onboarding",
    )
    assert may(user, f"{PREFIX}listClusterUserCredential/action")
    assert not may(user, f"{PREFIX}read")
    assert may(onboarding, f"{PREFIX}write")
    assert not may(onboarding, f"{PREFIX}delete")
    assert not may(VIEWER, f"{PREFIX}read")
