"""One end of a stream: a WebSocket presented as an asyncio transport.

A stream is its two ends' own. With the subprotocol `towrope.v1`, binary messages are its bytes and
text messages its control (`wire.messages.StreamMessage`), so that an end knows whether it has all:
a WebSocket that closes before `eof` has cut the stream, and the protocol's `connection_lost` gets a
`Cut`. Without it (another Hybrid Connections client at the far end), a normal close is the end.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from towrope.tunnel.arrivals import Arrivals
from towrope.tunnel.websocket import (
    HANDSHAKE_WITHIN,
    Closing,
    Kind,
    Receiver,
    WebSocket,
    dial,
    feed,
)
from towrope.wire import messages
from towrope.wire.errors import Cut, Hop, Malformed, foreign

WRITE_LIMIT = 256 * 1024
"""The largest frame sent; well under what a relay takes."""
LINGER_FOR = 5.0
"""Seconds in which the far end can end its half, once we have closed."""
CLOSE_WITHIN = 60.0
ABORT_WITHIN = 1.0
"""A peer that does not read must not keep the memory of what it was sent."""


class StreamTransport(asyncio.Transport, Receiver):
    """A stream as a transport for any asyncio protocol, TLS included.

    It does not call `connection_made`: whoever makes it does. It reads only once it has a protocol.
    """

    def __init__(self, ws: WebSocket, *, hop: Hop) -> None:
        super().__init__()
        self._ws = ws
        self._hop = hop
        self._is_v1 = ws.subprotocol == messages.SUBPROTOCOL
        self._protocol: Any = None
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
        self._is_closed_by_us = False
        self._is_lost = False
        self._failure: Exception | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._closed: Closing | None = None
        ws.receiver = self
        if ws.is_closed:
            self.closed(Closing(code=1006))

    # What the protocol does with its transport.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        self._drain_soon()

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None, "no protocol yet"
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or not data:
            return
        assert not self._eof_sent, "write after write_eof"
        view = memoryview(data).cast("B")
        for start in range(0, len(view), WRITE_LIMIT):
            self._ws.send_binary(view[start : start + WRITE_LIMIT])
        self._sent += len(view)

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
        if self._eof_told:
            self._finish()

    def is_closing(self) -> bool:
        # Not yet, while there is something to deliver of what the far end closed in order.
        return self._is_closed_by_us or self._is_lost

    def close(self) -> None:
        """Ends the stream in order: what was written arrives, and then its end.

        What still comes is dropped. The WebSocket stays until the far end has ended its half too:
        closed under what is on its way here, it would be reset, and what we wrote lost.
        """
        if self._is_closed_by_us:
            return
        self.write_eof()
        self._give_up_reading()
        if self._closed is None and (self._eof_received or not self._is_v1):
            self._finish()
        elif self._closed is None:
            self._set_deadline(LINGER_FOR, self._finish)
            self._ws.resume_reading()

    def abort(self) -> None:
        """Gives the stream up; the far end learns that it is not whole."""
        self._abort("the other end gave up")

    def _force_close(self, exc: BaseException | None) -> None:
        # What a TLS transport above calls at its end: without an error once its own close_notify
        # has been written, or where TLS itself tells the far end that the stream was cut.
        if exc is None:
            self.close()
        else:
            self.abort()

    def _abort(self, reason: str) -> None:
        if self._failure is not None:
            return
        self._failure = Cut(f"The stream was cut: {reason}.", hop=self._hop)
        self._give_up_reading()
        if self._closed is not None:
            return
        if self._is_v1:
            reset = messages.StreamMessage(reset=messages.Reset(reason=reason))
            self._ws.send_text(messages.encode(reset))
        self._ws.close(1011, reason)
        self._set_deadline(ABORT_WITHIN, self._ws.abort)

    def _give_up_reading(self) -> None:
        self._closing = self._is_closed_by_us = True
        self._held.clear()
        if self._closed is not None:
            self._drain_soon()

    def _finish(self) -> None:
        self._closing = True
        self._ws.close()
        self._set_deadline(CLOSE_WITHIN, self._ws.abort)

    def _set_deadline(self, seconds: float, action: Callable[[], None]) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, action)

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        self._paused = True
        if not self._closing:
            self._ws.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        if self._held or self._eof_received or self._closed is not None:
            # Never from within the protocol's own call: it is not done with what came before.
            self._drain_soon()
        else:
            self._ws.resume_reading()

    def unread(self, data: bytes) -> None:
        """Puts back what the protocol took, for the next one. Reading must be paused."""
        assert self._paused, "what is put back would be delivered at once"
        if data and not self._is_closed_by_us:
            self._held.appendleft(data)

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
        if self._eof_received:
            self._fail(Malformed("The stream had bytes after its end.", hop=self._hop))
        elif self._closing:
            pass
        elif self._protocol is None or self._paused or self._held:
            self._held.append(bytes(payload))
        else:
            feed(self._protocol, payload)

    def _text_received(self, payload: memoryview, *, whole: bool) -> None:
        self._text += payload
        if len(self._text) > messages.MESSAGE_LIMIT:
            self._text.clear()
            self._fail(Malformed("A control message of the stream is too long.", hop=self._hop))
        if not whole:
            return
        text = bytes(self._text)
        self._text.clear()
        if not self._is_v1 or self._failure is not None:
            return
        try:
            self._message_received(messages.decode_stream(text))
        except Malformed as error:
            self._fail(error)

    def _message_received(self, message: messages.StreamMessage) -> None:
        if message.reset is not None:
            reason = foreign(message.reset.reason)
            self._fail(Cut(f"The stream was reset: {reason}.", hop=self._hop))
        elif message.eof is not None and not self._eof_received:
            self._end_received(message.eof.offset)

    def _end_received(self, offset: int) -> None:
        if offset != self._received:
            lost = f"The stream lost bytes: {offset} sent, {self._received} came."
            self._fail(Cut(lost, hop=self._hop))
            return
        self._eof_received = True
        if self._closing:
            self._finish()
        else:
            self._drain_soon()

    def _fail(self, error: Exception) -> None:
        self._abort("the stream failed")
        self._failure = error

    def closed(self, closing: Closing) -> None:
        if self._closed is not None and self._closed.code != 1006:
            return
        self._closed = closing
        self._closing = True
        if self._deadline is not None:
            self._deadline.cancel()
        if not self._is_v1 and closing.is_normal:
            self._eof_received = True
        self._drain_soon()

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    # What waits for the protocol, in order: bytes, their end, the end of all.

    def _drain_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        if self._protocol is None:
            return
        is_whole = self._eof_received and self._failure is None
        if self._closed is not None and not is_whole:
            self._held.clear()
        while self._held and not self._paused:
            feed(self._protocol, self._held.popleft())
        is_told = self._eof_told or self._is_closed_by_us
        if self._held or (self._paused and is_whole and not is_told):
            return
        if is_whole and not is_told:
            self._tell_end()
        if self._closed is not None:
            self._lose(self._closed)
        elif not self._paused:
            self._ws.resume_reading()

    def _tell_end(self) -> None:
        self._eof_told = True
        # A TLS protocol is no asyncio.Protocol, but has the method.
        keeps_open = self._protocol.eof_received()
        if self._eof_sent or not keeps_open:
            self.close()

    def _lose(self, closing: Closing) -> None:
        protocol, self._protocol = self._protocol, None
        self._is_lost = True
        failure = self._failure
        # Having all does not mean that the far end has.
        is_whole = self._eof_received and (self._eof_sent or closing.is_normal)
        if failure is None and not is_whole and not self._is_closed_by_us:
            reason = closing.reason or f"closed with {closing.code}"
            failure = Cut(f"The stream was cut: {reason}.", hop=self._hop)
        protocol.connection_lost(failure)


async def dial_stream(
    url: str,
    *,
    hop: Hop,
    headers: Mapping[str, str],
    subprotocol: str | None = None,
    tls: ssl.SSLContext | None = None,
    proxy: str | None = None,
    within: float = HANDSHAKE_WITHIN,
) -> StreamTransport:
    """Opens a WebSocket as `websocket.dial` does, as a stream that misses none of its frames."""
    arrivals = Arrivals()
    ws = await dial(
        url,
        arrivals,
        hop=hop,
        headers=headers,
        subprotocol=subprotocol,
        tls=tls,
        proxy=proxy,
        within=within,
    )
    stream = StreamTransport(ws, hop=hop)
    arrivals.hand_over(ws, stream)
    return stream
