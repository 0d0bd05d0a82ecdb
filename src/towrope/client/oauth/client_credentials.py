"""An application's own sign-in (RFC 6749 §4.4), by a secret or by a signed assertion (RFC 7523).

The key stays here; what is sent is a statement that is good once, for one endpoint, for minutes.
"""

import base64
import re
import time
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from towrope.client.oauth.grant import TokenAnswer
from towrope.client.oauth.provider import Provider
from towrope.wire.assertion import load_key
from towrope.wire.errors import Hop, Malformed

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFETIME = 300
PRIVATE_KEY = re.compile(
    r"-----BEGIN ((?:RSA |EC )?PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL
)
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
ALGORITHMS = {ECKey: "ES256", RSAKey: "RS256"}


def by_secret(provider: Provider, client_id: str, secret: str, scope: str) -> TokenAnswer:
    proof = {"client_secret": secret}
    return _redeem(provider, client_id, proof, scope)


def by_certificate(provider: Provider, client_id: str, pem: str, scope: str) -> TokenAnswer:
    """`pem` holds the private key, and the certificate that the server knows."""
    audience = provider.assertion_audience or provider.token_endpoint
    proof = {
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": sign_assertion(pem, client_id, audience, now=time.time()),
    }
    return _redeem(provider, client_id, proof, scope)


def _redeem(provider: Provider, client_id: str, proof: dict[str, str], scope: str) -> TokenAnswer:
    form = {"grant_type": "client_credentials", "client_id": client_id, "scope": scope, **proof}
    # A secret may be shown twice; an assertion that was seen is refused, and then made anew.
    return provider.redeem(form, repeatable="client_secret" in proof)


def sign_assertion(pem: str, client_id: str, audience: str, *, now: float) -> str:
    """Raises `Malformed` where `pem` is not a usable key and the certificate for it."""
    found = PRIVATE_KEY.search(pem)
    if found is None:
        raise _unusable("holds no private key (PEM, not encrypted)")
    key = load_key(found[0])
    certificate = _certificate(pem)
    if certificate.public_key() != key.public_key:
        raise _unusable("holds a key and a certificate that do not belong together")
    algorithm = ALGORITHMS[type(key)]
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": str(uuid.uuid4()),
        "nbf": int(now),
        "iat": int(now),
        "exp": int(now) + LIFETIME,
    }
    # How a server finds the certificate (RFC 7515 §4.1.7 and §4.1.8).
    thumbprints = {
        "x5t": _base64url(certificate.fingerprint(hashes.SHA1())),  # noqa: S303 - a name
        "x5t#S256": _base64url(certificate.fingerprint(hashes.SHA256())),
    }
    header = {"alg": algorithm, "typ": "JWT", **thumbprints}
    return jwt.encode(header, claims, key, algorithms=[algorithm])


def _certificate(pem: str) -> x509.Certificate:
    found = CERTIFICATE.search(pem)
    try:
        return x509.load_pem_x509_certificate(found[0].encode() if found else b"")
    except ValueError:
        raise _unusable("holds no certificate (PEM)") from None


def _unusable(what: str) -> Malformed:
    return Malformed(
        f"The file of --certificate {what}. It needs a private key and its certificate, both PEM.",
        hop=Hop.CLIENT,
    )


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
