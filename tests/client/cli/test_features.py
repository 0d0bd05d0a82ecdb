"""`towrope connectedk8s enable-features` and `disable-features`, with no agent that would act."""

import json

import pytest

from tests.client.cli.conftest import ONE, delete
from tests.client.cli.inside import InsideShell
from tests.client.conftest import Shell
from tests.fixtures.cluster import Cluster
from tests.fixtures.server import Server
from towrope.client import features as module

ENABLE = ("connectedk8s", "enable-features", *ONE, "--features")
DISABLE = ("connectedk8s", "disable-features", *ONE, "--features")
KINDS = "clusterroles,clusterrolebindings,rolebindings"
RIGHTS = {
    "clusterrole.rbac.authorization.k8s.io/towrope-agent-azure-rbac",
    "clusterrolebinding.rbac.authorization.k8s.io/towrope-agent-azure-rbac",
}


@pytest.fixture
def shop(connected: Shell) -> Shell:
    """Everything but the agent is there."""
    return InsideShell(folder=connected.folder, environment=connected.environment)


def rights(cluster: Cluster) -> set[str]:
    listed = cluster.kubectl("get", KINDS, "-A", "-o", "name").stdout.split()
    return {name for name in listed if name.endswith("azure-rbac")}


def is_on(shell: Shell) -> bool:
    profile = shell.json("connectedk8s", "show", *ONE).get("aadProfile") or {}
    return profile.get("enableAzureRBAC") is True


def test_on_and_off(shop: Shell, bare_cluster: Cluster) -> None:
    assert not is_on(shop)
    for _ in range(2):
        done = shop.json(*ENABLE, "azure-rbac")
        assert done["aadProfile"]["enableAzureRBAC"] is True
        assert rights(bare_cluster) == RIGHTS
    shop.ok(*DISABLE, "azure-rbac", "--yes")
    assert not is_on(shop)
    assert rights(bare_cluster) == set()


def a_policys(name: str, **labels: str) -> str:
    """A ClusterRole and two bindings of it, as an agent makes them."""
    meta = {"name": name, "labels": labels}
    group = "rbac.authorization.k8s.io"
    role = {"kind": "ClusterRole", "rules": []}
    ref = {"apiGroup": group, "kind": "ClusterRole", "name": name}
    wide = {"kind": "ClusterRoleBinding", "roleRef": ref}
    narrow = {"kind": "RoleBinding", "roleRef": ref}
    made = [{"apiVersion": f"{group}/v1", "metadata": meta, **each} for each in (role, wide)]
    inside = {**meta, "namespace": "default"}
    made.append({"apiVersion": f"{group}/v1", "metadata": inside, **narrow})
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": made})


OWN = {"app.kubernetes.io/managed-by": "towrope-policy"}


def named(cluster: Cluster, name: str) -> list[str]:
    listed = cluster.kubectl("get", KINDS, "-A", "-o", "name").stdout.split()
    return [each for each in listed if each.endswith(f"/{name}")]


def test_what_no_agent_removes_is_told(
    shop: Shell, bare_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.ok(*ENABLE, "azure-rbac")
    bare_cluster.kubectl("apply", "-f", "-", input=a_policys("towrope:role:left", **OWN))
    monkeypatch.setattr(module, "REMOVED_WITHIN", 0.0)
    said = shop.error(5, *DISABLE, "azure-rbac", "--yes")
    assert "kubectl delete" in said
    assert not is_on(shop)
    assert rights(bare_cluster) == RIGHTS, "the agent still needs them, to remove what it made"
    bare_cluster.kubectl("delete", KINDS, "-A", "-l", "app.kubernetes.io/managed-by=towrope-policy")
    shop.ok(*DISABLE, "azure-rbac", "--yes")
    assert rights(bare_cluster) == set()


def test_disconnecting_leaves_no_right_behind(shop: Shell, bare_cluster: Cluster) -> None:
    shop.ok(*ENABLE, "azure-rbac")
    bare_cluster.kubectl("apply", "-f", "-", input=a_policys("towrope:role:gone", **OWN))
    bare_cluster.kubectl("apply", "-f", "-", input=a_policys("somebodys"))
    shop.ok(*delete(*ONE, "--yes"))
    assert named(bare_cluster, "towrope:role:gone") == []
    assert rights(bare_cluster) == set()
    assert len(named(bare_cluster, "somebodys")) == 3, "what is others' stays"
    bare_cluster.kubectl("delete", "-f", "-", input=a_policys("somebodys"))


def test_who_may_not_switch_leaves_the_agent_no_right(
    shop: Shell, inside: Shell, shell: Shell, bare_cluster: Cluster, live_server: Server
) -> None:
    group = inside.ok("group", "show", "-n", "shops", "--query", "id", "-o", "tsv").strip()
    words = ("ad", "sp", "create-for-rbac", "-n", "onlooker", "--role", "Reader")
    made = inside.json(*words, "--scopes", group)
    reader = InsideShell(folder=shell.folder, environment=shop.environment)
    login = ["login", "--service-principal", "--server", live_server.url, "-u", made["appId"]]
    login += ["-p", "-", "--ca-fingerprint", live_server.ca_fingerprint]
    reader.ok(*login, input=made["password"])
    assert "authorization" in reader.error(7, *ENABLE, "azure-rbac")
    assert rights(bare_cluster) == set()
    shop.ok(*ENABLE, "azure-rbac")
    reader.error(7, *ENABLE, "azure-rbac")
    assert rights(bare_cluster) == RIGHTS, "what is on stays on"
    shop.ok(*DISABLE, "azure-rbac", "--yes")
    inside.ok("ad", "sp", "delete", "--id", made["appId"])


def test_other_features(shop: Shell, bare_cluster: Cluster) -> None:
    done = shop.run(*ENABLE, "cluster-connect")
    assert "always enabled" in done.stderr
    assert json.loads(done.stdout)["name"] == "shop-17"
    assert "towrope connectedk8s delete" in shop.error(1, *DISABLE, "cluster-connect", "--yes")
    for words in (ENABLE, DISABLE):
        said = shop.error(1, *words, "azure-rbac", "custom-locations", "--yes")
        assert "not there yet" in said
    assert "--yes" in shop.error(2, *DISABLE, "azure-rbac")
    assert not is_on(shop)
    assert rights(bare_cluster) == set()


def test_tags_are_changed(shop: Shell) -> None:
    update = ("connectedk8s", "update")
    assert shop.json(*update, *ONE, "--tags", "team=tills", "floor=2")["tags"] == {
        "team": "tills",
        "floor": "2",
    }
    resource_id = shop.json("connectedk8s", "show", *ONE)["id"]
    assert shop.json(*update, "--ids", resource_id, "--tags", "")["tags"] == {}
    assert "--tags" in shop.error(2, *update, *ONE)
