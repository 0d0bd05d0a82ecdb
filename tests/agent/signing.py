"""Tokens of a trusted issuer, and of those who would like to be one: every byte can be chosen."""

import functools
import json
from base64 import urlsafe_b64encode
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from towrope.agent.issuers import Issuer, Issuers
from towrope.wire.agent_api import IssuerKind, Trust, TrustedIssuer

NOW = 1_800_000_000
"""2027-01-15T08:00:00Z."""
ISS = "https://towrope.test/2d9a6f0e-7c1b-4f0e-9c57-1f6f3a1c0b11/v2.0"
CLUSTER = (
    "/subscriptions/5a1d9a52-7a34-4be6-9f7b-2f1d7e0a4c33/resourceGroups/shops"
    "/providers/Microsoft.Kubernetes/connectedClusters/shop-17"
)
OID = "7f3c1d0e-5a52-4d0a-9d0f-2b6f9a1c7e11"
GROUP = "0f3cfa0b-8a4f-4d6c-8a80-6a3e0b6c5d01"

SigningKey = RSAKey | ECKey | OKPKey


@functools.cache
def rsa_key(name: str = "a") -> RSAKey:
    """One for each name."""
    return RSAKey.generate_key(2048, {"kid": name})


@functools.cache
def ec_key(curve: str = "P-256") -> ECKey:
    return ECKey.generate_key(curve, {"kid": curve})


@functools.cache
def edwards_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": "Ed25519"})


def key_on(curve: str) -> SigningKey:
    return edwards_key() if curve == "Ed25519" else ec_key(curve)


def key_set(*keys: SigningKey, **members: Any) -> dict[str, Any]:
    return {"keys": [{**key.as_dict(private=False), **members} for key in keys]}


def trusted(*keys: SigningKey, **changes: Any) -> TrustedIssuer:
    """The server's own issuer, as the server describes it to the agent of `CLUSTER`."""
    known: dict[str, Any] = {
        "name": "towrope",
        "kind": IssuerKind.TOWROPE,
        "issuers": (ISS,),
        "audiences": (CLUSTER,),
        "algorithms": ("RS256",),
        "keys": key_set(*keys or (rsa_key(),)),
    }
    return TrustedIssuer(**{**known, **changes})


def issuer(*keys: SigningKey, **changes: Any) -> Issuer:
    made = trusted(*keys, **changes)
    return Issuers(Trust(issuers=(made,))).find(made.issuers[0], ())


def claims(**changes: Any) -> dict[str, Any]:
    """A user's; what is given as None is left out."""
    known = {
        "iss": ISS,
        "aud": CLUSTER,
        "sub": OID,
        "oid": OID,
        "idtyp": "user",
        "upn": "ada@contoso.example",
        "groups": [GROUP],
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 3600,
    }
    return {name: value for name, value in {**known, **changes}.items() if value is not None}


def token(key: SigningKey | None = None, algorithm: str = "RS256", **changes: Any) -> str:
    """Signed as it should be; changes of the claims."""
    return signed(as_json(claims(**changes)), key=key, algorithm=algorithm)


def signed(
    payload: bytes,
    *,
    key: SigningKey | None = None,
    algorithm: str = "RS256",
    header: dict[str, Any] | bytes | None = None,
) -> str:
    """`header` is what is added to the usual one, or the whole in bytes."""
    key = key or rsa_key()
    if not isinstance(header, bytes):
        header = as_json({"alg": algorithm, "typ": "JWT", "kid": key.kid, **(header or {})})
    text = f"{base64url(header)}.{base64url(payload)}"
    signature = JWSRegistry.algorithms[algorithm].sign(text.encode(), key)
    return f"{text}.{base64url(signature)}"


def as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
