import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from towrope.ops import certificates

NOW = datetime.datetime.now(datetime.UTC)


def handshake(authority: bytes, leaf: certificates.KeyPair, name: str, folder: Path) -> None:
    """A TLS handshake in memory; raises where the client does not trust the server."""
    file = folder / "leaf.pem"
    file.write_bytes(leaf.certificate + leaf.private_key)
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(file)
    client_context = ssl.create_default_context(cadata=authority.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize("name", ["cluster.example", "127.0.0.1", "::1"])
def test_a_leaf_is_trusted_for_its_names(tmp_path: Path, name: str) -> None:
    authority = certificates.new_authority("test", now=NOW)
    leaf = certificates.new_leaf(authority, names=["cluster.example", "127.0.0.1", "::1"], now=NOW)
    handshake(authority.certificate, leaf, name, tmp_path)


def test_another_authority_or_another_name_is_not(tmp_path: Path) -> None:
    authority, other = (certificates.new_authority("same name", now=NOW) for _ in range(2))
    leaf = certificates.new_leaf(authority, names=["cluster.example"], now=NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(other.certificate, leaf, "cluster.example", tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority.certificate, leaf, "other.example", tmp_path)


def test_an_authority_signs_leaves_only() -> None:
    authority = x509.load_pem_x509_certificate(
        certificates.new_authority("test", now=NOW).certificate
    )
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)


def test_fingerprint_and_expiry() -> None:
    authority = certificates.new_authority("test", now=NOW, days=1)
    assert certificates.fingerprint(authority.certificate).startswith("SHA256:")
    ends = certificates.expires_at(authority.certificate)
    assert abs(ends - (NOW + certificates.DAY).timestamp()) < 2


def test_a_key_does_not_show_itself() -> None:
    assert "PRIVATE" not in repr(certificates.new_authority("test", now=NOW))
