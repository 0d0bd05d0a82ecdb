"""What Arc's roles allow in a cluster, and what they do not: the apiserver's own authorizer is
asked for each case, and some are tried by a person with kubectl.
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import until
from tests.fixtures.people import People
from tests.fixtures.role_assignments import RoleAssignments
from tests.fixtures.workplace import Proxy
from towrope.control.roles.built_in import BUILT_IN_ROLES
from towrope.wire import names

WITHIN = 10.0
"""Seconds, of a machine that is busy; it takes a fraction of one."""
DATA_ROLES = {
    letter: next(role.id for role in BUILT_IN_ROLES if role.name == f"Azure Arc Kubernetes {name}")
    for letter, name in {"V": "Viewer", "W": "Writer", "A": "Admin", "C": "Cluster Admin"}.items()
}
RBAC = "rbac.authorization.k8s.io"

# Verbs, resource[/subresource][.group], and the roles that allow it.
CASES: list[tuple[str, str, str]] = [
    ("get list watch", "pods", "VWAC"),
    ("get", "pods/log", "VWAC"),
    ("create update patch delete deletecollection", "pods", "WAC"),
    ("get create update patch delete", "pods/exec", "WAC"),
    ("get create", "pods/attach", "WAC"),
    ("get create", "pods/portforward", "WAC"),
    ("get create update delete", "pods/proxy", "WAC"),
    ("get update patch", "pods/ephemeralcontainers", "WAC"),
    ("create", "pods/eviction", "WAC"),
    ("get list watch create update delete", "secrets", "WAC"),
    ("get list", "configmaps", "VWAC"),
    ("create delete", "configmaps", "WAC"),
    ("get list", "services", "VWAC"),
    ("get create update", "services/proxy", "WAC"),
    ("get list", "serviceaccounts", "VWAC"),
    ("create", "serviceaccounts/token", "WAC"),
    ("impersonate", "serviceaccounts", "WAC"),
    ("list", "events", "VWAC"),
    ("create", "events", "C"),
    ("list", "resourcequotas", "VWAC"),
    ("create update delete", "resourcequotas", "C"),
    ("list", "limitranges", "VWAC"),
    ("delete", "limitranges", "C"),
    ("get list watch", "deployments.apps", "VWAC"),
    ("get", "deployments/scale.apps", "VWAC"),
    ("patch", "deployments/scale.apps", "WAC"),
    ("create", "jobs.batch", "WAC"),
    ("list", "ingresses.networking.k8s.io", "VWAC"),
    ("create", "networkpolicies.networking.k8s.io", "WAC"),
    ("get list create delete", f"rolebindings.{RBAC}", "AC"),
    ("get list create update", f"roles.{RBAC}", "AC"),
    ("bind escalate", f"roles.{RBAC}", "AC"),
    ("create", "localsubjectaccessreviews.authorization.k8s.io", "AC"),
    ("list", "leases.coordination.k8s.io", "C"),
    ("get list", "gadgets.roles.example", "C"),
]
CLUSTER_CASES: list[tuple[str, str, str]] = [
    ("list", "namespaces", "VWAC"),
    ("create delete", "namespaces", "C"),
    ("get list", "nodes", "C"),
    ("get create", "nodes/proxy", "C"),
    ("list", "persistentvolumes", "C"),
    ("list", "storageclasses.storage.k8s.io", "C"),
    ("list", f"clusterroles.{RBAC}", "C"),
    ("bind escalate", f"clusterroles.{RBAC}", "C"),
    ("create", f"clusterrolebindings.{RBAC}", "C"),
    ("impersonate", "users", "C"),
    ("impersonate", "groups", "C"),
    ("create", "tokenreviews.authentication.k8s.io", "C"),
    ("list", "customresourcedefinitions.apiextensions.k8s.io", "C"),
    ("get", "/metrics", "C"),
    ("get", "/logs/x", "C"),
]


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whether whoever has this object id, of another issuer, may do this; all namespaces where none
    is named."""

    principal: str
    verb: str
    what: str
    namespace: str = ""

    def review(self) -> dict[str, object]:
        spec: dict[str, object] = {
            "user": "somebody",
            "groups": [
                names.object_id_group(self.principal, is_external=True),
                "system:authenticated",
            ],
        }
        if self.what.startswith("/"):
            spec["nonResourceAttributes"] = {"verb": self.verb, "path": self.what}
        else:
            named, _, group = self.what.partition(".")
            resource, _, below = named.partition("/")
            spec["resourceAttributes"] = {
                "verb": self.verb,
                "group": group,
                "resource": resource,
                "subresource": below,
                "namespace": self.namespace,
            }
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        return {**kind, "spec": spec}


def answers(cluster: Cluster, questions: Sequence[Question]) -> dict[Question, bool]:
    """The authorizer's, to all of them at once."""
    documents = "\n---\n".join(json.dumps(each.review()) for each in questions)
    path = "jsonpath={.status.allowed}{'\\n'}"
    found = cluster.kubectl(
        "create", "--validate=false", "-f", "-", "-o", path, input=documents
    ).stdout.split()
    return dict(zip(questions, (each == "true" for each in found), strict=True))


def questions_of(
    cases: list[tuple[str, str, str]], principals: dict[str, str], *, namespace: str = ""
) -> dict[Question, bool]:
    """With the answer that each must have."""
    return {
        Question(principal=principal, verb=verb, what=what, namespace=namespace): letter in allowed
        for verbs, what, allowed in cases
        for verb in verbs.split()
        for letter, principal in principals.items()
    }


def wrong(cluster: Cluster, expected: dict[Question, bool]) -> list[Question]:
    found = answers(cluster, list(expected))
    return [each for each, allowed in expected.items() if found[each] is not allowed]


def assert_become(cluster: Cluster, expected: dict[Question, bool]) -> None:
    try:
        until(lambda: not wrong(cluster, expected), within=WITHIN, described="the roles are there")
    except AssertionError:
        assert wrong(cluster, expected) == []


def definition(plural: str) -> str:
    return json.dumps(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.roles.example"},
            "spec": {
                "group": "roles.example",
                "scope": "Namespaced",
                "names": {"plural": plural, "kind": plural.title()},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object"}},
                    }
                ],
            },
        }
    )


@pytest.fixture(scope="module")
def gadgets(cluster: Cluster) -> Iterator[None]:
    cluster.kubectl("apply", "-f", "-", input=definition("gadgets"))
    yield
    cluster.kubectl("delete", "crd", "gadgets.roles.example")


def assigned_each(assignments: RoleAssignments, scope: str) -> Iterator[dict[str, str]]:
    """A principal for each of the roles, by the role's letter."""
    principals = {letter: str(uuid.uuid4()) for letter in DATA_ROLES}
    made = [
        assignments.assign(DATA_ROLES[letter], principal, scope=scope)
        for letter, principal in principals.items()
    ]
    yield principals
    for each in made:
        assignments.remove(each)


def test_the_built_in_roles_in_the_whole_cluster(
    cluster: Cluster, role_assignments: RoleAssignments, gadgets: None
) -> None:
    for principals in assigned_each(role_assignments, role_assignments.cluster):
        expected = questions_of([*CASES, *CLUSTER_CASES], principals)
        expected |= questions_of(CASES, principals, namespace="kube-system")
        assert_become(cluster, expected)
    nothing = dict.fromkeys(expected, False)
    assert_become(cluster, nothing)


def test_the_built_in_roles_in_one_namespace(
    cluster: Cluster, role_assignments: RoleAssignments, gadgets: None, namespace: str
) -> None:
    scope = role_assignments.in_namespace(namespace)
    for principals in assigned_each(role_assignments, scope):
        expected = questions_of(CASES, principals, namespace=namespace)
        nowhere = questions_of([*CASES, *CLUSTER_CASES], principals)
        nowhere |= questions_of(CASES, principals, namespace="default")
        assert_become(cluster, {**expected, **dict.fromkeys(nowhere, False)})


def test_a_custom_role_on_a_custom_resource(
    cluster: Cluster, role_assignments: RoleAssignments, gadgets: None
) -> None:
    role = role_assignments.define("Gadget Reader", "roles.example/gadgets/read")
    principal = str(uuid.uuid4())
    assignment = role_assignments.assign(role, principal)
    asked = [
        ("get list watch", "gadgets.roles.example", "x"),
        ("create delete", "gadgets.roles.example", ""),
        ("get", "pods", ""),
        ("get", "gadgets", ""),
    ]
    assert_become(cluster, questions_of(asked, {"x": principal}))
    role_assignments.remove(assignment)
    assert_become(cluster, dict.fromkeys(questions_of(asked, {"x": principal}), False))


def test_wildcards_take_in_what_comes_later(
    cluster: Cluster, role_assignments: RoleAssignments
) -> None:
    role = role_assignments.define("Reads All But", "*/read", without=("secrets/read",))
    principal = str(uuid.uuid4())
    assignment = role_assignments.assign(role, principal)
    known = [
        ("get", "pods", "x"),
        ("get", "nodes", "x"),
        ("get", "secrets", ""),
        ("get create", "pods/exec", ""),
        ("get", "pods/portforward", ""),
        ("get", "nodes/proxy", ""),
    ]
    assert_become(cluster, questions_of(known, {"x": principal}))
    cluster.kubectl("apply", "-f", "-", input=definition("laters"))
    later = [("list", "laters.roles.example", "x"), ("create", "laters.roles.example", "")]
    assert_become(cluster, questions_of([*known, *later], {"x": principal}))
    cluster.kubectl("delete", "crd", "laters.roles.example")
    role_assignments.remove(assignment)


@dataclass(frozen=True, kw_only=True)
class Member:
    proxy: Proxy
    object_id: str
    group: str


@pytest.fixture(scope="module")
def member(people: People, role_assignments: RoleAssignments) -> Iterator[Member]:
    """A person at kubectl, a member of a group to which nothing is assigned."""
    person = people.user("rolf")
    group = people.group("rolfs", person.object_id)
    person.sign_in()
    with person.proxy() as proxy:
        yield Member(proxy=proxy, object_id=person.object_id, group=group)


def may(proxy: Proxy, *words: str) -> bool:
    answer = proxy.kubectl(*words, check=False)
    assert answer.returncode == 0 or b"forbidden" in answer.stderr.lower(), answer.stderr
    return answer.returncode == 0


def test_a_groups_role_is_its_members(member: Member, role_assignments: RoleAssignments) -> None:
    asked = ("get", "pods", "-A")
    assert not may(member.proxy, *asked)
    viewer = DATA_ROLES["V"]
    assignment = role_assignments.assign(viewer, member.group, principal_type="Group")
    until(lambda: may(member.proxy, *asked), within=WITHIN, described="the group's role is there")
    assert not may(member.proxy, "get", "secrets", "-A")
    role_assignments.remove(assignment)
    until(lambda: not may(member.proxy, *asked), within=WITHIN, described="it is gone")


def test_kubectl_says_what_is_assigned(
    member: Member, role_assignments: RoleAssignments, namespace: str
) -> None:
    """`auth can-i --list` agrees with what is tried."""
    scope = role_assignments.in_namespace(namespace)
    assignment = role_assignments.assign(DATA_ROLES["W"], member.object_id, scope=scope)
    made = ("create", "configmap", "of-a-writer", "-n", namespace)
    until(lambda: may(member.proxy, *made), within=WITHIN, described="the role is there")
    listed = member.proxy.out("auth", "can-i", "--list", "-n", namespace)
    verbs = {line.split()[0]: line[line.rindex("[") :] for line in listed.splitlines()[1:]}
    assert verbs["resourcequotas"] == "[get list watch]"
    assert "create" in verbs["secrets"]
    assert "roles.rbac.authorization.k8s.io" not in verbs
    assert not may(member.proxy, "create", "quota", "q", "-n", namespace)
    assert not may(member.proxy, "create", "configmap", "elsewhere", "-n", "default")
    escalating = ("create", "rolebinding", "r", "--clusterrole=view", "--user=x", "-n", namespace)
    assert not may(member.proxy, *escalating)
    role_assignments.remove(assignment)
    until(
        lambda: not may(member.proxy, "get", "configmaps", "-n", namespace),
        within=WITHIN,
        described="it is gone",
    )


def test_the_denial_says_where_to_get_the_right(member: Member) -> None:
    answer = member.proxy.kubectl("get", "nodes", check=False)
    assert answer.stderr.decode().strip() == (
        'Error from server (Forbidden): nodes is forbidden: User "rolf@contoso.example" cannot list'
        ' resource "nodes" in API group "" at the cluster scope: User doesn\'t have access to the'
        " resource in Azure. Update role assignment to allow access."
    )


def test_the_agent_may_do_no_more_than_it_needs(
    cluster: Cluster, role_assignments: RoleAssignments
) -> None:
    account = f"system:serviceaccount:{names.NAMESPACE}:{names.AGENT_NAME}"
    for words in (["get", "secrets", "-A"], ["delete", "pods", "-A"], ["create", "pods"]):
        answer = cluster.kubectl("auth", "can-i", *words, f"--as={account}", check=False)
        assert answer.stdout.strip() == "no", words
    answer = cluster.kubectl("auth", "can-i", "create", "clusterroles", f"--as={account}")
    assert answer.stdout.strip() == "yes"
