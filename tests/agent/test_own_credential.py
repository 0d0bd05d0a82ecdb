"""The agent's own credential: read anew, never shown, and never missing silently."""

import os
import ssl
from base64 import b64encode
from pathlib import Path

import pytest
import trustme
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User
from lightkube.core.exceptions import ConfigError

from towrope.agent import own_credential
from towrope.agent.own_credential import OwnCredential, load_certificate
from towrope.wire.errors import Hop, Unreachable


def config(user: User | None, folder: Path = Path()) -> SingleConfig:
    return SingleConfig(
        context_name="c",
        context=Context(cluster="c"),
        cluster=Cluster(server="https://apiserver.test"),
        user=user,
        fname=folder / "kubeconfig",
    )


def bearer(token: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"Authorization", f"Bearer {token}".encode()),)


def test_a_token() -> None:
    found = own_credential.of(config(User(token="one\n")))
    assert found.fields() == bearer("one")
    assert "one" not in repr(found)


def test_a_token_is_read_again_when_its_file_is_replaced(tmp_path: Path) -> None:
    """As a kubelet does it: by changing where a link points."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(f"token-{name}\n")
    link = tmp_path / "..data"
    link.symlink_to("one")
    (tmp_path / "token").symlink_to("..data/token")
    found = own_credential.of(config(User(token="stale", token_file="token"), tmp_path))
    assert found.fields() == bearer("token-one")
    fresh = tmp_path / "..data_tmp"
    fresh.symlink_to("two")
    fresh.rename(link)
    assert found.fields() == bearer("token-two")


def test_a_token_is_not_read_for_each_request(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    found = OwnCredential(token_file=path)
    assert found.fields() == bearer("one")
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert found.fields() == bearer("one"), "nothing shows that it changed"
    found.forget()
    assert found.fields() == bearer("two")


@pytest.mark.parametrize("content", ["", "\n", "two tokens", "a\r\nX: b", "ü"])
def test_a_file_that_holds_no_token(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    with pytest.raises(Unreachable) as caught:
        OwnCredential(token_file=path).fields()
    assert caught.value.hop is Hop.AGENT


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    found = OwnCredential(token_file=path)
    assert found.fields() == bearer("one")
    path.unlink()
    with pytest.raises(Unreachable, match="No such file"):
        found.fields()


@pytest.mark.parametrize("user", [None, User(), User(username="a", password="b")])
def test_nothing_is_no_anonymous_request(user: User | None) -> None:
    with pytest.raises(Unreachable, match="neither a token nor a client certificate"):
        own_credential.of(config(user)).fields()


def test_a_client_certificate_needs_no_field() -> None:
    for user in (User(client_cert="a", client_key="b"), User(client_cert_data="YQ==")):
        assert own_credential.of(config(user)).fields() == ()


def test_a_client_certificate_from_data_or_files(tmp_path: Path) -> None:
    leaf = trustme.CA().issue_cert("agent.test")
    certificate, key = leaf.cert_chain_pems[0], leaf.private_key_pem
    certificate.write_to_path(str(tmp_path / "crt.pem"))
    key.write_to_path(str(tmp_path / "key.pem"))
    data = b64encode(key.bytes()).decode()
    for user in (
        User(client_cert="crt.pem", client_key="key.pem"),
        User(client_cert="crt.pem", client_key_data=data),
        User(client_cert_data=b64encode(certificate.bytes()).decode(), client_key_data=data),
    ):
        load_certificate(ssl.create_default_context(), config(user, tmp_path))
    with pytest.raises(ConfigError):
        load_certificate(ssl.create_default_context(), config(User(client_cert="x"), tmp_path))
    with pytest.raises(OSError, match="No such file"):
        user = User(client_cert="x", client_key="y")
        load_certificate(ssl.create_default_context(), config(user, tmp_path))


def test_no_client_certificate() -> None:
    for user in (None, User(token="one")):
        load_certificate(ssl.create_default_context(), config(user))
