"""One end of a stream: a WebSocket presented as an asyncio transport.

A stream is its two ends' own. With the subprotocol `towrope.v1`, binary messages are its bytes and
text messages its control (`wire.messages.StreamMessage`), so that an end knows whether it has all:
a WebSocket that closes before `eof` has cut the stream, and the protocol's `connection_lost` gets a
`Cut`. Without it (another Hybrid Connections client at the far end), a normal close is the end.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

from towrope.tunnel.websocket import Closing, Kind, Receiver, WebSocket, feed
from towrope.wire import messages
from towrope.wire.errors import Cut, Hop, Malformed, foreign

WRITE_LIMIT = 256 * 1024
"""The largest frame sent; well under what a relay takes."""


class StreamTransport(asyncio.Transport, Receiver):
    """A stream as a transport for any asyncio protocol, TLS included.

    It does not call `connection_made`: whoever makes it does. It reads only once it has a protocol.
    """

    def __init__(self, ws: WebSocket, *, hop: Hop) -> None:
        super().__init__()
        self._ws = ws
        self._hop = hop
        self._is_v1 = ws.subprotocol == messages.SUBPROTOCOL
        self._protocol: asyncio.BaseProtocol | None = None
        self._held: deque[bytes] = deque()
        self._paused = False
        self._in_text = False
        self._text = bytearray()
        self._sent = 0
        self._received = 0
        self._eof_sent = False
        self._eof_received = False
        self._eof_told = False
        self._closing = False
        self._failure: Exception | None = None
        self._closed: Closing | None = None
        ws.receiver = self
        if ws.is_closed:
            self.closed(Closing(code=1006))

    # What the protocol does with its transport.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        asyncio.get_running_loop().call_soon(self._drain)

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None, "no protocol yet"
        return self._protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self._eof_sent, "write after write_eof"
        if self._closing or not data:
            return
        if len(data) <= WRITE_LIMIT:
            self._ws.send_binary(data)
        else:
            view = memoryview(data).cast("B")
            for start in range(0, len(view), WRITE_LIMIT):
                self._ws.send_binary(view[start : start + WRITE_LIMIT])
        self._sent += len(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return self._is_v1

    def write_eof(self) -> None:
        if self._eof_sent or self._closing:
            return
        self._eof_sent = True
        if self._is_v1:
            eof = messages.StreamMessage(eof=messages.Eof(offset=self._sent))
            self._ws.send_text(messages.encode(eof))
        if self._eof_received:
            self._finish()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Ends the stream in order: what was written arrives, and then its end."""
        if not self._closing:
            self.write_eof()
            self._finish()

    def abort(self) -> None:
        """Gives the stream up; the far end learns that it is not whole."""
        self._abort("the other end gave up")

    def _force_close(self, _exc: BaseException | None) -> None:  # what TLS transports call
        self.abort()

    def _abort(self, reason: str) -> None:
        if self._closing:
            return
        self._closing = True
        if self._is_v1:
            reset = messages.StreamMessage(reset=messages.Reset(reason=reason))
            self._ws.send_text(messages.encode(reset))
        self._ws.close(1011, reason)
        # A peer that does not read must not keep the memory of what it was sent.
        asyncio.get_running_loop().call_later(1.0, self._ws.abort)

    def _finish(self) -> None:
        self._closing = True
        self._ws.close()

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        self._paused = True
        self._ws.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        self._drain()

    def get_write_buffer_size(self) -> int:
        return self._ws.write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._ws.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._ws.extra_info(name, default)

    # What the WebSocket tells its receiver.

    def frame_received(self, kind: Kind, payload: memoryview, *, fin: bool) -> None:
        if kind is Kind.TEXT or (kind is Kind.CONTINUATION and self._in_text):
            self._in_text = not fin
            self._text_received(payload, whole=fin)
            return
        self._in_text = False
        self._received += len(payload)
        if self._protocol is None or self._paused or self._held:
            self._held.append(bytes(payload))
        else:
            feed(self._protocol, payload)

    def _text_received(self, payload: memoryview, *, whole: bool) -> None:
        self._text += payload
        try:
            if len(self._text) > messages.MESSAGE_LIMIT:
                raise Malformed("A control message of the stream is too long.", hop=self._hop)
            if not whole or not self._is_v1:
                return
            message = messages.decode_stream(bytes(self._text))
        except Malformed as error:
            self._fail(error)
            return
        finally:
            if whole:
                self._text.clear()
        if message.reset is not None:
            self._fail(
                Cut(f"The stream was reset: {foreign(message.reset.reason)}.", hop=self._hop)
            )
        elif message.eof is not None and not self._eof_received:
            self._eof(message.eof.offset)

    def _eof(self, offset: int) -> None:
        if offset != self._received:
            self._fail(
                Cut(f"The stream lost bytes: {offset} sent, {self._received} came.", hop=self._hop)
            )
            return
        self._eof_received = True
        self._drain()

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._abort("the stream failed")

    def closed(self, closing: Closing) -> None:
        self._closed = closing
        self._closing = True
        asyncio.get_running_loop().call_soon(self._drain)

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    def _drain(self) -> None:
        """Delivers what waits for the protocol, in order: bytes, their end, the end of all."""
        if self._protocol is None:
            return
        while self._held and (not self._paused or self._closed):
            feed(self._protocol, self._held.popleft())
        if self._held:
            return
        if self._eof_received and not self._paused and not self._eof_told:
            self._eof_told = True
            keeps_open = (
                self._protocol.eof_received() if hasattr(self._protocol, "eof_received") else None
            )
            if self._eof_sent or not keeps_open:
                self.close()
        if self._closed is not None:
            self._lose()
        elif not self._paused:
            self._ws.resume_reading()

    def _lose(self) -> None:
        assert self._closed is not None
        protocol, self._protocol = self._protocol, None
        assert protocol is not None
        whole = self._eof_received if self._is_v1 else self._closed.is_normal
        failure = self._failure
        if failure is None and not whole:
            failure = Cut(
                f"The stream was cut: {self._closed.reason or f'closed with {self._closed.code}'}.",
                hop=self._hop,
            )
        protocol.connection_lost(failure)
