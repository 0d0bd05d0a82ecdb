"""Joined transports: bytes, pace and ends go across, and never in better order than they came."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator

import aiofastnet
import pytest
import trustme

from tests.tunnel.pairs import WITHIN, Recorder, streams
from towrope.tunnel.splice import join


async def _transport(sock: socket.socket, tls: ssl.SSLContext | None) -> asyncio.Transport:
    """The spliced side of a socket pair; a TLS server where there is a context."""
    loop = asyncio.get_running_loop()
    transport, _ = await aiofastnet.connect_accepted_socket(loop, Recorder, sock, ssl=tls)
    return transport


class Outside:
    """The far end of a transport that is spliced."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(WITHIN):
            return await self.reader.readexactly(size)

    async def read_all(self) -> bytes:
        async with asyncio.timeout(WITHIN):
            return await self.reader.read()


@contextlib.asynccontextmanager
async def outside_and_inside(
    tls: bool = False,
) -> AsyncIterator[tuple[Outside, asyncio.Transport]]:
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("inside.test").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        mine = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    mine.setblocking(False)
    theirs.setblocking(False)
    async with asyncio.TaskGroup() as group:
        inside = group.create_task(_transport(theirs, server if tls else None))
        opened = group.create_task(
            asyncio.open_connection(
                sock=mine,
                ssl=client if tls else None,
                server_hostname="inside.test" if tls else None,
            )
        )
    outside = Outside(*opened.result())
    try:
        yield outside, inside.result()
    finally:
        outside.writer.transport.abort()
        inside.result().abort()
        for _ in range(3):  # the loop's turns in which an aborted transport closes its socket
            await asyncio.sleep(0)


@pytest.mark.parametrize("left_tls", [False, True])
@pytest.mark.parametrize("right_tls", [False, True])
async def test_bytes_go_across_both_ways(left_tls: bool, right_tls: bool) -> None:
    data = os.urandom(2_000_000)
    async with (
        outside_and_inside(left_tls) as (a, left),
        outside_and_inside(right_tls) as (b, right),
    ):
        first, second = join(left, right)
        a.writer.write(data)
        assert await b.read(len(data)) == data
        b.writer.write(data[:1000])
        assert await a.read(1000) == data[:1000]
        assert (first.received, second.received) == (len(data), 1000)


async def test_a_half_close_goes_across_and_the_other_half_lives() -> None:
    ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    async with outside_and_inside() as (a, left), outside_and_inside() as (b, right):
        join(left, right, ended=ended.set_result)
        a.writer.write(b"question")
        a.writer.write_eof()
        assert await b.read_all() == b"question"
        b.writer.write(b"answer")
        b.writer.write_eof()
        assert await a.read_all() == b"answer"
        async with asyncio.timeout(WITHIN):
            assert await ended is None
        assert left.is_closing()
        assert right.is_closing()


async def test_a_cut_goes_across_as_a_cut() -> None:
    ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    async with outside_and_inside() as (a, left), outside_and_inside() as (b, right):
        join(left, right, ended=ended.set_result)
        a.writer.write(b"part")
        assert await b.read(4) == b"part"
        a.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
        )
        a.writer.transport.abort()
        async with asyncio.timeout(WITHIN):
            assert isinstance(await ended, ConnectionError)
        assert right.is_closing()


async def test_tls_that_ends_without_close_notify_is_a_cut() -> None:
    """`connection_lost(None)` with no end before it: the far side must not see an orderly end."""
    async with (
        outside_and_inside(tls=True) as (a, left),
        outside_and_inside(tls=True) as (b, right),
    ):
        join(left, right)
        a.writer.write(b"part")
        assert await b.read(4) == b"part"
        ssl_object = b.writer.get_extra_info("ssl_object")
        assert ssl_object is not None
        a.writer.transport.abort()
        raw = b.writer.transport
        with contextlib.suppress(ConnectionError):
            assert await b.read_all() == b""
        # The standard library hides the difference from a reader; the TLS object knows it.
        with pytest.raises((ssl.SSLError, ValueError)) as cut:
            ssl_object.unwrap()
        assert not isinstance(cut.value, ssl.SSLZeroReturnError)
        del raw


async def test_tls_that_ends_in_order_ends_the_other_in_order() -> None:
    data = os.urandom(500_000)
    async with outside_and_inside(tls=True) as (a, left), streams() as (stream, far):
        far.set_protocol(got := Recorder())
        join(left, stream)
        a.writer.write(data)
        a.writer.close()
        await got.ended.wait()
        assert bytes(got.received) == data


async def test_a_stream_that_is_cut_cuts_the_other() -> None:
    ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    async with outside_and_inside(tls=True) as (a, left), streams() as (stream, far):
        far.set_protocol(Recorder())
        join(left, stream, ended=ended.set_result)
        far.write(b"part")
        assert await a.read(4) == b"part"
        far.abort()
        async with asyncio.timeout(WITHIN):
            assert isinstance(await ended, Exception)
        assert left.is_closing()


async def test_a_slow_reader_stops_its_writer() -> None:
    async with outside_and_inside() as (a, left), outside_and_inside() as (b, right):
        b.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a ReadTransport's
        join(left, right)
        written = 0
        with pytest.raises(TimeoutError):
            while True:
                a.writer.write(bytes(100_000))
                async with asyncio.timeout(0.5):
                    await a.writer.drain()
                written += 100_000
        assert right.get_write_buffer_size() < 1_000_000
        b.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await b.read(written)) == written


async def test_a_slow_reader_gets_all_of_a_stream_that_was_closed_meanwhile() -> None:
    data = os.urandom(4_000_000)
    async with outside_and_inside() as (a, left), streams() as (stream, far):
        a.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a ReadTransport's
        far.set_protocol(got := Recorder())
        join(left, stream)
        far.write(data)
        far.write_eof()
        await asyncio.sleep(0.2)
        a.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await a.read_all() == data
        a.writer.write_eof()
        assert await got.end() is None


@pytest.mark.parametrize("gone", [0, 1])
async def test_joining_what_is_closed_already_ends_both(gone: int) -> None:
    ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    async with outside_and_inside() as (_, left), outside_and_inside() as (_, right):
        (left, right)[gone].abort()
        join(left, right, ended=ended.set_result)
        async with asyncio.timeout(WITHIN):
            assert isinstance(await ended, Exception)
        assert left.is_closing()
        assert right.is_closing()


async def test_ended_is_told_once() -> None:
    told: list[BaseException | None] = []
    async with outside_and_inside() as (a, left), outside_and_inside() as (b, right):
        join(left, right, ended=told.append)
        left.abort()
        assert await a.read_all() == b""
        assert await b.read_all() == b""
        assert left.is_closing()
        assert right.is_closing()
        assert len(told) == 1
