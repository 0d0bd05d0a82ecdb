"""Tokens of trusted issuers at this server's own API: verified as strictly as its own.

What a good one says becomes a `Principal`, whose names have the issuer's prefixes. An id of this
server's own directory never comes from another issuer.
"""

import json
import warnings
from dataclasses import replace
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from towrope.control import issuers
from towrope.control.arm_error import ArmError, unauthenticated
from towrope.control.issuer.tokens import CLOCK_TOLERANCE, TOKEN_LIMIT
from towrope.control.issuer_settings import GUID, IssuerSettings
from towrope.control.issuers import Issuer
from towrope.control.key_sets import Jwk, possible_algorithms
from towrope.control.principal import Principal
from towrope.control.services import Services
from towrope.control.store.groups import ADMINISTRATORS, MemberKind
from towrope.control.store.trusted_issuers import own_among
from towrope.wire import names
from towrope.wire.agent_api import IssuerKind
from towrope.wire.errors import foreign
from towrope.wire.reserved_names import is_presentable, is_reserved

TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
NAME_LIMIT = 1024
GROUPS_LIMIT = 2048
LATEST = 253_402_300_799
"""The end of the year 9999, Unix seconds."""

# The header of a token may name its algorithm, its type and its key, and the thumbprints that
# Entra adds; anything else could choose the key, or how the token is read (RFC 7515 §4.1).
_HEADERS = frozenset({"alg", "typ", "kid", "x5t", "x5t#S256"})

Claims = dict[str, Any]


def issuer_of(text: str) -> str:
    """The `iss` of a token that nobody has verified; empty where it has none."""
    if len(text) > TOKEN_LIMIT or text.count(".") != 2:
        return ""
    try:
        found = _object(text.split(".")[1]).get("iss")
    except (ValueError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


async def principal(services: Services, text: str) -> Principal:
    """Whom a trusted issuer's token is about. Raises `ArmError` (401)."""
    iss = issuer_of(text)
    issuer = await _trusted(services, iss)
    header = _checked_header(text, issuer.settings)
    key = _key(issuer, header)
    if key is None:
        await services.issuer_keys.look_again(issuer.name)
        issuer = await _trusted(services, iss)
        key = _key(issuer, header)
    if key is None:
        raise _not_valid("its key is not one of its issuer's")
    claims = _verified(text, key, header["alg"])
    _check_claims(claims, issuer.settings, now=services.clock())
    found = _principal(claims, issuer)
    return await _without_own(services, found)


async def _trusted(services: Services, iss: str) -> Issuer:
    async with services.database.reading() as connection:
        found = await issuers.every(connection)
    for issuer in found:
        if iss in issuer.settings.issuers:
            return issuer
    raise _not_valid(f"its issuer '{foreign(iss)}' is not trusted here")


# The signature.


def _checked_header(text: str, settings: IssuerSettings) -> Claims:
    try:
        header = _object(text.split(".")[0])
    except (ValueError, RecursionError):
        raise _not_valid("its header is not readable") from None
    if not header.keys() <= _HEADERS or not all(isinstance(v, str) for v in header.values()):
        raise _not_valid("its header has what is never heeded here")
    if header.get("typ", "JWT").lower() not in TYPES:
        raise _not_valid("it is of another type")
    if header.get("alg") not in settings.algorithms:
        raise _not_valid(f"its issuer signs by {', '.join(settings.algorithms)}")
    return header


def _key(issuer: Issuer, header: Claims) -> Jwk | None:
    """The one key that the token can be signed with."""
    keys = issuer.metadata.keys
    if "kid" in header:
        keys = tuple(key for key in keys if key.get("kid") == header["kid"])
    fit = [key for key in keys if header["alg"] in possible_algorithms(key)]
    return fit[0] if len(fit) == 1 else None


def _verified(text: str, key: Jwk, algorithm: str) -> Claims:
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # of the older name of Ed25519
            made = JWKRegistry.import_key(key)
            jws.deserialize_compact(text, made, registry=registry)
        return _object(text.split(".")[1])
    except (JoseError, ValueError, RecursionError):
        raise _not_valid("its signature is not of the key that it names") from None


# The claims.


def _check_claims(claims: Claims, settings: IssuerSettings, *, now: float) -> None:
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(each in settings.audiences for each in named if isinstance(each, str)):
        raise _not_valid("it was made for something else")
    if settings.tenant_id and claims.get("tid") != settings.tenant_id:
        raise _not_valid("it is of another tenant")
    if "cnf" in claims:
        raise _not_valid("it is bound to a key, and this API takes bearer tokens alone")
    if not all(_is_time(claims.get(name, 0)) for name in ("exp", "nbf", "iat")):
        raise _not_valid("its times are not whole seconds")
    if now - CLOCK_TOLERANCE >= claims.get("exp", 0):
        raise _not_valid("it has expired")
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + CLOCK_TOLERANCE:
        raise _not_valid("it is not valid yet")


def _principal(claims: Claims, issuer: Issuer) -> Principal:
    settings = issuer.settings
    is_application = settings.kind is IssuerKind.ENTRA and claims.get("idtyp") == "app"
    by = ("oid",) if is_application else settings.username_claims
    groups = _groups(claims, settings)
    return Principal(
        object_id=_object_id(claims, settings),
        kind=MemberKind.SERVICE_PRINCIPAL if is_application else MemberKind.USER,
        name=_named(settings.username_prefix, _username(claims, by)),
        groups=frozenset(_named(settings.groups_prefix, group) for group in groups),
        # Another provider's names could be the ids of somebody else's groups.
        group_ids=frozenset(groups if settings.kind is IssuerKind.ENTRA else ()),
        issuer=issuer.name,
    )


def _object_id(claims: Claims, settings: IssuerSettings) -> str:
    """Entra's own; for others a GUID made of whom they mean, for role assignments name GUIDs."""
    if settings.kind is IssuerKind.ENTRA:
        found = claims.get("oid")
        if not isinstance(found, str) or not GUID.fullmatch(found):
            raise _not_valid("it does not say whose it is ('oid')")
        return found
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise _not_valid("it does not say whose it is ('sub')")
    return names.external_object_id(claims["iss"], subject)


def _username(claims: Claims, by: tuple[str, ...]) -> str:
    name = next((name for name in by if claims.get(name) not in (None, "")), "")
    found = claims.get(name)
    if not isinstance(found, str):
        raise _not_valid(f"it names nobody by {' or '.join(by)}")
    if name == "email" and claims.get("email_verified", True) is not True:
        raise _not_valid("its issuer has not verified the 'email'")
    return found


def _groups(claims: Claims, settings: IssuerSettings) -> list[str]:
    """Those in the token; of a caller with more than fit into it, none."""
    found = claims.get(settings.groups_claim, [])
    found = [found] if isinstance(found, str) else found
    if not isinstance(found, list) or not all(isinstance(group, str) for group in found):
        raise _not_valid(f"its '{settings.groups_claim}' are not names")
    if len(found) > GROUPS_LIMIT:
        raise _not_valid(f"it names more than {GROUPS_LIMIT} groups")
    return found


def _named(prefix: str, name: str) -> str:
    """A name as it is known here. Raises `ArmError` where nobody may be known so."""
    full = prefix + name
    if len(full) > NAME_LIMIT or not (is_presentable(name) and is_presentable(full)):
        raise _not_valid("a name in it is empty, too long, or has characters that are not seen")
    if is_reserved(name) or is_reserved(full):
        raise _not_valid(
            "it names what starts with 'system:' or 'towrope:', which no issuer may give"
        )
    return full


async def _without_own(services: Services, found: Principal) -> Principal:
    """Without the groups that are this server's own; their ids are for its own tokens to say."""
    said = {found.object_id, *found.groups, *found.group_ids}
    async with services.database.reading() as connection:
        own = await own_among(connection, said)
    if found.object_id.lower() in own:
        raise _not_valid("it says to be of an account of this server, which its issuer is not")
    foreign_to_us = frozenset(each for each in said if each.lower() not in own | {ADMINISTRATORS})
    return replace(
        found,
        groups=found.groups & foreign_to_us,
        group_ids=found.group_ids & foreign_to_us,
    )


def _is_time(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LATEST


def _object(part: str) -> Claims:
    """A part of a token. Raises `ValueError` or `RecursionError`."""
    content = urlsafe_b64decode(part.encode()).decode()
    found = json.loads(content, object_pairs_hook=_once_each, parse_constant=_no_constant)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as every other fault of a token
    return found


def _once_each(pairs: list[tuple[str, Any]]) -> Claims:
    # Two readers could each take another one of them (RFC 7519 §4).
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _not_valid(why: str) -> ArmError:
    return unauthenticated(f"The access token is not valid: {why}.")
