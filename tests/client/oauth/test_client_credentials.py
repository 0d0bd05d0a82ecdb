"""An application's sign-in, with a secret or with a key that stays here."""

import base64
import datetime
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.client.conftest import Answer, Scripted
from towrope.client.oauth import client_credentials
from towrope.client.oauth.client_credentials import sign_assertion
from towrope.client.oauth.provider import Provider
from towrope.wire.errors import Malformed

TOKENS = Answer(body={"access_token": "a"})
NOW = 1_800_000_000


def certificate_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def certificate(rsa_key: rsa.RSAPrivateKey) -> x509.Certificate:
    return certificate_of(rsa_key)


@pytest.fixture(scope="session")
def pem(rsa_key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> str:
    """As `openssl` puts them together, the certificate first."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode() + pem_of(rsa_key)


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_secret(provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(status=503), TOKENS]
    client_credentials.by_secret(provider, "app", "s3cret", "api/.default")
    form = parse_qs(scripted.asked[1].body.decode())
    assert form == {
        "grant_type": ["client_credentials"],
        "client_id": ["app"],
        "client_secret": ["s3cret"],
        "scope": ["api/.default"],
    }


def test_key_stays_here(provider: Provider, scripted: Scripted, pem: str) -> None:
    scripted.answers = [TOKENS]
    client_credentials.by_certificate(provider, "app", pem, "api/.default")
    form = parse_qs(scripted.asked[0].body.decode())
    assert form["client_assertion_type"] == [client_credentials.ASSERTION_TYPE]
    assert "client_secret" not in form
    assert b"PRIVATE" not in scripted.asked[0].body


def test_assertion(pem: str, rsa_key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> None:
    public = RSAKey.import_key(
        rsa_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    tokens = [
        jwt.decode(sign_assertion(pem, "app", "https://a/token", now=NOW), public) for _ in "ab"
    ]
    claims = tokens[0].claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("app", "app", "https://a/token")
    assert claims["exp"] - claims["iat"] == 300
    assert claims["jti"] != tokens[1].claims["jti"]
    sha256 = certificate.fingerprint(hashes.SHA256())
    assert tokens[0].header["x5t#S256"] == base64url(sha256)
    sha1 = certificate.fingerprint(hashes.SHA1())  # noqa: S303 - what RFC 7515 §4.1.7 says
    assert tokens[0].header["x5t"] == base64url(sha1)
    assert tokens[0].header["alg"] == "RS256"


def test_elliptic_curve() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = pem_of(key) + certificate_of(key).public_bytes(serialization.Encoding.PEM).decode()
    token = sign_assertion(pem, "app", "https://a/token", now=NOW)
    public = ECKey.import_key(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    assert jwt.decode(token, public).header["alg"] == "ES256"


def test_half_a_file(pem: str, rsa_key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> None:
    with pytest.raises(Malformed, match="holds no certificate"):
        sign_assertion(pem_of(rsa_key), "app", "a", now=NOW)
    only = certificate.public_bytes(serialization.Encoding.PEM).decode()
    for text in (only, "", "x"):
        with pytest.raises(Malformed, match="holds no private key"):
            sign_assertion(text, "app", "a", now=NOW)
    with pytest.raises(Malformed, match="holds no certificate"):
        damaged = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
        sign_assertion(pem_of(rsa_key) + damaged, "app", "a", now=NOW)


def test_certificate_of_another_key(certificate: x509.Certificate) -> None:
    other = pem_of(ec.generate_private_key(ec.SECP256R1()))
    both = other + certificate.public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(Malformed, match="do not belong together"):
        sign_assertion(both, "app", "a", now=NOW)
