"""Authorities and fingerprints."""

import ssl
from pathlib import Path

import pytest
import trustme

from tests.client.conftest import Answer, Scripted
from towrope.client.profile import Folder
from towrope.client.rest import Rest, Untrusted
from towrope.client.trust import (
    context_for,
    fetch_authority,
    is_fingerprint_of,
    only_certificate,
    read_authority,
)
from towrope.ops.certificates import fingerprint
from towrope.wire.errors import Malformed, Refused, TowropeError


def test_fingerprint_as_people_write_it(authority: trustme.CA) -> None:
    pem = authority.cert_pem.bytes()
    digits = fingerprint(pem).removeprefix("SHA256:")
    colons = ":".join(digits[i : i + 2] for i in range(0, 64, 2)).upper()
    for text in (f"SHA256:{digits}", digits, f"sha256:{digits.upper()}", f" {colons} "):
        assert is_fingerprint_of(text, pem)
    assert not is_fingerprint_of("0" * 64, pem)


@pytest.mark.parametrize("text", ["", "SHA256:", "0" * 63, "0" * 65, "SHA1:" + "0" * 40, "g" * 64])
def test_no_fingerprint(text: str, authority: trustme.CA) -> None:
    with pytest.raises(Malformed, match="64 hexadecimal digits"):
        is_fingerprint_of(text, authority.cert_pem.bytes())


def test_second_certificate_would_hide_behind_the_first(authority: trustme.CA) -> None:
    pem = authority.cert_pem.bytes()
    assert only_certificate(pem, "x") == pem
    for two in (pem + trustme.CA().cert_pem.bytes(), b"", b"hello", pem.replace(b"M", b"!")):
        with pytest.raises(Malformed, match="no usable certificate"):
            only_certificate(two, "x")


def test_offered_authority_is_fetched_unverified(scripted: Scripted) -> None:
    scripted.answers = [Answer(body=scripted.authority_pem.decode())]
    assert fetch_authority(scripted.url) == scripted.authority_pem
    assert scripted.asked[0].path == "/.well-known/towrope/ca.pem"


@pytest.mark.parametrize("body", ["<html>", "x" * 100_000])
def test_offer_that_is_none(body: str, scripted: Scripted) -> None:
    scripted.answers = [Answer(body=body)]
    with pytest.raises(Malformed):
        fetch_authority(scripted.url)


def test_server_without_an_authority_of_its_own(scripted: Scripted) -> None:
    scripted.answers = [Answer(status=404, body={"error": {"message": "No."}})]
    with pytest.raises(Refused, match="--ca-file"):
        fetch_authority(scripted.url)


def test_pinned_authority_is_the_only_one(scripted: Scripted, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.save_authority(scripted.url, trustme.CA().cert_pem.bytes())
    rest = Rest(scripted.url, tls=context_for(scripted.url, folder))
    with pytest.raises(Untrusted):
        rest.json("GET", "/")
    rest.close()
    folder.save_authority(scripted.url, scripted.authority_pem)
    tls = context_for(scripted.url, folder)
    assert len(tls.get_ca_certs()) == 1
    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.check_hostname
    rest = Rest(scripted.url, tls=tls)
    rest.json("GET", "/")
    rest.close()


def test_authority_from_a_file(tmp_path: Path, authority: trustme.CA) -> None:
    path = tmp_path / "ca.pem"
    with pytest.raises(TowropeError, match=r"Cannot read the --ca-file"):
        read_authority(path)
    path.write_bytes(b"\xff")
    with pytest.raises(Malformed, match="--ca-file"):
        read_authority(path)
    path.write_bytes(authority.cert_pem.bytes())
    assert read_authority(path) == authority.cert_pem.bytes()
