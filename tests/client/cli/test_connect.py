"""`towrope connectedk8s connect` and `delete` on a real cluster, with the agent as a pod of it."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.client.cli.conftest import CLUSTER_SCOPED, ONE, connect, delete
from tests.client.conftest import Shell
from tests.fixtures.cluster import Cluster
from towrope.wire import names

YAML_FILE = YAML(typ="safe")
RIGHTS = {
    "get nodes": True,
    "get secret/towrope-onboarding -n towrope": True,
    "delete secret/towrope-onboarding -n towrope": True,
    "update secret/towrope-agent-identity -n towrope": True,
    "update lease/towrope-agent -n towrope": True,
    "get configmap/towrope-agent -n towrope": True,
    "update configmap/towrope-agent -n towrope": False,
    "get secret/other -n towrope": False,
    "list secrets -n towrope": False,
    "get secrets -n default": False,
    "list pods -A": False,
    "impersonate users": False,
    "create clusterrolebindings": False,
    "create serviceaccounts/token -n towrope": False,
    "create subjectaccessreviews.authorization.k8s.io": True,
    "watch rolebindings -A": True,
    "create rolebindings -A": False,
    # To act for its callers, by KEP-5284. Whom as, is tested by a stolen token.
    "impersonate-on:user-info:list pods -A": True,
    "impersonate-on:user-info:get /version": True,
    "impersonate groups": False,
    "impersonate serviceaccounts -A": True,
}


def objects(cluster: Cluster) -> set[str]:
    """What `connect` made, as far as it is there."""
    kinds = ["deployment,serviceaccount,role,rolebinding,configmap,secret", "-o", "name"]
    inside = cluster.kubectl("-n", names.NAMESPACE, "get", *kinds).stdout.split()
    outside = [
        f"{kind}/{names.AGENT_NAME}"
        for kind in CLUSTER_SCOPED
        if cluster.kubectl("get", kind, names.AGENT_NAME, check=False).returncode == 0
    ]
    return {*inside, *outside}


def is_clean(cluster: Cluster) -> bool:
    namespace = cluster.kubectl("get", "namespace", names.NAMESPACE, check=False)
    scoped = [cluster.kubectl("get", k, names.AGENT_NAME, check=False) for k in CLUSTER_SCOPED]
    return all(each.returncode != 0 for each in (namespace, *scoped))


def edited(cluster: Cluster, path: Path, **changes: str | None) -> str:
    """A copy of the kubeconfig whose cluster's members are changed."""
    document = YAML_FILE.load(cluster.kubeconfig)
    for name, value in changes.items():
        key = name.replace("_", "-")
        document["clusters"][0]["cluster"].pop(key, None)
        if value is not None:
            document["clusters"][0]["cluster"][key] = value
    YAML_FILE.dump(document, path)
    return str(path)


def as_account(cluster: Cluster, path: Path, account: str) -> str:
    """A kubeconfig of a service account of the namespace `default`."""
    document = YAML_FILE.load(cluster.kubeconfig)
    token = cluster.kubectl("create", "token", account).stdout.strip()
    document["users"][0]["user"] = {"token": token}
    YAML_FILE.dump(document, path)
    return str(path)


@pytest.mark.timeout(240)
def test_connected_again_and_deleted(connecting: Shell, bare_cluster: Cluster) -> None:
    words = connect(*ONE, "--tags", "team=tills", "--onboarding-timeout", "90")
    done = connecting.run(*words, timeout=120)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["connectivityStatus"] == "Connected"
    assert made["tags"] == {"team": "tills"}
    assert made["location"] == "local"
    assert "Waiting until the agent is connected" in done.stderr
    assert "secret/towrope-onboarding" not in objects(bare_cluster)

    # Once more: the same resource, new pods, connected by the new key.
    again = connecting.json(*words, timeout=120)
    assert again["id"] == made["id"]
    assert again["connectivityStatus"] == "Connected"
    assert again["agentPublicKeyCertificate"] != made["agentPublicKeyCertificate"]

    table = connecting.ok("connectedk8s", "list", "-o", "table").splitlines()
    assert table[0].split() == ["Name", "Location", "ResourceGroup"]
    assert table[2].split() == ["shop-17", "local", "shops"]

    connecting.ok(*delete(*ONE, "--yes"), timeout=120)
    assert is_clean(bare_cluster)
    connecting.error(3, "connectedk8s", "show", *ONE)


def test_installed_objects_fit_the_restricted_standard(
    connecting: Shell, bare_cluster: Cluster
) -> None:
    """The API server itself judges a pod of the Deployment, by the namespace's labels."""
    connecting.ok(*connect(*ONE, "--no-wait"))
    assert objects(bare_cluster) >= {
        "deployment.apps/towrope-agent",
        "serviceaccount/towrope-agent",
        "role.rbac.authorization.k8s.io/towrope-agent",
        "rolebinding.rbac.authorization.k8s.io/towrope-agent",
        "configmap/towrope-agent",
        "clusterrole/towrope-agent",
        "clusterrolebinding/towrope-agent",
    }
    shown = bare_cluster.kubectl("-n", names.NAMESPACE, "get", "deployment", "-o", "json").stdout
    template = json.loads(shown)["items"][0]["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] = {"name": "judged", "namespace": names.NAMESPACE}
    words = ["apply", "--dry-run=server", "-f", "-"]
    assert "Warning" not in bare_cluster.kubectl(*words, input=json.dumps(pod)).stderr
    connecting.ok(*delete(*ONE, "--yes"), timeout=120)


def test_agents_rights(connected: Shell, bare_cluster: Cluster) -> None:
    """What it needs, and nothing beside it."""
    who = "system:serviceaccount:towrope:towrope-agent"
    for words, allowed in RIGHTS.items():
        asked = ["auth", "can-i", "--as", who, *words.split()]
        said = bare_cluster.kubectl(*asked, check=False).stdout.strip()
        assert (words, said) == (words, "yes" if allowed else "no")


def test_local_agent_gets_everything_but_the_deployment(
    connected: Shell, bare_cluster: Cluster
) -> None:
    there = objects(bare_cluster)
    assert "secret/towrope-onboarding" in there
    assert "deployment.apps/towrope-agent" not in there


def test_agent_that_does_not_start(connecting: Shell, bare_cluster: Cluster) -> None:
    """The sentence says what the pod says; everything stays, and delete removes it."""
    bare_cluster.kubectl("create", "namespace", names.NAMESPACE, check=False)
    quota = ["create", "quota", "none", "--hard=pods=0", "-n", names.NAMESPACE]
    bare_cluster.kubectl(*quota)
    said = connecting.error(5, *connect(*ONE, "--onboarding-timeout", "1"))
    assert "did not connect within 1 s" in said
    assert "pod" in said
    assert "towrope connectedk8s delete -n shop-17 -g shops" in said
    connecting.ok(*delete(*ONE, "--yes"), timeout=120)
    assert is_clean(bare_cluster)


def test_cluster_is_connected_under_another_name(connected: Shell) -> None:
    said = connected.error(6, *connect("-n", "shop-18", "-g", "shops", "--yes"))
    assert "'shop-17'" in said
    assert "'shop-18'" in said
    connected.error(3, "connectedk8s", "show", "-n", "shop-18", "-g", "shops")


def test_name_of_another_cluster(connected: Shell, bare_cluster: Cluster) -> None:
    """Its resource is there, but this cluster knows nothing of it."""
    bare_cluster.kubectl("-n", names.NAMESPACE, "delete", "configmap", names.AGENT_NAME)
    words = connect(*ONE, "--agent", "local", "--no-wait")
    said = connected.error(6, *words)
    assert "--yes" in said
    assert is_there(connected)
    connected.ok(*words, "--yes")


def is_there(shell: Shell) -> bool:
    return shell.run("connectedk8s", "show", *ONE).returncode == 0


def test_resource_group_is_missing(connecting: Shell, bare_cluster: Cluster) -> None:
    said = connecting.error(3, *connect("-n", "shop-17", "-g", "nope"))
    assert "towrope group create -n nope" in said
    assert f"configmap/{names.AGENT_NAME}" not in objects(bare_cluster)


@pytest.mark.parametrize("name", ["", "a/b", "x" * 64, "ä", "a b", ".."])
def test_names_that_are_none(name: str, connecting: Shell) -> None:
    words = connect("-n", name, "-g", "shops")
    assert "1 to 63 letters" in connecting.error(2, *words)


def test_user_without_the_rights(connecting: Shell, bare_cluster: Cluster, tmp_path: Path) -> None:
    """May see nodes, and nothing else."""
    weak = ["--kube-config", as_account(bare_cluster, tmp_path / "weak", "default")]
    assert "nodes is forbidden" in connecting.error(7, *connect(*ONE, *weak))
    role = ["clusterrole", "see-nodes", "--verb=list", "--resource=nodes"]
    binding = ["clusterrolebinding", "see-nodes", "--clusterrole=see-nodes"]
    bare_cluster.kubectl("create", *role)
    bare_cluster.kubectl("create", *binding, "--serviceaccount=default:default")
    said = connecting.error(7, *connect(*ONE, *weak))
    assert "cluster role bindings" in said
    assert not is_there(connecting)


def test_user_who_may_not_grant_the_agents_rights(
    connecting: Shell, bare_cluster: Cluster, tmp_path: Path
) -> None:
    """May make cluster roles, but RBAC lets nobody grant what they may not do."""
    bare_cluster.kubectl("-n", "default", "create", "serviceaccount", "granting")
    rules = ["--verb=get,list,create,patch", "--resource=nodes,configmaps,clusterrolebindings"]
    bare_cluster.kubectl("create", "clusterrole", "granting", *rules, "--resource=clusterroles")
    words = ["clusterrolebinding", "granting", "--clusterrole=granting"]
    bare_cluster.kubectl("create", *words, "--serviceaccount=default:granting")
    granting = as_account(bare_cluster, tmp_path / "granting", "granting")
    said = connecting.error(7, *connect(*ONE, "--kube-config", granting))
    assert "may not give the agent its rights" in said
    assert "administrator's kubeconfig" in said
    assert "impersonat" in said
    assert not is_there(connecting)


def test_install_that_fails_leaves_nothing(
    connecting: Shell, bare_cluster: Cluster, tmp_path: Path
) -> None:
    """A user who passes the checks, and may not make the namespace."""
    bare_cluster.kubectl("delete", "namespace", names.NAMESPACE, "--ignore-not-found")
    bare_cluster.kubectl("-n", "default", "create", "serviceaccount", "half")
    rules = ["--verb=get,list,create", "--resource=nodes,configmaps,namespaces"]
    rules += ["--resource=clusterrolebindings"]
    bare_cluster.kubectl("create", "clusterrole", "half", *rules)
    granting = ["--verb=get,create,patch,escalate", "--resource=clusterroles"]
    bare_cluster.kubectl("create", "clusterrole", "half-granting", *granting)
    binding = ["half-granting", "--clusterrole=half-granting", "--serviceaccount=default:half"]
    bare_cluster.kubectl("create", "clusterrolebinding", *binding)
    binding = ["clusterrolebinding", "half", "--clusterrole=half", "--serviceaccount=default:half"]
    bare_cluster.kubectl("create", *binding)
    half = as_account(bare_cluster, tmp_path / "half", "half")
    done = connecting.run(*connect(*ONE, "--kube-config", half))
    assert done.returncode == 7, done.stderr
    assert "ERROR: The cluster's API server refuses" in done.stderr
    # It may not remove what it made in the cluster either, and says so.
    assert "Leaving the namespace towrope behind" in done.stderr
    assert not is_there(connecting)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (None, "There is no kubeconfig"),
        ("a: [", "it is not YAML"),
        ("[1]", "it is not a mapping"),
        ("{}", "no current context"),
        ("{contexts: [{name: a, context: {cluster: b}}], current-context: a}", "names a cluster"),
    ],
)
def test_broken_kubeconfig(
    content: str | None, hint: str, signed_in: Shell, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    code = 3 if content in (None, "{}") else 1
    said = signed_in.error(code, *connect(*ONE, "--kube-config", str(path)))
    assert hint in said
    assert "--kube-config" in said


def test_cluster_is_unreachable(signed_in: Shell, bare_cluster: Cluster, tmp_path: Path) -> None:
    nowhere = edited(bare_cluster, tmp_path / "config", server="https://127.0.0.1:1")
    for command in (connect(*ONE), delete(*ONE, "--yes")):
        said = signed_in.error(5, *command, "--kube-config", nowhere)
        assert "https://127.0.0.1:1" in said


def test_cluster_is_not_the_one_of_its_certificate(
    signed_in: Shell, bare_cluster: Cluster, tmp_path: Path
) -> None:
    odd = edited(bare_cluster, tmp_path / "config", certificate_authority_data=None)
    said = signed_in.error(5, *connect(*ONE, "--kube-config", odd))
    assert "certificate" in said


@pytest.mark.parametrize("command", ["connect", "delete"])
def test_own_kubeconfig_is_refused(
    command: str, signed_in: Shell, bare_cluster: Cluster, tmp_path: Path
) -> None:
    name = names.tls_server_name("/x", domain="clusters.example")
    own = edited(
        bare_cluster, tmp_path / "config", server="https://127.0.0.1:47011", tls_server_name=name
    )
    said = signed_in.error(1, "connectedk8s", command, *ONE, "--kube-config", own)
    assert said == (
        f"ERROR: towrope connectedk8s {command} is not supported when using the Cluster Connect"
        " kubeconfig."
    )


def test_deleting_the_wrong_cluster(connected: Shell) -> None:
    said = connected.error(6, *delete("-n", "shop-18", "-g", "shops", "--yes"))
    assert "'shop-17'" in said
    assert is_there(connected)


def test_deleting_from_a_cluster_without_an_agent(connecting: Shell) -> None:
    said = connecting.error(3, *delete(*ONE, "--yes"))
    assert "--force" in said


def test_deleting_asks(connected: Shell) -> None:
    assert "--yes" in connected.error(2, *delete(*ONE))
    assert "--yes" in connected.error(2, *delete(*ONE, "--force"))
    assert is_there(connected)


def test_cluster_that_is_gone_is_deleted_by_force(connected: Shell, bare_cluster: Cluster) -> None:
    connected.ok(*delete(*ONE, "--force", "--yes", "--no-wait"))
    assert not is_there(connected)
    # The cluster still says who it was: deleting it again removes the agent.
    connected.ok(*delete(*ONE, "--yes"), timeout=120)
    assert is_clean(bare_cluster)
