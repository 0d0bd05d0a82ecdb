"""The kubeconfig that `proxy` wrote. The rest needs a cluster: see `cli/test_connect.py`."""

from pathlib import Path

import pytest

from towrope.client.disconnection import is_own_kubeconfig
from towrope.client.kubernetes import Target
from towrope.wire.names import tls_server_name

OWN_NAME = tls_server_name("/subscriptions/x", domain="clusters.example")


def target(server: str, name: str | None) -> Target:
    cluster = {"server": server} | ({"tls-server-name": name} if name else {})
    return Target(path=Path("config"), context="a", document={}, cluster=cluster)


@pytest.mark.parametrize(
    ("server", "name", "own"),
    [
        ("https://127.0.0.1:47011", OWN_NAME, True),
        ("https://127.0.0.1:1/", OWN_NAME, True),
        ("https://localhost:47011", OWN_NAME, True),
        ("https://127.0.0.1:6443", None, False),
        ("https://127.0.0.1:6443", "kubernetes", False),
        ("https://10.0.0.1:47011", OWN_NAME, False),
        ("", None, False),
    ],
)
def test_own_kubeconfig(server: str, name: str | None, own: bool) -> None:
    assert is_own_kubeconfig(target(server, name)) is own
