"""The gate: answers the requests of one client connection, one at a time.

Each client connection has an upstream connection of its own, so that requests of two callers never
share one; and never the same one for requests with the agent's credential and for others. Errors
that the gate makes itself are Kubernetes `Status` answers that name the hop.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from towrope.agent import audit, identity, request_info, status
from towrope.agent.connection import Connection
from towrope.agent.exchange import Exchange
from towrope.agent.identity import Decision
from towrope.agent.live_requests import LiveRequest, LiveRequests
from towrope.agent.screening import Request, screen
from towrope.agent.upstream import Upstreams
from towrope.wire.errors import Cut, Hop, Malformed, TowropeError, Unreachable
from towrope.wire.head import Field, RequestHead, parse_request

IDLE_LIMIT = 900.0
"""Seconds for which a client may keep a connection with no request on it."""
HEAD_WITHIN = 20.0
LINGER_FOR = 1.0
"""Seconds for a client to read an answer that came before it had sent all."""
RETRYABLE = frozenset({b"GET", b"HEAD"})

Decide = Callable[[RequestHead], Awaitable[Decision]]
"""Who the caller is, as `identity.decide`."""


class Gate:
    """`await run()` once; it ends with the connection, and closes it and its upstream.

    `upstreams` are for requests with the caller's own credential, `own` for those of callers who
    were verified; without it there are none of these. Each request is in `live` while it runs.
    """

    def __init__(
        self,
        client: Connection,
        upstreams: Upstreams,
        *,
        own: Upstreams | None = None,
        decide: Decide = identity.decide,
        live: LiveRequests | None = None,
        sink: audit.Sink = audit.discard,
        stream: str = "",
    ) -> None:
        self._client = client
        assert upstreams.credential is None, "callers never get the agent's credential"
        self._upstreams = upstreams
        self._own = own
        self._upstream: Connection | None = None
        self._upstream_is_of: Upstreams | None = None
        self._decide = decide
        self._live = LiveRequests() if live is None else live
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
            record.decision = await self._decide(head)
            with self._live.running(self._live_request(head, record)):
                return await self._forward(request, record)
        except TowropeError as error:
            if record.status:
                raise Cut(error.message, hop=error.hop) from None
            answer = status.of_error(error)
            record.status = answer.code
            await self._end_with(answer, with_body=not raw.startswith(b"HEAD "))
            return False
        finally:
            duration = time.monotonic() - started
            self._sink(record.event(started_at, self._stream, duration))

    def _live_request(self, head: RequestHead, record: "_Record") -> LiveRequest:
        def cut(reason: str) -> None:
            record.revoked = reason
            self._client.abort()
            if self._upstream is not None:
                self._upstream.abort()

        return LiveRequest(head=head, info=record.request, decision=record.decision, cut=cut)

    async def _forward(self, request: Request, record: "_Record") -> bool:
        way = self._way(record.decision)
        is_reused = self._has_usable(way)
        exchange = await self._exchange(request, record, way)
        try:
            await exchange.run()
        except Cut as error:
            # The apiserver may close an idle connection just as we use it again.
            may_retry = is_reused and error.hop is Hop.APISERVER and not exchange.status
            if not may_retry or request.method not in RETRYABLE or not exchange.is_sent:
                raise
            self._drop_upstream()
            exchange = await self._exchange(request, record, way)
            await exchange.run()
        finally:
            record.take(exchange)
            if exchange.upstream_status == 401 and way.credential is not None:
                way.credential.forget()
        self._is_switched = exchange.is_switched
        if not exchange.upstream_keeps_alive and not exchange.is_switched:
            self._drop_upstream()
        if not exchange.is_sent and not exchange.is_switched:
            await self._linger()
        return exchange.keeps_alive and not exchange.is_switched

    def _way(self, decision: Decision) -> Upstreams:
        """The connections that a request may use. Raises `Unreachable`."""
        if not decision.is_impersonated:
            return self._upstreams
        if self._own is None or self._own.credential is None:
            raise Unreachable(
                "The agent has no credential to ask the apiserver in your name.", hop=Hop.AGENT
            )
        return self._own

    def _has_usable(self, way: Upstreams) -> bool:
        # A connection that carried a request of one kind is never used for one of the other.
        upstream = self._upstream
        return upstream is not None and self._upstream_is_of is way and _is_usable(upstream)

    async def _exchange(self, request: Request, record: "_Record", way: Upstreams) -> Exchange:
        decision = record.decision
        address, credential = way.address, _credential(decision, way)
        if self._upstream is None or not self._has_usable(way):
            self._drop_upstream()
            self._upstream, self._upstream_is_of = await way.take(), way
        if record.revoked:
            raise Cut(record.revoked, hop=Hop.AGENT)
        head = request.head(host=address.authority, path=address.path, credential=credential)
        exchange = Exchange(self._client, self._upstream, request, head=head, decision=decision)
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
        self.request = request_info.RequestInfo(verb="", path="")
        self.decision = Decision(principal="", credential=())
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.audit_id = ""
        self.revoked = ""

    def take(self, exchange: Exchange) -> None:
        self.status = exchange.status
        self.bytes_in = exchange.bytes_in
        self.bytes_out = exchange.bytes_out
        self.audit_id = exchange.audit_id

    def event(self, started_at: float, stream: str, duration: float) -> audit.AuditEvent:
        return audit.AuditEvent(
            started_at=started_at,
            stream=stream,
            principal=self.decision.principal,
            groups=self.decision.groups,
            impersonated=self.decision.subject,
            request=self.request,
            status=self.status,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            duration=duration,
            audit_id=self.audit_id,
            revoked=self.revoked,
        )


def _credential(decision: Decision, way: Upstreams) -> tuple[Field, ...]:
    """All fields of a request that say who asks.

    With the agent's credential but no impersonated user, a request would be the agent's own.
    """
    if way.credential is None:
        assert not decision.is_impersonated, "an impersonation needs the agent's credential"
        return decision.credential
    names = [name.lower() for name, value in decision.credential if value]
    is_sound = names.count(b"impersonate-user") == 1 and all(
        name.startswith(b"impersonate-") for name in names
    )
    if not decision.is_impersonated or not is_sound:
        raise AssertionError("a request with the agent's credential must name whom it is for")
    return (*way.credential.fields(), *decision.credential)


def _is_usable(upstream: Connection) -> bool:
    # Bytes that nobody asked for would be taken for the next answer.
    return not upstream.is_lost and not upstream.buffer
