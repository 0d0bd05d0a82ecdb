import datetime
import os
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from towrope.control import tls
from towrope.control.tls import CertificateFiles, ServerTls
from towrope.ops import certificates
from towrope.ops.certificates import KeyPair
from towrope.wire.errors import TowropeError

NAMES = ["localhost", "127.0.0.1"]


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def served_by(context: ssl.SSLContext) -> bytes:
    """The certificate (PEM) that a client of this context is shown."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    client = trusting.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    der = client.getpeercert(binary_form=True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der).encode()


def write(files: CertificateFiles, pair: KeyPair) -> None:
    files.certificate.write_bytes(pair.certificate)
    files.private_key.write_bytes(pair.private_key)


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return CertificateFiles(certificate=tmp_path / "tls.crt", private_key=tmp_path / "tls.key")


def new_pair() -> KeyPair:
    return certificates.new_leaf(
        certificates.new_authority("test", now=now()), names=NAMES, now=now()
    )


def test_changed_files_are_loaded_for_new_connections(files: CertificateFiles) -> None:
    first, second = new_pair(), new_pair()
    write(files, first)
    server = ServerTls(files)
    assert served_by(server.context) == first.certificate
    assert not server.refresh()
    write(files, second)
    assert server.refresh()
    assert served_by(server.context) == second.certificate
    assert not server.refresh()


def test_broken_files_leave_what_was_loaded(files: CertificateFiles) -> None:
    first, second = new_pair(), new_pair()
    write(files, first)
    server = ServerTls(files)
    # Half of a change: the certificate has come, its key has not.
    files.certificate.write_bytes(second.certificate)
    assert not server.refresh()
    assert served_by(server.context) == first.certificate
    files.private_key.unlink()
    assert not server.refresh()
    assert served_by(server.context) == first.certificate
    write(files, second)
    assert server.refresh()
    assert served_by(server.context) == second.certificate


@pytest.mark.parametrize("broken", ["absent", "garbage", "another key", "encrypted"])
def test_files_that_cannot_be_used_at_the_start_are_said(
    files: CertificateFiles, broken: str
) -> None:
    pair = new_pair()
    write(files, pair)
    if broken == "absent":
        files.private_key.unlink()
    elif broken == "garbage":
        files.certificate.write_text("garbage")
    elif broken == "another key":
        files.private_key.write_bytes(new_pair().private_key)
    else:
        key = load_pem_private_key(pair.private_key, None)
        locked = BestAvailableEncryption(b"secret")
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
        files.private_key.write_bytes(pem)
    with pytest.raises(TowropeError, match="cannot be used") as failed:
        ServerTls(files)
    assert "\n" not in failed.value.message


def test_our_own_is_kept_while_it_is_good(tmp_path: Path) -> None:
    authority = tls.own_authority(tmp_path)
    assert tls.own_authority(tmp_path) == authority
    files = tls.own_certificate(tmp_path, authority, NAMES)
    before = files.certificate.read_bytes()
    assert tls.own_certificate(tmp_path, authority, list(reversed(NAMES))) == files
    assert files.certificate.read_bytes() == before
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("why", ["names", "ends soon", "another authority", "damaged", "no key"])
def test_our_own_is_issued_anew(tmp_path: Path, why: str) -> None:
    authority = tls.own_authority(tmp_path)
    files = tls.own_certificate(tmp_path, authority, NAMES)
    if why == "ends soon":
        write(files, certificates.new_leaf(authority, names=NAMES, now=now(), days=29))
    elif why == "damaged":
        files.certificate.write_text("garbage")
    elif why == "no key":
        os.unlink(files.private_key)
    elif why == "another authority":
        (tmp_path / "ca.key").unlink()
        authority = tls.own_authority(tmp_path)
    names = [*NAMES, "another.example.org"] if why == "names" else NAMES
    before = files.certificate.read_bytes()
    tls.own_certificate(tmp_path, authority, names)
    assert files.certificate.read_bytes() != before
    ServerTls(files)
