"""The documented path of a service account, step by step, with real kubectl."""

import base64
import json
import os
import subprocess
from pathlib import Path

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import Installation, free_port

ACCOUNT = "documented-user"
SECRET = f"""\
apiVersion: v1
kind: Secret
metadata:
  name: {ACCOUNT}-secret
  annotations:
    kubernetes.io/service-account.name: {ACCOUNT}
type: kubernetes.io/service-account-token
"""


def test_the_documented_path(installation: Installation, cluster: Cluster, tmp_path: Path) -> None:
    cluster.kubectl("create", "serviceaccount", ACCOUNT)
    cluster.kubectl(
        "create",
        "clusterrolebinding",
        f"{ACCOUNT}-binding",
        "--clusterrole=cluster-admin",
        f"--serviceaccount=default:{ACCOUNT}",
    )
    cluster.kubectl("apply", "-f", "-", input=SECRET)
    cluster.kubectl(
        "wait", "--for=jsonpath={.data.token}", f"secret/{ACCOUNT}-secret", "--timeout=20s"
    )
    encoded = cluster.kubectl(
        "get", "secret", f"{ACCOUNT}-secret", "-o", "jsonpath={$.data.token}"
    ).stdout
    token = base64.b64decode(encoded).decode()

    home_kubeconfig = tmp_path / "kubeconfig"
    home_kubeconfig.write_text(
        "# mine\napiVersion: v1\nkind: Config\ncurrent-context: before\n"
        "clusters: []\ncontexts: []\nusers: []\n"
    )
    before = home_kubeconfig.read_text()
    with installation.proxy("--token", token, kubeconfig=home_kubeconfig) as proxy:
        environment = {**os.environ, "KUBECONFIG": str(home_kubeconfig)}
        pods = subprocess.run(
            [str(cluster.bin / "kubectl"), "get", "pods", "-A"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
        assert "towrope-agent" in pods
        who = json.loads(proxy.out("auth", "whoami", "-o", "json"))
        assert who["status"]["userInfo"]["username"] == f"system:serviceaccount:default:{ACCOUNT}"
        assert home_kubeconfig.stat().st_mode & 0o777 == 0o600
    assert home_kubeconfig.read_text() == before


def test_a_second_proxy_joins_the_first(installation: Installation, tmp_path: Path) -> None:
    port = str(free_port())
    with installation.proxy("--port", port) as first:
        with installation.proxy("--port", port, kubeconfig=tmp_path / "second") as second:
            assert "default" in second.out("get", "namespaces")
            assert "default" in first.out("get", "namespaces")
        assert "default" in first.out("get", "namespaces")


def test_the_joining_proxy_takes_over(installation: Installation, tmp_path: Path) -> None:
    port = str(free_port())
    with (
        installation.proxy("--port", port) as first,
        installation.proxy("--port", port, kubeconfig=tmp_path / "second") as second,
    ):
        first.child.stop()
        assert "default" in second.out("get", "namespaces")


def test_the_apiserver_sees_the_callers_own_identity(
    installation: Installation, cluster: Cluster
) -> None:
    marker = "who-asks-for-this"
    with installation.proxy() as proxy:
        proxy.kubectl("get", "configmap", marker, check=False)
    lines = [line for line in cluster.audit_log.read_text().splitlines() if marker in line]
    assert lines
    for line in lines:
        event = json.loads(line)
        assert event["user"]["username"] == "system:serviceaccount:default:demo-user"
        assert "impersonatedUser" not in event
