"""Clients that sign in with a certificate: assertions signed with its key (RFC 7523).

As MSAL and Azure's SDKs make them: the certificate is named by its thumbprint in the header, and
one assertion serves for as long as it lasts, once for each resource.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

CLOCK_TOLERANCE = 60
LIFETIME_LIMIT = 3600
"""Seconds that an assertion may last from now on."""
ASSERTION_LIMIT = 32 * 1024
JTI_LIMIT = 512
RSA_BITS = 2048
_REFUSED_IN_HEADER = frozenset({"crit", "b64", "jku", "x5u", "jwk"})

Key = RSAKey | ECKey


class _Headers(JWSRegistry):
    """Headers may hold a chain of certificates, which nothing here looks at."""

    max_header_length = ASSERTION_LIMIT


_ANY = _Headers(strict_check_header=False)
_BY_RSA = _Headers(algorithms=["RS256", "PS256"], strict_check_header=False)
_BY_EC = _Headers(algorithms=["ES256"], strict_check_header=False)


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    sub: str
    aud: str | tuple[str, ...]
    jti: str
    exp: float
    nbf: float = 0.0


class GoodAssertion(msgspec.Struct, frozen=True, kw_only=True):
    jti: str
    expires_at: int


def verify(
    text: str,
    certificates: Iterable[str],
    *,
    client_id: str,
    audiences: frozenset[str],
    now: float,
) -> GoodAssertion | None:
    """What the client asserts with the key of one of its certificates (PEM); None: it is no good.

    The caller sees to it that it is not used again.
    """
    if len(text) > ASSERTION_LIMIT:
        return None
    try:
        header = jws.extract_compact(text.encode(), registry=_ANY).headers()
        if _REFUSED_IN_HEADER & set(header):
            return None
        payload = _verified(text, _keys(certificates, header))
        claims = msgspec.json.decode(payload or b"", type=_Claims)
    except (ValueError, TypeError, JoseError, RecursionError):
        return None
    if not _is_good(claims, client_id=client_id, audiences=audiences, now=now):
        return None
    return GoodAssertion(jti=claims.jti, expires_at=int(claims.exp) + CLOCK_TOLERANCE)


def _verified(text: str, keys: Iterable[tuple[Key, _Headers]]) -> bytes | None:
    for key, registry in keys:
        try:
            return jws.deserialize_compact(text, key, registry=registry).payload
        except (ValueError, JoseError):
            continue
    return None


def _is_good(claims: _Claims, *, client_id: str, audiences: frozenset[str], now: float) -> bool:
    audience = claims.aud if isinstance(claims.aud, str) else "".join(claims.aud[:1])
    return (
        claims.iss.lower() == claims.sub.lower() == client_id
        and (isinstance(claims.aud, str) or len(claims.aud) == 1)
        and audience in audiences
        and 0 < len(claims.jti) <= JTI_LIMIT
        and claims.nbf <= now + CLOCK_TOLERANCE
        and now - CLOCK_TOLERANCE < claims.exp <= now + LIFETIME_LIMIT + CLOCK_TOLERANCE
    )


def _keys(certificates: Iterable[str], header: dict[str, Any]) -> Iterable[tuple[Key, _Headers]]:
    """The keys that the header may mean, each with the algorithms that it may sign by."""
    for pem in certificates:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        if not _is_meant(certificate, header):
            continue
        public = certificate.public_key()
        text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if isinstance(public, rsa.RSAPublicKey) and public.key_size >= RSA_BITS:
            yield RSAKey.import_key(text), _BY_RSA
        elif isinstance(public, ec.EllipticCurvePublicKey):
            yield ECKey.import_key(text), _BY_EC


def _is_meant(certificate: x509.Certificate, header: dict[str, Any]) -> bool:
    """RFC 7515 §4.1.7 and §4.1.8; without a thumbprint, any may be meant."""
    for name, algorithm in (("x5t", hashes.SHA1()), ("x5t#S256", hashes.SHA256())):  # noqa: S303
        if name in header:
            thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(algorithm)).decode()
            return str(header[name]).rstrip("=") == thumbprint.rstrip("=")
    return True


def use_hash(client_id: str, jti: str, *, purpose: Sequence[str]) -> str:
    """What may come once: an assertion of a client, for one purpose."""
    parts = msgspec.json.encode([client_id, jti, *purpose])
    return hashlib.sha256(parts).hexdigest()
