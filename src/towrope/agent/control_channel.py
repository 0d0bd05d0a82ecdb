"""The control channel: the agent's place among the listeners of its hybrid connection.

Kept open, dialled again whenever it is lost, its token renewed before it ends. Through it come the
senders for which no standby connection was there, and hints that something changed at the server.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from towrope.agent.tickets import Tickets
from towrope.ops import tasks
from towrope.ops.backoff import Backoff
from towrope.tunnel.arrivals import Arrivals
from towrope.tunnel.websocket import Closing, Kind, Receiver, WebSocket, dial
from towrope.wire import address, messages
from towrope.wire.address import Action
from towrope.wire.errors import Forbidden, Hop, Malformed, NotFound, TowropeError, Unauthenticated
from towrope.wire.messages import Accept

DIAL_WITHIN = 4.0
# After an outage the path is to work within 5 s: no wait between attempts may be longer than this.
LONGEST_DELAY = 2.0
UNKNOWN_DELAY = 15.0
"""Seconds between attempts while the server knows no such cluster."""
STABLE_AFTER = 5.0
"""Seconds that a connection must last for the next one to be dialled at once."""
AUTHORIZATION = "ServiceBusAuthorization"

_log = structlog.get_logger()


class Hints(Protocol):
    """Who wants to know that something may have changed at the server."""

    def notified(self, kind: str) -> None: ...

    def missed(self) -> None:
        """Hints may have been missed: a connection was lost, or nothing was received on another
        yet."""
        ...


class ControlChannel:
    """`await run()` until cancelled. `is_up` is set while the relay has us as a listener."""

    def __init__(
        self,
        tickets: Tickets,
        *,
        tls: ssl.SSLContext | None,
        accepted: Callable[[Accept], None],
        hints: Hints,
    ) -> None:
        self.is_up = asyncio.Event()
        self._tickets = tickets
        self._tls = tls
        self._accepted = accepted
        self._hints = hints
        self._backoff = Backoff(cap=LONGEST_DELAY)

    async def run(self) -> None:
        while True:
            started = time.monotonic()
            try:
                closing = await self._listen()
            except TowropeError as error:
                await asyncio.sleep(self._delay_after(error))
                continue
            _log.warning("listener lost", code=closing.code, reason=closing.reason)
            if closing.code == 1008:
                self._tickets.reject()
            if time.monotonic() - started < STABLE_AFTER:
                await asyncio.sleep(self._backoff.next_delay())
            else:
                self._backoff.reset()

    async def _listen(self) -> Closing:
        """One connection, from its dial to its end."""
        ticket = await self._tickets.get()
        inbox, arrivals = Inbox(self._received), Arrivals()
        ws = await dial(
            address.build(ticket.relay, ticket.hybrid_connection_name, Action.LISTEN),
            arrivals,
            hop=Hop.RELAY,
            headers={AUTHORIZATION: ticket.token},
            tls=self._tls,
            within=DIAL_WITHIN,
        )
        arrivals.hand_over(ws, inbox)
        self._hints.missed()
        self.is_up.set()
        _log.info("listener connected", relay=ticket.relay)
        renewing = tasks.spawn(self._renew(ws), name="token renewal")
        try:
            return await inbox.closing
        finally:
            # Before the next one is there, callers may still come by standbys and on streams.
            self._hints.missed()
            self.is_up.clear()
            await tasks.cancel(renewing)
            ws.close()

    async def _renew(self, ws: WebSocket) -> None:
        backoff = Backoff(first=1.0, cap=30.0)
        while True:
            await asyncio.sleep(self._tickets.seconds_left)
            try:
                ticket = await self._tickets.get()
            except TowropeError as error:
                _log.warning("no new token yet", reason=error.message, hop=error.hop)
                await asyncio.sleep(backoff.next_delay())
                continue
            backoff.reset()
            renewal = messages.RenewToken(token=ticket.token)
            ws.send_text(messages.encode(messages.ControlMessage(renew_token=renewal)))
            # A token that ends at once must not make this a busy loop.
            await asyncio.sleep(1.0)

    def _received(self, text: bytes) -> None:
        message = messages.decode_control(text)
        if message.accept is not None:
            self._accepted(message.accept)
        elif message.notify is not None:
            self._hints.notified(message.notify.kind)

    def _delay_after(self, error: TowropeError) -> float:
        _log.warning("cannot listen", reason=error.message, hop=error.hop)
        if isinstance(error, Unauthenticated | Forbidden | NotFound):
            self._tickets.reject()
        is_refused_by_server = isinstance(error, Unauthenticated) and error.hop is Hop.SERVER
        if isinstance(error, NotFound) or is_refused_by_server:
            _log.error(
                "the server knows no such cluster: it was deleted, or connected anew elsewhere;"
                " connect it again with 'towrope connectedk8s connect'"
            )
            return UNKNOWN_DELAY
        return self._backoff.next_delay()


class Inbox(Receiver):
    """Assembles the text messages of a WebSocket; its end is in `closing`."""

    def __init__(self, received: Callable[[bytes], None]) -> None:
        self.closing: asyncio.Future[Closing] = asyncio.get_running_loop().create_future()
        self._received = received
        self._text = bytearray()
        self._in_text = False

    def frame_received(self, kind: Kind, payload: memoryview, *, fin: bool) -> None:
        if kind is Kind.TEXT:
            self._in_text = True
        elif kind is Kind.BINARY or not self._in_text:
            return
        # What is over the limit is refused by the decoder.
        self._text += payload[: messages.MESSAGE_LIMIT + 1 - len(self._text)]
        if not fin:
            return
        text, self._in_text = bytes(self._text), False
        self._text.clear()
        try:
            self._received(text)
        except Malformed as error:
            _log.warning("a control message was not understood", reason=error.message)

    def closed(self, closing: Closing) -> None:
        if not self.closing.done():
            self.closing.set_result(closing)
