"""HTTP/1.1 message bodies: where they end, taken apart and framed anew (RFC 9112 §6, §7.1).

Whatever two parsers could read differently is refused: two lengths (equal ones too), a length with
a transfer coding, any coding but `chunked`, chunk extensions. Trailers are checked and dropped.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from towrope.wire.errors import Cut, Hop, Malformed, foreign
from towrope.wire.head import Field, Fields, RequestHead, ResponseHead, parse_fields

FRAMING_FIELDS = (b"content-length", b"transfer-encoding")
"""RFC 9110 §6.5.1: they mean nothing in trailers, and something to a parser that merges those."""
TRAILER_LIMIT = 8 * 1024
SIZE_LINE_LIMIT = 18
"""Sixteen hexadecimal digits and CRLF."""

_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")


class Kind(Enum):
    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_CLOSE = auto()
    """Of responses only: whatever comes until the connection is closed in order."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How a message's body is delimited."""

    kind: Kind
    length: int = 0

    def fields(self) -> tuple[Field, ...]:
        """The header fields that announce it."""
        if self.kind is Kind.LENGTH:
            return ((b"Content-Length", b"%d" % self.length),)
        if self.kind is Kind.CHUNKED:
            return ((b"Transfer-Encoding", b"chunked"),)
        return ()


NONE = Framing(Kind.NONE)
CHUNKED = Framing(Kind.CHUNKED)
UNTIL_CLOSE = Framing(Kind.UNTIL_CLOSE)


def request_framing(head: RequestHead) -> Framing:
    """How the body after a request's head is delimited. Raises `Malformed`."""
    return _announced(head.fields, head.minor, Hop.AGENT) or NONE


def response_framing(head: ResponseHead, *, method: bytes) -> Framing:
    """How the body of a response to `method` is delimited (RFC 9112 §6.3). Raises `Malformed`."""
    announced = _announced(head.fields, head.minor, Hop.APISERVER)
    if head.status < 200 or head.status == 204:
        # RFC 9110 §8.6: these have no body, so a sender that announces one is confused.
        if announced is not None and announced != Framing(Kind.LENGTH, 0):
            raise _malformed(f"a {head.status} response announces a body", Hop.APISERVER)
        return NONE
    if method == b"HEAD" or head.status == 304:
        return NONE
    return announced or UNTIL_CLOSE


def _announced(fields: Fields, minor: int, hop: Hop) -> Framing | None:
    lengths, codings = fields.all(b"content-length"), fields.all(b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise _malformed("its length is announced more than once", hop)
    if codings:
        if minor == 0:
            raise _malformed("Transfer-Encoding in HTTP/1.0", hop)
        if codings[0].lower() != b"chunked":
            raise _malformed(f"transfer coding '{foreign(codings[0])}', not 'chunked'", hop)
        return CHUNKED
    if not lengths:
        return None
    if _LENGTH.fullmatch(lengths[0]) is None:
        raise _malformed(f"Content-Length '{foreign(lengths[0])}' is not a number of bytes", hop)
    return Framing(Kind.LENGTH, int(lengths[0]))


class _State(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILERS = auto()
    DONE = auto()


class Decoder:
    """Takes a body out of a connection's bytes, piece by piece, and nothing beyond its end."""

    def __init__(self, framing: Framing, *, hop: Hop = Hop.AGENT) -> None:
        self._kind = framing.kind
        self._hop = hop
        self._left = framing.length
        """Bytes to come of the body, or of the chunk."""
        self._state = _State.SIZE if framing.kind is Kind.CHUNKED else _State.DATA
        if framing.kind is Kind.NONE or framing == Framing(Kind.LENGTH, 0):
            self._state = _State.DONE

    @property
    def is_complete(self) -> bool:
        return self._state is _State.DONE

    def feed(self, data: bytes | bytearray | memoryview) -> tuple[list[bytes], int]:
        """The pieces of the body in `data`, and how many bytes were consumed.

        What was not consumed is to be given again, with more after it; once the body is complete
        it belongs to the next message. Raises `Malformed`.
        """
        pieces: list[bytes] = []
        start = 0
        # The views are released even on an error, or the caller could not change its buffer.
        with memoryview(data) as view:
            while not self.is_complete:
                with view[start:] as rest:
                    used = self._step(rest, pieces)
                if used == 0:
                    break
                start += used
        return pieces, start

    def end(self) -> None:
        """The connection ended in order here: raises `Cut` unless that ends the body."""
        if self._kind is Kind.UNTIL_CLOSE:
            self._state = _State.DONE
        if not self.is_complete:
            raise Cut("The connection ended before the message's body did.", hop=self._hop)

    def _step(self, view: memoryview, pieces: list[bytes]) -> int:
        if self._state is _State.DATA:
            return self._data(view, pieces)
        if self._state is _State.SIZE:
            return self._size(view)
        if self._state is _State.DATA_END:
            return self._data_end(view)
        return self._trailers(view)

    def _data(self, view: memoryview, pieces: list[bytes]) -> int:
        if self._kind is Kind.UNTIL_CLOSE:
            piece = bytes(view)
        else:
            piece = bytes(view[: self._left])
            self._left -= len(piece)
            if self._left == 0:
                self._state = _State.DATA_END if self._kind is Kind.CHUNKED else _State.DONE
        if piece:
            pieces.append(piece)
        return len(piece)

    def _size(self, view: memoryview) -> int:
        line, used = self._line(bytes(view[:SIZE_LINE_LIMIT]), limit=SIZE_LINE_LIMIT)
        if line is None:
            return 0
        if _CHUNK_SIZE.fullmatch(line) is None:
            raise self._broken("a chunk's size is not hexadecimal digits alone")
        self._left = int(line, 16)
        self._state = _State.DATA if self._left else _State.TRAILERS
        return used

    def _data_end(self, view: memoryview) -> int:
        end = bytes(view[:2])
        if end == b"\r\n":
            self._state = _State.SIZE
            return 2
        if end not in (b"", b"\r"):
            raise self._broken("a chunk is longer than its size")
        return 0

    def _trailers(self, view: memoryview) -> int:
        section = bytes(view[:TRAILER_LIMIT])
        if section.startswith(b"\r\n"):
            self._state = _State.DONE
            return 2
        end = section.find(b"\r\n\r\n")
        if end < 0:
            if len(section) >= TRAILER_LIMIT:
                raise self._broken(f"its trailers are over {TRAILER_LIMIT} bytes")
            if b"\n" in section.replace(b"\r\n", b""):
                raise self._broken("a line of its trailers ends with a bare LF")
            return 0
        trailers = parse_fields(section[:end])
        if any(trailers.all(name) for name in FRAMING_FIELDS):
            raise self._broken("its trailers announce a body")
        self._state = _State.DONE
        return end + 4

    def _line(self, data: bytes, *, limit: int) -> tuple[bytes | None, int]:
        line, newline, _ = data.partition(b"\r\n")
        if newline:
            return line, len(line) + 2
        # Nothing that can still become a size line: refused at once, not waited for.
        if len(data) >= limit or not _CHUNK_SIZE.fullmatch(data.removesuffix(b"\r") or b"0"):
            raise self._broken("a chunk's size is not hexadecimal digits alone")
        return None, 0

    def _broken(self, what: str) -> Malformed:
        return _malformed(what, self._hop)


class Encoder:
    """Frames a body for the next hop."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._sent = 0

    def encode(self, pieces: Sequence[bytes]) -> bytes:
        """The bytes to send for the next pieces; all of them make one chunk."""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._sent += len(data)
        assert self._framing.kind is not Kind.NONE or not data, "a body where none may be"
        if self._framing.kind is Kind.CHUNKED:
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return data

    def end(self) -> bytes:
        """The bytes that end the body."""
        if self._framing.kind is Kind.CHUNKED:
            return b"0\r\n\r\n"
        assert self._framing.kind is not Kind.LENGTH or self._sent == self._framing.length
        return b""


def _malformed(what: str, hop: Hop) -> Malformed:
    return Malformed(f"The HTTP message is refused: {what}.", hop=hop)
