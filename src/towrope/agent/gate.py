"""The gate: answers the requests of one client connection, one at a time.

Each client connection has an upstream connection of its own, so that requests of two callers never
share one. Errors that the gate makes itself are Kubernetes `Status` answers that name the hop.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from towrope.agent import audit, identity, request_info, status
from towrope.agent.connection import Connection
from towrope.agent.exchange import Exchange
from towrope.agent.identity import Decision
from towrope.agent.screening import Request, screen
from towrope.agent.upstream import Upstreams
from towrope.wire.errors import Cut, Hop, Malformed, TowropeError
from towrope.wire.head import RequestHead, parse_request

IDLE_LIMIT = 900.0
"""Seconds for which a client may keep a connection with no request on it."""
HEAD_WITHIN = 20.0
LINGER_FOR = 1.0
"""Seconds for a client to read an answer that came before it had sent all."""
RETRYABLE = frozenset({b"GET", b"HEAD"})


class Gate:
    """`await run()` once; it ends with the connection, and closes it and its upstream."""

    def __init__(
        self,
        client: Connection,
        upstreams: Upstreams,
        *,
        decide: Callable[[RequestHead], Awaitable[Decision]] = identity.decide,
        sink: audit.Sink = audit.log,
        stream: str = "",
    ) -> None:
        self._client = client
        self._upstreams = upstreams
        self._upstream: Connection | None = None
        self._decide = decide
        self._sink = sink
        self._stream = stream
        self._is_stopping = False
        self._is_idle = False
        self._is_switched = False

    async def run(self) -> None:
        try:
            while not self._is_stopping and await self._one():
                pass
        except Cut:
            self._abort()
        finally:
            if not self._is_switched:
                self._drop_upstream()
                self._client.close()

    def stop(self) -> None:
        """Ends it after the response that is on its way, or at once when there is none."""
        self._is_stopping = True
        if self._is_idle:
            self._client.close()

    async def _one(self) -> bool:
        """Takes one request and answers it; whether another may follow."""
        try:
            raw = await self._next_head()
        except TimeoutError:
            slow = f"The request's head did not come within {HEAD_WITHIN:g} s."
            await self._end_with(status.failure(408, slow, hop=Hop.CLIENT))
            return False
        except Malformed as error:
            await self._end_with(status.of_error(error))
            return False
        return raw is not None and await self._answer(raw)

    async def _next_head(self) -> bytes | None:
        client = self._client
        if not client.buffer and not await self._wait_for_request():
            return None
        async with asyncio.timeout(HEAD_WITHIN):
            return await client.head()

    async def _wait_for_request(self) -> bool:
        self._is_idle = True
        try:
            async with asyncio.timeout(IDLE_LIMIT):
                return await self._client.more()
        except (TimeoutError, Cut):
            return False
        finally:
            self._is_idle = False

    async def _answer(self, raw: bytes) -> bool:
        """Answers the request with this head; whether another may follow."""
        started_at, started = time.time(), time.monotonic()
        record = _Record()
        try:
            head = parse_request(raw)
            record.request = request_info.parse(head.method.decode(), head.target.decode())
            request = screen(head)
            decision = await self._decide(head)
            record.principal = decision.principal
            return await self._forward(request, decision, record)
        except TowropeError as error:
            if record.status:
                raise Cut(error.message, hop=error.hop) from None
            answer = status.of_error(error)
            record.status = answer.code
            await self._end_with(answer, with_body=not raw.startswith(b"HEAD "))
            return False
        finally:
            self._sink(
                audit.AuditEvent(
                    started_at=started_at,
                    stream=self._stream,
                    principal=record.principal,
                    request=record.request,
                    status=record.status,
                    bytes_in=record.bytes_in,
                    bytes_out=record.bytes_out,
                    duration=time.monotonic() - started,
                )
            )

    async def _forward(self, request: Request, decision: Decision, record: "_Record") -> bool:
        is_reused = self._upstream is not None and _is_usable(self._upstream)
        exchange = await self._exchange(request, decision)
        try:
            await exchange.run()
        except Cut as error:
            # The apiserver may close an idle connection just as we use it again.
            may_retry = is_reused and error.hop is Hop.APISERVER and not exchange.status
            if not may_retry or request.method not in RETRYABLE or not exchange.is_sent:
                raise
            self._drop_upstream()
            exchange = await self._exchange(request, decision)
            await exchange.run()
        finally:
            record.status = exchange.status
            record.bytes_in = exchange.bytes_in
            record.bytes_out = exchange.bytes_out
        self._is_switched = exchange.is_switched
        if not exchange.upstream_keeps_alive and not exchange.is_switched:
            self._drop_upstream()
        if not exchange.is_sent and not exchange.is_switched:
            await self._linger()
        return exchange.keeps_alive and not exchange.is_switched

    async def _exchange(self, request: Request, decision: Decision) -> Exchange:
        if self._upstream is None or not _is_usable(self._upstream):
            self._drop_upstream()
            self._upstream = await self._upstreams.take()
        address = self._upstreams.address
        head = request.head(
            host=address.authority, path=address.path, credential=decision.credential
        )
        exchange = Exchange(self._client, self._upstream, request, head=head)
        exchange.keeps_alive &= not self._is_stopping
        return exchange

    async def _end_with(self, answer: status.Status, *, with_body: bool = True) -> None:
        """The last answer on this connection: what else the client sends is not understood."""
        if self._client.is_lost:
            return
        self._client.write(status.response(answer, closes=True, with_body=with_body))
        self._drop_upstream()
        await self._linger()

    async def _linger(self) -> None:
        # Closed while bytes are on their way here, the connection would be reset, and the answer
        # could be lost at the client.
        client = self._client
        with contextlib.suppress(TimeoutError, Cut):
            async with asyncio.timeout(LINGER_FOR):
                client.skip(len(client.buffer))
                while await client.more():
                    client.skip(len(client.buffer))

    def _abort(self) -> None:
        self._client.abort()

    def _drop_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()


class _Record:
    """What is known so far of a request, for its audit event."""

    def __init__(self) -> None:
        self.principal = ""
        self.request = request_info.RequestInfo(verb="", path="")
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0


def _is_usable(upstream: Connection) -> bool:
    # Bytes that nobody asked for would be taken for the next answer.
    return not upstream.is_lost and not upstream.buffer
