"""Secrets that the server has to give to others, sealed with the installation's master key.

Whoever has the database alone reads none of them. A sealed secret is bound to what it is for, so
that it cannot be opened for anything else.
"""

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_INFO = b"towrope sealed secrets v1"
_NONCE_BYTES = 12


def seal(secret: str, *, master: bytes, purpose: str) -> str:
    """AES-256-GCM (SP 800-38D) with a random nonce; text, to be kept in the database."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = _cipher(master).encrypt(nonce, secret.encode(), purpose.encode())
    return base64.b64encode(nonce + sealed).decode()


def unseal(sealed: str, *, master: bytes, purpose: str) -> str | None:
    """The secret; None where it was sealed for another purpose, by another key, or was changed."""
    try:
        raw = base64.b64decode(sealed, validate=True)
        opened = _cipher(master).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], purpose.encode())
    except (binascii.Error, ValueError, InvalidTag):
        return None
    return opened.decode()


def _cipher(master: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO).derive(master))
