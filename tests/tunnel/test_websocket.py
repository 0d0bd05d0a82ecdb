"""WebSockets between ourselves, with raw peers that misbehave, and with an independent library."""

import asyncio
import base64
import contextlib
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import aiofastnet
import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.fixtures.ends import End, read_all, write_all
from towrope.tunnel import heartbeat, websocket
from towrope.tunnel.websocket import Closing, Kind, WebSocket
from towrope.wire import head
from towrope.wire.errors import (
    Forbidden,
    Hop,
    Malformed,
    NotFound,
    Refused,
    TowropeError,
    Unauthenticated,
    Unreachable,
)

HOST = "127.0.0.1"
KEY = base64.b64encode(b"k" * 16)
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
)


class Door(asyncio.Protocol):
    """Accepts whoever connects, once the head has come."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if head.end_of_head(self._buffer) is not None:
            end = End()
            ws = websocket.accept(
                self._transport, self._buffer, end, subprotocol=self._house.subprotocol
            )
            self._house.guests.put_nowait((end, ws))


@dataclass(kw_only=True)
class House:
    """A server that accepts WebSockets, and what its peers need."""

    url: str = ""
    port: int = 0
    subprotocol: str | None = None
    client_tls: ssl.SSLContext | None = None
    guests: "asyncio.Queue[tuple[End, WebSocket]]" = field(default_factory=asyncio.Queue)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def guest(self) -> tuple[End, WebSocket]:
        async with asyncio.timeout(10):
            return await self.guests.get()

    async def dial(self) -> tuple[End, WebSocket]:
        end = End()
        return end, await dial(self.url, end, tls=self.client_tls)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # The system may buffer little, so that what a test sends piles up where it looks.
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        sock.connect((HOST, self.port))
        host = HOST if self.client_tls is not None else None
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=self.client_tls, server_hostname=host
        )
        self.writers.append(writer)
        return reader, writer

    async def leave(self) -> None:
        """Ends what raw peers left open."""
        for writer in self.writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A peer that has shaken hands, and does from here what the test says."""
        reader, writer = await self.connect()
        writer.write(HANDSHAKE)
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        return reader, writer


async def dial(
    url: str, end: End, *, tls: ssl.SSLContext | None = None, within: float = 10.0
) -> WebSocket:
    return await websocket.dial(url, end, hop=Hop.RELAY, headers={}, tls=tls, within=within)


@asynccontextmanager
async def open_house(
    server_tls: ssl.SSLContext | None, client_tls: ssl.SSLContext | None
) -> AsyncIterator[House]:
    house = House(client_tls=client_tls)
    server = await aiofastnet.create_server(
        asyncio.get_running_loop(), lambda: Door(house), HOST, 0, ssl=server_tls
    )
    house.port = server.sockets[0].getsockname()[1]
    house.url = f"{'wss' if server_tls else 'ws'}://{HOST}:{house.port}/"
    yield house
    await house.leave()
    server.close()
    async with asyncio.timeout(10):
        await server.wait_closed()


@pytest.fixture(params=["tls", "plain"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    if request.param == "plain":
        async with open_house(None, None) as house:
            yield house
        return
    server_tls, client_tls = contexts()
    async with open_house(server_tls, client_tls) as house:
        yield house


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    return server_tls, client_tls


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True
) -> bytes:
    """A frame as a client sends it (RFC 6455 §5.2), with a mask of zeros."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload)
    flag = 0x80 if mask else 0
    if size < 126:
        header = struct.pack("!BB", first, flag | size)
    elif size < 65536:
        header = struct.pack("!BBH", first, flag | 126, size)
    else:
        header = struct.pack("!BBQ", first, flag | 127, size)
    return header + (bytes(4) if mask else b"") + payload


CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


async def close_code(reader: asyncio.StreamReader) -> int:
    """The code of the CLOSE frame that is the next to come."""
    async with asyncio.timeout(10):
        start = await reader.readexactly(2)
        payload = await reader.readexactly(start[1])
    assert start[0] == 0x80 | CLOSE
    return int.from_bytes(payload[:2], "big")


# Handshakes.


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"GET", b"POST"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"Upgrade: websocket\r\n", b""),
        (b"Upgrade: websocket", b"Upgrade: h2c"),
        (b"Connection: Upgrade", b"Connection: close"),
        (b"Version: 13", b"Version: 12"),
        (b"Version: 13", b"Version: 13\r\nSec-WebSocket-Version: 13"),
        (KEY, b""),
        (KEY, b"short"),
        (KEY, base64.b64encode(b"k" * 17)),
        (b"Host: h\r\n", b"Host: h\r\nContent-Length: 1\r\n"),
        (b"Host: h\r\n", b"Host: h\r\nTransfer-Encoding: chunked\r\n"),
    ],
)
def test_what_is_no_handshake_is_refused(old: bytes, new: bytes) -> None:
    assert old in HANDSHAKE
    request = head.parse_request(HANDSHAKE.replace(old, new))
    with pytest.raises(Malformed, match="not a WebSocket handshake"):
        websocket.handshake_key(request)


def test_connection_may_list_more_than_upgrade() -> None:
    request = HANDSHAKE.replace(b"Connection: Upgrade", b"Connection: keep-alive, Upgrade")
    assert websocket.handshake_key(head.parse_request(request)) == KEY


async def test_a_head_may_be_long(house: House) -> None:
    reader, writer = await house.connect()
    writer.write(HANDSHAKE[:-2] + b"X: " + b"x" * 60_000 + b"\r\n\r\n" + frame(TEXT, b"early"))
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    end, _ = await house.guest()
    assert await end.receive() == "early"
    writer.write(frame(CLOSE))
    assert (await end.end()).is_normal
    writer.close()


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (b"401 Unauthorized\r\nContent-Length: 3\r\n\r\nwhy", Unauthenticated, "why"),
        (b"403 The reason phrase\r\n\r\n", Forbidden, "The reason phrase"),
        (b"404 \r\n\r\n", NotFound, "404"),
        (b"410 Gone\r\n\r\n", Refused, "Gone"),
        (b"499 Rejected by the listener\r\n\r\n", Refused, "Rejected by the listener"),
        (b"302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", Refused, "Found"),
        (b"200 OK\r\n\r\n", Refused, "OK"),
        (b"503 Busy\r\n\r\n", Unreachable, "Busy"),
        (b"101 Switching Protocols\r\n\r\n", Unreachable, "Switching"),
        (b"not a status line\r\n\r\n", Unreachable, "does not speak WebSocket"),
        (b"", Unreachable, "cannot be reached: it hung up before it answered"),
    ],
)
async def test_a_refused_dial_says_why(answer: bytes, error: type[TowropeError], text: str) -> None:
    async with answering(b"HTTP/1.1 " + answer if answer else b"") as url:
        with pytest.raises(error, match=text) as caught:
            await dial(url, End())
    assert caught.type is error
    assert caught.value.hop is Hop.RELAY


@asynccontextmanager
async def answering(
    answer: bytes, *, after: "Awaitable[object] | None" = None
) -> AsyncIterator[str]:
    """A server that gives one answer to whoever connects."""
    done = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if after is not None:
            await after
        with contextlib.suppress(OSError):
            writer.write(answer)
            await writer.drain()
            writer.write_eof()
            await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        done.set()

    server = await asyncio.start_server(handle, HOST, 0)
    yield f"ws://{HOST}:{server.sockets[0].getsockname()[1]}/"
    async with asyncio.timeout(10):
        await done.wait()
    server.close()


async def test_a_dial_has_a_deadline_and_leaves_nothing() -> None:
    answer_now = asyncio.Event()
    accept = base64.b64encode(b"?" * 20)
    late = b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    async with answering(late, after=answer_now.wait()) as url:
        with pytest.raises(Unreachable, match=r"did not answer within 0\.05 s"):
            await dial(url, End(), within=0.05)
        answer_now.set()  # the server sees the connection end, or `answering` never does


async def test_nobody_listens() -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        await dial(f"ws://{HOST}:1/", End())


async def test_an_unknown_authority_is_not_trusted() -> None:
    server_tls, _ = contexts()
    _, other_tls = contexts()
    async with open_house(server_tls, other_tls) as house:
        with pytest.raises(Refused, match=f"The certificate of {HOST}:.* is not trusted"):
            await house.dial()


# Frames.


async def test_bytes_arrive_whole_both_ways(house: House) -> None:
    data = os.urandom(5_000_000)
    near, near_ws = await house.dial()
    far, far_ws = await house.guest()
    async with asyncio.TaskGroup() as group:
        group.create_task(write_all(near, near_ws, data, chunk=1_000_000))
        group.create_task(write_all(far, far_ws, data, chunk=777))
        there = group.create_task(read_all(far, len(data)))
        back = group.create_task(read_all(near, len(data)))
    assert there.result() == data
    assert back.result() == data
    near_ws.close(1000, "é" * 100)
    assert await far.end() == Closing(code=1000, reason="é" * 60)
    assert await near.end() == Closing(code=1000)


async def test_what_was_read_when_paused_comes_when_resumed(house: House) -> None:
    """All of it at once, with nothing more from the peer: the transport holds the rest."""
    _, writer = await house.raw()
    end, ws = await house.guest()
    ws.pause_reading()
    payloads = [bytes([number]) * 30_000 for number in range(4)]
    writer.write(b"".join(frame(BINARY, payload) for payload in payloads))
    await writer.drain()
    pausing = Pausing(end, ws)
    ws.receiver = pausing
    for payload in payloads:
        ws.resume_reading()
        assert await end.receive() == payload
    ws.receiver = end
    ws.resume_reading()
    writer.write(frame(CLOSE))
    await end.end()
    writer.close()


class Pausing(End):
    """Pauses at each frame."""

    def __init__(self, end: End, ws: WebSocket) -> None:
        super().__init__()
        self._end, self._ws = end, ws

    def frame_received(self, kind: Kind, payload: memoryview, *, fin: bool) -> None:
        self._ws.pause_reading()
        self._end.frame_received(kind, payload, fin=fin)

    def closed(self, closing: Closing) -> None:
        self._end.closed(closing)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(BINARY, b"x", rsv=4)], 1002),
        ([frame(PING, b"x", rsv=1)], 1002),
        ([frame(CONTINUATION, b"x")], 1002),
        ([frame(BINARY, b"x", fin=False), frame(BINARY, b"y")], 1002),
        ([frame(TEXT, b"x", fin=False), frame(TEXT, b"y", fin=False)], 1002),
        ([frame(3)], 1002),
        ([frame(PING, fin=False)], 1002),
        ([frame(PING, b"x" * 126)], 1002),
        ([frame(BINARY, b"x", mask=False)], 1002),
        ([frame(CLOSE, b"x")], 1002),
        ([frame(CLOSE, b"\x03\xe8\xff")], 1007),
        ([frame(CLOSE, struct.pack("!H", 999))], 1002),
        ([frame(CLOSE, struct.pack("!H", 1005))], 1002),
        ([struct.pack("!BBQ", 0x82, 0xFF, websocket.FRAME_LIMIT + 1) + bytes(4)], 1009),
        ([struct.pack("!BBQ", 0x82, 0xFF, 1 << 63) + bytes(4)], 1002),
    ],
)
async def test_a_broken_frame_ends_the_connection(
    house: House, frames: list[bytes], code: int
) -> None:
    reader, writer = await house.raw()
    end, _ = await house.guest()
    writer.write(b"".join(frames) + frame(BINARY, b"after"))
    assert await close_code(reader) == code
    writer.close()
    await end.end()
    assert end.messages.empty()


@pytest.mark.parametrize(
    ("payload", "closing"),
    [
        (b"", Closing(code=1000)),
        (struct.pack("!H", 1001) + b"bye", Closing(code=1001, reason="bye")),
        (struct.pack("!H", 3000), Closing(code=3000)),
        (struct.pack("!H", 4999) + "é".encode(), Closing(code=4999, reason="é")),
    ],
)
async def test_a_close_is_told_and_answered(house: House, payload: bytes, closing: Closing) -> None:
    reader, writer = await house.raw()
    end, ws = await house.guest()
    writer.write(frame(BINARY, b"last") + frame(CLOSE, payload))
    assert await close_code(reader) == closing.code
    assert not ws.is_open
    writer.close()
    assert await end.end() == closing
    assert await end.receive() == b"last"


async def test_a_connection_that_breaks_is_not_a_normal_end(house: House) -> None:
    _, writer = await house.raw()
    end, ws = await house.guest()
    writer.transport.abort()
    assert await end.end() == Closing(code=1006)
    ws.send_binary(b"nobody")
    ws.close()
    ws.abort()
    assert ws.write_buffer_size() == 0


async def test_a_close_ends_a_paused_connection(house: House) -> None:
    near, near_ws = await house.dial()
    far, far_ws = await house.guest()
    far_ws.pause_reading()
    far_ws.close(1001, "stopping")
    assert await near.end() == Closing(code=1001, reason="stopping")
    assert await far.end() == Closing(code=1001)
    assert near_ws.is_closed


async def test_what_comes_after_a_close_is_dropped(house: House) -> None:
    reader, writer = await house.raw()
    end, ws = await house.guest()
    ws.close()
    writer.write(frame(BINARY, b"late") + frame(PING) + frame(CLOSE, struct.pack("!H", 1000)))
    assert await close_code(reader) == 1000
    writer.close()
    assert (await end.end()).is_normal
    assert end.messages.empty()


async def test_a_peer_that_does_not_answer_a_close_is_let_go(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "CLOSE_WITHIN", 0.05)
    _, writer = await house.raw()
    end, ws = await house.guest()
    ws.close()
    assert await end.end() == Closing(code=1006)
    writer.close()


async def test_a_slow_reader_gets_all_that_came_before_the_close(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "CLOSE_WITHIN", 0.02)
    reader, writer = await house.raw()
    end, ws = await house.guest()
    size = 8_000_000  # more than the system buffers between the two
    for _ in range(8):
        ws.send_binary(bytes(size // 8))
    ws.close()
    await asyncio.sleep(0.2)  # ten times what a peer has to answer
    assert not ws.is_closed
    received = bytearray()
    while len(received) < size:
        received += await reader.read(1 << 20)
    writer.write(frame(CLOSE, struct.pack("!H", 1000)))
    await end.end()
    writer.close()


# Flow.


async def test_a_reader_that_stops_bounds_its_writer(house: House) -> None:
    near, near_ws = await house.dial()
    far, far_ws = await house.guest()
    far_ws.pause_reading()
    sent = 0
    try:
        async with asyncio.timeout(0.5):
            while True:
                await near.writable.wait()
                near_ws.send_binary(bytes(65536))
                sent += 65536
                await asyncio.sleep(0)
    except TimeoutError:
        pass
    assert near_ws.write_buffer_size() <= websocket.WRITE_HIGH_WATER + 65536 + 64
    far_ws.resume_reading()
    assert await read_all(far, sent) == bytes(sent)
    near_ws.close()
    await far.end()
    await near.end()


async def test_pings_without_reading_do_not_pile_up_pongs(house: House) -> None:
    _, writer = await house.raw()
    end, ws = await house.guest()
    for _ in range(100):
        writer.write(frame(PING, b"x" * 125) * 1000)
        if ws.write_buffer_size() > websocket.WRITE_HIGH_WATER:
            break
        await asyncio.sleep(0.01)
    writer.write(frame(PING, b"x" * 125) * 4000)
    await asyncio.sleep(0.1)
    assert ws.write_buffer_size() <= websocket.WRITE_HIGH_WATER + 256
    writer.transport.abort()
    await end.end()


# Peers that are gone.


@pytest.fixture
def quick_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "PING_AFTER", 0.1)
    monkeypatch.setattr(heartbeat, "PONG_WITHIN", 0.1)


def test_a_dead_peer_is_found_within_30_seconds() -> None:
    assert 2 * heartbeat.PING_AFTER + heartbeat.PONG_WITHIN < 30


@pytest.mark.usefixtures("quick_heart")
async def test_a_peer_that_never_answers_is_found(house: House) -> None:
    _, writer = await house.raw()
    end, _ = await house.guest()
    assert await end.end() == Closing(code=1006, reason="the peer did not answer a ping")
    writer.close()


@pytest.mark.usefixtures("quick_heart")
@pytest.mark.parametrize("sign", [frame(PONG), frame(PING), frame(BINARY, b"x")])
async def test_any_frame_is_a_sign_of_life(house: House, sign: bytes) -> None:
    _, writer = await house.raw()
    end, _ = await house.guest()
    for _ in range(10):
        writer.write(sign)
        await asyncio.sleep(0.05)
    assert not end.closing.done()
    writer.write(frame(CLOSE))
    await end.end()
    writer.close()


@pytest.mark.usefixtures("quick_heart")
async def test_an_end_that_does_not_read_is_not_taken_for_dead(house: House) -> None:
    near, near_ws = await house.dial()
    far, far_ws = await house.guest()
    far_ws.pause_reading()
    await asyncio.sleep(0.6)  # twice what it takes to find a dead one
    assert not near.closing.done()
    assert not far.closing.done()
    near_ws.send_binary(b"still there")
    far_ws.resume_reading()
    assert await far.receive() == b"still there"
    near_ws.close()
    await far.end()
    await near.end()


@pytest.mark.usefixtures("quick_heart")
async def test_a_foreign_peer_that_reads_slowly_is_not_taken_for_dead(house: House) -> None:
    _, writer = await house.raw()
    end, ws = await house.guest()
    for _ in range(8):
        ws.send_binary(bytes(1_000_000))
    await asyncio.sleep(0.6)
    assert ws.write_buffer_size() > 0
    assert not end.closing.done()
    writer.transport.abort()
    await end.end()


# An independent peer.


async def test_the_websockets_library_as_client(house: House) -> None:
    house.subprotocol = "chosen"
    async with connect(
        house.url,
        ssl=house.client_tls,
        compression=None,
        subprotocols=[Subprotocol("chosen")],
        max_size=None,
    ) as peer:
        end, ws = await house.guest()
        assert peer.subprotocol == "chosen"
        await peer.send("text")
        await peer.send([b"in ", b"three ", b"parts"])
        await peer.send(bytes(500_000))
        assert await end.receive() == "text"
        assert await end.receive() == b"in three parts"
        assert await end.receive() == bytes(500_000)
        ws.send_text("é")
        ws.send(Kind.BINARY, b"a", fin=False)
        ws.send(Kind.CONTINUATION, b"b")
        assert await peer.recv() == "é"
        assert await peer.recv() == b"ab"
        assert await (await peer.ping()) >= 0
    assert await end.end() == Closing(code=1000)


async def test_the_websockets_library_as_server() -> None:
    server_tls, client_tls = contexts()
    seen: list[object] = []

    async def handle(peer: ServerConnection) -> None:
        assert peer.request is not None
        seen.append(peer.request.headers["X-Test"])
        with contextlib.suppress(ConnectionClosed):
            async for message in peer:
                await peer.send(message)
        seen.append((peer.close_code, peer.close_reason))

    async with serve(handle, HOST, 0, ssl=server_tls, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        end = End()
        ws = await websocket.dial(
            f"wss://{HOST}:{port}/x?y=z",
            end,
            hop=Hop.RELAY,
            headers={"X-Test": "value"},
            tls=client_tls,
        )
        ws.send_text("é")
        ws.send_binary(bytes(200_000))
        assert await end.receive() == "é"
        assert await end.receive() == bytes(200_000)
        ws.close(4001, "why")
        assert (await end.end()).code == 4001
    assert seen == ["value", (4001, "why")]
