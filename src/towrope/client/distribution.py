"""What kind of Kubernetes it is, guessed from a node; Arc's words for distributions and clouds."""

from collections.abc import Sequence

from lightkube.models.core_v1 import Node

# Part of the kubelet's version, or a label of the node.
DISTRIBUTIONS = {
    "+k3s": "k3s",
    "+rke2": "rancher_rke",
    "-eks-": "eks",
    "-gke.": "gke",
    "minikube.k8s.io/name": "minikube",
    "microk8s.io/cluster": "canonical",
    "node.openshift.io/os_id": "openshift",
    "kubernetes.azure.com/cluster": "aks",
}
INFRASTRUCTURES = {
    "aws": "aws",
    "azure": "azure",
    "gce": "gcp",
    "vsphere": "vsphere",
}
GENERIC = "generic"


def distribution_of(nodes: Sequence[Node]) -> str:
    for node in nodes:
        if _provider(node) == "kind":
            return "kind"
        version = _kubelet_version(node)
        labels = (node.metadata and node.metadata.labels) or {}
        for mark, distribution in DISTRIBUTIONS.items():
            if mark in version or mark in labels:
                return distribution
    return GENERIC


def infrastructure_of(nodes: Sequence[Node]) -> str:
    found = (INFRASTRUCTURES.get(_provider(node)) for node in nodes)
    return next((each for each in found if each), GENERIC)


def _kubelet_version(node: Node) -> str:
    info = node.status.nodeInfo if node.status else None
    return info.kubeletVersion if info else ""


def _provider(node: Node) -> str:
    """The scheme of the node's providerID."""
    return ((node.spec and node.spec.providerID) or "").partition("://")[0]
