"""A relay and an agent as small as the local proxy lets them be: WebSockets in front of TCP ports.

It is made with another WebSocket library than the project's, and speaks `towrope.v1` by hand.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from urllib.parse import unquote, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from towrope.client.api import ClusterUserCredential
from towrope.client.proxy.sender import Fetch
from towrope.wire.messages import SUBPROTOCOL


class SmallRelay:
    """`backends`: by hybrid connection, the port of 127.0.0.1 that its streams lead to."""

    def __init__(self, backends: Mapping[str, int]) -> None:
        self.backends = dict(backends)
        self.port = 0
        self.token = "good"
        """Senders with another are refused with 401."""
        self.refuse_with: int | None = None
        self.attempts = 0
        self.connected: list[ServerConnection] = []
        self.resets: list[str] = []
        """What senders said that gave a stream up."""
        self.taken = 0
        """Bytes that backends sent and the relay has read."""

    @property
    def address(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator["SmallRelay"]:
        async with serve(
            self._handle,
            "127.0.0.1",
            port,
            process_request=self._check,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_queue=4,
            write_limit=64 * 1024,
            close_timeout=1,
        ) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            try:
                yield self
            finally:
                self.cut()

    def cut(self) -> None:
        """Ends every stream as a relay that dies does: with no word."""
        for connection in self.connected:
            connection.transport.abort()

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        self.attempts += 1
        if self.refuse_with is not None:
            return connection.respond(self.refuse_with, "refused by the test\n")
        if request.headers.get("ServiceBusAuthorization") != self.token:
            return connection.respond(401, "The token is not good.\n")
        if self._name(request) not in self.backends:
            return connection.respond(404, "There are no listeners connected for the endpoint.\n")
        return None

    def _name(self, request: Request) -> str:
        url = urlsplit(request.path)
        assert url.query == "sb-hc-action=connect"
        return unquote(url.path.removeprefix("/$hc/"))

    async def _handle(self, connection: ServerConnection) -> None:
        self.connected.append(connection)
        assert connection.subprotocol == SUBPROTOCOL
        assert connection.request is not None
        port = self.backends[self._name(connection.request)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._to_backend(connection, writer))
                group.create_task(self._from_backend(connection, reader))
        except* (ConnectionClosed, ConnectionError):
            writer.transport.abort()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _to_backend(self, ws: ServerConnection, writer: asyncio.StreamWriter) -> None:
        async for message in ws:
            if isinstance(message, bytes):
                writer.write(message)
                await writer.drain()
            elif "eof" in json.loads(message):
                writer.write_eof()
            else:
                self.resets.append(message)
                raise ConnectionResetError(message)

    async def _from_backend(self, ws: ServerConnection, reader: asyncio.StreamReader) -> None:
        sent = 0
        while part := await reader.read(64 * 1024):
            self.taken += len(part)
            await ws.send(part)
            sent += len(part)
        await ws.send(json.dumps({"eof": {"offset": sent}}))


def credential(
    relay: SmallRelay, name: str, *, token: str | None = None, expires_at: int = 2**40
) -> ClusterUserCredential:
    return ClusterUserCredential(
        kubeconfig=kubeconfig(f"{name}.clusters.test"),
        relay=relay.address,
        hybrid_connection_name=name,
        token=token or "good",
        expiration_time=expires_at,
    )


def fetching(*credentials: ClusterUserCredential) -> tuple[Fetch, list[ClusterUserCredential]]:
    """A server that gives these, one after the other, and the list of those not given yet."""
    left = list(credentials)

    async def fetch() -> ClusterUserCredential:
        return left.pop(0)

    return fetch, left


def kubeconfig(server_name: str) -> bytes:
    name = server_name.partition(".")[0]
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: https://127.0.0.1:47011
    tls-server-name: {server_name}
    certificate-authority-data: Q0E=
contexts:
- name: {name}
  context: {{cluster: {name}, user: clusterUser_{name}_rg}}
current-context: {name}
users:
- name: clusterUser_{name}_rg
  user: {{}}
""".encode()
