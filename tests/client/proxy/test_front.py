"""What happens to one connection of kubectl: forwarded whole, or refused with a reason."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.client.proxy.conftest import Notices, Started, World, until, who_answers
from tests.client.proxy.relay import credential, fetching
from tests.client.proxy.test_local import port_of
from tests.wire.test_client_hello import hello_of
from towrope.client.proxy.sender import Sender
from towrope.wire.client_hello import parse

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HELLO = hello_of("raw.clusters.test")
Raw = Callable[[Handler], AbstractAsyncContextManager[int]]


@pytest.fixture
def raw(world: World, started: Started) -> Raw:
    """A cluster `raw` whose agent is a handler behind TCP without TLS; yields the proxy's port."""

    @contextlib.asynccontextmanager
    async def start(handler: Handler) -> AsyncIterator[int]:
        done = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                assert await reader.readexactly(len(HELLO)) == HELLO
                await handler(reader, writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            done.set()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            world.relay.backends["raw"] = server.sockets[0].getsockname()[1]
            async with started("raw"):
                yield port_of(world.folder)
            world.relay.cut()
            async with asyncio.timeout(10):
                await done.wait()

    return start


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HELLO)
    return reader, writer


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_bytes_pass_both_ways_after_each_end_in_turn(raw: Raw) -> None:
    content = bytes(range(256)) * 8192

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())  # only once the client has ended

    async with raw(answer) as port:
        reader, writer = await connect(port)
        writer.write(content)
        writer.write_eof()
        assert await reader.read() == content
        await close(writer)


async def test_a_cut_stream_is_a_reset_and_no_end(world: World, raw: Raw) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"part of the answer")
        await reader.read()

    async with raw(answer) as port:
        reader, writer = await connect(port)
        assert await reader.readexactly(18) == b"part of the answer"
        world.relay.cut()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await close(writer)


async def test_a_client_that_resets_resets_the_stream(world: World, raw: Raw) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        await reader.read()

    async with raw(answer) as port:
        reader, writer = await connect(port)
        await reader.readexactly(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await until(lambda: world.relay.resets)
        await close(writer)


async def test_a_reader_that_stops_stops_its_writer(world: World, raw: Raw) -> None:
    size = 64 * 1024 * 1024

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        part = bytes(256 * 1024)
        for _ in range(size // len(part)):
            writer.write(part)
            await writer.drain()

    async with raw(answer) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=64 * 1024)
        writer.write(HELLO)
        before = -1
        while world.relay.taken != before:  # until nothing moves any more
            before = world.relay.taken
            await asyncio.sleep(0.5)
        # What the system's socket buffers hold, on three connections, and ours: never the whole.
        assert 0 < world.relay.taken < size // 3
        received = 0
        while part := await reader.read(1024 * 1024):
            received += len(part)
        assert received == size
        await close(writer)


async def test_a_connection_ends_with_the_proxy(world: World, started: Started) -> None:
    async with started("one"):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            port_of(world.folder),
            ssl=world.tls(),
            server_hostname="one.clusters.test",
        )
        assert await reader.readline() == b"one\n"
    with pytest.raises(ConnectionResetError):
        await reader.read()
    await close(writer)


async def test_a_refusal_by_the_relay_is_an_alert_and_a_sentence(
    world: World, started: Started, notices: Notices
) -> None:
    fetch, left = fetching(credential(world.relay, "gone"))
    sender = Sender(credential(world.relay, "gone"), fetch, tls=None, patience=0)
    async with started("one", sender=sender):
        with pytest.raises(OSError, match=r"(?i)internal.error"):
            await who_answers(world, port_of(world.folder), "one")
    (notice,) = notices
    assert "There are no listeners connected" in notice
    assert "relay" in notice
    assert "no agent is connected" in notice
    assert "good" not in notice
    assert left == []


async def test_a_credential_that_stays_refused_is_access_denied(
    world: World, started: Started, notices: Notices
) -> None:
    bad = credential(world.relay, "one", token="SharedAccessSignature bad")
    fetch, _ = fetching(bad)
    async with started("one", sender=Sender(bad, fetch, tls=None)):
        with pytest.raises(OSError, match=r"(?i)access.denied"):
            await who_answers(world, port_of(world.folder), "one")
    assert "towrope login" in notices[0]
    assert "SharedAccessSignature" not in notices[0]


async def test_a_name_that_nobody_serves_is_told(
    world: World, started: Started, notices: Notices
) -> None:
    async with started("one"):
        with pytest.raises(OSError, match=r"(?i)unrecognized.name"):
            await who_answers(world, port_of(world.folder), "two")
    assert "two.clusters.test" in notices[0]
    assert world.relay.attempts == 0


async def test_connections_have_a_limit(world: World, started: Started, notices: Notices) -> None:
    async with started("one") as proxy:
        proxy._front.limit = 0
        with pytest.raises(OSError, match=r"(?i)internal.error"):
            await who_answers(world, port_of(world.folder), "one")
    assert "More than 0 connections" in notices[0]


async def exchange(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await reader.read()
    await close(writer)
    return answer


async def test_plain_http_is_told_what_the_port_is_for(world: World, started: Started) -> None:
    async with started("one"):
        answer = await exchange(port_of(world.folder), b"GET /version HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"TLS" in answer


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"\x16\2\0\0\1x", b"\x15\3\3\0\2\2\x32"),
        (b"{" * 2000, b"HTTP/1.1 400"),
        (b'{"towrope-join":{"secret":"x","serverName":"n","port":70000}}\n', b"HTTP/1.1 400"),
        (b'{"towrope-join":{}}\n', b"HTTP/1.1 400"),
        (b'{"towrope-join":{"secret":"\\u00fc","serverName":"n","port":7}}\n', b'{"joined":false'),
    ],
)
async def test_nonsense_is_refused(
    world: World, started: Started, data: bytes, answer: bytes
) -> None:
    async with started("one"):
        assert (await exchange(port_of(world.folder), data)).startswith(answer)
        assert await who_answers(world, port_of(world.folder), "one") == "one"


async def test_a_silent_connection_is_not_kept(
    world: World, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("towrope.client.proxy.front.OPEN_WITHIN", 0.1)
    assert parse(HELLO[:-1]) is None
    async with started("one"):
        async with asyncio.timeout(10):
            assert await exchange(port_of(world.folder), HELLO[:-1]) == b""
            assert await exchange(port_of(world.folder), b"") == b""
    assert world.relay.attempts == 0


async def test_a_connection_that_closes_early_leaves_nothing(
    world: World, started: Started
) -> None:
    async with started("one") as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(world.folder))
        writer.write(HELLO[:50])
        writer.close()
        await writer.wait_closed()
        assert await who_answers(world, port_of(world.folder), "one") == "one"
        await until(lambda: not (proxy._front._serving or proxy._front._streams))
