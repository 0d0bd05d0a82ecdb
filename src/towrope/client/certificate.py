"""Certificates by which a service principal signs in: read from what the user has, or made.

Only the public half ever goes to the server.
"""

import base64
import binascii
import datetime
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from towrope.client.rest import Json
from towrope.ops.files import write_private
from towrope.wire.errors import Hop, Malformed

SIZE_LIMIT = 64 * 1024
SUBJECT = "Towrope service principal"
# A clock that is a little behind ours must not refuse a certificate made this minute.
CLOCK_TOLERANCE = datetime.timedelta(hours=1)


def read_certificate(given: str) -> Json:
    """A key credential of PEM, or of DER in base64; `@PATH` reads it from a file."""
    text = _content(given[1:]) if given.startswith("@") else given.encode()
    try:
        if b"-----BEGIN CERTIFICATE" in text:
            certificate = x509.load_pem_x509_certificate(text)
        else:
            certificate = x509.load_der_x509_certificate(base64.b64decode(text))
    except (ValueError, binascii.Error):
        raise Malformed(
            "There is no certificate in what --cert names: expected PEM, or DER in base64.",
            hop=Hop.CLIENT,
        ) from None
    return _credential(certificate)


def _content(path: str) -> bytes:
    try:
        with Path(path).expanduser().open("rb") as file:
            return file.read(SIZE_LIMIT)
    except OSError as error:
        raise Malformed(
            f"Cannot read the certificate in '{path}': {error.strerror}.", hop=Hop.CLIENT
        ) from None


def make_certificate(folder: Path, *, years: int) -> tuple[Json, Path]:
    """A new key with its certificate, in a file that only its owner reads."""
    key = rsa.generate_private_key(65537, 2048)
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SUBJECT)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(years_after(now, years))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / f"towrope-{secrets.token_hex(4)}.pem"
    write_private(path, private + certificate.public_bytes(Encoding.PEM))
    return _credential(certificate), path


def years_after(now: datetime.datetime, years: int) -> datetime.datetime:
    try:
        return now.replace(year=now.year + years)
    except ValueError:  # 29 February
        return now.replace(year=now.year + years, month=3, day=1)


def _credential(certificate: x509.Certificate) -> Json:
    der = certificate.public_bytes(Encoding.DER)
    return {
        "key": base64.b64encode(der).decode(),
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    }
