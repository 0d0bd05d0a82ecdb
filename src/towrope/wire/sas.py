"""Shared access signatures: who may listen on, and send to, a hybrid connection.

The token is Azure Relay's. Its key is not stored anywhere: it is derived from the relay's master
secret, the path, the rule's name and the rule's rights, so that any relay node verifies what the
control plane minted, with nothing looked up, and a key of one path is worth nothing at another.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from towrope.wire.errors import Forbidden, Hop, Unauthenticated, foreign

SCHEME = "SharedAccessSignature "
TOKEN_LIMIT = 4096
KEY_NAME_LIMIT = 256
AUDIENCE_SCHEMES = frozenset({"http", "https", "ws", "wss", "sb"})
FIELDS = frozenset({"sr", "sig", "se", "skn"})


class Right(StrEnum):
    """What an authorization rule allows; Azure's names. `Manage` includes the other two."""

    LISTEN = "Listen"
    SEND = "Send"
    MANAGE = "Manage"


class Slot(StrEnum):
    """Each rule has two keys, so that a client can move from one to the other."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


Rights = frozenset[Right]

# Every set of rights that a rule can have. A token does not say which one its rule has, so the
# verifier tries the keys of each set that includes the right it needs.
RIGHTS_SETS: tuple[Rights, ...] = (
    frozenset({Right.LISTEN}),
    frozenset({Right.SEND}),
    frozenset({Right.LISTEN, Right.SEND}),
    frozenset({Right.LISTEN, Right.SEND, Right.MANAGE}),
)


def derive_key(
    master: bytes, *, path: str, rule: str, rights: Rights, slot: Slot = Slot.PRIMARY
) -> str:
    """The key of an authorization rule, as base64 text (44 characters); RFC 5869.

    `path` is the hybrid connection's name, compared without case as Azure does.
    """
    assert rights in RIGHTS_SETS, f"not a rule's rights: {sorted(rights)}"
    parts = (path.lower(), rule, ",".join(sorted(rights)), slot)
    info = b"towrope sas v1" + b"".join(
        len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts
    )
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(master)
    return base64.b64encode(derived).decode()


def mint(*, audience: str, key: str, rule: str, expires_at: float) -> str:
    """A token for `audience` (such as `http://host/path`) until `expires_at` (Unix seconds)."""
    resource = quote(audience, safe="")
    expiry = str(int(expires_at))
    signature = quote(_sign(key, resource, expiry), safe="")
    return f"{SCHEME}sr={resource}&sig={signature}&se={expiry}&skn={quote(rule, safe='')}"


def _sign(key: str, resource: str, expiry: str) -> str:
    digest = hmac.new(key.encode(), f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SasToken:
    """A token's fields. `resource` and `expiry` are as received: that is what was signed."""

    resource: str
    path: str
    """The path of the audience, without slashes around it; empty for a whole namespace."""
    signature: str
    expiry: str
    rule: str

    @property
    def expires_at(self) -> int:
        return int(self.expiry)

    def covers(self, path: str) -> bool:
        """Whether the audience is `path` itself or a parent of it."""
        mine, asked = self.path.lower(), path.strip("/").lower()
        return not mine or mine == asked or asked.startswith(mine + "/")


def parse(text: str) -> SasToken:
    """Reads a token; raises `Unauthenticated` where it is not one."""
    if len(text) > TOKEN_LIMIT:
        raise _malformed("it is too long")
    if not text.startswith(SCHEME):
        raise _malformed("it does not start with 'SharedAccessSignature '")
    fields = _fields(text.removeprefix(SCHEME))
    if not re.fullmatch(r"[0-9]{1,12}", fields["se"]):
        raise _malformed("the expiry 'se' is not a number of seconds")
    rule = unquote_plus(fields["skn"])
    if not rule or len(rule) > KEY_NAME_LIMIT:
        raise _malformed("the key name 'skn' is empty or too long")
    # A '+' in base64 may have been left unencoded by the client.
    signature = unquote_plus(fields["sig"].replace("+", "%2B"))
    try:
        base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed("the signature 'sig' is not base64") from None
    return SasToken(
        resource=fields["sr"],
        path=_audience_path(fields["sr"]),
        signature=signature,
        expiry=fields["se"],
        rule=rule,
    )


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for pair in text.split("&"):
        name, equals, value = pair.partition("=")
        if not equals or name not in FIELDS or name in fields:
            raise _malformed(f"unexpected field '{foreign(name)[:16]}'")
        fields[name] = value
    if missing := sorted(FIELDS - fields.keys()):
        raise _malformed(f"no field '{missing[0]}'")
    return fields


def _audience_path(resource: str) -> str:
    try:
        parts = urlsplit(unquote_plus(resource, errors="strict"))
        path = unquote(parts.path, errors="strict").strip("/")
    except ValueError:
        raise _malformed("the audience 'sr' is not a URI") from None
    if parts.scheme.lower() not in AUDIENCE_SCHEMES:
        raise _malformed("the audience 'sr' is not a URI")
    return path


def verify(
    text: str, *, master: bytes, path: str, right: Right, now: float, target: str | None = None
) -> SasToken:
    """The token, if it allows `right` on the hybrid connection `path` at `now`.

    It must be signed with a key of that very hybrid connection, whose audience is `path` or a
    parent of it, or of `target`, where a sender names more than the path. The key of a parent
    counts for nothing: whoever may create a hybrid connection gains nothing below its name.

    Raises `Unauthenticated` (401: malformed, expired, not signed by us) or `Forbidden` (403: a good
    token, but for another path or another right).
    """
    token = parse(text)
    rights = signed_rights(token, master=master, path=path)
    if rights is None:
        raise not_signed(token, master=master)
    if token.expires_at <= now:
        raise Unauthenticated(
            f"The token expired {int(now - token.expires_at)} s ago. Ask for a new one, or"
            " check both clocks.",
            hop=Hop.RELAY,
        )
    if not token.covers(target if target is not None else path):
        raise _foreign_token()
    if right not in rights:
        raise Forbidden(f"The token's rule has no '{right}' right.", hop=Hop.RELAY)
    return token


def signed_rights(token: SasToken, *, master: bytes, path: str) -> Rights | None:
    """The rights of the rule of `path` whose key signed the token; None where none did."""
    for rights in RIGHTS_SETS:
        for slot in Slot:
            key = derive_key(master, path=path, rule=token.rule, rights=rights, slot=slot)
            expected = _sign(key, token.resource, token.expiry)
            if hmac.compare_digest(expected.encode(), token.signature.encode()):
                return rights
    return None


def not_signed(token: SasToken, *, master: bytes) -> Unauthenticated | Forbidden:
    """Why a token that no key of the path in question signed is refused: foreign, or forged."""
    if signed_rights(token, master=master, path=token.path) is not None:
        return _foreign_token()
    return Unauthenticated(
        "The token's signature is not valid: its key does not belong to this hybrid connection."
        " Ask the control plane for a new one.",
        hop=Hop.RELAY,
    )


def _foreign_token() -> Forbidden:
    return Forbidden("The token is for another hybrid connection.", hop=Hop.RELAY)


def _malformed(what: str) -> Unauthenticated:
    return Unauthenticated(f"The token is malformed: {what}.", hop=Hop.RELAY)


def audience(host: str, path: str) -> str:
    """The audience that clients of Azure Relay use: always `http`, no slash at the end."""
    return f"http://{host}/{quote(path, safe='/$')}"
