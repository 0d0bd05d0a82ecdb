"""Access tokens on disk, one a file, so that a command that has one needs no network.

A file is named for the server, the account and the scope that its token is for; it holds the
second at which the token ends, and the token. What cannot be read is no token: it is asked for
again. The credential plugin reads it at every start of kubectl, so nothing is imported here that
the interpreter has not loaded anyway; what writes imports what it needs.
"""

import os
import time

try:
    # `hashlib` is the same function, and loads OpenSSL to offer it.
    from _blake2 import blake2b
except ImportError:  # pragma: no cover - an interpreter without the module
    from hashlib import blake2b

ENVIRONMENT = "TOWROPE_CONFIG_DIR"
RENEW_BEFORE = 300.0
"""Seconds: a token that ends sooner is replaced before it is used."""
PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=")
"""Of a bearer token (RFC 6750 §2.1); none of them has a meaning in JSON."""
LIMIT = 1024 * 1024


def config_folder() -> str:
    """Where the client keeps what it remembers."""
    return os.environ.get(ENVIRONMENT) or os.path.join(os.path.expanduser("~"), ".towrope")


def principal_key(server: str, issuer: str, user: str) -> str:
    """A file's name for somebody who signed in to a server, by way of an issuer or its own ('')."""
    return _hash(f"{server}\n{issuer}\n{user.lower()}")


def token_path(folder: str, principal: str, scope: str) -> str:
    """Where the token for `scope` is; scopes are compared without case, as the server does."""
    return os.path.join(folder, "tokens", f"{principal}-{_hash(scope.lower())}")


def _hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def read(path: str) -> tuple[str, int] | None:
    """A token and the Unix second of its end; None where there is none that could be used."""
    try:
        with open(path, encoding="utf-8") as file:
            ends, token = file.read(LIMIT).split()
        return (token, int(ends)) if PLAIN.issuperset(token) else None
    except (OSError, ValueError):
        return None


def fresh(path: str) -> tuple[str, int] | None:
    """As `read`, if the token lasts long enough to be used."""
    found = read(path)
    return found if found is not None and lasts(found[1]) else None


def lasts(ends: int) -> bool:
    return ends - time.time() >= RENEW_BEFORE


def write(path: str, token: str, ends: int) -> None:
    """Keeps a token; one that a header could not carry is not kept. Raises `OSError`."""
    from pathlib import Path

    from towrope.ops.files import write_private

    if PLAIN.issuperset(token):
        write_private(Path(path), f"{ends}\n{token}\n")
