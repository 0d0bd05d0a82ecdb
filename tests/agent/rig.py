"""A gate before an apiserver that a test plays: it sees exactly the bytes that reach it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import aiofastnet
import trustme

from towrope.agent import identity
from towrope.agent.audit import AuditEvent
from towrope.agent.connection import Connection
from towrope.agent.gate import Decide, Gate
from towrope.agent.live_requests import LiveRequests
from towrope.agent.own_credential import OwnCredential
from towrope.agent.upstream import Address, Upstreams
from towrope.ops import tasks
from towrope.wire.errors import Hop

BEARER = "Authorization: Bearer callers-own-token\r\n"
AGENTS_TOKEN = "agents-own-token"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WITHIN = 10.0


def get(*lines: str, target: str = "/api/v1/pods", bearer: str = BEARER) -> bytes:
    """A GET request with some more header lines."""
    more = "".join(f"{line}\r\n" for line in lines)
    return f"GET {target} HTTP/1.1\r\nHost: cluster\r\n{bearer}{more}\r\n".encode("latin-1")


def post(*lines: str, body: bytes = b"", bearer: str = BEARER) -> bytes:
    more = "".join(f"{line}\r\n" for line in lines)
    head = f"POST /api/v1/pods HTTP/1.1\r\nHost: cluster\r\n{bearer}{more}\r\n"
    return head.encode("latin-1") + body


class Peer:
    """One end of a connection that a test drives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.seen = bytearray()
        """All that came, in order."""
        self._taken = 0

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(WITHIN):
            await self.writer.drain()

    async def read_some(self) -> bytes:
        """Raises `OSError` where the connection was cut."""
        async with asyncio.timeout(WITHIN):
            data = await self.reader.read(1 << 16)
        self.seen += data
        return data

    async def read_until(self, end: bytes) -> bytes:
        """The next bytes up to `end`, with it; what there is where the connection ends before."""
        while (found := self.seen.find(end, self._taken)) < 0 and await self.read_some():
            pass
        return self._take(len(self.seen) if found < 0 else found + len(end))

    async def read_exactly(self, size: int) -> bytes:
        while len(self.seen) - self._taken < size and await self.read_some():
            pass
        return self._take(self._taken + size)

    async def read_all(self) -> bytes:
        """What comes until the end in order. Raises `OSError` where it was cut."""
        while await self.read_some():
            pass
        return self._take(len(self.seen))

    def _take(self, end: int) -> bytes:
        taken = bytes(self.seen[self._taken : end])
        self._taken = min(end, len(self.seen))
        return taken

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            async with asyncio.timeout(WITHIN):
                await self.writer.wait_closed()

    def abort(self) -> None:
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


async def answer_ok(peer: Peer) -> None:
    """An apiserver that answers each request without a body, whatever it is."""
    while await peer.read_until(b"\r\n\r\n"):
        await peer.send(OK)


@dataclass
class Rig:
    """A gate, and what reached its apiserver: one peer for each connection."""

    ca: trustme.CA
    script: Script
    peers: list[Peer] = field(default_factory=list)
    events: asyncio.Queue[AuditEvent] = field(default_factory=asyncio.Queue)
    gates: list[Gate] = field(default_factory=list)
    port: int = 0
    decide: Decide = identity.decide
    credential: OwnCredential = field(default_factory=lambda: OwnCredential(token=AGENTS_TOKEN))
    upstreams: Upstreams = field(init=False)
    own: Upstreams = field(init=False)
    """For requests with the agent's credential; they reach the same apiserver."""
    clients: list[Peer] = field(default_factory=list)
    live: LiveRequests = field(default_factory=LiveRequests)

    @property
    def reached(self) -> bytes:
        """All bytes that reached the apiserver."""
        return b"".join(bytes(peer.seen) for peer in self.peers)

    async def connect(self) -> Peer:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        async with asyncio.timeout(WITHIN):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=context, server_hostname="gate.test"
            )
        self.clients.append(Peer(reader, writer))
        return self.clients[-1]

    async def ask(self, request: bytes) -> bytes:
        """The head of what is answered, on a connection of its own."""
        client = await self.connect()
        await client.send(request)
        return await client.read_until(b"\r\n\r\n")

    async def event(self) -> AuditEvent:
        async with asyncio.timeout(WITHIN):
            return await self.events.get()


@contextlib.asynccontextmanager
async def running(
    script: Script = answer_ok, *, ready: int = 0, decide: Decide = identity.decide
) -> AsyncIterator[Rig]:
    rig = Rig(ca=trustme.CA(), script=script, decide=decide)
    upstream = await _Endpoint.open(rig.ca, "apiserver.test", lambda: _Scripted(rig))
    trust = ssl.create_default_context()
    rig.ca.configure_trust(trust)
    address = Address(
        host="127.0.0.1", port=upstream.port, tls=trust, tls_server_name="apiserver.test"
    )
    rig.upstreams = Upstreams(address, ready=ready)
    rig.own = Upstreams(address, credential=rig.credential, ready=ready)
    gate = await _Endpoint.open(rig.ca, "gate.test", lambda: _Gated(rig))
    rig.port = gate.port
    try:
        yield rig
    finally:
        for client in rig.clients:
            client.abort()
        await gate.close()
        await rig.upstreams.close()
        await rig.own.close()
        await upstream.close()


class _Endpoint:
    """A TLS server whose connections each have a task."""

    @classmethod
    async def open(
        cls, ca: trustme.CA, name: str, make: Callable[[], asyncio.Protocol]
    ) -> "_Endpoint":
        endpoint = cls()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ca.issue_cert(name).configure_cert(context)
        endpoint.protocols = []

        def made() -> asyncio.Protocol:
            endpoint.protocols.append(make())
            return endpoint.protocols[-1]

        loop = asyncio.get_running_loop()
        endpoint.server = await aiofastnet.create_server(loop, made, "127.0.0.1", 0, ssl=context)
        return endpoint

    protocols: list[asyncio.Protocol]
    server: asyncio.Server

    @property
    def port(self) -> int:
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        self.server.close()
        for protocol in self.protocols:
            assert isinstance(protocol, _Gated | _Scripted)
            await tasks.cancel(protocol.task)
            if protocol.raw is not None:
                protocol.raw.abort()
        for _ in range(3):  # the loop's turns in which an aborted transport closes its socket
            await asyncio.sleep(0)


class _Gated(Connection):
    """A client's connection, with its gate."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(hop=Hop.CLIENT)
        self._rig = rig
        self.task: asyncio.Task[None] | None = None
        self.raw: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.raw = self.transport
        gate = Gate(
            self,
            self._rig.upstreams,
            own=self._rig.own,
            decide=self._rig.decide,
            live=self._rig.live,
            sink=self._rig.events.put_nowait,
            stream="s1",
        )
        self._rig.gates.append(gate)
        self.task = asyncio.get_running_loop().create_task(gate.run())


class _Scripted(asyncio.StreamReaderProtocol):
    """A connection of the apiserver that the test plays."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.task: asyncio.Task[None] | None = None
        self.raw: asyncio.WriteTransport | None = None
        super().__init__(asyncio.StreamReader(), self._connected)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.raw = writer.transport
        self._rig.peers.append(peer)
        self.task = asyncio.get_running_loop().create_task(self._play(peer))

    async def _play(self, peer: Peer) -> None:
        try:
            with contextlib.suppress(OSError):
                await self._rig.script(peer)
        finally:
            peer.writer.close()
