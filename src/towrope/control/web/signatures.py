"""Keyed hashes over a few texts, each kind of use apart from the others.

The key is derived from the installation's master key; what is signed comes back from browsers.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

INFO = b"towrope sign-in pages"


class Signatures:
    def __init__(self, master: bytes) -> None:
        self._key = HKDF(algorithm=SHA256(), length=32, salt=None, info=INFO).derive(master)

    def sign(self, use: str, *parts: str) -> str:
        """Lower-case hexadecimal."""
        content = b"".join(_framed(part) for part in (use, *parts))
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()

    def is_good(self, signature: str, use: str, *parts: str) -> bool:
        given = signature.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(given, self.sign(use, *parts).encode())


def _framed(part: str) -> bytes:
    # With its length before it, no two lists of parts give the same bytes.
    octets = part.encode("utf-8", "surrogatepass")
    return len(octets).to_bytes(4, "big") + octets
