"""Credential plugins: every version, and what they get wrong."""

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from lightkube.config.models import NameValue, User, UserExec

from towrope.client.exec_plugin import resolve
from towrope.wire.errors import TowropeError

CLUSTER = {"server": "https://a.example"}


def user(path: Path, script: str, version: str = "v1") -> User:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return User(
        exec=UserExec(
            apiVersion=f"client.authentication.k8s.io/{version}",
            command=str(path),
            args=["one", "two words"],
            env=[NameValue(name="FROM_KUBECONFIG", value="x")],
        )
    )


def printing(status: object) -> str:
    return f"cat <<'END'\n{json.dumps({'kind': 'ExecCredential', 'status': status})}\nEND"


@pytest.mark.parametrize("version", ["v1alpha1", "v1beta1", "v1"])
def test_token(version: str, tmp_path: Path) -> None:
    found = resolve(user(tmp_path / "plugin", printing({"token": "t"}), version), CLUSTER)
    assert found.token == "t"
    assert found.exec is None


def test_certificate(tmp_path: Path) -> None:
    status = {"clientCertificateData": "CERT", "clientKeyData": "KEY"}
    found = resolve(user(tmp_path / "plugin", printing(status)), CLUSTER)
    assert base64.b64decode(found.client_cert_data or "") == b"CERT"
    assert base64.b64decode(found.client_key_data or "") == b"KEY"


def test_plugin_is_told_of_the_cluster(tmp_path: Path) -> None:
    script = f'echo "$2/$FROM_KUBECONFIG" > {tmp_path}/said; echo "$KUBERNETES_EXEC_INFO" > '
    script += f"{tmp_path}/info; {printing({'token': 't'})}"
    resolve(user(tmp_path / "plugin", script), CLUSTER)
    assert (tmp_path / "said").read_text() == "two words/x\n"
    info = json.loads((tmp_path / "info").read_text())
    assert info["apiVersion"] == "client.authentication.k8s.io/v1"
    assert info["spec"]["cluster"] == CLUSTER
    assert "KUBERNETES_EXEC_INFO" not in os.environ


@pytest.mark.parametrize(
    ("script", "hint"),
    [
        ("exit 3", "exit code 3"),
        ("echo secret", "gave no ExecCredential"),
        ("echo '{}'", "gave no ExecCredential"),
        (printing({"token": 1}), "gave no ExecCredential"),
    ],
)
def test_plugin_that_fails(script: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(TowropeError, match=hint) as caught:
        resolve(user(tmp_path / "plugin", script), CLUSTER)
    assert "secret" not in str(caught.value)


def test_plugin_that_is_not_there() -> None:
    plugin = UserExec(apiVersion="v1", command="/no/such/plugin", installHint="Run brew.")
    with pytest.raises(TowropeError, match=r"is not there\. Run brew\."):
        resolve(User(exec=plugin), CLUSTER)
