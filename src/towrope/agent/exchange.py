"""One request and its response, between a client's connection and an upstream one.

The request's body and the response run at the same time, each at the pace of its reader. Where
one cannot be brought to its end, the other side is cut too: never a clean end to a part.
"""

import asyncio

from towrope.agent import denials, objections, screening
from towrope.agent.connection import Connection
from towrope.agent.identity import Decision
from towrope.agent.screening import Request
from towrope.ops import tasks
from towrope.tunnel.splice import join
from towrope.wire import body
from towrope.wire.body import Decoder, Encoder, Framing
from towrope.wire.errors import Cut, Hop, Malformed, foreign
from towrope.wire.head import RequestHead, ResponseHead, parse_response

INTERIM_LIMIT = 16


class Exchange:
    """Run once. Afterwards its attributes tell what became of both connections."""

    def __init__(
        self,
        client: Connection,
        upstream: Connection,
        request: Request,
        *,
        head: RequestHead,
        decision: Decision,
    ) -> None:
        self.status = 0
        """Of the response whose head went to the client; 0 while none did."""
        self.upstream_status = 0
        """Of the apiserver's response, which is not always the client's."""
        self.audit_id = ""
        """By which the apiserver's audit log knows this request."""
        self.is_sent = False
        """Whether the whole request went upstream."""
        self.keeps_alive = request.keeps_alive
        self.upstream_keeps_alive = False
        self.is_switched = False
        """Whether both connections went over to plain bytes, and are no longer ours."""
        self.bytes_in = 0
        self.bytes_out = 0
        self._client = client
        self._upstream = upstream
        self._request = request
        self._head = head
        self._decision = decision
        self._refusal: Malformed | None = None

    async def run(self) -> None:
        """Raises `Malformed` (the request is), `Cut` with the hop that failed, or an objection.

        Unless `status` is set, nothing of a response went to the client and one can be made.
        """
        sent_before, answered_before = self._upstream.sent, self._client.sent
        self._client.on_lost = self._upstream.abort
        sending = self._start_sending()
        try:
            await self._receive()
        except Cut:
            if self._refusal is not None:
                raise self._refusal from None
            raise
        finally:
            await tasks.cancel(sending)
            self._client.on_lost = None
            self.bytes_in += self._upstream.sent - sent_before
            self.bytes_out += self._client.sent - answered_before

    # Sending the request.

    def _start_sending(self) -> asyncio.Task[None] | None:
        decoder = Decoder(self._request.framing)
        encoder = Encoder(self._request.framing)
        # What came with the head is looked at first, so that bad framing reaches no apiserver.
        pieces, used = decoder.feed(self._client.buffer)
        self._client.skip(used)
        first = self._head.encode() + encoder.encode(pieces)
        if decoder.is_complete:
            self._upstream.write(first + encoder.end())
            self.is_sent = True
            return None
        self._upstream.write(first)
        return tasks.spawn(self._send_rest(decoder, encoder), name="request body")

    async def _send_rest(self, decoder: Decoder, encoder: Encoder) -> None:
        try:
            await transfer(self._client, self._upstream, decoder, encoder)
            self.is_sent = True
        except Malformed as error:
            self._refusal = error
            self._upstream.abort()
        except Cut:
            # A client that is lost has cut the upstream by `on_lost`; and an apiserver that takes
            # no more may have answered, which is read to its end.
            return

    # Receiving the response.

    async def _receive(self) -> None:
        try:
            head = await self._final_head()
            framing = body.response_framing(head, method=self._request.method)
        except Malformed as error:
            raise _invalid(error.message) from None
        self.upstream_status = head.status
        self.audit_id = foreign(head.fields.first(b"audit-id") or b"")
        if head.status == 101:
            await self._switch(head)
        else:
            decoder = Decoder(framing, hop=Hop.APISERVER)
            begun = await self._without_objection(head.status, decoder)
            if decoder.is_complete and framing.kind is not body.Kind.UNTIL_CLOSE:
                told = denials.explained(self._decision, head, b"".join(begun))
                if told is not None:
                    begun, framing = [told], Framing(body.Kind.LENGTH, len(told))
            await self._pass_on(head, framing, decoder, begun)

    async def _without_objection(self, status: int, decoder: Decoder) -> list[bytes]:
        """What was read of the body for this; raises what the caller is to get instead."""
        if not objections.may_be(self._decision, status):
            return []
        begun = await self._begin(decoder)
        objection = objections.of(self._decision, status, b"".join(begun))
        if objection is not None:
            raise objection
        return begun

    async def _begin(self, decoder: Decoder) -> list[bytes]:
        """The first pieces of the body: all of a short one."""
        begun: list[bytes] = []
        while True:
            pieces, used = decoder.feed(self._upstream.buffer)
            self._upstream.skip(used)
            begun += pieces
            if decoder.is_complete or sum(map(len, begun)) >= objections.BODY_LIMIT:
                return begun
            if not await self._upstream.more():
                decoder.end()

    async def _final_head(self) -> ResponseHead:
        for _ in range(INTERIM_LIMIT):
            raw = await self._upstream.head()
            if raw is None:
                raise Cut(
                    "The apiserver closed the connection without an answer.", hop=Hop.APISERVER
                )
            head = parse_response(raw)
            if head.status >= 200 or head.status == 101:
                return head
            body.response_framing(head, method=self._request.method)
            if self._request.minor == 1:
                self._client.write(screening.answer(head, body.NONE, closes=False).encode())
        raise _invalid("too many interim responses")

    async def _pass_on(
        self, head: ResponseHead, framing: Framing, decoder: Decoder, begun: list[bytes]
    ) -> None:
        out = self._framing_for_client(framing)
        self.keeps_alive &= self.is_sent and out.kind is not body.Kind.UNTIL_CLOSE
        # A client that asked for an upgrade may have sent bytes that are no request.
        self.keeps_alive &= self._request.upgrade is None
        answer = screening.answer(head, out, closes=not self.keeps_alive)
        self.status = head.status
        encoder = Encoder(out)
        before = answer.encode() + encoder.encode(begun)
        await transfer(self._upstream, self._client, decoder, encoder, before=before)
        self.upstream_keeps_alive = (
            self.is_sent
            and head.minor == 1
            and b"close" not in head.fields.tokens(b"connection")
            and framing.kind is not body.Kind.UNTIL_CLOSE
        )

    def _framing_for_client(self, framing: Framing) -> Framing:
        if framing.kind in (body.Kind.CHUNKED, body.Kind.UNTIL_CLOSE):
            return body.CHUNKED if self._request.minor == 1 else body.UNTIL_CLOSE
        return framing

    async def _switch(self, head: ResponseHead) -> None:
        wanted, chosen = self._request.upgrade, head.fields.first(b"upgrade")
        if wanted is None or chosen is None or chosen.lower() != wanted.lower():
            raise _invalid("it switches to a protocol that nobody asked for")
        answer = screening.answer(head, body.NONE, closes=False)
        self.status, self.is_switched = head.status, True
        self._client.on_lost = None
        early = self._upstream.take(len(self._upstream.buffer))
        self._client.write(answer.encode() + early)
        self._upstream.write(self._client.take(len(self._client.buffer)))
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        left, right = join(
            self._client.transport,
            self._upstream.transport,
            ended=lambda _: ended.set_result(None),
        )
        try:
            await ended
        except asyncio.CancelledError:
            left.transport.abort()
            right.transport.abort()
            raise
        finally:
            self.bytes_in += left.received
            self.bytes_out += right.received


async def transfer(
    source: Connection,
    sink: Connection,
    decoder: Decoder,
    encoder: Encoder,
    *,
    before: bytes = b"",
) -> None:
    """Brings a body from `source` to `sink`, framed anew, after the bytes `before`.

    Raises `Cut` with the hop that failed, or `Malformed`.
    """
    while True:
        pieces, used = decoder.feed(source.buffer)
        source.skip(used)
        data = before + encoder.encode(pieces)
        before = b""
        if decoder.is_complete:
            sink.write(data + encoder.end())
            return await sink.drained()
        sink.write(data)
        await sink.drained()
        if not await source.more():
            decoder.end()


def _invalid(what: str) -> Cut:
    return Cut(f"The apiserver's answer is not valid: {what}", hop=Hop.APISERVER)
