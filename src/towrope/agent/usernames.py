"""What a verified token's claims make of its bearer: the names that the apiserver will know it by.

Prefixes are the issuer's. Nothing that Kubernetes keeps for itself (`system:`) passes, however it
is written, nor a name that two readers could take for two things.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from towrope.agent.caller import Caller
from towrope.agent.tokens import Rejected, Verified
from towrope.wire.agent_api import IssuerKind, TrustedIssuer
from towrope.wire.errors import foreign

NAME_LIMIT = 1024
"""Characters of a user's or a group's name."""
GROUPS_LIMIT = 2048
"""Groups of one token."""
RESERVED = "system:"
LAYERS = 16
"""Times that a name may be encoded for us to say what it is; one more is refused."""

# Letters to Unicode, and nothing to a reader: the fillers of Hangul.
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
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
    name = trusted.username_prefix + username
    named = (username, name, uid, *groups, *(trusted.groups_prefix + group for group in groups))
    return check_names(named) or Caller(
        username=name,
        groups=tuple(dict.fromkeys(trusted.groups_prefix + group for group in groups)),
        uid=uid,
        extra={"oid": (uid,)} if "oid" in claims else {},
        issuer=trusted.name,
    )


def object_id(verified: Verified) -> Any:
    """`oid`, else `sub`."""
    return verified.claims.get("oid", verified.claims.get("sub"))


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
                reason=f"it names '{foreign(name)}': names that start with '{RESERVED}' are"
                " Kubernetes's own, and no issuer may give them"
            )
    return None


def is_reserved(name: str) -> bool:
    """Whether anybody could read it as one of Kubernetes's own, after whatever decoding."""
    for _ in range(LAYERS):
        seen = _seen(name)
        if seen.startswith(RESERVED):
            return True
        if seen == name:
            return False
        name = seen
    return True


def _seen(name: str) -> str:
    """One layer less: percent-decoded, without compatibility forms, case, and what is not seen."""
    folded = unicodedata.normalize("NFKD", unquote(name, errors="ignore")).casefold()
    return "".join(c for c in folded if _is_seen(c))


def _is_seen(character: str) -> bool:
    # Controls and formats, separators, and marks on the letter before.
    return unicodedata.category(character)[0] not in "CZM" and character not in _FILLERS


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
