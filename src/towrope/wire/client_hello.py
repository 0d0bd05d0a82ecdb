"""The first message of a TLS client, read only for the server name that it asks for (SNI).

Nothing is decrypted and nothing is answered but an alert: whoever forwards a TLS connection needs
to know for whom it is, and no more. RFC 8446 §4.1.2 and §5.1, RFC 6066 §3.
"""

import re
from dataclasses import dataclass
from enum import IntEnum

from towrope.wire.errors import Hop, Malformed

HELLO_LIMIT = 16 * 1024
"""Bytes of a whole ClientHello with its record headers; real ones have 200 to 2,000."""
HANDSHAKE_RECORD = 0x16

_RECORD_HEADER = 5
_RECORD_LIMIT = 1 << 14
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0
_NAME = re.compile(rb"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")
_NAME_LIMIT = 255


class Alert(IntEnum):
    """What a connection is refused with; RFC 8446 §6.2."""

    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    INTERNAL_ERROR = 80
    UNRECOGNIZED_NAME = 112


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHello:
    """What a TLS client opened with."""

    server_name: str | None
    """Lower case; None where the client named no server."""


def alert(description: Alert) -> bytes:
    """A TLS record with a fatal alert, as an answer to a ClientHello."""
    return bytes((0x15, 3, 3, 0, 2, 2, description))


def parse(data: bytes | bytearray) -> ClientHello | None:
    """Reads the ClientHello at the start of `data`; None while it is not whole.

    Raises `Malformed` as soon as `data` cannot become one within `HELLO_LIMIT`.
    """
    message = _handshake(memoryview(data)[:HELLO_LIMIT])
    if message is not None:
        return ClientHello(server_name=_server_name(_Reader(message)))
    if len(data) >= HELLO_LIMIT:
        raise _malformed(f"it is over {HELLO_LIMIT} bytes")
    return None


def _handshake(data: memoryview) -> bytes | None:
    """The body of the first handshake message, which may span records."""
    message = bytearray()
    at = 0
    while at < len(data):
        if data[at] != HANDSHAKE_RECORD or (at + 1 < len(data) and data[at + 1] != 3):
            raise _malformed("it is not a TLS handshake record")
        if at + _RECORD_HEADER > len(data):
            return None
        length = int.from_bytes(data[at + 3 : at + _RECORD_HEADER], "big")
        if not 0 < length <= _RECORD_LIMIT:
            raise _malformed(f"a record has {length} bytes")
        at += _RECORD_HEADER
        message += data[at : at + length]
        at += length
        wanted = _message_length(message)
        if wanted is not None and len(message) >= wanted:
            return bytes(message[4:wanted])
    return None


def _message_length(message: bytearray) -> int | None:
    if message and message[0] != _CLIENT_HELLO:
        raise _malformed("the first message is not a ClientHello")
    if len(message) < 4:
        return None
    length = 4 + int.from_bytes(message[1:4], "big")
    if length > HELLO_LIMIT:
        raise _malformed(f"it is over {HELLO_LIMIT} bytes")
    return length


class _Reader:
    """Takes fields off the front of a message; `Malformed` where there are too few bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def is_empty(self) -> bool:
        return self._at == len(self._data)

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise _malformed("a field ends after its message")
        self._at += count
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """A field that starts with its length in `size` bytes."""
        return self.take(self.number(size))


def _server_name(hello: _Reader) -> str | None:
    hello.take(2 + 32)  # legacy_version, random
    hello.vector(1)  # legacy_session_id
    hello.vector(2)  # cipher_suites
    hello.vector(1)  # legacy_compression_methods
    if hello.is_empty():  # RFC 8446 §4.1.2: before TLS 1.3 there may be no extensions at all
        return None
    extensions = _Reader(hello.vector(2))
    if not hello.is_empty():
        raise _malformed("bytes follow its extensions")
    found: str | None = None
    while not extensions.is_empty():
        kind, body = extensions.number(2), extensions.vector(2)
        if kind != _SERVER_NAME:
            continue
        if found is not None:
            raise _malformed("it names two servers")
        found = _host_name(_Reader(body))
    return found


def _host_name(extension: _Reader) -> str:
    names = _Reader(extension.vector(2))
    kind, name = names.number(1), names.vector(2)
    # RFC 6066 §3: one name of each type, and there is one type.
    if kind != _HOST_NAME or not names.is_empty() or not extension.is_empty():
        raise _malformed("its server name list is not one host name")
    if len(name) > _NAME_LIMIT or not _NAME.fullmatch(name):
        raise _malformed("its server name is not a DNS name")
    return name.decode("ascii").lower()


def _malformed(what: str) -> Malformed:
    return Malformed(f"The TLS ClientHello is refused: {what}.", hop=Hop.PROXY)
