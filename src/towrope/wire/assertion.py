"""Signed assertions (RFC 7523 shapes): how an agent proves that it holds its key.

The subject is the cluster's resource id, the audience the server's address, so that an assertion
of one cluster or for one server is worth nothing elsewhere.
"""

import contextlib
import secrets

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jwt import JWTClaimsRegistry

from towrope.wire.errors import Hop, Malformed, Unauthenticated

LIFETIME = 300.0
CLOCK_TOLERANCE = 60
ASSERTION_LIMIT = 8 * 1024
CURVE = "P-256"
ALGORITHMS = {ECKey: "ES256", RSAKey: "RS256"}

Key = ECKey | RSAKey


def load_key(pem: bytes | str) -> Key:
    """A public or private key from PEM: RSA (the onboarding key) or ECDSA P-256 (the agent's).

    Raises `Malformed`.
    """
    for kind in (ECKey, RSAKey):
        with contextlib.suppress(ValueError, TypeError, JoseError):
            key = kind.import_key(pem)
            if isinstance(key, RSAKey) or key.curve_name == CURVE:
                return key
    raise Malformed(
        f"The key is not usable; expected an RSA or an ECDSA {CURVE} key, PEM, not encrypted.",
        hop=Hop.AGENT,
    )


def mint(key: Key, *, subject: str, audience: str, now: float) -> str:
    """An assertion that `subject` (a resource id) makes to `audience` (a server's address)."""
    claims = {
        "iss": subject,
        "sub": subject,
        "aud": audience,
        "iat": int(now),
        "exp": int(now + LIFETIME),
        "jti": secrets.token_urlsafe(16),
    }
    algorithm = ALGORITHMS[type(key)]
    return jwt.encode({"alg": algorithm, "typ": "JWT"}, claims, key, algorithms=[algorithm])


def subject_of(text: str) -> str:
    """Whom an assertion claims to come from. Nothing is verified: it only names the key to try."""
    if len(text) > ASSERTION_LIMIT:
        raise _refused("it is too long")
    try:
        payload = jws.extract_compact(text.encode()).payload
        subject = msgspec.json.decode(payload).get("sub")
    except (ValueError, AttributeError, RecursionError, JoseError):
        raise _refused("it is not a signed token") from None
    if not isinstance(subject, str):
        raise _refused("it names no subject")
    return subject


def verify(text: str, key: Key, *, subject: str, audience: str, now: float) -> None:
    """Raises `Unauthenticated` unless `subject` made this assertion, for `audience`, just now."""
    if len(text) > ASSERTION_LIMIT:
        raise _refused("it is too long")
    try:
        token = jwt.decode(text, key, algorithms=[ALGORITHMS[type(key)]])
        JWTClaimsRegistry(
            now=int(now),
            leeway=CLOCK_TOLERANCE,
            iss={"essential": True, "value": subject},
            sub={"essential": True, "value": subject},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            iat={"essential": True},
        ).validate(token.claims)
    except (ValueError, TypeError, RecursionError, JoseError) as error:
        raise _refused(type(error).__name__) from None
    # Written so that a NaN is refused too.
    if not token.claims["exp"] - token.claims["iat"] <= LIFETIME:
        raise _refused("its lifetime is too long")


def _refused(what: str) -> Unauthenticated:
    return Unauthenticated(f"The agent's assertion is refused: {what}.", hop=Hop.SERVER)
