"""Whoever connects to the public port meets the doorman first.

It reads one request head. Tunnel traffic becomes a `Visitor`; any other connection is handed, with
all that was read, to the protocol that serves HTTP. It decides nothing about who may enter.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import cast

from towrope.relay.refusal import Refusal, refuse
from towrope.relay.visitor import Visitor
from towrope.tunnel.websocket import feed, resume_reading
from towrope.wire import address, head
from towrope.wire.errors import TowropeError

HEAD_WITHIN = 10.0
"""Seconds that a peer has to send its first request head."""

Http = Callable[[], asyncio.Protocol]


class Doorman(asyncio.Protocol):
    """One connection until its first head has come."""

    def __init__(
        self,
        *,
        http: Http,
        tunnel: Callable[[Visitor], None],
        waiting: "set[Doorman]",
    ) -> None:
        """`waiting` holds the doormen whose peers have not sent a head."""
        self._http = http
        self._tunnel = tunnel
        self._waiting = waiting
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an instance of asyncio's class where aiofastnet made it.
        self._transport = cast("asyncio.Transport", transport)
        self._waiting.add(self)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(HEAD_WITHIN, self.abort)

    def connection_lost(self, _: BaseException | None) -> None:
        self._done()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            end = head.end_of_head(self._buffer)
            if end is not None:
                self._done()
                self._transport.pause_reading()
                self._let_in(head.parse_request(bytes(self._buffer[:end])))
        except TowropeError as error:
            self._done()
            refusal = Refusal(status=error.status, text=str(error))
            refuse(self._transport, refusal, tracking_id=str(uuid.uuid4()))

    def _done(self) -> None:
        self._deadline.cancel()
        self._waiting.discard(self)

    def _let_in(self, request: head.RequestHead) -> None:
        if address.is_tunnel(request.target.decode("ascii")):
            self._tunnel(Visitor(self._transport, request, bytes(self._buffer)))
            return
        protocol = self._http()
        self._transport.set_protocol(protocol)
        resume_reading(self._transport)  # before the protocol may pause it
        protocol.connection_made(self._transport)
        feed(protocol, self._buffer)
