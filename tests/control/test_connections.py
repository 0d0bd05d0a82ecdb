"""The protocol that takes HTTP over, on a plain socket: what it bounds, and how it ends."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from towrope.control import connections
from towrope.control.connections import Connections

REQUEST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"


class Site:
    """An application that tells the length of each body, when it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked = asyncio.Event()
        self.connections = Connections(Starlette(routes=[Route("/", self.tell, methods=["POST"])]))
        self.port = 0

    async def tell(self, request: Request) -> PlainTextResponse:
        self.asked.set()
        await self.may_answer.wait()
        return PlainTextResponse(str(len(await request.body())))

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(made.connections.accept, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    await made.connections.close()
    server.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What is left until the connection is closed or cut."""
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""


async def test_requests_are_answered_one_after_the_other(site: Site) -> None:
    reader, writer = await site.open()
    for _ in range(3):
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nserver:" not in head.lower()
        assert await reader.readexactly(1) == b"2"
    writer.close()


async def test_a_large_body_is_no_head(site: Site) -> None:
    reader, writer = await site.open()
    head = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 500000\r\n\r\n"
    writer.write(head + b"x" * 500_000)
    assert (await ended(reader)).endswith(b"500000")
    writer.close()


@pytest.mark.parametrize(
    "start",
    [
        b"POST / HTTP/1.1\r\nHost: h\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: ",
        REQUEST + b"POST /",
    ],
    ids=["a head", "trailers", "a later head"],
)
async def test_a_head_without_end_is_cut(site: Site, start: bytes) -> None:
    site.may_answer.clear()
    reader, writer = await site.open()
    writer.write(start)
    for _ in range(20):
        writer.write(b"a" * 10_000)
    site.may_answer.set()
    await ended(reader)
    assert reader.at_eof() or reader.exception()
    writer.close()


async def test_a_head_that_takes_for_ever_is_cut(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 0.05)
    reader, writer = await site.open()
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\n")
    assert await ended(reader) == b""
    writer.close()


async def test_a_stop_lets_a_running_request_end(site: Site) -> None:
    site.may_answer.clear()
    reader, writer = await site.open()
    idle, idle_writer = await site.open()
    writer.write(REQUEST)
    await asyncio.wait_for(site.asked.wait(), 10)
    async with asyncio.TaskGroup() as group:
        group.create_task(site.connections.close())
        assert await ended(idle) == b""
        site.may_answer.set()
    assert (await ended(reader)).endswith(b"2")
    writer.close()
    idle_writer.close()


async def test_a_stop_does_not_wait_for_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STOP_TIMEOUT", 0.05)
    site.may_answer.clear()
    reader, writer = await site.open()
    writer.write(REQUEST)
    await asyncio.wait_for(site.asked.wait(), 10)
    async with asyncio.timeout(10):
        await site.connections.close()
    assert await ended(reader) == b""
    writer.close()
