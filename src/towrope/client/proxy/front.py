"""Takes kubectl's connections, finds the cluster that each is for, and joins it to a stream.

A connection is never silently short: a stream that is cut ends as a reset, and one that cannot be
had as a TLS alert, with the reason on the proxy's own standard error.
"""

import asyncio
import contextlib
import hmac
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from towrope.client.proxy.join import JoinLine, JoinReply, encode
from towrope.client.proxy.opening import Opening
from towrope.client.proxy.port import LOOPBACK
from towrope.client.proxy.routes import Route, Routes
from towrope.ops.tasks import cancel, spawn
from towrope.tunnel.splice import join
from towrope.wire.client_hello import Alert, ClientHello, alert
from towrope.wire.errors import Hop, Malformed, TowropeError, Unauthenticated, Unreachable

OPEN_WITHIN = 10.0
CONNECTION_LIMIT = 400
"""Connections at a time; each has two sockets, and many systems allow a process 1,024."""
CLOSE_WITHIN = 2.0

NOT_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This is the local proxy of Towrope: it takes TLS connections from kubectl, which finds it in"
    b" the kubeconfig.\n"
)

Report = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Front:
    """Any number of listening sockets with one routing table behind them."""

    routes: Routes
    report: Report
    limit: int = CONNECTION_LIMIT
    secret: str | None = None
    """What another proxy has to know to join; None: none can."""
    _servers: list[asyncio.Server] = field(default_factory=list)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)
    _streams: dict[asyncio.Transport, asyncio.Transport] = field(default_factory=dict)
    """By kubectl's connection, the stream that it is joined to."""
    _leases: set[asyncio.Transport] = field(default_factory=set)
    _emptied: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, sock: socket.socket) -> None:
        """Takes connections from a socket that listens already."""
        server = await asyncio.get_running_loop().create_server(
            lambda: Opening(self._accepted), sock=sock
        )
        self._servers.append(server)

    async def close(self) -> None:
        """Takes no more connections, and resets those that there are."""
        for server in self._servers:
            server.close()
        await cancel(*self._serving)
        for lease in self._leases:
            lease.abort()
        for kubectl, stream in self._streams.items():
            reset_on_close(kubectl)
            stream.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                while self._streams or self._leases:
                    self._emptied.clear()
                    await self._emptied.wait()
        await asyncio.sleep(0)  # a transport's socket is closed after its protocol was told

    def _accepted(self, opening: Opening) -> None:
        task = spawn(self._serve(opening), name="local proxy: connection")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, opening: Opening) -> None:
        transport = opening.transport
        try:
            async with asyncio.timeout(OPEN_WITHIN):
                opened = await opening.opened
            if isinstance(opened, ClientHello):
                await self._forward(opening, opened)
            else:
                self._admit(opening, opened)
        except (TimeoutError, ConnectionError):
            transport.abort()
        except Malformed:
            is_tls = opening.received[:1] == b"\x16"
            transport.write(alert(Alert.DECODE_ERROR) if is_tls else NOT_TLS)
            transport.close()
        except BaseException:
            transport.abort()
            raise

    # kubectl's connections

    async def _forward(self, opening: Opening, hello: ClientHello) -> None:
        kubectl = opening.transport
        route = self.routes.find(hello.server_name or "")
        if route is None:
            self.report(_no_route(hello))
            self._refuse(kubectl, Alert.UNRECOGNIZED_NAME)
            return
        if len(self._serving) + len(self._streams) > self.limit:
            self.report(
                f"More than {self.limit} connections at a time; one was refused. Close some."
            )
            self._refuse(kubectl, Alert.INTERNAL_ERROR)
            return
        try:
            stream = await route.dial()
        except TowropeError as error:
            self.report(explain(error))
            is_denied = isinstance(error, Unauthenticated) or error.status == 403
            self._refuse(kubectl, Alert.ACCESS_DENIED if is_denied else Alert.INTERNAL_ERROR)
            return
        self._join(kubectl, stream, bytes(opening.received))

    def _refuse(self, kubectl: asyncio.Transport, description: Alert) -> None:
        kubectl.write(alert(description))
        kubectl.close()

    def _join(self, kubectl: asyncio.Transport, stream: asyncio.Transport, first: bytes) -> None:
        if kubectl.is_closing():
            stream.abort()
            kubectl.abort()
            return
        self._streams[kubectl] = stream

        def ended(error: BaseException | None) -> None:
            # Called before the socket is closed; a reset tells kubectl that it has not got all.
            if error is not None:
                reset_on_close(kubectl)
            self._streams.pop(kubectl, None)
            self._emptied.set()

        stream.write(first)
        join(kubectl, stream, ended=ended)

    # Other proxies

    def _admit(self, opening: Opening, line: JoinLine) -> None:
        transport = opening.transport
        if self.secret is None or not hmac.compare_digest(
            line.join.secret.encode(), self.secret.encode()
        ):
            transport.write(encode(JoinReply(joined=False, reason="the secret is not the owner's")))
            transport.close()
            return
        route = loopback_route(line.join.server_name, line.join.port)
        self.routes.add(route)
        self._leases.add(transport)

        def ended() -> None:
            self.routes.remove(route)
            self._leases.discard(transport)
            self._emptied.set()

        transport.set_protocol(_LeaseHeld(ended))
        transport.resume_reading()
        transport.write(encode(JoinReply(joined=True)))


class _LeaseHeld(asyncio.Protocol):
    """The owner's end of a join: nothing is said on it any more."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended

    def connection_lost(self, exc: BaseException | None) -> None:
        self._ended()


def loopback_route(server_name: str, port: int) -> Route:
    """The way to a cluster that another process of this machine serves."""

    async def dial() -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_connection(_Held, LOOPBACK, port)
        except OSError:
            raise Unreachable("The proxy that joined for it has gone.", hop=Hop.PROXY) from None
        return transport

    return Route(server_name=server_name, dial=dial)


class _Held(asyncio.Protocol):
    """Reads nothing until the transport gets its real protocol."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()


def reset_on_close(transport: asyncio.Transport) -> None:
    """Makes the end of a TCP connection a reset, where the system can."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def explain(error: TowropeError) -> str:
    """One sentence or two: what happened, at which hop, and what to do."""
    return f"A connection of kubectl failed at the {error.hop}: {error} {_advice(error)}"


def _advice(error: TowropeError) -> str:
    if error.status == 404:
        return (
            "Cannot connect to the hybrid connection because no agent is connected in the target"
            " arc resource. Check that the agent runs in the cluster and can reach the server."
        )
    if error.status in (401, 403):
        return "Check that you may use the cluster, or run 'towrope login' again."
    if error.retryable:
        return "The next kubectl command tries again; check the network and HTTPS_PROXY."
    return "Start the proxy again with --debug for more."


def _no_route(hello: ClientHello) -> str:
    named = f"for '{hello.server_name}'" if hello.server_name else "without a server name"
    return (
        f"A TLS connection {named} was refused: no proxy here serves it. Start"
        " 'towrope connectedk8s proxy' for that cluster, and use the kubeconfig that it writes."
    )
