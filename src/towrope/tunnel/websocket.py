"""A WebSocket, as far as the tunnel needs one; the only module that knows the library below.

Frames are handed on as they come, never assembled: a stream is bytes, and a relay passes them on.
Back-pressure is the transport's own: `pause_writing` tells a receiver that its writes pile up, and
`pause_reading` stops the peer. A peer that is gone is found within `DEAD_AFTER` seconds.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any

import aiofastnet
import picows
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # absent from its stub only

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
PING_AFTER = 10.0
PONG_WITHIN = 10.0
DEAD_AFTER = PING_AFTER + PONG_WITHIN
HANDSHAKE_WITHIN = 15.0
WRITE_HIGH_WATER = 256 * 1024
READ_BUFFER = 64 * 1024

_log = logging.getLogger("picows")


class Kind(Enum):
    """What a data frame is; the values are the library's."""

    CONTINUATION = picows.WSMsgType.CONTINUATION
    TEXT = picows.WSMsgType.TEXT
    BINARY = picows.WSMsgType.BINARY


_KINDS = {kind.value: kind for kind in Kind}


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """How a WebSocket ended. `code` is RFC 6455 §7.4; 1006 when no CLOSE frame came."""

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

    __slots__ = ("_closing", "_reading_paused", "_transport", "receiver", "subprotocol")

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.subprotocol: str | None = None
        self._transport: Any = None
        self._closing: Closing | None = None
        self._reading_paused = False

    def send(self, kind: Kind, data: bytes | bytearray | memoryview, *, fin: bool = True) -> None:
        if self._closing is None:
            self._transport.send(kind.value, data, fin)

    def send_text(self, text: str) -> None:
        self.send(Kind.TEXT, text.encode())

    def send_binary(self, data: bytes | bytearray | memoryview) -> None:
        self.send(Kind.BINARY, data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Sends a CLOSE frame after all that was sent, and disconnects once that has gone."""
        if self._closing is None and not self._transport.is_close_frame_sent:
            # RFC 6455 §5.5: a control frame's payload is at most 125 bytes, two of them the code.
            self._transport.send_close(code, reason.encode()[:120].decode(errors="ignore").encode())
            self._transport.disconnect()

    def abort(self) -> None:
        """Disconnects at once; what was not sent is dropped."""
        if self._closing is None:
            self._transport.disconnect(False)

    @property
    def is_closed(self) -> bool:
        return self._closing is not None

    @property
    def reading_is_paused(self) -> bool:
        return self._reading_paused

    def pause_reading(self) -> None:
        if not self._reading_paused and self._closing is None:
            self._reading_paused = True
            self._transport.underlying_transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused and self._closing is None:
            self._reading_paused = False
            self._transport.underlying_transport.resume_reading()

    def write_buffer_size(self) -> int:
        size: int = self._transport.underlying_transport.get_write_buffer_size()
        return size

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.underlying_transport.set_write_buffer_limits(high, low)

    def extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.underlying_transport.get_extra_info(name, default)


class _Listener(picows.WSListener):
    """Carries the library's callbacks to a `WebSocket`'s receiver."""

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._ws._transport = transport
        underlying = transport.underlying_transport
        underlying.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        _keep_alive(underlying.get_extra_info("socket"))

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        ws = self._ws
        kind = _KINDS.get(frame.msg_type)
        if kind is not None:
            ws.receiver.frame_received(kind, frame.get_payload_as_memoryview(), fin=frame.fin)
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            if not transport.is_close_frame_sent:
                transport.send_close(_sendable(frame.get_close_code()))
            transport.disconnect()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        received = transport.close_handshake and transport.close_handshake.recv
        ws = self._ws
        ws._closing = (
            Closing(code=received.code.value, reason=foreign(received.reason or ""))
            if received
            else Closing(code=1006)
        )
        ws.receiver.closed(ws._closing)

    def send_user_specific_ping(self, transport: picows.WSTransport) -> None:
        # While we do not read, a pong cannot be seen: a slow reader behind us is not a dead peer.
        if self._ws.reading_is_paused:
            asyncio.get_running_loop().call_soon(_excuse_pong, transport)
        else:
            transport.send_ping()

    def pause_writing(self) -> None:
        self._ws.receiver.pause_writing()

    def resume_writing(self) -> None:
        self._ws.receiver.resume_writing()


def _excuse_pong(transport: Any) -> None:
    transport.auto_ping_expect_pong = False


def _sendable(code: Any) -> Any:
    # RFC 6455 §7.4.1: 1005 and 1006 never stand in a frame; a CLOSE without a code is a normal one.
    return code if int(code) >= 1000 and int(code) not in (1005, 1006) else 1000


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
    extra = dict(headers)
    if subprotocol is not None:
        extra["Sec-WebSocket-Protocol"] = subprotocol
    host = url.partition("://")[2].partition("/")[0]
    try:
        async with asyncio.timeout(within):
            transport, _ = await picows.ws_connect(
                lambda: _Listener(ws),
                url,
                ssl_context=tls,
                websocket_handshake_timeout=None,
                enable_auto_ping=True,
                auto_ping_idle_timeout=PING_AFTER,
                auto_ping_reply_timeout=PONG_WITHIN,
                max_frame_size=FRAME_LIMIT,
                read_buffer_init_size=READ_BUFFER,
                extra_headers=extra,
                max_redirects=0,
                proxy=proxy,
                use_aiofastnet=True,
            )
    except picows.WSHandshakeError as error:
        raise _refusal(error, hop, host) from None
    except ssl.SSLCertVerificationError as error:
        raise Refused(
            f"The certificate of {host} is not trusted: {error.verify_message}. Give the authority"
            " that issued it.",
            hop=hop,
        ) from None
    except TimeoutError:
        raise Unreachable(f"{host} did not answer within {within:g} s.", hop=hop) from None
    except (OSError, EOFError, picows.WSError) as error:
        raise Unreachable(f"{host} cannot be reached: {foreign(str(error))}.", hop=hop) from None
    except Exception as error:
        # The proxy library's errors share no base that it exports.
        if proxy is None or type(error).__name__ not in ("ProxyError", "ProxyConnectionError"):
            raise
        raise Unreachable(
            f"The HTTP proxy did not connect to {host}: {foreign(str(error))}.", hop=hop
        ) from None
    ws.subprotocol = transport.response.headers.get("Sec-WebSocket-Protocol")
    return ws


_BY_STATUS: dict[int, type[TowropeError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
}


def _refusal(error: picows.WSHandshakeError, hop: Hop, host: str) -> TowropeError:
    if error.response is None:
        return Unreachable(f"{host} does not speak WebSocket: {foreign(str(error))}.", hop=hop)
    status = int(error.response.status)
    text = foreign(error.raw_body or b"") or HTTPStatus(status).phrase
    kind = _BY_STATUS.get(status, Unreachable if status >= 500 else Refused)
    return kind(text, hop=hop)


def accept(
    transport: asyncio.Transport,
    request: bytes,
    receiver: Receiver,
    *,
    subprotocol: str | None = None,
) -> WebSocket:
    """Turns a connection whose request head was read into a WebSocket, and answers 101.

    `request` is that head, and whatever was read after it. Raises `Malformed` where the head is not
    a WebSocket handshake; that was then answered with 400.
    """
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
        True,
        PING_AFTER,
        PONG_WITHIN,
        picows.WSAutoPingStrategy.PING_WHEN_IDLE,
        True,
        FRAME_LIMIT,
        None,
        READ_BUFFER,
    )
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    feed(protocol, request)
    if ws._transport is None:
        raise Malformed("The request is not a WebSocket handshake.", hop=Hop.RELAY)
    return ws


def feed(protocol: Any, data: bytes | memoryview) -> None:
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
