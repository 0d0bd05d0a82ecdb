"""A WebSocket, as far as the tunnel needs one; the only module that knows the library below.

Frames are handed on as they come, never assembled: a stream is bytes, and a relay passes them on.
Back-pressure is the transport's own: `pause_writing` tells a receiver that its writes pile up, and
`pause_reading` stops the peer. A peer that is gone is found by `tunnel.heartbeat`.
"""

import asyncio
import base64
import binascii
import logging
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import aiofastnet
import picows
import python_socks
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # absent from its stub only

from towrope.tunnel.heartbeat import Heartbeat
from towrope.wire import head
from towrope.wire.errors import (
    Forbidden,
    Hop,
    Malformed,
    NotFound,
    Refused,
    TowropeError,
    Unauthenticated,
    Unreachable,
    foreign,
)

FRAME_LIMIT = 1024 * 1024
"""The largest frame taken from a peer. It is held in memory until it is whole."""
CLOSE_WITHIN = 5.0
"""Seconds that a peer has to answer a CLOSE, once it has read what came before."""
HANDSHAKE_WITHIN = 15.0
WRITE_HIGH_WATER = 256 * 1024
READ_BUFFER = 64 * 1024

ABNORMAL = 1006

_log = logging.getLogger("picows")
_log.setLevel(logging.WARNING)  # below that it writes a line for each connection, with its head


class Kind(Enum):
    """What a data frame is; the values are the library's."""

    CONTINUATION = picows.WSMsgType.CONTINUATION
    TEXT = picows.WSMsgType.TEXT
    BINARY = picows.WSMsgType.BINARY


_KINDS = {kind.value: kind for kind in Kind}


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """How a WebSocket ended, as the peer said. `code` is RFC 6455 §7.4.

    It is 1006 when no CLOSE frame came, and 1000 for one that names no code.
    """

    code: int
    reason: str = ""

    @property
    def is_normal(self) -> bool:
        return self.code == 1000


class Receiver:
    """What a WebSocket tells its owner. Override what matters; none of these may block."""

    def frame_received(self, kind: Kind, payload: memoryview, *, fin: bool) -> None:
        """`payload` is valid only during the call."""

    def closed(self, closing: Closing) -> None:
        """Called exactly once, after the last frame."""

    def pause_writing(self) -> None:
        """More than the high-water mark waits to be sent."""

    def resume_writing(self) -> None:
        """What waited has gone."""


class WebSocket:
    """One end of a WebSocket connection. `receiver` may be replaced at any time."""

    __slots__ = (
        "_closing",
        "_code",
        "_ending",
        "_fragmented",
        "_heartbeat",
        "_reading_paused",
        "_reason",
        "_transport",
        "receiver",
        "subprotocol",
    )

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.subprotocol: str | None = None
        self._transport: Any = None
        self._closing: Closing | None = None
        self._code = ABNORMAL
        self._reason = ""
        self._ending = False
        self._fragmented = False
        self._reading_paused = False
        self._heartbeat = Heartbeat(self)

    def send(self, kind: Kind, data: bytes | bytearray | memoryview, *, fin: bool = True) -> None:
        if self._closing is None:
            self._transport.send(kind.value, data, fin)

    def send_text(self, text: str) -> None:
        self.send(Kind.TEXT, text.encode())

    def send_binary(self, data: bytes | bytearray | memoryview) -> None:
        self.send(Kind.BINARY, data)

    def send_ping(self) -> None:
        if self._closing is None:
            self._transport.send_ping()

    def send_pong(self, payload: bytes = b"") -> None:
        if self._closing is None:
            self._transport.send_pong(payload)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Sends a CLOSE frame after all that was sent, and disconnects once it was answered.

        What the peer still sends is dropped. A peer that reads slowly gets the time it needs; one
        that does not answer is disconnected.
        """
        if self._closing is None and not self._ending:
            # RFC 6455 §5.5: a control frame's payload is at most 125 bytes, two of them the code.
            text = reason.encode()[:120].decode(errors="ignore").encode()
            self._transport.send_close(code, text)
            self._end()

    def abort(self, reason: str = "") -> None:
        """Disconnects at once; what was not sent is dropped."""
        if self._closing is None:
            self._reason = reason
            self._transport.disconnect(False)

    def _end(self) -> None:
        """From here on the peer's frames are dropped, and only its CLOSE is waited for."""
        self._ending = True
        self._heartbeat.stop()
        self.resume_reading()  # or the answer, and TLS's own, would never be seen
        asyncio.get_running_loop().call_later(CLOSE_WITHIN, self._give_up)

    def _give_up(self) -> None:
        if self._closing is not None:
            return
        if self.write_buffer_size() > 0 and self._heartbeat.tcp_answers():
            asyncio.get_running_loop().call_later(CLOSE_WITHIN, self._give_up)
        else:
            self._transport.disconnect(False)

    @property
    def is_closed(self) -> bool:
        return self._closing is not None

    @property
    def is_open(self) -> bool:
        """Whether neither end has begun to close it."""
        return self._closing is None and not self._ending

    @property
    def reading_is_paused(self) -> bool:
        return self._reading_paused

    def pause_reading(self) -> None:
        if not self._reading_paused and self._closing is None and not self._ending:
            self._reading_paused = True
            self._transport.underlying_transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused and self._closing is None:
            self._reading_paused = False
            resume_reading(self._transport.underlying_transport)

    def write_buffer_size(self) -> int:
        if self._closing is not None:
            return 0
        size: int = self._transport.underlying_transport.get_write_buffer_size()
        return size

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if self._closing is None:
            self._transport.underlying_transport.set_write_buffer_limits(high, low)

    def extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.underlying_transport.get_extra_info(name, default)

    # What the library tells.

    def _opened(self, transport: Any) -> None:
        self._transport = transport
        underlying = transport.underlying_transport
        underlying.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self._reading_paused = not underlying.is_reading()
        _keep_alive(underlying.get_extra_info("socket"))
        self._heartbeat.start()

    def _data_received(self, kind: Kind, payload: memoryview, *, fin: bool) -> None:
        if self._ending:
            return
        if (kind is Kind.CONTINUATION) is not self._fragmented:  # RFC 6455 §5.4
            self.close(1002, "a fragment is out of order")
            return
        self._fragmented = not fin
        self.receiver.frame_received(kind, payload, fin=fin)

    def _ping_received(self, payload: bytes) -> None:
        # A peer that pings without reading must not fill our memory with pongs.
        if self.write_buffer_size() <= WRITE_HIGH_WATER:
            self.send_pong(payload)

    def _close_received(self, payload: bytes) -> None:
        # RFC 6455 §7.1.5: a CLOSE may come without a code; whoever sends it ended in order.
        self._code = int.from_bytes(payload[:2], "big") or 1000
        self._reason = foreign(payload[2:])
        if not self._ending:
            self._transport.send_close(self._code)
            self._end()
        self._transport.disconnect()

    def _lost(self) -> None:
        self._heartbeat.stop()
        self._closing = Closing(code=self._code, reason=self._reason)
        self.receiver.closed(self._closing)


class _Listener(picows.WSListener):
    """Carries the library's callbacks to a `WebSocket`."""

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws
        self._abandoned = False

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._ws._opened(transport)
        if self._abandoned:
            self._ws.abort()

    def abandon(self) -> None:
        """Nobody waits for this dial any more; should it succeed yet, it ends at once."""
        self._abandoned = True
        if self._ws._transport is not None:
            self._ws.abort()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        ws = self._ws
        ws._heartbeat.heard = True
        if frame.rsv1 or frame.rsv2 or frame.rsv3:  # RFC 6455 §5.2: no extension was agreed on
            ws.close(1002, "a reserved bit is set")
            return
        kind = _KINDS.get(frame.msg_type)
        if kind is not None:
            ws._data_received(kind, frame.get_payload_as_memoryview(), fin=frame.fin)
        elif frame.msg_type == picows.WSMsgType.PING:
            ws._ping_received(frame.get_payload_as_bytes())
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            ws._close_received(frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self._ws._lost()

    def pause_writing(self) -> None:
        self._ws.receiver.pause_writing()

    def resume_writing(self) -> None:
        self._ws.receiver.resume_writing()


def _keep_alive(sock: Any) -> None:
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        option = getattr(socket, name, None)  # not every system has each
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, seconds)


async def dial(  # noqa: PLR0913 - a dial has that many facts
    url: str,
    receiver: Receiver,
    *,
    hop: Hop,
    headers: Mapping[str, str],
    subprotocol: str | None = None,
    tls: ssl.SSLContext | None = None,
    proxy: str | None = None,
    within: float = HANDSHAKE_WITHIN,
) -> WebSocket:
    """Opens a WebSocket to `url`, through the HTTP proxy `proxy` where one is given.

    Raises `Unreachable` (no connection, no answer in time, 5xx), `Unauthenticated` (401),
    `Forbidden` (403), `NotFound` (404) or `Refused` (any other status, an untrusted certificate).
    `hop` is the hop that is dialled, for those errors.
    """
    ws = WebSocket(receiver)
    listener = _Listener(ws)
    extra = dict(headers)
    if subprotocol is not None:
        extra["Sec-WebSocket-Protocol"] = subprotocol
    host = url.partition("://")[2].partition("/")[0]
    try:
        async with asyncio.timeout(within):
            transport, _ = await picows.ws_connect(
                lambda: listener,
                url,
                ssl_context=tls,
                # For what is left behind when this call is cancelled or runs out of time.
                websocket_handshake_timeout=within,
                enable_auto_pong=False,
                max_frame_size=FRAME_LIMIT,
                read_buffer_init_size=READ_BUFFER,
                extra_headers=extra,
                max_redirects=0,
                proxy=proxy,
                use_aiofastnet=True,
            )
        if ws._transport is None:  # what the library does when the connection ends early
            raise ConnectionResetError("it hung up before it answered")
    except BaseException as error:
        listener.abandon()
        if isinstance(error, Exception) and (known := _explained(error, hop, host, within)):
            raise known from None
        raise
    ws.subprotocol = transport.response.headers.get("Sec-WebSocket-Protocol")
    return ws


def _explained(error: Exception, hop: Hop, host: str, within: float) -> TowropeError | None:
    """What went wrong with a dial, as an error of ours."""
    match error:
        case picows.WSHandshakeError():
            return _refusal(error, hop, host)
        case ssl.SSLCertVerificationError():
            return Refused(
                f"The certificate of {host} is not trusted: {error.verify_message}. Give the"
                " authority that issued it.",
                hop=hop,
            )
        case TimeoutError():
            return Unreachable(f"{host} did not answer within {within:g} s.", hop=hop)
        case python_socks.ProxyError() | python_socks.ProxyConnectionError():
            return Unreachable(
                f"The HTTP proxy did not connect to {host}: {foreign(str(error))}.", hop=hop
            )
        case OSError() | EOFError() | picows.WSError():
            return Unreachable(f"{host} cannot be reached: {foreign(str(error))}.", hop=hop)
    return None


_BY_STATUS: dict[int, type[TowropeError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
}


def _refusal(error: picows.WSHandshakeError, hop: Hop, host: str) -> TowropeError:
    try:
        answer = head.parse_response((error.raw_header or b"") + b"\r\n\r\n")
    except Malformed:
        return Unreachable(f"{host} does not speak WebSocket: {foreign(str(error))}.", hop=hop)
    text = foreign(error.raw_body or answer.reason or str(answer.status).encode())
    default = Unreachable if answer.status >= 500 or answer.status == 101 else Refused
    return _BY_STATUS.get(answer.status, default)(text, hop=hop)


def handshake_key(request: head.RequestHead) -> bytes:
    """The key of a WebSocket handshake (RFC 6455 §4.2.1); raises `Malformed` where it is none."""
    key = request.fields.first(b"sec-websocket-key") or b""
    try:
        is_key = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        is_key = False
    if not (
        is_key
        and request.method == b"GET"
        and request.minor == 1
        and b"websocket" in request.fields.tokens(b"upgrade")
        and b"upgrade" in request.fields.tokens(b"connection")
        and request.fields.all(b"sec-websocket-version") == [b"13"]
        and not request.fields.all(b"transfer-encoding")
        and request.fields.first(b"content-length") in (None, b"0")
    ):
        raise Malformed("The request is not a WebSocket handshake.", hop=Hop.RELAY)
    return key


def accept(
    transport: asyncio.Transport,
    request: bytes,
    receiver: Receiver,
    *,
    subprotocol: str | None = None,
) -> WebSocket:
    """Turns a connection whose request head was read into a WebSocket, and answers 101.

    `request` is that head, and whatever was read after it. Raises `Malformed`, with nothing
    answered, where the head is not a WebSocket handshake. The connection goes on reading unless it
    was paused: then it waits for `resume_reading`.
    """
    end = head.end_of_head(request)
    if end is None:
        raise Malformed("The request has no end.", hop=Hop.RELAY)
    key = handshake_key(head.parse_request(request[:end]))
    ws = WebSocket(receiver)
    ws.subprotocol = subprotocol
    extra = {} if subprotocol is None else {"Sec-WebSocket-Protocol": subprotocol}
    protocol = WSProtocol(
        None,
        None,
        False,
        lambda _: picows.WSUpgradeResponseWithListener(
            picows.WSUpgradeResponse.create_101_response(extra), _Listener(ws)
        ),
        _log,
        True,
        HANDSHAKE_WITHIN,
        False,
        0,
        0,
        picows.WSAutoPingStrategy.PING_WHEN_IDLE,
        False,
        FRAME_LIMIT,
        None,
        READ_BUFFER,
    )
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    # The library takes smaller heads than we do, and wants `Connection` to hold one token.
    feed(protocol, _HANDSHAKE % key)
    assert ws._transport is not None, "the handshake was checked above"
    if len(request) > end:
        # Ahead of anything that is read later, and after the caller knows its WebSocket.
        asyncio.get_running_loop().call_soon(feed, protocol, request[end:])
    return ws


_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)


def resume_reading(transport: Any) -> None:
    """`transport.resume_reading()`, without its fault.

    aiofastnet's TLS transport looks for bytes in the socket only: what it had read from there, but
    not handed on when it was paused, would stay until the peer sends more.
    """
    retry = getattr(transport, "_retry_ssl_read", None)
    if retry is not None:
        asyncio.get_running_loop().call_soon(retry)
    transport.resume_reading()


def feed(protocol: Any, data: bytes | bytearray | memoryview) -> None:
    """Gives a protocol bytes that were read before it was there."""
    if not aiofastnet.aiofn_is_buffered_protocol(protocol):
        protocol.data_received(bytes(data))
        return
    view = memoryview(data)
    while view:
        buffer = protocol.get_buffer(len(view))
        count = min(len(buffer), len(view))
        buffer[:count] = view[:count]
        protocol.buffer_updated(count)
        view = view[count:]
