"""A caller at the relay's far side, as kubectl behind the local proxy is: TLS over a stream."""

import asyncio
import contextlib
import datetime
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiofastnet

from tests.agent import rig
from tests.agent.rig import Rig
from tests.fixtures.relay import RunningRelay
from towrope.agent.connection import Connection
from towrope.agent.inner_tls import InnerTls
from towrope.agent.listening import Listening
from towrope.agent.streams import Streams
from towrope.agent.tickets import Tickets
from towrope.ops import certificates, tasks
from towrope.ops.certificates import KeyPair
from towrope.tunnel.splice import join
from towrope.tunnel.stream import StreamTransport, dial_stream
from towrope.wire import address
from towrope.wire.address import Action
from towrope.wire.agent_api import Listen
from towrope.wire.errors import Hop
from towrope.wire.messages import SUBPROTOCOL
from towrope.wire.sas import Right

PATH = "alpha"
SERVER_NAME = "0123456789abcdef.clusters.test"
WITHIN = rig.WITHIN


@dataclass
class Caller:
    """What a caller needs to know, and how it calls."""

    relay: RunningRelay
    authority: KeyPair

    async def stream(self, *, subprotocol: str | None = SUBPROTOCOL) -> StreamTransport:
        return await dial_stream(
            address.build(self.relay.url, PATH, Action.CONNECT),
            hop=Hop.RELAY,
            headers={"ServiceBusAuthorization": self.relay.mint(PATH, Right.SEND)},
            subprotocol=subprotocol,
            tls=self.relay.tls,
        )

    async def connect(
        self, *, server_name: str | None = SERVER_NAME, subprotocol: str | None = SUBPROTOCOL
    ) -> tuple[Connection, StreamTransport]:
        """The inner TLS session, and the stream under it."""
        stream = await self.stream(subprotocol=subprotocol)
        return await self.start_tls(stream, server_name=server_name), stream

    async def start_tls(
        self, stream: StreamTransport, *, server_name: str | None = SERVER_NAME
    ) -> Connection:
        context = ssl.create_default_context(cadata=self.authority.certificate.decode())
        context.set_alpn_protocols(["h2", "http/1.1"])
        if server_name is None:
            context.check_hostname = False
        client = Connection(hop=Hop.AGENT)
        async with asyncio.timeout(WITHIN):
            transport = await aiofastnet.start_tls(
                asyncio.get_running_loop(), stream, client, context, server_hostname=server_name
            )
        client.connection_made(transport)
        return client

    async def get(self) -> bytes:
        """The answer to a GET on a connection of its own."""
        client, _ = await self.connect()
        client.write(rig.get())
        answer = await read(client, len(rig.OK))
        client.close()
        return answer


async def read(client: Connection, size: int) -> bytes:
    async with asyncio.timeout(WITHIN):
        while len(client.buffer) < size and await client.more():
            pass
    return client.take(size)


@dataclass
class Agent:
    listening: Listening
    streams: Streams
    tickets: Tickets
    caller: Caller
    rig: Rig
    hints: "Hints"


class Hints:
    """What the control channel said, in order."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[str] = asyncio.Queue()

    def notified(self, kind: str) -> None:
        self.said.put_nowait(kind)

    def missed(self) -> None:
        self.said.put_nowait("missed")

    async def next(self) -> str:
        async with asyncio.timeout(WITHIN):
            return await self.said.get()


def tickets_of(
    relay: RunningRelay, *, path: str = PATH, url: str = "", expires_in: float = 3600.0
) -> Tickets:
    async def fetch() -> Listen:
        return Listen(
            relay=url or relay.url,
            hybrid_connection_name=path,
            token=relay.mint(path, Right.LISTEN, expires_in=expires_in),
            expires_at=int(time.time() + expires_in),
        )

    return Tickets(fetch)


@contextlib.asynccontextmanager
async def agent(
    relay: RunningRelay, script: rig.Script = rig.answer_ok, tickets: Tickets | None = None
) -> AsyncIterator[Agent]:
    """An agent that listens at a relay, before an apiserver that the test plays."""
    now = datetime.datetime.now(datetime.UTC)
    authority = certificates.new_authority("cluster", now=now)
    async with rig.running(script) as gate:
        streams = Streams(
            InnerTls(authority, SERVER_NAME), gate.upstreams, sink=gate.events.put_nowait
        )
        tickets = tickets or tickets_of(relay)
        hints = Hints()
        listening = Listening(tickets, streams, tls=relay.tls, hints=hints)
        listening.start()
        try:
            async with asyncio.timeout(WITHIN):
                await listening.is_up.wait()
            yield Agent(listening, streams, tickets, Caller(relay, authority), gate, hints)
        finally:
            await listening.stop()
            await streams.stop(within=0.5)


class Line:
    """A TCP forwarder that can be cut and healed, in the test's own loop."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._is_cut = False
        self._ends: set[asyncio.Transport] = set()

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _LineEnd(self), "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        self._is_cut = True
        for end in self._ends:
            end.abort()

    def heal(self) -> None:
        self._is_cut = False

    async def close(self) -> None:
        self.cut()
        self._server.close()
        await asyncio.sleep(0)

    def add(self, end: asyncio.Transport) -> None:
        self._ends.add(end)
        if self._is_cut:
            end.abort()

    async def join(self, near: asyncio.Transport) -> None:
        self.add(near)
        if near.is_closing():
            return
        loop = asyncio.get_running_loop()
        far, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", self._target)
        self.add(far)
        join(near, far)


class _LineEnd(asyncio.Protocol):
    def __init__(self, line: Line) -> None:
        self._line = line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        tasks.spawn(self._line.join(transport), name="line")


@contextlib.asynccontextmanager
async def line_to(port: int) -> AsyncIterator[Line]:
    line = Line(port)
    await line.open()
    try:
        yield line
    finally:
        await line.close()
