"""The trusted issuers with their keys made ready: read once, when the server delivers them.

A key that is not fit for signatures is left out, so that nothing can be verified with it.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from towrope.wire.agent_api import Trust, TrustedIssuer

KEYS_LIMIT = 64
"""Keys of one issuer; more are not looked at."""
FEWEST_BITS = 2048
"""Of an RSA key."""
NUMBERS = ("kty", "n", "e", "crv", "x", "y")
NUMBER_LIMIT = 1400
"""Characters of one: 8192 bits in base64url."""

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_BY_CURVE = {
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
    "Ed25519": frozenset({"EdDSA", "Ed25519"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key, and the algorithms of signatures that it may verify."""

    key_id: str | None
    algorithms: frozenset[str]
    key: RSAKey | ECKey | OKPKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    trusted: TrustedIssuer
    keys: tuple[VerificationKey, ...]

    @property
    def name(self) -> str:
        return self.trusted.name


class Issuers:
    """Whose tokens are good here. It never changes: for another `Trust` another is made."""

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        self._by_iss: dict[str, list[Issuer]] = {}
        for trusted in trust.issuers:
            issuer = Issuer(trusted=trusted, keys=tuple(_keys(trusted)))
            for iss in trusted.issuers:
                self._by_iss.setdefault(iss, []).append(issuer)

    def trusts(self, iss: str) -> bool:
        return iss in self._by_iss

    def find(self, iss: str, audience: tuple[str, ...]) -> Issuer:
        """The one whose token this must be: of several with the same `iss`, by the audience."""
        named = self._by_iss[iss]
        return next(
            (i for i in named if not set(i.trusted.audiences).isdisjoint(audience)), named[0]
        )

    def __iter__(self) -> Iterator[str]:
        """The values of `iss`."""
        return iter(self._by_iss)


def _keys(trusted: TrustedIssuer) -> Iterator[VerificationKey]:
    found = trusted.keys.get("keys")
    for value in found[:KEYS_LIMIT] if isinstance(found, list) else ():
        key = _key(value)
        if key is not None:
            yield key


def _key(value: Any) -> VerificationKey | None:
    if not isinstance(value, dict) or value.get("use", "sig") != "sig":
        return None
    operations, key_id = value.get("key_ops"), value.get("kid")
    is_fit = operations is None or (isinstance(operations, list) and "verify" in operations)
    if not is_fit or not isinstance(key_id, str | None):
        return None
    try:
        key = _imported(value)
    except (JoseError, ValueError, TypeError, LookupError):
        return None
    return None if key is None else _usable(key, key_id, value.get("alg"))


def _imported(value: dict[str, Any]) -> RSAKey | ECKey | OKPKey | None:
    """With its public numbers alone, so that the library's reading of the rest does not matter."""
    numbers = {name: value[name] for name in NUMBERS if name in value}
    if any(
        not isinstance(number, str) or len(number) > NUMBER_LIMIT for number in numbers.values()
    ):
        return None
    if value["kty"] == "EC":
        return ECKey.import_key(numbers)
    if value["kty"] == "OKP":
        return OKPKey.import_key(numbers)
    if value["kty"] != "RSA":
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # of a short key, which is left out here
        key = RSAKey.import_key(numbers)
    return key if key.raw_value.key_size >= FEWEST_BITS else None


def _usable(
    key: RSAKey | ECKey | OKPKey, key_id: str | None, stated: Any
) -> VerificationKey | None:
    able = _RSA if isinstance(key, RSAKey) else _BY_CURVE.get(key.curve_name, frozenset())
    algorithms = able if stated is None else frozenset(n for n in able if n == stated)
    if not algorithms:
        return None
    return VerificationKey(key_id=key_id, algorithms=algorithms, key=key)
