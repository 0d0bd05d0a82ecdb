"""The errors that the other side or the world can cause, one small tree.

    TowropeError            carries the hop, and the answer to give
    ├── Unreachable         a hop could not be reached at all; worth a retry
    ├── Refused             a hop answered, with a refusal
    │   ├── Unauthenticated     401: the credential is missing, malformed, expired or not ours
    │   ├── Forbidden           403: the credential is good, but not for this
    │   └── NotFound            404: no such thing, or nobody listens
    ├── Malformed           400: the peer broke the protocol
    └── Cut                 a stream ended before its end

Our own faults are assertions, and expected outcomes are values; neither is in this tree.
A message says what was expected, what was found, and what to do. It holds no secret, and at most
256 characters of foreign text (see `foreign`).
"""

from enum import StrEnum
from http import HTTPStatus
from typing import ClassVar

FOREIGN_TEXT_LIMIT = 256


class Hop(StrEnum):
    """Where on the path from kubectl to the apiserver something went wrong."""

    CLIENT = "client"
    PROXY = "proxy"
    SERVER = "server"
    RELAY = "relay"
    AGENT = "agent"
    APISERVER = "apiserver"


class TowropeError(Exception):
    """An expected kind of failure: a sentence, the hop it happened at, and the answer to give."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    close_code: ClassVar[int] = 1011  # RFC 6455 §7.4.1, internal error
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hop: Hop) -> None:
        super().__init__(message)
        self.message = message
        self.hop = hop

    def __str__(self) -> str:
        return self.message


class Unreachable(TowropeError):
    status = HTTPStatus.BAD_GATEWAY
    close_code = 1014
    retryable = True


class Refused(TowropeError):
    status = HTTPStatus.FORBIDDEN
    close_code = 1008


class Unauthenticated(Refused):
    status = HTTPStatus.UNAUTHORIZED


class Forbidden(Refused):
    status = HTTPStatus.FORBIDDEN


class NotFound(Refused):
    status = HTTPStatus.NOT_FOUND
    close_code = 1001


class Malformed(TowropeError):
    status = HTTPStatus.BAD_REQUEST
    close_code = 1002


class Cut(TowropeError):
    status = HTTPStatus.BAD_GATEWAY
    close_code = 1001
    retryable = True


def foreign(text: str | bytes) -> str:
    """Text that a peer chose, made safe to show: bounded, printable, on one line."""
    if isinstance(text, bytes):
        text = text[: FOREIGN_TEXT_LIMIT * 4].decode("utf-8", "replace")
    shown = "".join(c if c.isprintable() else "�" for c in text[:FOREIGN_TEXT_LIMIT])
    return shown + "…" if len(text) > FOREIGN_TEXT_LIMIT else shown
