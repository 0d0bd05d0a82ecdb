"""Certificates of service principals."""

import base64
import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from towrope.client.certificate import make_certificate, read_certificate, years_after
from towrope.wire.errors import Malformed


def test_what_is_made_can_be_read_and_stays_private(tmp_path: Path) -> None:
    made, path = make_certificate(tmp_path, years=2)
    assert path.stat().st_mode & 0o777 == 0o600
    key = load_pem_private_key(path.read_bytes(), None)
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(certificate)
    assert read_certificate(f"@{path}") == made
    der = certificate.public_bytes(Encoding.DER)
    assert made["key"] == base64.b64encode(der).decode()
    assert read_certificate(base64.encodebytes(der).decode()) == made
    assert read_certificate(certificate.public_bytes(Encoding.PEM).decode()) == made
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lifetime.days in (730, 731)


@pytest.mark.parametrize("given", ["", "x", "%%%", "é", "-----BEGIN CERTIFICATE-----\nx"])
def test_what_is_no_certificate(given: str) -> None:
    with pytest.raises(Malformed, match="--cert"):
        read_certificate(given)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="No such file"):
        read_certificate(f"@{tmp_path}/none.pem")


def test_years_end_on_a_day_that_there_is() -> None:
    leap = datetime.datetime(2028, 2, 29, tzinfo=datetime.UTC)
    assert years_after(leap, 1) == datetime.datetime(2029, 3, 1, tzinfo=datetime.UTC)
    assert years_after(leap, 4) == datetime.datetime(2032, 2, 29, tzinfo=datetime.UTC)
