"""`python -m bench.gate`: requests a second through the gate alone, and directly, for comparison.

Client, gate and a trivial apiserver share one process and one core, with TLS on both hops; so the
difference of the two lines is what the gate costs, and neither is what an installation reaches.
"""

import argparse
import asyncio
import contextlib
import datetime
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aiofastnet

from towrope.agent.connection import Connection
from towrope.agent.gate import Gate
from towrope.agent.upstream import Address, Upstreams
from towrope.ops import certificates, tasks
from towrope.wire.errors import Hop, TowropeError

HOST = "127.0.0.1"
NAME = "bench.test"
REQUEST = (
    b"GET /api/v1/namespaces/default/pods?limit=500 HTTP/1.1\r\nHost: bench.test\r\n"
    b"User-Agent: bench\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n"
    b"Authorization: Bearer " + b"a" * 1000 + b"\r\n\r\n"
)


class Trivial(asyncio.Protocol):
    """Answers each request, whatever it is, with a body of the same size."""

    def __init__(self, body: bytes) -> None:
        self._answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert hasattr(transport, "write")
        self._write: Callable[[bytes], None] = transport.write

    def data_received(self, data: bytes) -> None:
        self._seen += data
        while (end := self._seen.find(b"\r\n\r\n")) >= 0:
            self._seen = self._seen[end + 4 :]
            self._write(self._answer)


class Gated(Connection):
    def __init__(self, upstreams: Upstreams) -> None:
        super().__init__(hop=Hop.CLIENT)
        self._upstreams = upstreams

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        gate = Gate(self, self._upstreams, sink=lambda _: None)
        tasks.spawn(gate.run(), name="gate")


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's, and one that trusts it."""
    now = datetime.datetime.now(datetime.UTC)
    authority = certificates.new_authority("bench", now=now)
    leaf = certificates.new_leaf(authority, names=[NAME], now=now)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leaf.pem"
        path.write_bytes(leaf.private_key + leaf.certificate)
        server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=authority.certificate.decode())


async def measure(port: int, tls: ssl.SSLContext, *, clients: int, seconds: float) -> str:
    times: list[float] = []
    until = time.perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(_client(port, tls, times, until))
    times.sort()
    p50, p99 = statistics.median(times) * 1e6, times[int(len(times) * 0.99)] * 1e6
    return f"{len(times) / seconds:8.0f} requests/s   p50 {p50:6.0f} us   p99 {p99:6.0f} us"


async def _client(port: int, tls: ssl.SSLContext, times: list[float], until: float) -> None:
    loop = asyncio.get_running_loop()
    _, client = await aiofastnet.create_connection(
        loop, lambda: Connection(hop=Hop.AGENT), HOST, port, ssl=tls, server_hostname=NAME
    )
    with contextlib.suppress(TowropeError):
        while (started := time.perf_counter()) < until:
            client.write(REQUEST)
            head = await client.head()
            assert head is not None
            size = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            while len(client.buffer) < size:
                await client.more()
            client.skip(size)
            times.append(time.perf_counter() - started)
    client.abort()


async def main(arguments: argparse.Namespace) -> None:
    server_tls, client_tls = contexts()
    loop = asyncio.get_running_loop()
    body = bytes(arguments.size)
    upstream = await aiofastnet.create_server(loop, lambda: Trivial(body), HOST, 0, ssl=server_tls)
    upstream_port = upstream.sockets[0].getsockname()[1]
    upstreams = Upstreams(
        Address(host=HOST, port=upstream_port, tls=client_tls, tls_server_name=NAME)
    )
    gate = await aiofastnet.create_server(loop, lambda: Gated(upstreams), HOST, 0, ssl=server_tls)
    gate_port = gate.sockets[0].getsockname()[1]
    for name, port in (("directly", upstream_port), ("through the gate", gate_port)):
        line = await measure(port, client_tls, clients=arguments.clients, seconds=arguments.seconds)
        print(f"{name:18}{line}")
    await upstreams.close()
    gate.close()
    upstream.close()
    await asyncio.sleep(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--size", type=int, default=2048, help="bytes of an answer's body")
    asyncio.run(main(parser.parse_args()))
