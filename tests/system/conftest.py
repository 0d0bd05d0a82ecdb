"""What the system tests share: pods to work with, made once in a namespace of their own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import free_port

NAMESPACE = "workshop"


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """A namespace with a pod `ticker`, which prints five lines a second, and a `web` server."""

    namespace: str
    web_port: int


def pod(name: str, script: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "main", "image": "none", "command": ["sh", "-c", script]}],
            },
        }
    )


@pytest.fixture(scope="session")
def workshop(cluster: Cluster) -> Iterator[Workshop]:
    port = free_port()
    cluster.kubectl("create", "namespace", NAMESPACE)
    ticker = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.2; done"
    serve = f"exec python3 -m http.server {port} --bind 0.0.0.0"
    files = "head -c 3000000 /dev/urandom >blob; truncate -s 500M flood; echo hello >index.html"
    web = f"{files}; {serve}"
    for name, script in (("ticker", ticker), ("web", web)):
        cluster.kubectl("apply", "-n", NAMESPACE, "-f", "-", input=pod(name, script))
    cluster.kubectl(
        "wait", "-n", NAMESPACE, "--for=condition=Ready", "pod", "--all", "--timeout=30s"
    )
    yield Workshop(namespace=NAMESPACE, web_port=port)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
