"""Key sets of issuers (RFC 7517), reduced to what a signature may be verified with.

What is symmetric, private, too weak, meant for something else or not understood is left out, and
of each key only the public members are kept.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

KEYS_LIMIT = 64
RSA_BITS = range(2048, 8192 + 1)
KEY_ID_LIMIT = 256

_SECRET = frozenset({"k", "d", "p", "q", "dp", "dq", "qi", "oth"})
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_KINDS: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
    "Ed25519": frozenset({"EdDSA", "Ed25519"}),
}

Jwk = dict[str, Any]


def usable_keys(document: Any, algorithms: Sequence[str]) -> list[Jwk]:
    """The keys of a key set that signatures by one of `algorithms` may be verified with.

    Of keys with the same id the first one stays, so that an id names one key.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return []
    kept: dict[Any, Jwk] = {}
    for key in _usable(listed[:KEYS_LIMIT], frozenset(algorithms)):
        kept.setdefault(key.get("kid", key.get("n", key.get("x"))), key)
    return list(kept.values())


def _usable(listed: list[Any], algorithms: frozenset[str]) -> Iterator[Jwk]:
    for key in listed:
        if not isinstance(key, dict) or _SECRET & key.keys() or not _is_for_signatures(key):
            continue
        public = _public(key)
        if public is not None and _fits(public, algorithms):
            yield public


def _is_for_signatures(key: Jwk) -> bool:
    operations = key.get("key_ops", ["verify"])
    return (
        key.get("use", "sig") == "sig" and isinstance(operations, list) and ("verify" in operations)
    )


def _public(key: Jwk) -> Jwk | None:
    """Its public members alone; None where they make no key."""
    kind = key.get("kty")
    members = _MEMBERS.get(kind) if isinstance(kind, str) else None
    if members is None or not all(isinstance(key.get(name), str) for name in members):
        return None
    public = {name: key[name] for name in ("kty", *members)}
    try:
        made = _KINDS[str(kind)].import_key(public)
        raw = made.public_key
    except (ValueError, TypeError, LookupError, JoseError):
        return None
    if isinstance(raw, RSAPublicKey) and raw.key_size not in RSA_BITS:
        return None
    for name in ("kid", "alg"):
        if name in key:
            if not isinstance(key[name], str) or not 0 < len(key[name]) <= KEY_ID_LIMIT:
                return None
            public[name] = key[name]
    return public


def _fits(key: Jwk, algorithms: frozenset[str]) -> bool:
    return not possible_algorithms(key).isdisjoint(algorithms)


def possible_algorithms(key: Jwk) -> frozenset[str]:
    """The algorithms of signatures that may be verified with a usable key."""
    able = _RSA if key["kty"] == "RSA" else _CURVES.get(key["crv"], frozenset())
    stated = key.get("alg")
    return able & {stated} if stated else able
