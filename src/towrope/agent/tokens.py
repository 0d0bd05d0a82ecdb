"""Tokens of trusted issuers: read, and verified with the issuer's keys alone.

Pure: no clock, no network. What is refused is a value that says why, in words that hold no part of
the token but names that its maker chose.
"""

import datetime
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from towrope.agent.issuers import Issuer, VerificationKey
from towrope.wire.errors import foreign

TOKEN_LIMIT = 64 * 1024
CLOCK_TOLERANCE = 60
KEY_ID_LIMIT = 256
LATEST_DATE = 253_402_300_799
"""The end of the year 9999, Unix seconds."""

TYPES = frozenset({"jwt", "at+jwt"})
# Each would let the token choose the key that it is verified with, or how it is to be read
# (RFC 7515 §4.1, RFC 7797 §3).
REFUSED_HEADERS = ("jku", "jwk", "x5u", "x5c", "crit", "b64")

_PARTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A JSON Web Token that nobody has verified."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def iss(self) -> str:
        found = self.claims.get("iss")
        return found if isinstance(found, str) else ""

    @property
    def audience(self) -> tuple[str, ...]:
        """Empty where it is neither a string nor an array of strings."""
        found = self.claims.get("aud")
        found = [found] if isinstance(found, str) else found
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            return ()
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a trusted issuer says. `issued_at` is 0 where it does not say when."""

    issuer: Issuer
    claims: Mapping[str, Any]
    issued_at: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Why a token is not good, as the end of a sentence about it, and what to do."""

    reason: str
    unknown_key: str = ""
    """The id of a key that the issuer may have come to use since its keys were fetched."""


def parse(text: str) -> Token | None:
    """None where it is no signed JSON Web Token: then it is not for us to judge."""
    if len(text) > TOKEN_LIMIT or _PARTS.fullmatch(text) is None:
        return None
    header, claims, _ = text.split(".")
    try:
        return Token(text=text, header=_object(header), claims=_object(claims))
    except (ValueError, RecursionError):
        return None


def verify(token: Token, issuer: Issuer, *, now: float) -> Verified | Rejected:
    """Only with an algorithm of the issuer's, a key of its set, for an audience of this cluster."""
    rejected = _check_header(token.header, issuer) or _check_signature(token, issuer)
    if rejected is not None:
        return rejected
    return (
        _check_names(token, issuer) or _check_dates(token.claims, now) or _verified(token, issuer)
    )


def verify_again(token: Token, issuer: Issuer, *, now: float) -> Verified | Rejected:
    """Of a token that was verified before, by what its issuer is now: that it has expired since is
    no reason against it, nor that its key went with it."""
    expires_at = token.claims["exp"]
    found = verify(token, issuer, now=min(now, expires_at))
    if isinstance(found, Rejected) and found.unknown_key and now > expires_at + CLOCK_TOLERANCE:
        return _check_names(token, issuer) or _verified(token, issuer)
    return found


def _verified(token: Token, issuer: Issuer) -> Verified:
    return Verified(
        issuer=issuer,
        claims=token.claims,
        issued_at=token.claims.get("iat", 0),
        expires_at=token.claims["exp"],
    )


def _check_header(header: Mapping[str, Any], issuer: Issuer) -> Rejected | None:
    for name in REFUSED_HEADERS:
        if name in header:
            return Rejected(reason=f"its header has '{name}', which is never heeded here")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in TYPES:
        return Rejected(reason="it is of another type: 'typ' is neither 'JWT' nor 'at+jwt'")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in issuer.trusted.algorithms:
        allowed = ", ".join(issuer.trusted.algorithms)
        return Rejected(
            reason=f"it is signed by '{foreign(str(algorithm))}'; this issuer signs by {allowed}"
        )
    return None


def _check_signature(token: Token, issuer: Issuer) -> Rejected | None:
    key_id, algorithm = token.header.get("kid"), token.header["alg"]
    if key_id is None and len(issuer.keys) > 1:
        return Rejected(reason="it names no key ('kid'), and its issuer has several")
    if key_id is not None and not _is_key_id(key_id):
        return Rejected(reason="the name of its key ('kid') is not one")
    keys = [key for key in issuer.keys if key_id in (None, key.key_id)]
    if not keys:
        return Rejected(
            reason=f"it is signed with the key '{foreign(key_id or '')}', which is not among the"
            " issuer's keys; sign in again",
            unknown_key=key_id or "",
        )
    usable = [key for key in keys if algorithm in key.algorithms]
    if not usable:
        return Rejected(reason=f"the key that it names is not for '{algorithm}'")
    if not any(_is_signed(token.text, key, algorithm) for key in usable):
        return Rejected(reason="its signature is not of the key that it names")
    return None


def _is_signed(text: str, key: VerificationKey, algorithm: str) -> bool:
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # of the older name of Ed25519
            jws.deserialize_compact(text, key.key, registry=registry)
    except (JoseError, ValueError):
        return False
    return True


def _check_names(token: Token, issuer: Issuer) -> Rejected | None:
    trusted, audience = issuer.trusted, token.audience
    if token.iss not in trusted.issuers:
        return Rejected(reason="it is of another issuer")
    if set(trusted.audiences).isdisjoint(audience):
        found, wanted = foreign(", ".join(audience)), ", ".join(trusted.audiences)
        return Rejected(
            reason=f"it is for '{found}' ('aud'), not for this cluster ('{wanted}'); get a token"
            " for this cluster"
        )
    if trusted.tenant and token.claims.get("tid") != trusted.tenant:
        return Rejected(reason=f"it is of another tenant ('tid'), not of {trusted.tenant}")
    if "cnf" in token.claims:
        # RFC 7800: it is worth nothing without a proof, which a bearer does not bring.
        return Rejected(reason="it is bound to a key ('cnf'); get a bearer token")
    return None


def _check_dates(claims: Mapping[str, Any], now: float) -> Rejected | None:
    for name in ("exp", "nbf", "iat"):
        if not _is_date(claims.get(name, 0)):
            return Rejected(reason=f"its '{name}' is not a time in whole seconds")
    if "exp" not in claims:
        return Rejected(reason="it never ends ('exp' is missing)")
    if now > claims["exp"] + CLOCK_TOLERANCE:
        return Rejected(
            reason=f"it expired at {_shown(claims['exp'])}, and it is {_shown(now)} by the"
            " cluster's clock; sign in again, or set the clock that is wrong"
        )
    for name in ("nbf", "iat"):
        if now < claims.get(name, 0) - CLOCK_TOLERANCE:
            return Rejected(
                reason=f"it is not valid before {_shown(claims[name])} ('{name}'), and it is"
                f" {_shown(now)} by the cluster's clock; set the clock that is wrong"
            )
    return None


def _is_date(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LATEST_DATE


def _is_key_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= KEY_ID_LIMIT and value.isprintable()


def _shown(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _object(part: str) -> dict[str, Any]:
    """Raises `ValueError` (of which the decoders' errors are) or `RecursionError`."""
    found = json.loads(
        urlsafe_b64decode(part.encode()).decode(),
        object_pairs_hook=_without_duplicates,
        parse_constant=_no_constant,
    )
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as every other fault of a token
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two parsers could each take another one of them (RFC 7519 §4).
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
