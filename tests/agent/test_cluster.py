"""The agent's own few calls to Kubernetes, against an apiserver that keeps Secrets in memory."""

import asyncio
import base64
import datetime
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import Cluster as ClusterConfig
from lightkube.config.models import User
from lightkube.models.core_v1 import NodeSpec, NodeStatus, NodeSystemInfo
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node

from towrope.agent import cluster
from towrope.agent.cluster import ClusterApi
from towrope.wire.errors import Forbidden, Malformed, NotFound, Refused, Unreachable

NOW = datetime.datetime.now(datetime.UTC)
SECRETS = "/api/v1/namespaces/towrope/secrets"
CONFIG = "/api/v1/namespaces/towrope/configmaps/towrope-agent"
INFO = [
    *("architecture", "bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion"),
    *("kubeletVersion", "machineID", "operatingSystem", "osImage", "systemUUID"),
]


class Apiserver:
    """Objects by their path. It answers as the real one does to what the agent asks."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.refusals: dict[str, int] = {}

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        self.requests.append(f"{request.method} {path}")
        await asyncio.sleep(0)  # so that two replicas interleave
        if path in self.refusals:
            return self._failure(self.refusals[path])
        if request.method == "POST":
            made = json.loads(request.content)
            at = f"{path}/{made['metadata']['name']}"
            if at in self.objects:
                return self._failure(409)
            self.objects[at] = made
            return httpx2.Response(201, json=made)
        if path not in self.objects:
            return self._failure(404)
        if request.method == "DELETE":
            del self.objects[path]
            return httpx2.Response(200, json={"kind": "Status", "apiVersion": "v1"})
        return httpx2.Response(200, json=self.objects[path])

    def _failure(self, code: int) -> httpx2.Response:
        status = {"kind": "Status", "apiVersion": "v1", "code": code, "message": "because"}
        return httpx2.Response(code, json=status)

    def secret(self, name: str, **data: bytes) -> None:
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        self.objects[f"{SECRETS}/{name}"] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "data": encoded,
        }


@asynccontextmanager
async def api_of(apiserver: Any) -> AsyncIterator[ClusterApi]:
    config = KubeConfig.from_one(
        cluster=ClusterConfig(server="https://apiserver.test"), user=User(token="agents-own")
    ).get()
    assert config is not None
    transport = httpx2.MockTransport(apiserver)
    api = ClusterApi(config, namespace="towrope", transport=transport)
    try:
        yield api
    finally:
        await api.close()


async def test_settings() -> None:
    apiserver = Apiserver()
    data = {"server": "https://s.test/", "resourceId": "/r"}
    apiserver.objects[CONFIG] = {"metadata": {"name": "towrope-agent"}, "data": data}
    async with api_of(apiserver) as api:
        settings = await api.settings()
        assert (settings.server, settings.server_ca) == ("https://s.test", "")
        del data["resourceId"]
        with pytest.raises(Refused, match="resourceId"):
            await api.settings()
        del apiserver.objects[CONFIG]
        with pytest.raises(NotFound):
            await api.settings()


async def test_replicas_that_start_together_share_one_identity() -> None:
    apiserver = Apiserver()
    async with api_of(apiserver) as api:
        made = await asyncio.gather(*(api.identity("/r", now=NOW) for _ in range(5)))
        assert len({one.private_key for one in made}) == 1
        assert (await api.identity("/r", now=NOW)) == made[0]
        assert apiserver.requests.count(f"POST {SECRETS}") == 5


async def test_a_broken_identity_is_not_replaced() -> None:
    apiserver = Apiserver()
    apiserver.secret("towrope-agent-identity", **{"ca.key": b"x"})
    async with api_of(apiserver) as api:
        with pytest.raises(Malformed):
            await api.identity("/r", now=NOW)
        assert not any(request.startswith("POST") for request in apiserver.requests)


async def test_the_onboarding_key_is_read_and_deleted() -> None:
    apiserver = Apiserver()
    apiserver.secret("towrope-onboarding", privateKey=b"pem")
    async with api_of(apiserver) as api:
        assert await api.onboarding_key() == b"pem"
        await api.delete_onboarding_key()
        assert await api.onboarding_key() is None
        await api.delete_onboarding_key()  # by another replica, just before


async def test_forbidden_and_away() -> None:
    apiserver = Apiserver()
    apiserver.refusals[f"{SECRETS}/towrope-onboarding"] = 403
    async with api_of(apiserver) as api:
        with pytest.raises(Forbidden, match="cannot read the Secret 'towrope-onboarding': because"):
            await api.onboarding_key()

    def away(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    async with api_of(away) as api:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await api.settings()


async def test_facts() -> None:
    apiserver = Apiserver()
    info = dict.fromkeys(INFO, "") | {"kubeletVersion": "v1.37.0+k3s1"}
    status = {"capacity": {"cpu": "3500m"}, "nodeInfo": info}
    node = {"metadata": {"name": "n"}, "status": status}
    apiserver.objects["/api/v1/nodes"] = {"metadata": {}, "items": [node, node]}
    async with api_of(apiserver) as api:
        identity = await api.identity("/r", now=NOW)
        facts = await api.facts(identity)
        assert (facts.total_node_count, facts.total_core_count) == (2, 7)
        assert (facts.kubernetes_version, facts.distribution) == ("1.37.0+k3s1", "k3s")
        apiserver.refusals["/api/v1/nodes"] = 403
        bare = await api.facts(identity)
        assert (bare.total_node_count, bare.ca_certificate) == (0, identity.ca_certificate)
        assert "PRIVATE" not in repr(bare)


def node_of(*, version: str = "v1.37.0", provider: str = "", **labels: str) -> Node:
    info = NodeSystemInfo.from_dict(dict.fromkeys(INFO, "") | {"kubeletVersion": version})
    assert isinstance(info, NodeSystemInfo)
    assert isinstance(info, NodeSystemInfo)
    return Node(
        metadata=ObjectMeta(labels={k.replace("__", "/"): v for k, v in labels.items()}),
        spec=NodeSpec(providerID=provider),
        status=NodeStatus(nodeInfo=info),
    )


@pytest.mark.parametrize(
    ("node", "name"),
    [
        (node_of(), "generic"),
        (node_of(provider="kind://docker/a/b"), "kind"),
        (node_of(version="v1.30.1+rke2r1"), "rke2"),
        (node_of(version="v1.30.1-eks-1234"), "eks"),
        (node_of(version="v1.30.1-gke.100"), "gke"),
        (node_of(**{"minikube.k8s.io/name": "m"}), "minikube"),
        (node_of(**{"node.openshift.io/os_id": "m"}), "openshift"),
        (node_of(**{"kubernetes.azure.com/cluster": "m"}), "aks"),
    ],
)
def test_distributions(node: Node, name: str) -> None:
    assert cluster.distribution([node]) == name
