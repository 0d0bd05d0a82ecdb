"""The doorman: what it refuses, what it hands to the web application, and what it never says."""

import asyncio
import contextlib

import pytest

from tests.fixtures.relay import HOST, PlainHttp, RunningRelay
from towrope.relay import doorman
from towrope.wire.head import HEAD_LIMIT


@pytest.mark.parametrize(
    "request_head",
    [
        b"nonsense\r\n\r\n",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * HEAD_LIMIT + b"\r\n\r\n",
        b"GET /" + b"x" * 1_000_000,
    ],
)
async def test_a_malformed_head_is_refused(relay: RunningRelay, request_head: bytes) -> None:
    answer = await relay.ask(request_head)
    assert answer.status == 400
    assert answer.fields.first(b"connection") == b"close"
    assert b"TrackingId:" in answer.reason


@pytest.mark.parametrize(
    "line",
    [
        "POST /$hc/alpha?sb-hc-action=connect HTTP/1.1",
        "GET /$hc/alpha HTTP/1.1",
        "GET /$hc/alpha?sb-hc-action=connect&sb-hc-action=listen HTTP/1.1",
        "GET /$hc/../alpha?sb-hc-action=connect HTTP/1.1",
        "GET /$hc/?sb-hc-action=connect HTTP/1.1",
    ],
)
async def test_tunnel_traffic_that_is_none_is_refused(relay: RunningRelay, line: str) -> None:
    answer = await relay.ask(f"{line}\r\nHost: a\r\n\r\n".encode())
    assert answer.status == 400
    assert b"TrackingId:" in answer.reason


async def test_what_is_not_tunnel_traffic_goes_to_the_application(relay: RunningRelay) -> None:
    request = b"POST /$hC/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
    reader, writer = await asyncio.open_connection(HOST, relay.port, ssl=relay.tls)
    for piece in (request[:1], request[1:30], request[30:]):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    assert int(await reader.readexactly(2)) == len(request)
    writer.write(b"more")
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert int(await reader.readexactly(2)) == len(request) + 4
    await leave(writer)


async def test_a_peer_that_sends_no_head_is_let_go(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorman, "HEAD_WITHIN", 0.1)
    reader, writer = await asyncio.open_connection(HOST, relay.port, ssl=relay.tls)
    writer.write(b"GET / HTTP/1.1\r\n")
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    await leave(writer)


async def test_a_peer_that_sends_its_head_is_not(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorman, "HEAD_WITHIN", 0.1)
    reader, writer = await asyncio.open_connection(HOST, relay.port, ssl=relay.tls)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.2)
    writer.write(b"more")
    assert b"200" in await reader.readuntil(b"\r\n\r\n")
    await leave(writer)


async def test_behind_a_balancer_that_ends_tls(relay: RunningRelay) -> None:
    """The same over plain TCP; what a refused peer still sends does not destroy its answer."""
    server = await relay.relay.serve(host=HOST, port=0, tls=None, http=PlainHttp)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"nonsense\r\n\r\n" + b"x" * 1_000_000)
    async with asyncio.timeout(10):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    await leave(writer)
    server.close()
    async with asyncio.timeout(10):
        await server.wait_closed()


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
