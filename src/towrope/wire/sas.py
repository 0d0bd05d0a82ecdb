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
from urllib.parse import quote, quote_plus, unquote_plus, urlsplit

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
    """A token's fields. `resource` is still encoded as received: that is what was signed."""

    resource: str
    signature: str
    expires_at: int
    rule: str

    @property
    def path(self) -> str:
        """The path of the audience, without slashes around it; empty for a whole namespace."""
        return urlsplit(unquote_plus(self.resource)).path.strip("/")

    def covers(self, path: str) -> bool:
        """Whether the audience is `path` itself or a parent of it."""
        mine, asked = self.path.lower(), path.strip("/").lower()
        return mine == asked or asked.startswith(mine + "/")


def parse(text: str) -> SasToken:
    """Reads a token; raises `Unauthenticated` where it is not one."""
    if len(text) > TOKEN_LIMIT or not text.startswith(SCHEME):
        raise _malformed("it does not start with 'SharedAccessSignature '")
    fields: dict[str, str] = {}
    for pair in text.removeprefix(SCHEME).split("&"):
        name, equals, value = pair.partition("=")
        if not equals or name not in FIELDS or name in fields:
            raise _malformed(f"unexpected field '{foreign(name)[:16]}'")
        fields[name] = value
    if missing := sorted(FIELDS - fields.keys()):
        raise _malformed(f"no field '{missing[0]}'")
    if not re.fullmatch(r"[0-9]{1,12}", fields["se"]):
        raise _malformed("the expiry 'se' is not a number of seconds")
    rule = unquote_plus(fields["skn"])
    if not rule or len(rule) > KEY_NAME_LIMIT:
        raise _malformed("the key name 'skn' is empty or too long")
    if urlsplit(unquote_plus(fields["sr"])).scheme.lower() not in AUDIENCE_SCHEMES:
        raise _malformed("the audience 'sr' is not a URI")
    return SasToken(
        resource=fields["sr"],
        # A '+' in base64 may have been left unencoded by the client.
        signature=unquote_plus(fields["sig"].replace("+", "%2B")),
        expires_at=int(fields["se"]),
        rule=rule,
    )


def verify(text: str, *, master: bytes, path: str, right: Right, now: float) -> SasToken:
    """The token, if it allows `right` on the hybrid connection `path` at `now`.

    Raises `Unauthenticated` (401: malformed, expired, not signed by us) or `Forbidden` (403: a good
    token, but for another path or another right).
    """
    token = parse(text)
    try:
        base64.b64decode(token.signature, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed("the signature 'sig' is not base64") from None
    signed_for = next(
        (rights for rights in RIGHTS_SETS if _is_signed_by(token, master=master, rights=rights)),
        None,
    )
    if signed_for is None:
        raise Unauthenticated(
            "The token's signature is not valid: its key does not belong to this hybrid"
            " connection. Ask the control plane for a new one.",
            hop=Hop.RELAY,
        )
    if token.expires_at <= now:
        raise Unauthenticated(
            f"The token expired {int(now - token.expires_at)} s ago. Ask for a new one, or"
            " check both clocks.",
            hop=Hop.RELAY,
        )
    if not token.covers(path):
        raise Forbidden("The token is for another hybrid connection.", hop=Hop.RELAY)
    if right not in signed_for:
        raise Forbidden(f"The token's rule has no '{right}' right.", hop=Hop.RELAY)
    return token


def _is_signed_by(token: SasToken, *, master: bytes, rights: Rights) -> bool:
    return any(
        hmac.compare_digest(
            _sign(
                derive_key(master, path=token.path, rule=token.rule, rights=rights, slot=slot),
                token.resource,
                str(token.expires_at),
            ).encode(),
            token.signature.encode(),
        )
        for slot in Slot
    )


def _malformed(what: str) -> Unauthenticated:
    return Unauthenticated(f"The token is malformed: {what}.", hop=Hop.RELAY)


def audience(host: str, path: str) -> str:
    """The audience that clients of Azure Relay use: always `http`, no slash at the end."""
    return f"http://{host}/{quote_plus(path, safe='/$')}"
