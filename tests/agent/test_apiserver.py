"""Which apiserver, from which configuration; and that callers never get the agent's credential."""

import base64
import json
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from towrope.agent import apiserver
from towrope.wire.errors import Refused


def kubeconfig(folder: Path, *, server: str = "https://10.0.0.1:6443", **cluster: Any) -> Path:
    path = folder / "kubeconfig"
    content = {
        "current-context": "one",
        "clusters": [
            {"name": "c1", "cluster": {"server": server, **cluster}},
            {"name": "c2", "cluster": {"server": "https://two.test/k8s/x/"}},
        ],
        "contexts": [
            {"name": "one", "context": {"cluster": "c1", "user": "u"}},
            {"name": "two", "context": {"cluster": "c2"}},
        ],
        "users": [{"name": "u", "user": {"token": "agents-own-token"}}],
    }
    path.write_text(json.dumps(content))
    return path


def test_a_kubeconfig(tmp_path: Path) -> None:
    ca = trustme.CA()
    data = base64.b64encode(ca.cert_pem.bytes()).decode()
    path = kubeconfig(tmp_path, **{"certificate-authority-data": data, "tls-server-name": "k.test"})
    found = apiserver.find(kubeconfig=path, context=None)
    address = found.address
    assert (address.host, address.port, address.path) == ("10.0.0.1", 6443, b"")
    assert address.tls_server_name == "k.test"
    assert address.authority == b"10.0.0.1:6443"
    assert address.tls.verify_mode is ssl.CERT_REQUIRED
    assert len(address.tls.get_ca_certs()) == 1
    assert "agents-own-token" not in repr(address)
    assert found.own_access.user is not None
    assert found.own_access.user.token == "agents-own-token"


def test_the_agents_certificate_is_never_the_callers(tmp_path: Path) -> None:
    """It is in a TLS context of its own: a context of one kind never serves the other."""
    leaf = trustme.CA().issue_cert("agent.test")
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "crt.pem"))
    path = kubeconfig(tmp_path)
    content = json.loads(path.read_text())
    content["users"][0]["user"] = {
        "client-certificate": "crt.pem",
        "client-key-data": base64.b64encode(leaf.private_key_pem.bytes()).decode(),
    }
    path.write_text(json.dumps(content))
    found = apiserver.find(kubeconfig=path, context=None)
    assert found.own_address.tls is not found.address.tls
    assert replace(found.own_address, tls=found.address.tls) == found.address
    assert found.own_credential.fields() == ()


def test_the_agents_token_is_its_own(tmp_path: Path) -> None:
    found = apiserver.find(kubeconfig=kubeconfig(tmp_path), context=None)
    assert found.own_credential.fields() == ((b"Authorization", b"Bearer agents-own-token"),)
    assert "agents-own-token" not in repr(found.own_credential)
    assert found.own_address.tls is not found.address.tls


def test_a_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path)
    content = json.loads(path.read_text())
    content["users"][0]["user"] = {"client-certificate": "gone.pem", "client-key": "gone.key"}
    path.write_text(json.dumps(content))
    with pytest.raises(Refused, match="finds no cluster"):
        apiserver.find(kubeconfig=path, context=None)


def test_another_context(tmp_path: Path) -> None:
    found = apiserver.find(kubeconfig=kubeconfig(tmp_path), context="two")
    assert (found.address.host, found.address.port) == ("two.test", 443)
    assert found.address.path == b"/k8s/x"
    assert found.address.authority == b"two.test"
    assert found.own_access.user is not None


def test_an_authority_beside_the_kubeconfig(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    path = kubeconfig(tmp_path, **{"certificate-authority": "ca.pem"})
    found = apiserver.find(kubeconfig=path, context=None)
    assert len(found.address.tls.get_ca_certs()) == 1


def test_an_ipv6_address(tmp_path: Path) -> None:
    found = apiserver.find(kubeconfig=kubeconfig(tmp_path, server="https://[::1]:1"), context=None)
    assert found.address.authority == b"[::1]:1"


def test_verification_is_off_only_where_asked(tmp_path: Path) -> None:
    cluster: dict[str, Any] = {"insecure-skip-tls-verify": True}
    path = kubeconfig(tmp_path, **cluster)
    assert apiserver.find(kubeconfig=path, context=None).address.tls.verify_mode is ssl.CERT_NONE


def test_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    (tmp_path / "token").write_text("agents-own-token")
    (tmp_path / "namespace").write_text("towrope")
    monkeypatch.setenv("POD_SERVICEACCOUNT", str(tmp_path))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    found = apiserver.find(kubeconfig=None, context=None)
    assert (found.address.host, found.address.port) == ("10.96.0.1", 443)
    assert len(found.address.tls.get_ca_certs()) == 1


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "just text",
        "a: [",
        "{}",
        '{"clusters": [], "contexts": []}',
        '{"clusters": 3, "contexts": 4, "current-context": "x"}',
    ],
)
def test_a_broken_kubeconfig_is_one_sentence(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Refused, match="finds no cluster"):
        apiserver.find(kubeconfig=path, context=None)


@pytest.mark.parametrize("server", ["http://10.0.0.1:8080", "10.0.0.1", "https://", "https://a:b"])
def test_an_address_that_is_not_https(tmp_path: Path, server: str) -> None:
    with pytest.raises(Refused):
        apiserver.find(kubeconfig=kubeconfig(tmp_path, server=server), context=None)


def test_an_unknown_context(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="nowhere"):
        apiserver.find(kubeconfig=kubeconfig(tmp_path), context="nowhere")


def test_the_usual_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path)))
    assert apiserver.find(kubeconfig=None, context=None).address.host == "10.0.0.1"
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    with pytest.raises(Refused):
        apiserver.find(kubeconfig=None, context=None)
