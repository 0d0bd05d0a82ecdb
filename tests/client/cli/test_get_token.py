"""`towrope get-token` against a real server: with a session, without one, and forty at once."""

import base64
import json
import os
import pty
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.client.conftest import COMMAND, Shell, sign_in
from tests.client.people import User, make_user
from tests.fixtures.server import Server

PROCESSES = 40


@pytest.fixture(scope="module")
def alice(live_server: Server) -> User:
    return make_user(live_server, "ada")


@pytest.fixture(scope="module")
def cluster(live_server: Server) -> str:
    """The resource id of a connected cluster."""
    key = rsa.generate_private_key(65537, 2048).public_key()
    public = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    group = f"/subscriptions/{live_server.subscription}/resourceGroups/plugins"
    api = live_server.api
    api.put(group, json={"location": "local"}).raise_for_status()
    body = {
        "location": "local",
        "identity": {"type": "SystemAssigned"},
        "properties": {"agentPublicKeyCertificate": base64.b64encode(public).decode()},
    }
    path = f"{group}/providers/Microsoft.Kubernetes/connectedClusters/Shop-17"
    made: str = api.put(path, json=body).raise_for_status().json()["id"]
    return made


@pytest.fixture(scope="module")
def hers(live_server: Server, alice: User, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in which she is signed in. Tests leave her sign-in whole."""
    return signed_in_as(alice, tmp_path_factory.mktemp("hers"))


@pytest.fixture(scope="module")
def bob(live_server: Server) -> User:
    return make_user(live_server, "boole")


@pytest.fixture
def ended(live_server: Server, bob: User, tmp_path: Path) -> Shell:
    """A shell of somebody whose sign-in has ended since."""
    made = signed_in_as(bob, tmp_path)
    # The server counts in seconds: what was signed in during the same one is not earlier.
    time.sleep(1 - time.time() % 1)
    path = f"/v1.0/users/{bob.object_id}/revokeSignInSessions"
    live_server.api.post(path).raise_for_status()
    return made


def signed_in_as(user: User, folder: Path) -> Shell:
    made = Shell(folder=folder)
    words = ["login", "--server", user.server.url, "--ca-file", str(user.server.ca_file)]
    made.ok(*words, **user.environment())
    return made


def asking(cluster: str, server: Server, account: str) -> list[str]:
    return ["get-token", "--cluster", cluster, "--server", server.url, "--account", account]


def claims_of(credential: Any) -> dict[str, Any]:
    payload = credential["status"]["token"].split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "==="))
    return claims


def forget_tokens(shell: Shell) -> None:
    for path in (shell.config / "tokens").iterdir():
        path.unlink()


def redeemed(server: Server) -> int:
    """How often somebody came to the token endpoint."""
    return server.log.read_text().count('/token"')


def test_token_is_for_one_cluster(
    hers: Shell, live_server: Server, alice: User, cluster: str
) -> None:
    words = asking(cluster.upper(), live_server, alice.name)
    credential = hers.json(*words)
    assert credential["apiVersion"] == "client.authentication.k8s.io/v1"
    claims = claims_of(credential)
    assert claims["aud"] == cluster
    assert claims["upn"] == alice.name
    before = redeemed(live_server)
    assert hers.json(*words) == credential
    assert redeemed(live_server) == before
    headers = {"authorization": f"Bearer {credential['status']['token']}"}
    assert live_server.api.get("/subscriptions", headers=headers).status_code == 401


def test_by_hand_it_is_the_account_in_use(hers: Shell, alice: User, cluster: str) -> None:
    assert claims_of(hers.json("get-token", "--cluster", cluster))["upn"] == alice.name


def test_forty_at_once_are_one_refresh(
    hers: Shell, live_server: Server, alice: User, cluster: str
) -> None:
    """Whoever came second with the same refresh token would end her whole sign-in."""
    words = [*COMMAND, *asking(cluster, live_server, alice.name)]
    forget_tokens(hers)
    before = redeemed(live_server)
    running = [
        subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=hers.env())
        for _ in range(PROCESSES)
    ]
    answers = {process.communicate(timeout=60)[0] for process in running}
    assert {process.returncode for process in running} == {0}
    assert len({json.loads(answer)["status"]["token"] for answer in answers}) == 1
    assert redeemed(live_server) == before + 1
    forget_tokens(hers)
    hers.ok(*asking(cluster, live_server, alice.name))


def test_each_cluster_and_the_api_share_one_sign_in(
    hers: Shell, live_server: Server, alice: User, cluster: str
) -> None:
    """Whoever renews does it in turn, whatever the token is for."""
    scopes = [asking(cluster, live_server, alice.name), ["group", "list"]]
    forget_tokens(hers)
    running = [
        subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, text=True, env=hers.env())
        for words in scopes * 2
    ]
    for process in running:
        process.communicate(timeout=60)
    assert [process.returncode for process in running] == [0] * 4


def test_application_needs_no_person(shell: Shell, live_server: Server, cluster: str) -> None:
    sign_in(shell, live_server)
    words = asking(cluster, live_server, live_server.app_id)
    claims = claims_of(shell.json(*words))
    assert (claims["aud"], claims["idtyp"], claims["appid"]) == (cluster, "app", live_server.app_id)


def test_sign_in_that_was_ended(ended: Shell, live_server: Server, bob: User, cluster: str) -> None:
    words = asking(cluster, live_server, bob.name)
    said = ended.error(4, *words)
    assert f"Sign in again with 'towrope login --server {live_server.url}'" in said
    assert bob.name in said
    info = json.dumps({"spec": {"interactive": False}})
    assert "towrope login" in ended.error(4, *words, KUBERNETES_EXEC_INFO=info)


def on_terminal(shell: Shell, words: list[str], **environment: str) -> tuple[int, str]:
    """As kubectl runs it with a terminal: stdout is kubectl's."""
    info = json.dumps({"spec": {"interactive": True}})
    leader, terminal = pty.openpty()
    try:
        done = subprocess.run(
            [*COMMAND, *words],
            stdin=terminal,
            stderr=terminal,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            env=shell.env(KUBERNETES_EXEC_INFO=info, **environment),
            check=False,
        )
    finally:
        os.close(leader)
        os.close(terminal)
    return done.returncode, done.stdout


def test_on_a_terminal_it_starts_the_sign_in(
    ended: Shell, live_server: Server, alice: User, bob: User, cluster: str
) -> None:
    """Whoever else signs in there is not taken for the kubeconfig's user."""
    words = asking(cluster, live_server, bob.name)
    assert on_terminal(ended, words, **alice.environment()) == (1, "")
    assert ended.run(*words).returncode == 4
    code, out = on_terminal(ended, words, **bob.environment())
    assert code == 0
    assert claims_of(json.loads(out))["upn"] == bob.name
    assert ended.json(*words) == json.loads(out)


def test_nobody_is_there(shell: Shell, live_server: Server, cluster: str) -> None:
    said = shell.error(4, *asking(cluster, live_server, "alice"))
    assert f"alice is not signed in to {live_server.url}" in said
    assert f"towrope login --server {live_server.url}'" in said
    said = shell.error(4, *asking(cluster, live_server, "alice"), "--issuer", "contoso")
    assert "--issuer contoso" in said
    assert "Nobody is signed in" in shell.error(4, "get-token", "--cluster", cluster)


def test_no_such_cluster(hers: Shell, live_server: Server, alice: User, cluster: str) -> None:
    said = hers.error(1, *asking(f"{cluster}x", live_server, alice.name))
    assert "was not found" in said
    assert "resource id" in hers.error(2, "get-token", "--cluster", "shop-17")
    hers.ok(*asking(cluster, live_server, alice.name))


def test_certificate(
    shell: Shell, signed_in: Shell, live_server: Server, cluster: str, tmp_path: Path
) -> None:
    role = ["--role", "Reader", "--scopes", f"/subscriptions/{live_server.subscription}"]
    made = signed_in.json("ad", "sp", "create-for-rbac", "-n", "ci", "--create-cert", *role)
    certificate = made["fileWithCertAndPrivateKey"]
    words = ["login", "--server", live_server.url, "--ca-file", str(live_server.ca_file)]
    words += ["--service-principal", "-u", made["appId"], "--certificate", certificate]
    shell.ok(*words)
    forget_tokens(shell)
    claims = claims_of(shell.json(*asking(cluster, live_server, made["appId"])))
    assert claims["appid"] == made["appId"]
    assert "Cannot read" in shell.error(1, *words[:-1], str(tmp_path / "none"))
