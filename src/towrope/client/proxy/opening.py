"""The first bytes of a connection to the local proxy, read until they say what it wants.

A TLS client wants a cluster; another proxy on this machine wants to join (one line of JSON). What
else comes is answered with what this port is for, and closed.
"""

import asyncio
from collections.abc import Callable

from towrope.client.proxy.join import LINE_LIMIT, JoinLine, decode_join
from towrope.wire.client_hello import HANDSHAKE_RECORD, ClientHello, parse
from towrope.wire.errors import Hop, Malformed

Opened = ClientHello | JoinLine


class Opening(asyncio.Protocol):
    """One accepted connection that nobody has taken over. `opened` yields what it wants.

    `opened` raises `Malformed` where it wants nothing known, `ConnectionError` where it went away.
    """

    def __init__(self, accepted: Callable[["Opening"], None]) -> None:
        self._accepted = accepted
        self.received = bytearray()
        self.transport: asyncio.Transport
        self.opened: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._accepted(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.opened.done():
            return
        try:
            opened = read_opening(self.received)
        except Malformed as error:
            self.transport.pause_reading()
            self.opened.set_exception(error)
        else:
            if opened is not None:
                self.transport.pause_reading()
                self.opened.set_result(opened)

    def eof_received(self) -> bool:
        self._gone()
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        self._gone()

    def _gone(self) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed before it said what it wants"))


def read_opening(received: bytearray) -> Opened | None:
    """What the bytes ask for; None while they do not say. Raises `Malformed`."""
    if received[0] == HANDSHAKE_RECORD:
        return parse(received)
    if received[:1] != b"{":
        raise Malformed("Neither a TLS client nor a proxy that joins.", hop=Hop.PROXY)
    line, newline, _ = received.partition(b"\n")
    if len(line) > LINE_LIMIT:
        raise Malformed("The line of a proxy that joins is too long.", hop=Hop.PROXY)
    return decode_join(bytes(line)) if newline else None
