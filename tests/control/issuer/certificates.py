"""Certificates that applications sign in with, made by themselves."""

import base64
import datetime
from dataclasses import dataclass, field
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A certificate and its private key, PEM."""

    certificate: str
    private_key: str = field(repr=False)

    def thumbprint(self, algorithm: hashes.HashAlgorithm) -> bytes:
        return x509.load_pem_x509_certificate(self.certificate.encode()).fingerprint(algorithm)

    @property
    def x5t(self) -> str:
        """As MSAL writes it: with padding."""
        return base64.urlsafe_b64encode(self.thumbprint(hashes.SHA1())).decode()  # noqa: S303

    @property
    def x5t_s256(self) -> str:
        return base64.urlsafe_b64encode(self.thumbprint(hashes.SHA256())).decode().rstrip("=")


def certify(key: PrivateKey) -> Certified:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an application")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    return Certified(
        certificate=certificate.public_bytes(Encoding.PEM).decode(),
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )


@cache
def rsa_certified() -> Certified:
    return certify(rsa.generate_private_key(65537, 2048))


@cache
def another_certified() -> Certified:
    return certify(rsa.generate_private_key(65537, 2048))


@cache
def ec_certified() -> Certified:
    return certify(ec.generate_private_key(ec.SECP256R1()))
