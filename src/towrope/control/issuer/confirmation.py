"""Tokens bound to a key (`token_type=pop`), as Arc's client asks for them (RFC 7800, `cnf`)."""

import base64
import binascii

import msgspec

from towrope.control.issuer.forms import Form, required
from towrope.control.issuer.oauth_error import invalid_request

POP = "pop"
REQUEST_LIMIT = 1024
KEY_ID_LIMIT = 128


class _RequestedKey(msgspec.Struct, frozen=True, kw_only=True):
    kid: str


def key_id(form: Form) -> str | None:
    """Of the key that the token is to be bound to; None: a bearer token. Raises `OAuthError`."""
    if form.get("token_type", "").lower() != POP:
        return None
    text = required(form, "req_cnf")
    try:
        raw = base64.b64decode(text[:REQUEST_LIMIT] + "==", altchars=b"-_")
        asked = msgspec.json.decode(raw, type=_RequestedKey)
    except (binascii.Error, ValueError, RecursionError):
        raise _not_a_key() from None
    if not 0 < len(asked.kid) <= KEY_ID_LIMIT or form.get("key_id", asked.kid) != asked.kid:
        raise _not_a_key()
    return asked.kid


def _not_a_key() -> Exception:
    return invalid_request(
        "The parameter 'req_cnf' must be the base64url of a JSON object with the 'kid' of a key,"
        " the one that 'key_id' names."
    )
