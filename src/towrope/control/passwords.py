"""Passwords of local accounts: hashed by argon2id (RFC 9106), and the rule for a new one.

A password is compared in threads of its own, few at a time, because each comparison takes 64 MiB;
an account that is unknown costs as much as one that is known. Who may try how often is decided in
`throttle`.
"""

import asyncio
import secrets
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from towrope.wire.errors import Hop, TowropeError

T = TypeVar("T")

SHORTEST = 12
LONGEST = 256
"""Characters; the time that a longer one takes is nobody's to choose."""
AT_ONCE = 2
WAITING_LIMIT = 64

_hasher = PasswordHasher()  # RFC 9106 §4, the second recommended choice


class Busy(TowropeError):
    """More people sign in at this moment than the server has memory to compare passwords for."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retryable = True


class _Threads:
    """Runs what is slow, `AT_ONCE` at a time; refuses once `WAITING_LIMIT` are there."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._inside = 0

    async def run(self, work: Callable[[], T]) -> T:
        if self._inside >= WAITING_LIMIT:
            raise Busy("Too many people sign in at this moment; try again soon.", hop=Hop.SERVER)
        self._inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._inside -= 1


_threads = _Threads()


def complaint(text: str, *, user_principal_name: str) -> str | None:
    """Why `text` cannot be the password of this account: a sentence; None where it can."""
    if len(text) < SHORTEST:
        return f"The password must have at least {SHORTEST} characters."
    if len(text) > LONGEST:
        return f"The password must have at most {LONGEST} characters."
    if not text.strip():
        return "The password must not be blank."
    name = user_principal_name.casefold()
    if text.casefold() in (name, name.partition("@")[0]):
        return "The password must not be the name of the account."
    return None


async def hash_password(text: str) -> str:
    """In argon2's own notation, with a salt of its own. Raises `Busy`."""
    return await _threads.run(lambda: _hasher.hash(_octets(text)))


async def verify(text: str, password_hash: str | None) -> bool:
    """Whether `text` is the password; with no hash it never is, after as much work.

    Raises `Busy`.
    """
    return await _threads.run(lambda: _is_right(text, password_hash or _nobodys()))


def needs_rehash(password_hash: str) -> bool:
    """Whether it was made with other parameters than are in use."""
    return _hasher.check_needs_rehash(password_hash)


def _is_right(text: str, password_hash: str) -> bool:
    try:
        return _hasher.verify(password_hash, _octets(text[: LONGEST + 1]))
    except (VerificationError, InvalidHashError):
        return False


def _octets(text: str) -> bytes:
    # RFC 8265 §4.2: one form of what different keyboards send for the same characters.
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")


def _nobodys() -> str:
    """A hash with the parameters in use that no password is known for."""
    salt, digest = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (_hasher.salt_len, _hasher.hash_len)
    )
    cost = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    return f"$argon2id$v=19${cost}${salt}${digest}"
