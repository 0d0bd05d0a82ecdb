"""A thief of the agent's own credential is hardly anybody, and no master where RBAC can help."""

import base64
import ssl
from collections.abc import Iterator

import httpx2
import pytest

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import Installation
from towrope.wire import names


@pytest.fixture(scope="module")
def thief(installation: Installation, cluster: Cluster) -> Iterator[httpx2.Client]:
    """Requests to the apiserver itself, as the agent's service account."""
    token = cluster.kubectl("create", "token", "-n", names.NAMESPACE, names.AGENT_NAME).stdout
    path = "{.clusters[0].cluster.certificate-authority-data}"
    found = cluster.kubectl("config", "view", "--raw", "--minify", "-o", f"jsonpath={path}")
    tls = ssl.create_default_context(cadata=base64.b64decode(found.stdout).decode())
    headers = {"Authorization": f"Bearer {token.strip()}"}
    with httpx2.Client(
        base_url=cluster.server, verify=tls, headers=headers, trust_env=False
    ) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/secrets",
        "/api/v1/pods",
        "/api/v1/configmaps",
        f"/api/v1/namespaces/{names.NAMESPACE}/secrets",
        "/api/v1/namespaces/kube-system/secrets",
        "/apis/apps/v1/deployments",
    ],
)
def test_its_account_reads_next_to_nothing(thief: httpx2.Client, path: str) -> None:
    assert thief.get(path).status_code == 403


def test_its_account_binds_nobody(thief: httpx2.Client) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    body = {"metadata": {"name": "stolen"}, "roleRef": role, "subjects": []}
    assert thief.post(path, json=body).status_code == 403


def test_its_account_writes_no_role(thief: httpx2.Client) -> None:
    """Where Azure RBAC is off, nobody who has the agent, or rules it, can give a right here."""
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    for rules in ([], [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]):
        body = {"metadata": {"name": "towrope:role:stolen"}, "rules": rules}
        assert thief.post(path, json=body).status_code == 403
    assert thief.delete(f"{path}/view").status_code == 403


def test_it_acts_as_others_with_their_rights_alone(thief: httpx2.Client) -> None:
    answer = thief.get("/api/v1/pods", headers={"Impersonate-User": "nobody@contoso.example"})
    assert answer.status_code == 403
    assert 'User "nobody@contoso.example" cannot list' in answer.json()["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Impersonate-User": "x", "Impersonate-Group": "system:masters"},
        {"Impersonate-User": "system:node:node-0", "Impersonate-Group": "system:nodes"},
    ],
    ids=["master", "node"],
)
def test_it_is_neither_a_master_nor_a_node(thief: httpx2.Client, headers: dict[str, str]) -> None:
    """The test cluster constrains impersonation (KEP-5284); an older one cannot."""
    answer = thief.get("/api/v1/secrets", headers=headers)
    assert answer.status_code == 403
    assert "impersonate" in answer.json()["message"]
