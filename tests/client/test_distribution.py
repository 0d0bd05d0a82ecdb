"""Guesses at the kind of Kubernetes."""

import pytest
from lightkube.models.core_v1 import Node, NodeSpec, NodeStatus, NodeSystemInfo
from lightkube.models.meta_v1 import ObjectMeta

from towrope.client.distribution import distribution_of, infrastructure_of


def node(version: str = "v1.37.2", provider: str = "", **labels: str) -> Node:
    info = NodeSystemInfo(
        architecture="",
        bootID="",
        containerRuntimeVersion="",
        kernelVersion="",
        kubeProxyVersion="",
        kubeletVersion=version,
        machineID="",
        operatingSystem="linux",
        osImage="",
        systemUUID="",
    )
    named = {name.replace("__", "/"): value for name, value in labels.items()}
    return Node(
        metadata=ObjectMeta(labels=named),
        spec=NodeSpec(providerID=provider),
        status=NodeStatus(nodeInfo=info),
    )


@pytest.mark.parametrize(
    ("nodes", "distribution", "infrastructure"),
    [
        ([], "generic", "generic"),
        ([Node()], "generic", "generic"),
        ([node()], "generic", "generic"),
        ([node("v1.30.1+k3s1", "k3s://a")], "k3s", "generic"),
        ([node("v1.30.1-eks-1234", "aws:///eu/i-1")], "eks", "aws"),
        ([node("v1.30.1-gke.100", "gce://p/z/i")], "gke", "gcp"),
        ([node("v1.30.1", "kind://docker/kind/kind-control-plane")], "kind", "generic"),
        ([node("v1.30.1", "azure:///subscriptions/x")], "generic", "azure"),
        ([node("v1.30.1", "vsphere://x"), node("v1.30.1+rke2r1")], "rancher_rke", "vsphere"),
    ],
)
def test_guesses(nodes: list[Node], distribution: str, infrastructure: str) -> None:
    assert distribution_of(nodes) == distribution
    assert infrastructure_of(nodes) == infrastructure


def test_labels_count_too() -> None:
    labelled = Node(metadata=ObjectMeta(labels={"minikube.k8s.io/name": "minikube"}))
    assert distribution_of([labelled]) == "minikube"
