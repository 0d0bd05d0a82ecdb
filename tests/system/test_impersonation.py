"""`kubectl --as` by a person who may act as some others: who may be whom, and who was it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fixtures.audit import AGENT, events
from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import Installation
from tests.fixtures.people import People, Person
from tests.fixtures.workplace import Proxy

ROLE = "impersonation-test"
RULES = [
    {
        "apiGroups": [""],
        "resources": ["users"],
        "resourceNames": ["jane"],
        "verbs": ["impersonate"],
    },
    {
        "apiGroups": [""],
        "resources": ["groups"],
        "resourceNames": ["testers", "system:masters"],
        "verbs": ["impersonate"],
    },
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
    {
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["uids", "userextras/acme.example/scopes"],
        "verbs": ["impersonate"],
    },
]
WHO = ("auth", "whoami", "-o", "json")


@pytest.fixture(scope="module")
def mona(people: People, cluster: Cluster) -> Iterator[Person]:
    person = people.user("mona")
    person.sign_in()
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": RULES}
    cluster.kubectl("apply", "-f", "-", input=json.dumps({**role, "metadata": {"name": ROLE}}))
    bind(cluster, person)
    yield person
    cluster.kubectl("delete", "clusterrole,clusterrolebinding", ROLE)


def bind(cluster: Cluster, person: Person) -> None:
    words = ["clusterrolebinding", ROLE, f"--clusterrole={ROLE}"]
    cluster.kubectl("create", *words, f"--user={person.user_principal_name}")


@pytest.fixture(scope="module")
def hers(mona: Person) -> Iterator[Proxy]:
    with mona.proxy() as proxy:
        yield proxy


def who(proxy: Proxy, *flags: str) -> Any:
    return json.loads(proxy.out(*flags, *WHO))["status"]["userInfo"]


def refused(proxy: Proxy, *flags: str) -> str:
    done = proxy.kubectl(*flags, "get", "--raw", "/api", check=False)
    assert done.returncode != 0
    return done.stderr.decode()


def test_the_apiserver_knows_both(hers: Proxy, mona: Person, cluster: Cluster) -> None:
    flags = ["--as", "jane", "--as-group", "testers", "--as-uid", "7"]
    assert who(hers, *flags) == {
        "username": "jane",
        "groups": ["testers", "system:authenticated"],
        "uid": "7",
        "extra": {"towrope.dev/impersonator": [mona.user_principal_name]},
    }
    marker = "mona-as-jane"
    hers.kubectl(*flags, "get", "--raw", f"/api/v1/namespaces/{marker}", check=False)
    (event,) = events(cluster, marker)
    assert event["user"]["username"] == AGENT
    assert event["impersonatedUser"]["username"] == "jane"
    assert event["impersonatedUser"]["extra"] == {
        "towrope.dev/impersonator": [mona.user_principal_name]
    }
    # By the right that KEP-5284 gives, and not by the older one.
    assert event["authenticationMetadata"] == {"impersonationConstraint": "impersonate:user-info"}


def test_what_the_other_may_decides(hers: Proxy) -> None:
    answer = hers.kubectl("--as", "jane", "get", "--raw", "/api/v1/pods", check=False)
    assert b'User "jane" cannot list resource "pods"' in answer.stderr


def test_the_agent_writes_down_both(
    hers: Proxy, mona: Person, installation: Installation, cluster: Cluster
) -> None:
    marker = "mona-is-written-down"
    hers.kubectl("--as", "jane", "get", "--raw", f"/api/v1/namespaces/{marker}", check=False)
    deployment = ["-n", "towrope", "logs", "deployment/towrope-agent", "--tail=-1"]
    lines = cluster.kubectl(*deployment).stdout.splitlines()
    (line,) = [json.loads(line) for line in lines if marker in line]
    assert (line["principal"], line["impersonated"]) == (mona.user_principal_name, "jane")
    assert (line["verb"], line["resource"], line["status"]) == ("get", "namespaces", 403)
    (event,) = events(cluster, marker)
    assert line["auditId"] == event["auditID"]


def test_a_service_account(hers: Proxy, mona: Person) -> None:
    found = who(hers, "--as", "system:serviceaccount:kube-system:x")
    assert found["username"] == "system:serviceaccount:kube-system:x"
    assert "system:serviceaccounts:kube-system" in found["groups"]
    assert found["extra"] == {"towrope.dev/impersonator": [mona.user_principal_name]}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--as", "john"], 'cannot impersonate resource "users" in API group ""'),
        (["--as", "jane", "--as-group", "admins"], 'cannot impersonate resource "groups"'),
        (["--as", "system:admin"], 'cannot impersonate resource "users"'),
        (
            ["--as", "jane", "--as-user-extra", "other.example/x=1"],
            'cannot impersonate resource "userextras/other.example/x"',
        ),
        (
            ["--as", "jane", "--as-user-extra", "towrope.dev/impersonator=root"],
            "for the agent alone to say",
        ),
        (["--as-group", "testers"], "without impersonating a user"),
    ],
)
def test_what_she_may_not(hers: Proxy, mona: Person, flags: list[str], said: str) -> None:
    stderr = refused(hers, *flags)
    if "cannot impersonate" in said:
        assert f'User "{mona.user_principal_name}" {said}' in stderr
    else:
        assert said in stderr or "requesting uid, groups or user-extra without" in stderr


def test_nobody_is_a_master_through_a_constrained_agent(hers: Proxy) -> None:
    """She may; the agent may not, and says so."""
    stderr = refused(hers, "--as", "jane", "--as-group", "system:masters")
    assert "The agent of this cluster lacks the right" in stderr
    assert "'system:masters' only where the API server does not constrain" in stderr


def test_an_extra_needs_a_right_of_the_agent_too(hers: Proxy, cluster: Cluster) -> None:
    flags = ["--as", "jane", "--as-user-extra", "acme.example/scopes=some"]
    stderr = refused(hers, *flags)
    assert "an extra only where a cluster administrator grants it" in stderr
    name = f"{ROLE}-agent"
    rule = {
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["userextras/acme.example/scopes"],
        "verbs": ["impersonate:user-info"],
    }
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": [rule]}
    cluster.kubectl("apply", "-f", "-", input=json.dumps({**role, "metadata": {"name": name}}))
    agent = ["--serviceaccount=towrope:towrope-agent", f"--clusterrole={name}"]
    cluster.kubectl("create", "clusterrolebinding", name, *agent)
    try:
        assert who(hers, *flags)["extra"]["acme.example/scopes"] == ["some"]
    finally:
        cluster.kubectl("delete", "clusterrole,clusterrolebinding", name)


def test_a_right_that_is_taken_away_is_gone_with_the_next_request(
    hers: Proxy, mona: Person, cluster: Cluster
) -> None:
    assert who(hers, "--as", "jane")["username"] == "jane"
    cluster.kubectl("delete", "clusterrolebinding", ROLE)
    try:
        assert "cannot impersonate" in refused(hers, "--as", "jane")
    finally:
        bind(cluster, mona)
