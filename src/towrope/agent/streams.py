"""The streams that are joined to callers: each gets its inner TLS and its gate, until it ends."""

import asyncio
import time

import structlog

from towrope.agent import audit, identity
from towrope.agent.connection import Connection
from towrope.agent.gate import Decide, Gate
from towrope.agent.inner_tls import InnerTls
from towrope.agent.live_requests import LiveRequests
from towrope.agent.upstream import Upstreams
from towrope.ops import tasks
from towrope.tunnel.stream import StreamTransport
from towrope.wire.errors import Hop, TowropeError
from towrope.wire.messages import Accept

STREAM_LIMIT = 1000
"""Streams at once; each holds bounded memory."""
STOP_WITHIN = 5.0

_log = structlog.get_logger()


class Streams:
    """Starts streams, and ends them all."""

    def __init__(
        self,
        inner_tls: InnerTls,
        upstreams: Upstreams,
        *,
        own: Upstreams | None = None,
        decide: Decide = identity.decide,
        live: LiveRequests | None = None,
        sink: audit.Sink = audit.discard,
    ) -> None:
        self._inner_tls = inner_tls
        self._upstreams = upstreams
        self._own = own
        self._decide = decide
        self._live = live
        self._sink = sink
        self._gates: set[Gate] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    @property
    def is_full(self) -> bool:
        return self._is_stopping or len(self._tasks) >= STREAM_LIMIT

    def start(self, stream: StreamTransport, facts: Accept) -> None:
        if self.is_full:
            stream.abort()
            return
        task = tasks.spawn(self._serve(stream, facts), name=f"stream {facts.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: StreamTransport, facts: Accept) -> None:
        started, reason = time.monotonic(), "ended"
        client = Connection(hop=Hop.CLIENT)
        _log.info("stream started", stream=facts.id, peer=facts.remote_endpoint.address)
        try:
            client.connection_made(await self._inner_tls.accept(stream, client))
            await self._gate(client, facts.id)
        except TowropeError as error:
            reason = error.message
        finally:
            _log.info(
                "stream ended",
                stream=facts.id,
                reason=reason,
                seconds=round(time.monotonic() - started, 3),
                bytes_in=client.received,
                bytes_out=client.sent,
            )

    async def _gate(self, client: Connection, stream: str) -> None:
        gate = Gate(
            client,
            self._upstreams,
            own=self._own,
            decide=self._decide,
            live=self._live,
            sink=self._sink,
            stream=stream,
        )
        self._gates.add(gate)
        try:
            await gate.run()
        finally:
            self._gates.discard(gate)

    async def stop(self, *, within: float = STOP_WITHIN) -> None:
        """Ends each after the response that is on its way, and the rest after `within`."""
        self._is_stopping = True
        for gate in tuple(self._gates):
            gate.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)
        await tasks.cancel(*self._tasks)
