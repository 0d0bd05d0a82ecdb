"""What the agent's rights are worth to a thief of its token, constrained (KEP-5284) and not."""

import base64
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fixtures.cluster import Cluster, running_cluster
from towrope.client import constrained_impersonation, preflight
from towrope.client.agent_rights import Impersonation
from towrope.client.kubernetes import FIELD_MANAGER, find_target, open_cluster
from towrope.client.manifests import Installation, in_cluster
from towrope.wire import names

GATE_OFF = "--apiserver-arg=--feature-gates=ConstrainedImpersonation=false"
REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
OURS = {
    "Impersonate-User": "alice",
    "Impersonate-Group": "g",
    "Impersonate-Uid": "1",
    "Impersonate-Extra-towrope.dev%2Foid": "1",
    "Impersonate-Extra-towrope.dev%2Fimpersonator": "bob",
}
ACCOUNT = {
    "Impersonate-User": "system:serviceaccount:kube-system:x",
    "Impersonate-Extra-towrope.dev%2Fimpersonator": "bob",
}
MASTER = {"Impersonate-User": "x", "Impersonate-Group": "system:masters"}
NODE = {"Impersonate-User": "system:node:n1", "Impersonate-Group": "system:nodes"}
CONTROLLERS = {"Impersonate-User": "system:kube-controller-manager"}
UNQUALIFIED = {"Impersonate-User": "alice", "Impersonate-Extra-oid": "1"}


@pytest.fixture(scope="module", params=[False, True], ids=["constrained", "legacy"])
def bare(
    request: pytest.FixtureRequest, testbed_programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, Impersonation]]:
    """A cluster with the agent's rights as `connect` grants them, and nothing that runs."""
    is_legacy = request.param
    flags = [GATE_OFF] if is_legacy else []
    with running_cluster(testbed_programs, tmp_path_factory.mktemp("rights"), *flags) as cluster:
        with open_cluster(find_target(cluster.kubeconfig, None)) as client:
            assert constrained_impersonation.is_in_force(client) is not is_legacy
            facts = preflight.check(client, resource_id="/r")
            made = Installation(
                resource_id="/r",
                server="https://a.example",
                server_ca=None,
                onboarding_key="k",
                onboarding_id="1",
                impersonation=facts.impersonation,
            )
            for each in in_cluster(made):
                client.apply(each, field_manager=FIELD_MANAGER, force=True)
        yield cluster, facts.impersonation


@pytest.fixture(scope="module")
def thief(bare: tuple[Cluster, Impersonation]) -> Iterator[httpx2.Client]:
    cluster, _ = bare
    token = cluster.kubectl("create", "token", "-n", names.NAMESPACE, names.AGENT_NAME).stdout
    path = "jsonpath={.clusters[0].cluster.certificate-authority-data}"
    found = cluster.kubectl("config", "view", "--raw", "--minify", "-o", path).stdout
    tls = ssl.create_default_context(cadata=base64.b64decode(found).decode())
    headers = {"Authorization": f"Bearer {token.strip()}"}
    with httpx2.Client(
        base_url=cluster.server, verify=tls, headers=headers, trust_env=False
    ) as client:
        # The authorizer learns of a binding a moment after it was made.
        until = time.monotonic() + 10
        while client.get("/api/v1/nodes").status_code != 200 and time.monotonic() < until:
            time.sleep(0.05)
        yield client


def who(thief: httpx2.Client, headers: dict[str, str]) -> Any:
    """Whom the apiserver takes it for; a sentence where it refuses."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = thief.post(REVIEWS, json=review, headers=headers).json()
    return answer["message"] if answer["kind"] == "Status" else answer["status"]["userInfo"]


def test_the_agent_can_do_its_work(
    thief: httpx2.Client, bare: tuple[Cluster, Impersonation]
) -> None:
    assert who(thief, OURS) == {
        "username": "alice",
        "uid": "1",
        "groups": ["g", "system:authenticated"],
        "extra": {"towrope.dev/oid": ["1"], "towrope.dev/impersonator": ["bob"]},
    }
    assert who(thief, ACCOUNT)["extra"] == {"towrope.dev/impersonator": ["bob"]}
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        for path in ("/api/v1/namespaces/default/pods/x", "/api/v1/pods", "/version", "/x"):
            said = thief.request(method, path, headers=OURS).text
            assert "impersonate" not in said, (method, path)
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
    spec = {"user": "alice", "resourceAttributes": {"verb": "get", "resource": "pods"}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert thief.post(path, json={**review, "spec": spec}).status_code == 201


def test_a_master_and_a_node_only_where_impersonation_is_not_constrained(
    thief: httpx2.Client, bare: tuple[Cluster, Impersonation]
) -> None:
    is_constrained = bare[1] is Impersonation.CONSTRAINED
    for headers in (MASTER, NODE):
        found = who(thief, headers)
        assert ("cannot impersonate" in found) if is_constrained else (found["username"])


def test_a_key_without_a_domain_is_taken_nowhere_and_so_is_none_of_ours(
    thief: httpx2.Client,
) -> None:
    assert "cannot impersonate" in who(thief, UNQUALIFIED)


def test_a_controller_in_both(thief: httpx2.Client) -> None:
    """RBAC knows no "all users but these": by a controller's rights a thief reaches everything."""
    assert who(thief, CONTROLLERS)["username"] == "system:kube-controller-manager"
    assert thief.get("/api/v1/secrets", headers=CONTROLLERS).status_code == 200
    token = "/api/v1/namespaces/kube-system/serviceaccounts/default/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    assert thief.post(token, json=request, headers=CONTROLLERS).status_code == 201


def test_nothing_by_itself(thief: httpx2.Client) -> None:
    for path in ("/api/v1/secrets", "/api/v1/pods", "/api/v1/namespaces"):
        assert thief.get(path).status_code == 403
    role = {"metadata": {"name": "thief"}, "rules": []}
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    assert thief.post(path, json=role).status_code == 403
