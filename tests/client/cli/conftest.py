"""A shell in this process, and one beside a cluster that it connects."""

from collections.abc import Iterator

import pytest

from tests.client.cli.inside import InsideShell
from tests.client.conftest import Shell
from tests.fixtures.cluster import Cluster
from towrope.wire import names

ONE = ("-n", "shop-17", "-g", "shops")
CLUSTER_SCOPED = ("clusterrole", "clusterrolebinding")


@pytest.fixture(scope="session")
def inside(signed_in: Shell) -> Shell:
    """The signed-in user's shell, in this process."""
    return InsideShell(folder=signed_in.folder, environment=signed_in.environment)


def connect(*words: str) -> list[str]:
    return ["connectedk8s", "connect", *words]


def delete(*words: str) -> list[str]:
    return ["connectedk8s", "delete", *words]


@pytest.fixture
def connecting(signed_in: Shell, bare_cluster: Cluster) -> Iterator[Shell]:
    """A signed-in shell whose kubeconfig is the cluster's; both sides are cleaned up."""
    shell = Shell(folder=signed_in.folder, environment={"KUBECONFIG": str(bare_cluster.kubeconfig)})
    yield shell
    shell.run(*delete(*ONE, "--force", "--yes"))
    kinds = "deployment,secret,configmap,serviceaccount,role,rolebinding,resourcequota"
    bare_cluster.kubectl("-n", names.NAMESPACE, "delete", kinds, "--all", "--wait=false")
    for kind in CLUSTER_SCOPED:
        bare_cluster.kubectl("delete", kind, names.AGENT_NAME, "--ignore-not-found")


@pytest.fixture
def connected(connecting: Shell) -> Shell:
    """Everything is installed, but nothing runs."""
    connecting.ok(*connect(*ONE, "--agent", "local", "--no-wait"))
    return connecting
