"""What a verified token's claims make of its bearer: the names that the apiserver will know it by.

Prefixes are the issuer's. Nothing passes that Kubernetes keeps for itself (`system:`), or the agent
(`towrope:`), however it is written, nor a name that two readers could take for two things.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from towrope.agent.caller import Caller
from towrope.agent.tokens import Rejected, Verified
from towrope.wire.agent_api import IssuerKind, TrustedIssuer
from towrope.wire.errors import foreign
from towrope.wire.names import external_object_id
from towrope.wire.reserved_names import is_reserved

NAME_LIMIT = 1024
"""Characters of a user's or a group's name."""
GROUPS_LIMIT = 2048
"""Groups of one token."""

OBJECT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""In lower case: what role assignments name a principal by."""

# Such as object ids and principal names: what needs no closer look.
_ORDINARY = re.compile(r"[0-9A-Za-z@._-]{1,256}")


def caller_of(verified: Verified) -> Caller | Rejected:
    """A function of the claims and the issuer alone."""
    claims, trusted = verified.claims, verified.issuer.trusted
    username = _username(verified)
    if isinstance(username, Rejected):
        return username
    groups = _groups(claims, trusted)
    if isinstance(groups, Rejected):
        return groups
    uid = object_id(verified)
    if not isinstance(uid, str) or not uid:
        return Rejected(reason="it does not say whose it is ('oid' or 'sub')")
    is_object_id = trusted.kind is IssuerKind.OIDC or "oid" in claims
    name = trusted.username_prefix + username
    prefixed = tuple(dict.fromkeys(trusted.groups_prefix + group for group in groups))
    return check_names((username, name, uid, *groups, *prefixed)) or Caller(
        username=name,
        groups=prefixed,
        uid=uid,
        extra={"oid": (uid,)} if is_object_id else {},
        issuer=trusted.name,
        is_external=trusted.kind is not IssuerKind.TOWROPE,
        object_ids=(uid,) if is_object_id and OBJECT_ID.fullmatch(uid.lower()) else (),
    )


def object_id(verified: Verified) -> Any:
    """Of an OpenID provider it is made of whom the token means: its `oid`, if any, means nothing.
    Elsewhere `oid`, else `sub`."""
    claims = verified.claims
    if verified.issuer.trusted.kind is IssuerKind.OIDC:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            return None
        return external_object_id(claims["iss"], subject)
    return claims.get("oid", claims.get("sub"))


def is_application(verified: Verified) -> bool:
    """Of an issuer with Entra's claims; elsewhere `idtyp` means nothing."""
    is_known = verified.issuer.trusted.kind is not IssuerKind.OIDC
    return is_known and verified.claims.get("idtyp") == "app"


def check_names(names: Iterable[str]) -> Rejected | None:
    """Whether the apiserver may be told these names as the caller's."""
    for name in names:
        if _ORDINARY.fullmatch(name) is not None:
            continue
        if not name or len(name) > NAME_LIMIT or not _is_plain(name):
            return Rejected(
                reason=f"it names '{foreign(name)}', which is empty, over {NAME_LIMIT} characters,"
                " or has white space at an end or characters that cannot be seen"
            )
        if is_reserved(name):
            return Rejected(
                reason=f"it names '{foreign(name)}': names that start with 'system:' or"
                " 'towrope:' are ones that no issuer may give"
            )
    return None


def _is_plain(name: str) -> bool:
    return name == name.strip() and not any(
        unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in name
    )


def _username(verified: Verified) -> str | Rejected:
    claims = verified.claims
    wanted = ("oid",) if is_application(verified) else verified.issuer.trusted.username_claims
    claim = next((name for name in wanted if claims.get(name) not in (None, "")), "")
    found = claims.get(claim)
    if not isinstance(found, str):
        return Rejected(reason=f"it names no user: none of {', '.join(wanted)} is a text in it")
    if claim == "email" and claims.get("email_verified", True) is not True:
        return Rejected(reason="its 'email' is not verified by the issuer")
    return found


def _groups(claims: Mapping[str, Any], trusted: TrustedIssuer) -> list[str] | Rejected:
    found = claims.get(trusted.groups_claim, [])
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, list) or not all(isinstance(group, str) for group in found):
        return Rejected(reason=f"its '{foreign(trusted.groups_claim)}' is not a list of texts")
    if len(found) > GROUPS_LIMIT:
        return Rejected(reason=f"it names more than {GROUPS_LIMIT} groups")
    return found
