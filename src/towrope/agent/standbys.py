"""Standby connections: opened ahead of need, so that a caller is joined with no round trip.

How many there are follows demand: twice as many when the last one was taken, half as many after a
quiet time. The first message on one says who it was joined to; from then on it is a stream.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable

import structlog

from towrope.agent.control_channel import (
    AUTHORIZATION,
    DIAL_WITHIN,
    LONGEST_DELAY,
    STABLE_AFTER,
)
from towrope.agent.tickets import Tickets
from towrope.ops import tasks
from towrope.ops.backoff import Backoff
from towrope.tunnel.arrivals import Arrivals
from towrope.tunnel.websocket import Closing, Kind, Receiver, WebSocket, dial
from towrope.wire import address, messages
from towrope.wire.address import Action
from towrope.wire.errors import Forbidden, Hop, Malformed, TowropeError, Unauthenticated
from towrope.wire.messages import Accept

FEWEST = 2
MOST = 32
QUIET_FOR = 30.0
"""Seconds without a caller after which the pool shrinks."""

_log = structlog.get_logger()


class Standbys:
    """`await run()` until cancelled; `joined` gets each connection that a caller was joined to."""

    def __init__(
        self,
        tickets: Tickets,
        *,
        tls: ssl.SSLContext | None,
        is_up: asyncio.Event,
        joined: Callable[[WebSocket, Accept], None],
    ) -> None:
        self._tickets = tickets
        self._tls = tls
        self._is_up = is_up
        self._joined = joined
        self._wanted = FEWEST
        self._idle: set[Standby] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._backoff = Backoff(cap=LONGEST_DELAY)
        self._has_failed = False

    async def run(self) -> None:
        try:
            while True:
                await self._is_up.wait()
                await self._once()
        finally:
            await tasks.cancel(*self._dials)
            for standby in tuple(self._idle):
                standby.ws.close()

    async def _once(self) -> None:
        """Fills the pool, and waits until something changes in it."""
        if self._has_failed:
            self._has_failed = False
            await asyncio.sleep(self._backoff.next_delay())
        self._changed.clear()
        for _ in range(self._wanted - len(self._idle) - len(self._dials)):
            task = tasks.spawn(self._add(), name="standby dial")
            self._dials.add(task)
            task.add_done_callback(self._dial_ended)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUIET_FOR):
                await self._changed.wait()
                return
        self._shrink()

    def _dial_ended(self, task: asyncio.Task[None]) -> None:
        self._dials.discard(task)
        self._changed.set()

    async def _add(self) -> None:
        try:
            ticket = await self._tickets.get()
            arrivals = Arrivals()
            ws = await dial(
                address.build(ticket.relay, ticket.hybrid_connection_name, Action.STANDBY),
                arrivals,
                hop=Hop.RELAY,
                headers={AUTHORIZATION: ticket.token},
                subprotocol=messages.SUBPROTOCOL,
                tls=self._tls,
                within=DIAL_WITHIN,
            )
        except TowropeError as error:
            self._has_failed = True
            if isinstance(error, Unauthenticated | Forbidden):
                self._tickets.reject()
            _log.info("no standby connection", reason=error.message, hop=error.hop)
            return
        standby = Standby(ws, taken=self._taken, lost=self._lost)
        self._idle.add(standby)
        arrivals.hand_over(ws, standby)

    def _taken(self, standby: "Standby", facts: Accept) -> None:
        self._idle.discard(standby)
        self._backoff.reset()
        if not self._idle:
            self._wanted = min(MOST, self._wanted * 2)
        self._changed.set()
        self._joined(standby.ws, facts)

    def _lost(self, standby: "Standby") -> None:
        self._idle.discard(standby)
        if time.monotonic() - standby.since < STABLE_AFTER:
            self._has_failed = True
        else:
            self._backoff.reset()
        self._changed.set()

    def _shrink(self) -> None:
        self._wanted = max(FEWEST, self._wanted // 2)
        for standby in tuple(self._idle)[self._wanted :]:
            standby.ws.close()


class Standby(Receiver):
    """One connection that waits for its caller."""

    def __init__(
        self,
        ws: WebSocket,
        *,
        taken: Callable[["Standby", Accept], None],
        lost: Callable[["Standby"], None],
    ) -> None:
        self.ws = ws
        self.since = time.monotonic()
        self._taken = taken
        self._lost = lost
        self._text = bytearray()

    def frame_received(self, kind: Kind, payload: memoryview, *, fin: bool) -> None:
        self._text += payload
        if kind is Kind.BINARY or len(self._text) > messages.MESSAGE_LIMIT:
            self.ws.abort()
        elif fin:
            self._message_received(bytes(self._text))

    def _message_received(self, text: bytes) -> None:
        try:
            facts = messages.decode_control(text).accept
        except Malformed as error:
            _log.warning("a standby's message was not understood", reason=error.message)
            facts = None
        if facts is None:
            self.ws.abort()
        else:
            self._taken(self, facts)

    def closed(self, closing: Closing) -> None:
        self._lost(self)
