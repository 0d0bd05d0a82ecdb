"""Bad input and a broken path: one sentence with the cause and what to do, an exit code, no trace.

Each case runs the program as a user does, against a real server and a real cluster.
"""

import base64
import json
import os
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import GROUP, TOWROPE, Installation, free_port

TOKEN = "some-token"
PROXY = ("connectedk8s", "proxy", "-g", GROUP)


@dataclass(frozen=True, kw_only=True)
class Failed:
    code: int
    sentence: str


def fails(*words: str, environment: dict[str, str], text: str = "") -> Failed:
    """Runs a command that must fail as a command should."""
    done = subprocess.run(
        [*TOWROPE, *words],
        input=text,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode not in (0, -9), done.stdout
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    assert len(lines) == 1, done.stderr
    return Failed(code=done.returncode, sentence=lines[0])


def proxy_fails(installation: Installation, *words: str, name: str = "shop-17") -> Failed:
    more = words if {"--token", "--token-file"} & set(words) else (*words, "--token", TOKEN)
    port = () if "--port" in words else ("--port", str(free_port()))
    return fails(*PROXY, "-n", name, *more, *port, environment=installation.environment)


def test_nobody_is_signed_in(installation: Installation, tmp_path: Path) -> None:
    environment = {**installation.environment, "TOWROPE_CONFIG_DIR": str(tmp_path)}
    failed = fails(*PROXY, "-n", "shop-17", "--token", TOKEN, environment=environment)
    assert failed.code == 4
    assert "towrope login" in failed.sentence


def login(installation: Installation, folder: Path, url: str, *words: str) -> Failed:
    facts = json.loads((installation.folder / "administrator.json").read_text())
    environment = {**installation.environment, "TOWROPE_CONFIG_DIR": str(folder)}
    command = ["login", "--service-principal", "--server", url, "-u", facts["appId"], "-p", "-"]
    failed = fails(*command, *words, environment=environment, text=facts["password"])
    assert facts["password"] not in failed.sentence
    return failed


def test_the_server_is_unreachable(installation: Installation, tmp_path: Path) -> None:
    failed = login(installation, tmp_path, f"https://localhost:{free_port()}")
    assert failed.code == 5
    assert "localhost" in failed.sentence


def test_the_certificate_is_not_trusted(installation: Installation, tmp_path: Path) -> None:
    failed = login(installation, tmp_path, installation.url)
    assert failed.code == 5
    assert "--ca-fingerprint" in failed.sentence
    assert "SHA256:" in failed.sentence


def test_the_fingerprint_is_another(installation: Installation, tmp_path: Path) -> None:
    wrong = "SHA256:" + "0" * 64
    failed = login(installation, tmp_path, installation.url, "--ca-fingerprint", wrong)
    assert failed.code == 5


def test_the_cluster_is_unknown(installation: Installation) -> None:
    failed = proxy_fails(installation, name="no-such-cluster")
    assert failed.code == 3
    assert "no-such-cluster" in failed.sentence


def test_the_cluster_was_never_connected(installation: Installation) -> None:
    register(installation, "never-connected")
    failed = proxy_fails(installation, name="never-connected")
    assert "no agent is connected in the target arc resource" in failed.sentence
    assert "kubectl get pods -n towrope" in failed.sentence


def register(installation: Installation, name: str) -> None:
    """Registers a cluster whose agent never comes, as an interrupted `connect` leaves it."""
    key = rsa.generate_private_key(65537, 2048).public_key()
    public = base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()
    account = json.loads(installation.towrope("account", "get-access-token").stdout)
    path = f"/subscriptions/{account['subscription']}/resourceGroups/{GROUP}/providers"
    httpx2.put(
        f"{installation.url}{path}/Microsoft.Kubernetes/connectedClusters/{name}",
        params={"api-version": "2024-01-01"},
        headers={"Authorization": f"Bearer {account['accessToken']}"},
        json={
            "location": "local",
            "identity": {"type": "SystemAssigned"},
            "properties": {"agentPublicKeyCertificate": public},
        },
        verify=ssl_context(installation),
    ).raise_for_status()


def ssl_context(installation: Installation) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=installation.folder / "server" / "tls" / "ca.pem")


@pytest.mark.parametrize("token", ["", "two words", "a\nb", "ключ"])
def test_the_token_is_malformed(installation: Installation, token: str) -> None:
    failed = proxy_fails(installation, "--token", token)
    assert "token" in failed.sentence.lower()


def test_the_token_file_is_missing(installation: Installation, tmp_path: Path) -> None:
    failed = proxy_fails(installation, "--token-file", str(tmp_path / "nowhere"))
    assert "nowhere" in failed.sentence


def test_the_port_is_busy(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        failed = proxy_fails(installation, "--port", port)
    assert failed.code == 6
    assert port in failed.sentence
    assert str(os.getpid()) in failed.sentence, "it names who has the port"
    assert "--port" in failed.sentence


@pytest.mark.parametrize("content", ["{broken", "- a list", "clusters: 7\n", "\0"])
def test_the_kubeconfig_is_broken(installation: Installation, tmp_path: Path, content: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(content)
    failed = proxy_fails(installation, "--file", str(file))
    assert str(file) in failed.sentence
    assert file.read_text() == content
    assert list(tmp_path.iterdir()) == [file], "nothing half-written is left"


def test_the_kubeconfig_cannot_be_written(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "a-file" / "kubeconfig"
    file.parent.write_text("not a folder")
    failed = proxy_fails(installation, "--file", str(file))
    assert "a-file" in failed.sentence


def test_delete_refuses_the_proxys_own_kubeconfig(installation: Installation) -> None:
    with installation.proxy() as proxy:
        words = ["connectedk8s", "delete", "-n", "shop-17", "-g", GROUP, "--yes"]
        failed = fails(
            *words, "--kube-config", str(proxy.kubeconfig), environment=installation.environment
        )
    assert (
        "connectedk8s delete is not supported when using the Cluster Connect kubeconfig."
        in failed.sentence
    )


def test_connect_refuses_a_cluster_that_is_connected_already(
    installation: Installation, cluster: Cluster
) -> None:
    words = ["connectedk8s", "connect", "-n", "another-name", "-g", GROUP]
    environment = installation.environment
    failed = fails(*words, "--kube-config", str(cluster.kubeconfig), environment=environment)
    assert "shop-17" in failed.sentence
