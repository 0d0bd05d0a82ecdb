"""Two clusters through one port, and what is one cluster's is worth nothing at the other."""

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import GROUP, Installation, Proxy, free_port
from tests.fixtures.raw import raw_connection

OTHER = "shop-20"


@pytest.fixture(scope="module")
def both(
    installation: Installation,
    second_cluster: Cluster,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Proxy, Proxy]]:
    """The session's cluster and another one of the same server, through one local port."""
    words = ["-n", OTHER, "-g", GROUP, "--kube-config", str(second_cluster.kubeconfig), "--yes"]
    installation.towrope("connectedk8s", "connect", *words)
    port = str(free_port())
    file = tmp_path_factory.mktemp("other") / "kubeconfig"
    token = second_cluster.kubectl("create", "token", "default").stdout.strip()
    view = ["--clusterrole=view", "--serviceaccount=default:default"]
    second_cluster.kubectl("create", "clusterrolebinding", OTHER, *view)
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(installation.proxy("--port", port))
        two = stack.enter_context(
            installation.proxy("--port", port, "--token", token, kubeconfig=file, name=OTHER)
        )
        yield one, two
    second_cluster.kubectl("delete", "clusterrolebinding", OTHER)
    installation.towrope("connectedk8s", "delete", *words)


def uid_of(proxy: Proxy) -> str:
    return proxy.out("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")


def test_each_server_name_leads_to_its_own_cluster(
    both: tuple[Proxy, Proxy], cluster: Cluster, second_cluster: Cluster
) -> None:
    words = ("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    assert [uid_of(proxy) for proxy in both] == [
        each.kubectl(*words).stdout for each in (cluster, second_cluster)
    ]


def test_the_token_of_one_is_refused_by_the_other(
    both: tuple[Proxy, Proxy], installation: Installation
) -> None:
    _, two = both
    refused = two.kubectl("--token", installation.token, "get", "pods", check=False)
    assert refused.returncode != 0
    assert b"Unauthorized" in refused.stderr or b"logged in" in refused.stderr


def test_a_stream_that_is_led_to_another_cluster_fails_at_once(
    both: tuple[Proxy, Proxy], tmp_path: Path
) -> None:
    one, two = both
    # The kubeconfig of the one, with the server name of the other: whoever re-routes a stream
    # meets an agent whose certificate another authority signed.
    name = two.out(
        "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.tls-server-name}"
    )
    wrong = tmp_path / "kubeconfig"
    wrong.write_text(one.kubeconfig.read_text())
    led_astray = Proxy(
        child=one.child,
        kubeconfig=wrong,
        port=one.port,
        cluster=one.cluster,
        environment=one.environment,
    )
    context = led_astray.out(
        "config", "view", "--minify", "-o", "jsonpath={.contexts[0].context.cluster}"
    )
    led_astray.kubectl("config", "set-cluster", context, f"--tls-server-name={name}")
    failed = led_astray.kubectl("get", "pods", check=False)
    assert b"certificate signed by unknown authority" in failed.stderr
    with pytest.raises(ssl.SSLCertVerificationError), raw_connection(led_astray):
        pass
