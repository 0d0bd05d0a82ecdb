"""Two ends of a WebSocket over a real connection, as streams."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiofastnet

from towrope.tunnel import websocket
from towrope.tunnel.stream import StreamTransport
from towrope.tunnel.websocket import Receiver, WebSocket
from towrope.wire.errors import Hop
from towrope.wire.messages import SUBPROTOCOL

WITHIN = 10.0


class _Doorman(asyncio.Protocol):
    """Reads a request head, and makes a WebSocket of the connection."""

    def __init__(self, subprotocol: str | None, opened: "asyncio.Future[WebSocket]") -> None:
        self._head = b""
        self._subprotocol = subprotocol
        self._opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head:
            ws = websocket.accept(
                self._transport, self._head, Receiver(), subprotocol=self._subprotocol
            )
            self._opened.set_result(ws)


@contextlib.asynccontextmanager
async def sockets(
    *, subprotocol: str | None = SUBPROTOCOL
) -> AsyncIterator[tuple[WebSocket, WebSocket]]:
    """The client's end, and the server's."""
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[WebSocket] = loop.create_future()
    server = await aiofastnet.create_server(
        loop, lambda: _Doorman(subprotocol, opened), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    try:
        client = await websocket.dial(
            f"ws://127.0.0.1:{port}/",
            Receiver(),
            hop=Hop.RELAY,
            headers={},
            subprotocol=subprotocol,
        )
        async with asyncio.timeout(WITHIN):
            server_end = await opened
        try:
            yield client, server_end
        finally:
            client.abort()
            server_end.abort()
    finally:
        server.close()
        for _ in range(3):  # the loop's turns in which an aborted connection is closed
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def streams(
    *, subprotocol: str | None = SUBPROTOCOL
) -> AsyncIterator[tuple[StreamTransport, StreamTransport]]:
    async with sockets(subprotocol=subprotocol) as (client, server):
        yield StreamTransport(client, hop=Hop.CLIENT), StreamTransport(server, hop=Hop.AGENT)


class Recorder(asyncio.Protocol):
    """Keeps what it is told, in order, as `events`."""

    def __init__(self, *, keeps_open: bool = True) -> None:
        self.received = bytearray()
        self.events: list[str] = []
        self.ended = asyncio.Event()
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.is_writable = asyncio.Event()
        self.is_writable.set()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._keeps_open = keeps_open

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.events.append(f"data {len(data)}")
        for size, waiter in self._waiting:
            if len(self.received) >= size and not waiter.done():
                waiter.set_result(None)

    def eof_received(self) -> bool:
        self.events.append("eof")
        self.ended.set()
        return self._keeps_open

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        self.lost.set_result(exc)

    def pause_writing(self) -> None:
        self.is_writable.clear()

    def resume_writing(self) -> None:
        self.is_writable.set()

    async def has(self, size: int) -> bytes:
        """Waits until `size` bytes came in all."""
        if len(self.received) < size:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((size, waiter))
            async with asyncio.timeout(WITHIN):
                await waiter
        return bytes(self.received)

    async def end(self) -> BaseException | None:
        async with asyncio.timeout(WITHIN):
            return await asyncio.shield(self.lost)
