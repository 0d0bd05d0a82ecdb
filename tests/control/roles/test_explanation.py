from collections.abc import Sequence

import pytest

from towrope.control.roles.built_in import BUILT_IN_ROLES
from towrope.control.roles.definition import Permission, RoleDefinition
from towrope.control.roles.explanation import (
    Assigned,
    Explanation,
    Finding,
    Lack,
    Question,
    explained,
)
from towrope.control.roles.scope import ROOT, Scope
from towrope.wire.data_actions import PREFIX
from towrope.wire.resource_attributes import ResourceAttributes

SUBSCRIPTION = Scope(path="/subscriptions/s")
CLUSTER = Scope(
    path="/subscriptions/s/resourceGroups/shops"
    "/providers/Microsoft.Kubernetes/connectedClusters/shop-17"
)
WEB = Scope(path=f"{CLUSTER.path}/namespaces/web")
READ = "Microsoft.Kubernetes/connectedClusters/read"
ROLES = {role.name.removeprefix("Azure Arc Kubernetes "): role for role in BUILT_IN_ROLES}


def role(
    *data_actions: str, without: tuple[str, ...] = (), actions: tuple[str, ...] = ()
) -> RoleDefinition:
    permission = Permission(actions=actions, data_actions=data_actions, not_data_actions=without)
    return RoleDefinition(id="custom", name="Custom", permissions=(permission,))


def assigned(role: RoleDefinition, scope: Scope = CLUSTER) -> Assigned:
    return Assigned(id=scope.path, scope=scope, role=role, principal_id="ann")


def in_cluster(verb: str, resource: str, *, sub: str = "", namespace: str = "") -> Question:
    attributes = ResourceAttributes(verb=verb, resource=resource, subresource=sub)
    return Question(
        scope=CLUSTER, action=attributes.action, attributes=attributes, namespace=namespace
    )


def at_resource(action: str, scope: Scope = CLUSTER) -> Question:
    return Question(scope=scope, action=action)


def explain(
    question: Question, *held: Assigned, offered: Sequence[RoleDefinition] = BUILT_IN_ROLES
) -> Explanation:
    return explained(question, held, offered)


def only(explanation: Explanation) -> Finding:
    [finding] = explanation.findings
    return finding


SECRETS, PODS = in_cluster("get", "secrets"), in_cluster("get", "pods")


@pytest.mark.parametrize(
    ("question", "held", "lack", "pattern"),
    [
        (SECRETS, assigned(ROLES["Viewer"]), Lack.NOT_NAMED, ""),
        (PODS, assigned(ROLES["Owner"]), Lack.NOT_NAMED, ""),
        (PODS, assigned(ROLES["Viewer"], WEB), Lack.OTHER_NAMESPACE, ""),
        (
            in_cluster("get", "pods", namespace="shop"),
            assigned(ROLES["Viewer"], WEB),
            Lack.OTHER_NAMESPACE,
            "",
        ),
        (
            SECRETS,
            assigned(role("*", without=(f"{PREFIX}secrets/*",))),
            Lack.TAKEN_AWAY,
            f"{PREFIX}secrets/*",
        ),
        (at_resource(READ), assigned(ROLES["Cluster Admin"]), Lack.NOT_NAMED, ""),
        (at_resource(READ), assigned(ROLES["Owner"], WEB), Lack.OTHER_NAMESPACE, ""),
        (
            at_resource("Microsoft.Authorization/roleAssignments/write"),
            assigned(ROLES["Contributor"]),
            Lack.TAKEN_AWAY,
            "Microsoft.Authorization/*/Write",
        ),
        (
            at_resource("Towrope.Directory/users/write"),
            assigned(ROLES["Owner"]),
            Lack.NOT_NAMED,
            "",
        ),
    ],
)
def test_what_an_assignment_lacks(
    question: Question, held: Assigned, lack: Lack, pattern: str
) -> None:
    explanation = explain(question, held)
    assert not explanation.is_allowed
    assert only(explanation) == Finding(assigned=held, lack=lack, pattern=pattern)


def test_what_holds_elsewhere_is_not_shown() -> None:
    elsewhere = assigned(ROLES["Cluster Admin"], Scope(path=f"{CLUSTER.path}8"))
    for question in (PODS, at_resource(READ)):
        assert explain(question, elsewhere).findings == []


def test_the_pattern_and_the_rule_that_allow() -> None:
    finding = only(explain(PODS, assigned(ROLES["Viewer"], ROOT)))
    assert (finding.lack, finding.pattern) == (None, f"{PREFIX}pods/read")
    assert finding.rule is not None
    assert finding.rule.verbs == ("get", "list", "watch")
    assert "pods" in finding.rule.resources


def test_in_its_namespace_it_holds() -> None:
    question = in_cluster("get", "pods", sub="log", namespace="web")
    assert explain(question, assigned(ROLES["Viewer"], WEB)).is_allowed


def test_the_pattern_that_allows_an_operation() -> None:
    for action, held, pattern in (
        (READ, ROLES["Reader"], "*/read"),
        (READ, ROLES["Contributor"], "*"),
        ("Towrope.Directory/users/write", role(actions=("*", "Towrope.*")), "Towrope.*"),
    ):
        finding = only(explain(at_resource(action), assigned(held, SUBSCRIPTION)))
        assert (finding.lack, finding.pattern, finding.rule) == (None, pattern, None)


def test_another_permission_gives_back_what_one_takes_away() -> None:
    taking = role("*", without=(f"{PREFIX}secrets/*",)).permissions
    giving = role(f"{PREFIX}secrets/read").permissions
    both = RoleDefinition(id="both", name="Both", permissions=(*taking, *giving))
    finding = only(explain(SECRETS, assigned(both)))
    assert (finding.lack, finding.pattern) == (None, f"{PREFIX}secrets/read")


def test_those_that_allow_it_come_first() -> None:
    held = [assigned(ROLES["Viewer"], ROOT), assigned(ROLES["Writer"], CLUSTER)]
    found = explain(SECRETS, *held).findings
    assert [finding.lack for finding in found] == [None, Lack.NOT_NAMED]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (PODS, ["Viewer", "Writer", "Admin"]),
        (SECRETS, ["Writer", "Admin", "Cluster Admin"]),
        (in_cluster("get", "nodes"), ["Cluster Admin"]),
        (at_resource("Microsoft.Compute/virtualMachines/write"), ["Contributor", "Owner"]),
        (at_resource("Towrope.Directory/users/write"), []),
    ],
)
def test_the_smallest_role_that_would_allow_it_is_nearest(
    question: Question, expected: list[str]
) -> None:
    nearest = explain(question).nearest
    assert [each.name.removeprefix("Azure Arc Kubernetes ") for each in nearest] == expected


def test_a_role_that_cannot_be_assigned_there_is_not_near() -> None:
    here = role(f"{PREFIX}pods/read")
    elsewhere = RoleDefinition(
        id="e", name="E", permissions=here.permissions, assignable_scopes=("/subscriptions/x", "?")
    )
    assert explain(PODS, offered=[elsewhere, here]).nearest == [here]


def test_nothing_is_nearer_than_what_is_allowed() -> None:
    assert explain(PODS, assigned(ROLES["Viewer"])).nearest == ()
