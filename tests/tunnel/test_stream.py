"""One end of a stream: bytes in order, ends that are told apart, pauses that hold."""

import asyncio
import os

import pytest

from tests.tunnel.pairs import Recorder, sockets, streams
from towrope.tunnel import stream as stream_module
from towrope.tunnel.stream import WRITE_LIMIT, StreamTransport
from towrope.tunnel.websocket import Kind
from towrope.wire import messages
from towrope.wire.errors import Cut, Hop, Malformed
from towrope.wire.messages import Eof, Reset, StreamMessage


async def test_bytes_arrive_whole_whatever_their_sizes() -> None:
    parts = [os.urandom(n) for n in (1, 125, 126, 65_535, 65_536, WRITE_LIMIT, 3 * WRITE_LIMIT + 1)]
    async with streams() as (left, right):
        got = Recorder()
        right.set_protocol(got)
        left.set_protocol(Recorder())
        for part in parts:
            left.write(part)
        left.writelines([b"a", bytearray(b"b"), memoryview(b"c")])
        left.write(b"")
        whole = b"".join(parts) + b"abc"
        assert await got.has(len(whole)) == whole


async def test_bytes_before_the_protocol_wait_for_it() -> None:
    async with streams() as (left, right):
        left.set_protocol(mine := Recorder())
        left.write(b"question")
        left.write_eof()
        right.write(b"greeting")
        await mine.has(8)
        right.set_protocol(got := Recorder())
        await got.ended.wait()
        assert got.received == b"question"


async def test_a_far_end_that_vanishes_may_not_have_what_we_wrote() -> None:
    async with sockets() as (client, server):
        right = StreamTransport(server, hop=Hop.RELAY)
        right.set_protocol(got := Recorder())
        client.send_text(messages.encode(StreamMessage(eof=Eof(offset=0))))
        await got.ended.wait()
        right.write(b"answer")
        client.abort()
        assert isinstance(await got.end(), Cut)


async def test_each_half_ends_by_itself() -> None:
    async with streams() as (left, right):
        left.set_protocol(first := Recorder())
        right.set_protocol(second := Recorder())
        left.write(b"question")
        left.write_eof()
        await second.ended.wait()
        assert second.received == b"question"
        right.write(b"answer after the other half ended")
        right.write_eof()
        await first.ended.wait()
        assert first.received == b"answer after the other half ended"
        assert await first.end() is None
        assert await second.end() is None
        assert first.events[-2:] == ["eof", "lost"]
        assert second.events[-2:] == ["eof", "lost"]


async def test_a_protocol_that_does_not_keep_it_open_ends_both_halves() -> None:
    async with streams() as (left, right):
        left.set_protocol(first := Recorder())
        right.set_protocol(second := Recorder(keeps_open=False))
        left.write_eof()
        assert await second.end() is None
        assert await first.end() is None
        assert first.events == ["eof", "lost"]


async def test_close_delivers_what_was_written() -> None:
    data = os.urandom(1_000_000)
    async with streams() as (left, right):
        left.set_protocol(first := Recorder())
        right.set_protocol(second := Recorder())
        left.write(data)
        left.close()
        assert left.is_closing()
        left.write(b"ignored")
        await second.ended.wait()
        right.write(b"dropped")
        right.close()
        assert await second.end() is None
        assert await first.end() is None
        assert bytes(second.received) == data
        assert first.received == b""


async def test_close_survives_a_far_end_that_is_still_sending() -> None:
    """Closed under bytes on their way, a connection is reset, and what it sent before is lost."""
    data = os.urandom(200_000)
    async with streams() as (left, right):
        left.set_protocol(first := Recorder())
        right.set_protocol(second := Recorder())
        for _ in range(100):
            right.write(os.urandom(10_000))
        left.write(data)
        left.close()
        await second.ended.wait()
        assert bytes(second.received) == data
        right.close()
        assert await first.end() is None
        assert await second.end() is None


async def test_close_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "LINGER_FOR", 0.05)
    async with streams() as (left, right):
        left.set_protocol(first := Recorder())
        right.set_protocol(second := Recorder())
        left.close()
        assert await first.end() is None
        assert await second.end() is None


async def test_abort_is_told_to_the_far_end() -> None:
    async with streams() as (left, right):
        left.set_protocol(first := Recorder())
        right.set_protocol(second := Recorder())
        left.write(b"part")
        left.abort()
        failure = await second.end()
        assert isinstance(failure, Cut)
        assert "reset" in str(failure)
        assert "eof" not in second.events
        assert isinstance(await first.end(), Cut)


@pytest.mark.parametrize("end", ["dropped", "closed"])
async def test_a_websocket_that_ends_before_the_stream_did_has_cut_it(end: str) -> None:
    async with sockets() as (client, server):
        right = StreamTransport(server, hop=Hop.RELAY)
        right.set_protocol(got := Recorder())
        client.send_binary(b"part")
        if end == "dropped":
            await got.has(4)
            client.abort()
        else:
            client.close()
        failure = await got.end()
        assert isinstance(failure, Cut)
        assert failure.hop is Hop.RELAY
        assert got.events == ["data 4", "lost"]


async def test_a_half_closed_stream_can_be_cut_too() -> None:
    async with sockets() as (client, server):
        right = StreamTransport(server, hop=Hop.RELAY)
        right.set_protocol(got := Recorder())
        right.write_eof()
        client.send_binary(b"part")
        await got.has(4)
        client.abort()
        assert isinstance(await got.end(), Cut)


@pytest.mark.parametrize("offset", [0, 3, 5])
async def test_an_end_at_another_offset_is_a_cut(offset: int) -> None:
    async with sockets() as (client, server):
        right = StreamTransport(server, hop=Hop.RELAY)
        right.set_protocol(got := Recorder())
        client.send_binary(b"four")
        client.send_text(messages.encode(StreamMessage(eof=Eof(offset=offset))))
        client.send_binary(b"not delivered")
        failure = await got.end()
        assert isinstance(failure, Cut)
        assert "lost bytes" in str(failure)
        assert got.events == ["data 4", "lost"]


async def test_bytes_after_the_end_are_refused() -> None:
    async with sockets() as (client, server):
        right = StreamTransport(server, hop=Hop.RELAY)
        right.set_protocol(got := Recorder())
        client.send_text(messages.encode(StreamMessage(eof=Eof(offset=0))))
        client.send_binary(b"more")
        assert isinstance(await got.end(), Malformed)
        assert got.received == b""


@pytest.mark.parametrize("text", ["no json", '{"eof":{}}', '{"eof":{"offset":"1"}}', "[]"])
async def test_a_message_that_is_none_fails_the_stream(text: str) -> None:
    async with sockets() as (client, server):
        right = StreamTransport(server, hop=Hop.RELAY)
        right.set_protocol(got := Recorder())
        client.send_text(text)
        assert isinstance(await got.end(), Malformed)


async def test_a_message_of_a_later_version_is_ignored() -> None:
    async with sockets() as (client, server):
        right = StreamTransport(server, hop=Hop.RELAY)
        right.set_protocol(got := Recorder())
        client.send_text('{"ack":{"received":1}}')
        client.send_binary(b"bytes")
        assert await got.has(5) == b"bytes"


async def test_an_endless_message_fails_the_stream() -> None:
    async with sockets() as (client, server):
        right = StreamTransport(server, hop=Hop.RELAY)
        right.set_protocol(got := Recorder())
        kind = Kind.TEXT
        for _ in range(3):
            client.send(kind, b"a" * 30_000, fin=False)
            kind = Kind.CONTINUATION
        assert isinstance(await got.end(), Malformed)


async def test_fragments_are_put_together() -> None:
    async with sockets() as (client, server):
        right = StreamTransport(server, hop=Hop.RELAY)
        right.set_protocol(got := Recorder())
        client.send(Kind.BINARY, b"one ", fin=False)
        client.send(Kind.CONTINUATION, b"two", fin=True)
        end = messages.encode(StreamMessage(eof=Eof(offset=7))).encode()
        client.send(Kind.TEXT, end[:5], fin=False)
        client.send(Kind.CONTINUATION, end[5:], fin=True)
        await got.ended.wait()
        assert got.received == b"one two"


async def test_a_reset_names_its_reason_safely() -> None:
    async with sockets() as (client, server):
        right = StreamTransport(server, hop=Hop.RELAY)
        right.set_protocol(got := Recorder())
        client.send_text(messages.encode(StreamMessage(reset=Reset(reason="gone\r\naway"))))
        assert "gone��away" in str(await got.end())


async def test_without_v1_a_normal_close_is_the_end() -> None:
    async with sockets(subprotocol=None) as (client, server):
        right = StreamTransport(server, hop=Hop.RELAY)
        right.set_protocol(got := Recorder())
        assert not right.can_write_eof()
        client.send_text('{"eof":{"offset":0}}')  # to others, text is no control
        client.send_binary(b"all")
        client.close()
        assert await got.end() is None
        assert got.events == ["data 3", "eof", "lost"]


async def test_without_v1_any_other_close_is_a_cut() -> None:
    async with sockets(subprotocol=None) as (client, server):
        right = StreamTransport(server, hop=Hop.RELAY)
        right.set_protocol(got := Recorder())
        client.close(1011, "failed")
        failure = await got.end()
        assert isinstance(failure, Cut)
        assert "failed" in str(failure)


async def test_without_v1_close_closes_the_websocket() -> None:
    async with streams(subprotocol=None) as (left, right):
        left.set_protocol(first := Recorder())
        right.set_protocol(second := Recorder())
        left.write(b"all")
        left.close()
        assert await second.end() is None
        assert await first.end() is None
        assert second.received == b"all"


async def test_a_paused_end_gets_nothing_and_loses_nothing() -> None:
    data = os.urandom(300_000)
    async with streams() as (left, right):
        left.set_protocol(Recorder())
        right.set_protocol(got := Recorder())
        right.pause_reading()
        assert not right.is_reading()
        left.write(data)
        left.write_eof()
        await asyncio.sleep(0.1)
        assert got.events == []
        right.resume_reading()
        await got.ended.wait()
        assert bytes(got.received) == data


async def test_a_paused_end_learns_of_a_cut_at_once() -> None:
    async with streams() as (left, right):
        left.set_protocol(Recorder())
        right.set_protocol(got := Recorder())
        left.write(b"part")
        await got.has(4)
        left.abort()
        right.resume_reading()
        assert isinstance(await got.end(), Cut)


async def test_a_slow_reader_stops_its_writer() -> None:
    async with streams() as (left, right):
        left.set_protocol(writer := Recorder())
        right.set_protocol(got := Recorder())
        right.pause_reading()
        written = 0
        while writer.is_writable.is_set():
            left.write(bytes(100_000))
            written += 100_000
            await asyncio.sleep(0)
        assert left.get_write_buffer_size() < 1_000_000
        right.resume_reading()
        await writer.is_writable.wait()
        await got.has(written)


class Toggler(Recorder):
    """Pauses at each delivery, and resumes within the same call: order must hold."""

    def __init__(self, transport: StreamTransport) -> None:
        super().__init__()
        self._transport = transport
        self._inside = False

    def data_received(self, data: bytes) -> None:
        assert not self._inside, "delivered within a delivery"
        self._inside = True
        self._transport.pause_reading()
        self._transport.resume_reading()
        super().data_received(data)
        self._inside = False


async def test_resuming_within_a_delivery_keeps_the_order() -> None:
    data = os.urandom(500_000)
    async with streams() as (left, right):
        left.set_protocol(Recorder())
        right.set_protocol(got := Toggler(right))
        for start in range(0, len(data), 1000):
            left.write(data[start : start + 1000])
        assert await got.has(len(data)) == data


async def test_a_stream_made_of_a_closed_websocket_is_lost() -> None:
    async with sockets() as (client, server):
        client.abort()
        StreamTransport(server, hop=Hop.RELAY).set_protocol(first := Recorder())
        await first.end()
        StreamTransport(server, hop=Hop.RELAY).set_protocol(second := Recorder())
        assert isinstance(await second.end(), Cut)


async def test_close_after_the_websocket_is_gone_is_told() -> None:
    async with streams() as (left, right):
        left.set_protocol(Recorder())
        right.set_protocol(got := Recorder())
        right.pause_reading()
        left.write(b"part")
        left.close()
        await asyncio.sleep(0.05)
        right.close()
        assert await got.end() is None
        assert got.received == b""
