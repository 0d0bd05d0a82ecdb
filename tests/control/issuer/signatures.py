"""Signed tokens with any header, written by hand: libraries refuse to write most of them."""

import base64
import hmac
import json
from typing import Any

from joserfc.jws import JWSRegistry


def signed(header: Any, claims: Any, signer: Any, *, algorithm: str | None = None) -> str:
    """`algorithm` signs where the header names another. Without a signer there is no signature."""
    text = b".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
    return b".".join((text, _encode(_signature(algorithm or header["alg"], text, signer)))).decode()


def _signature(algorithm: str, text: bytes, signer: Any) -> bytes:
    if signer is None:
        return b""
    if algorithm == "HS256":
        return hmac.digest(signer, text, "sha256")
    return JWSRegistry.algorithms[algorithm].sign(text, signer)


def _encode(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")
