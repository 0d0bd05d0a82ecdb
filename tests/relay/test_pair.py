"""Joined WebSockets: order, pace, bounds, and how an end is told."""

import asyncio
import contextlib
import os

import pytest

from tests.fixtures.ends import End, read_all, write_all
from tests.fixtures.relay import RunningRelay
from tests.relay.conversation import join, listening
from towrope.ops import tasks
from towrope.relay.pair import is_sendable
from towrope.tunnel import heartbeat, websocket
from towrope.tunnel.websocket import Closing, Kind

READ_BOUND = websocket.FRAME_LIMIT + 2 * websocket.READ_BUFFER
"""What one read may bring at most, once its reader has paused."""


async def test_bytes_arrive_whole_in_order_and_both_ways(relay: RunningRelay) -> None:
    data = os.urandom(3_000_000)
    async with listening(relay) as (control, _):
        joined = await join(relay, control)
        async with asyncio.TaskGroup() as group:
            group.create_task(write_all(joined.sender, joined.sender_ws, data))
            group.create_task(write_all(joined.listener, joined.listener_ws, data[::-1], chunk=999))
            there = group.create_task(read_all(joined.listener, len(data)))
            back = group.create_task(read_all(joined.sender, len(data)))
        assert there.result() == data
        assert back.result() == data[::-1]
        await joined.finish()


async def test_what_the_listener_sends_at_once_is_first(relay: RunningRelay) -> None:
    async with listening(relay) as (control, _):
        for number in range(20):
            joined = await join(relay, control)
            joined.listener_ws.send_binary(b"%d" % number)
            joined.listener_ws.send_binary(b"then")
            assert await joined.sender.receive() == b"%d" % number
            assert await joined.sender.receive() == b"then"
            await joined.finish()


async def test_frames_keep_their_kind_and_their_fragments(relay: RunningRelay) -> None:
    async with listening(relay) as (control, _):
        joined = await join(relay, control)
        seen: list[tuple[Kind, bytes, bool]] = []

        class Recorder(End):
            def frame_received(self, kind: Kind, payload: memoryview, *, fin: bool) -> None:
                seen.append((kind, bytes(payload), fin))

        joined.listener_ws.receiver = recorder = Recorder()
        sent = [
            (Kind.TEXT, b"a", False),
            (Kind.CONTINUATION, b"", False),
            (Kind.CONTINUATION, b"b", True),
            (Kind.BINARY, b"", True),
            (Kind.BINARY, b"c" * 70_000, True),
        ]
        for kind, payload, fin in sent:
            joined.sender_ws.send(kind, payload, fin=fin)
        joined.sender_ws.close()
        await recorder.end()
        await joined.sender.end()
        assert seen == sent


@pytest.mark.parametrize("closing", [Closing(code=1000, reason="done"), Closing(code=4000)])
async def test_a_close_is_passed_on(relay: RunningRelay, closing: Closing) -> None:
    async with listening(relay) as (control, _):
        joined = await join(relay, control)
        joined.listener_ws.send_binary(b"last")
        joined.listener_ws.close(closing.code, closing.reason)
        assert await joined.sender.receive() == b"last"
        assert await joined.sender.end() == closing
        await joined.listener.end()


@pytest.mark.parametrize("who", ["listener", "sender"])
async def test_a_cut_is_never_passed_on_as_an_end(relay: RunningRelay, who: str) -> None:
    async with listening(relay) as (control, _):
        joined = await join(relay, control)
        lost, other = (
            (joined.listener_ws, joined.sender)
            if who == "listener"
            else (joined.sender_ws, joined.listener)
        )
        lost.send_binary(b"part")
        await other.receive()
        lost.abort()
        closing = await other.end()
        assert closing.code == 1011
        assert closing.reason == f"The connection to the {who} was lost."
        await joined.listener.end()
        await joined.sender.end()


def test_codes_that_stand_in_no_frame() -> None:
    allowed = {code for code in range(6000) if is_sendable(code)}
    assert allowed == {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}


async def test_a_reader_that_stops_bounds_the_relay_and_slows_its_writer_only(
    relay: RunningRelay,
) -> None:
    async with listening(relay) as (control, _):
        stuck, brisk = await join(relay, control), await join(relay, control)
        stuck.listener_ws.pause_reading()
        accepted = 0
        legs = [
            leg
            for pair in relay.relay._pairs
            for leg in (pair._listener, pair._sender)
            if leg.name == "listener"
        ]
        most = 0

        async def push() -> None:
            nonlocal accepted
            while True:
                await stuck.sender.writable.wait()
                stuck.sender_ws.send_binary(bytes(64 * 1024))
                accepted += 64 * 1024
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            pushing = group.create_task(push())
            # The other stream moves on all the while, and quickly.
            for _ in range(300):
                brisk.sender_ws.send_binary(b"ping")
                assert await brisk.listener.receive() == b"ping"
                most = max(most, *(leg.ws.write_buffer_size() for leg in legs))
            await stuck.sender.blocked.wait()
            pushing.cancel()
        assert 0 < most <= websocket.WRITE_HIGH_WATER + READ_BOUND
        stuck.listener_ws.resume_reading()
        assert await read_all(stuck.listener, accepted) == bytes(accepted)
        await stuck.finish()
        await brisk.finish()


async def test_a_stream_that_stands_still_lives_on(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "PING_AFTER", 0.1)
    monkeypatch.setattr(heartbeat, "PONG_WITHIN", 0.1)
    async with listening(relay) as (control, _):
        joined = await join(relay, control)
        joined.listener_ws.pause_reading()
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while True:
                    await joined.sender.writable.wait()
                    joined.sender_ws.send_binary(bytes(64 * 1024))
                    sent += 64 * 1024
        await asyncio.sleep(0.8)
        assert not joined.sender.closing.done()
        joined.listener_ws.resume_reading()
        assert await read_all(joined.listener, sent) == bytes(sent)
        await joined.finish()


async def test_a_slow_reader_gets_what_came_before_the_close(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "CLOSE_WITHIN", 0.05)
    async with listening(relay) as (control, _):
        joined = await join(relay, control)
        joined.listener_ws.pause_reading()
        data = os.urandom(8_000_000)
        writing = tasks.spawn(write_all(joined.sender, joined.sender_ws, data), name="writing")
        await joined.sender.blocked.wait()
        joined.listener_ws.resume_reading()
        await writing
        joined.sender_ws.close(1000, "all sent")
        assert await read_all(joined.listener, len(data)) == data
        assert await joined.listener.end() == Closing(code=1000, reason="all sent")
        await joined.sender.end()
