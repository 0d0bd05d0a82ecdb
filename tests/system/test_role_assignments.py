"""The documented path of Azure RBAC: a role assignment decides what `kubectl` may do, and taking
it away ends that.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import GROUP, Installation, until
from tests.fixtures.people import People, Person
from tests.fixtures.workplace import Proxy

VIEWER = "Azure Arc Kubernetes Viewer"
CLUSTER_USER = "Azure Arc Enabled Kubernetes Cluster User Role"
SENTENCE = (
    "User doesn't have access to the resource in Azure. Update role assignment to allow access."
)
WITHIN = 10.0
"""Seconds, of a machine that is busy; it takes a fraction of one."""
OWN = ("-l", "app.kubernetes.io/managed-by=towrope-policy", "-A", "-o", "name")
KINDS = "clusterroles,clusterrolebindings,rolebindings"


def features(installation: Installation, verb: str) -> None:
    words = ["-n", installation.name, "-g", GROUP, "--features", "azure-rbac", "--yes"]
    kubeconfig = ["--kube-config", str(installation.cluster.kubeconfig)]
    installation.towrope("connectedk8s", verb, *words, *kubeconfig)


@pytest.fixture(scope="module")
def enabled(installation: Installation, cluster: Cluster) -> Iterator[Installation]:
    features(installation, "enable-features")
    yield installation
    features(installation, "disable-features")


@dataclass(frozen=True, kw_only=True)
class Assigned:
    person: Person
    proxy: Proxy
    scope: str

    @property
    def words(self) -> list[str]:
        return ["--assignee", self.person.user_principal_name, "--scope", self.scope]


@pytest.fixture(scope="module")
def assigned(enabled: Installation, people: People) -> Iterator[Assigned]:
    """By the documented commands, as the administrator."""
    person = people.user("vic", reaches=False)
    words = ["--assignee", person.user_principal_name, "--scope", people.cluster_id]
    for role in (CLUSTER_USER, VIEWER):
        enabled.towrope("role", "assignment", "create", "--role", role, *words)
    person.sign_in()
    with person.proxy() as proxy:
        made = Assigned(person=person, proxy=proxy, scope=people.cluster_id)
        until(lambda: may(proxy, "list", "pods"), within=WITHIN, described="the role is there")
        yield made


def may(proxy: Proxy, verb: str, resource: str) -> bool:
    answer = proxy.kubectl("auth", "can-i", verb, resource, "-A", check=False)
    return answer.stdout.strip() == b"yes"


def refused(proxy: Proxy, *words: str, websockets: bool = True) -> str:
    answer = proxy.kubectl(*words, check=False, websockets=websockets)
    assert answer.returncode != 0
    return answer.stderr.decode()


def agent_pod(cluster: Cluster) -> str:
    found = cluster.kubectl("-n", "towrope", "get", "pods", "-o", "name").stdout.split()
    return str(found[0])


def test_a_viewer_sees_every_namespace(assigned: Assigned) -> None:
    assert "towrope-agent" in assigned.proxy.out("get", "pods", "-A")


def test_a_viewer_reads_no_secret(assigned: Assigned) -> None:
    said = refused(assigned.proxy, "get", "secrets", "-A")
    assert "forbidden" in said.lower()


@pytest.mark.parametrize("websockets", [True, False], ids=["websocket", "spdy"])
def test_a_viewer_runs_nothing(assigned: Assigned, cluster: Cluster, websockets: bool) -> None:
    pod = agent_pod(cluster)
    for words in (["exec", pod, "--", "true"], ["port-forward", pod, ":8080"]):
        said = refused(assigned.proxy, "-n", "towrope", *words, websockets=websockets)
        assert "forbidden" in said.lower(), words


def test_the_tables_of_a_user_agree(assigned: Assigned, enabled: Installation) -> None:
    words = ["role", "assignment", "list", "--scope", assigned.scope, "-o", "table"]
    rows = enabled.towrope(*words).stdout.splitlines()
    assert rows[0].split() == ["Principal", "Role", "Scope"]
    # Others may have roles at the same cluster.
    shown = [row for row in rows[2:] if row.startswith(assigned.person.user_principal_name)]
    assert [any(role in row for row in shown) for role in (CLUSTER_USER, VIEWER)] == [True, True]
    assert len(shown) == 2


def test_why_is_explained(assigned: Assigned, enabled: Installation) -> None:
    explain = ["role", "assignment", "explain", *assigned.words]
    allowed = enabled.towrope(*explain, "--verb", "list", "--resource", "pods").stdout
    assert allowed.startswith("Allowed. ")
    assert "ClusterRoleBinding towrope:role:" in allowed
    denied = enabled.towrope(*explain, "--verb", "create", "--resource", "pods/exec").stdout
    assert denied.startswith("Not allowed. ")
    assert "Azure Arc Kubernetes" in denied.partition("These roles would allow it")[2]


def test_what_is_taken_away_is_gone(assigned: Assigned, enabled: Installation) -> None:
    role = ["--role", VIEWER]
    enabled.towrope("role", "assignment", "delete", *role, *assigned.words)
    until(lambda: not may(assigned.proxy, "list", "pods"), within=WITHIN, described="it is gone")
    assert SENTENCE in refused(assigned.proxy, "get", "pods", "-A")
    enabled.towrope("role", "assignment", "create", *role, *assigned.words)
    until(lambda: may(assigned.proxy, "list", "pods"), within=WITHIN, described="it is back")


def test_who_may_not_reach_the_cluster_is_told_which_role(
    assigned: Assigned, enabled: Installation
) -> None:
    """The last of this person, whose proxy is left without the right to be one."""
    words = ["connectedk8s", "proxy", "-n", enabled.name, "-g", GROUP, "--file", "-"]
    enabled.towrope("role", "assignment", "delete", "--role", CLUSTER_USER, *assigned.words)
    done = assigned.person.towrope(*words, check=False)
    assert done.returncode == 7
    assert CLUSTER_USER in done.stderr


def test_the_switch_leaves_nothing_of_its_own(installation: Installation, cluster: Cluster) -> None:
    features(installation, "enable-features")
    shown = ["connectedk8s", "show", "-n", installation.name, "-g", GROUP]
    profile = json.loads(installation.towrope(*shown).stdout)["aadProfile"]
    assert profile["enableAzureRBAC"] is True
    features(installation, "disable-features")
    assert cluster.kubectl("get", KINDS, *OWN).stdout == ""
    roles = cluster.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name").stdout
    assert "azure-rbac" not in roles
