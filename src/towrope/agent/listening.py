"""Listening: one control channel and a pool of standbys, and the streams that come of both.

A rendezvous address is dialled only where it lies at the relay that the control plane named, for
it comes from the relay.
"""

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import structlog

from towrope.agent.control_channel import DIAL_WITHIN, ControlChannel, Hints
from towrope.agent.standbys import Standbys
from towrope.agent.streams import Streams
from towrope.agent.tickets import Tickets
from towrope.ops import tasks
from towrope.tunnel.stream import StreamTransport, dial_stream
from towrope.tunnel.websocket import WebSocket
from towrope.wire import address
from towrope.wire.errors import Hop, Malformed, TowropeError
from towrope.wire.messages import SUBPROTOCOL, Accept

_log = structlog.get_logger()


class Listening:
    """`start()`, and `await stop()`; `is_up` is set while the relay has us as a listener."""

    def __init__(
        self, tickets: Tickets, streams: Streams, *, tls: ssl.SSLContext | None, hints: Hints
    ) -> None:
        self._tickets = tickets
        self._streams = streams
        self._tls = tls
        self._channel = ControlChannel(tickets, tls=tls, accepted=self._accepted, hints=hints)
        self._standbys = Standbys(tickets, tls=tls, is_up=self._channel.is_up, joined=self._joined)
        self._running: list[asyncio.Task[None]] = []
        self._dials: set[asyncio.Task[None]] = set()

    @property
    def is_up(self) -> asyncio.Event:
        return self._channel.is_up

    def start(self) -> None:
        self._running = [
            tasks.spawn(self._channel.run(), name="control channel"),
            tasks.spawn(self._standbys.run(), name="standbys"),
        ]

    async def stop(self) -> None:
        """Takes no further callers. Streams that run are not touched."""
        await tasks.cancel(*self._running, *self._dials)

    def _joined(self, ws: WebSocket, facts: Accept) -> None:
        # Our end of a standby always speaks it; whether the caller does is for the facts to say.
        ws.subprotocol = SUBPROTOCOL if _offers_v1(facts.connect_headers) else None
        self._streams.start(StreamTransport(ws, hop=Hop.RELAY), facts)

    def _accepted(self, facts: Accept) -> None:
        task = tasks.spawn(self._dial(facts), name=f"accept {facts.id}")
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def _dial(self, facts: Accept) -> None:
        try:
            relay = (await self._tickets.get()).relay
            check_rendezvous(facts.address, relay=relay)
            url, subprotocol = facts.address, None
            if self._streams.is_full:
                url += "&sb-hc-statusCode=503&sb-hc-statusDescription=The+agent+is+full"
            elif _offers_v1(facts.connect_headers):
                subprotocol = SUBPROTOCOL
            stream = await dial_stream(
                url,
                hop=Hop.RELAY,
                headers={},
                subprotocol=subprotocol,
                tls=self._tls,
                within=DIAL_WITHIN,
            )
        except TowropeError as error:
            _log.warning("a caller was not joined", stream=facts.id, reason=error.message)
            return
        self._streams.start(stream, facts)


def check_rendezvous(url: str, *, relay: str) -> None:
    """Raises `Malformed` unless `url` lies at the relay's own address."""
    try:
        asked, own = urlsplit(url), urlsplit(relay)
        is_own = (asked.scheme, asked.hostname, asked.port) == (own.scheme, own.hostname, own.port)
    except ValueError:
        is_own = False
    if not is_own or asked.username is not None or not asked.path.startswith(address.PREFIX):
        raise Malformed(
            "The relay names a rendezvous address that is not its own; it is not dialled.",
            hop=Hop.RELAY,
        )


def _offers_v1(headers: Mapping[str, str]) -> bool:
    offered = [
        protocol.strip()
        for name, value in headers.items()
        if name.lower() == "sec-websocket-protocol"
        for protocol in value.split(",")
    ]
    return SUBPROTOCOL in offered
