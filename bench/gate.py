"""`python -m bench.gate`: requests a second through the gate alone, and directly, for comparison.

Client, gate and a trivial apiserver share one process and one core, with TLS on both hops; so the
differences of the lines are what the gate costs, and none is what an installation reaches.
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
from functools import partial
from pathlib import Path

import aiofastnet

from towrope.agent import identity
from towrope.agent.access_reviews import Access, Verdict
from towrope.agent.caller import Caller
from towrope.agent.connection import Connection
from towrope.agent.gate import Decide, Gate
from towrope.agent.identity import Decision
from towrope.agent.impersonation import Impersonation
from towrope.agent.own_credential import OwnCredential
from towrope.agent.upstream import Address, Upstreams
from towrope.ops import certificates, tasks
from towrope.wire.errors import Hop, TowropeError
from towrope.wire.head import RequestHead

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
    def __init__(self, upstreams: Upstreams, own: Upstreams, decide: Decide) -> None:
        super().__init__(hop=Hop.CLIENT)
        self._upstreams = upstreams
        self._own = own
        self._decide = decide

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        gate = Gate(self, self._upstreams, own=self._own, decide=self._decide)
        tasks.spawn(gate.run(), name="gate")


CALLER = Caller(
    username="somebody@bench.test",
    groups=tuple(f"{n:08}-0000-4000-8000-000000000000" for n in range(10)),
    uid="11111111-0000-4000-8000-000000000000",
    extra={"oid": ("11111111-0000-4000-8000-000000000000",)},
)


class Nobody:
    """Reviews nothing: the callers here act as themselves."""

    async def review(self, caller: Caller, access: Access) -> Verdict:
        raise AssertionError((caller, access))


async def verified(head: RequestHead) -> Decision:
    """As if each token was verified and known: what that costs is another matter."""
    return await Impersonation(Nobody()).decide(CALLER, head)


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


async def main(arguments: argparse.Namespace, token_file: Path) -> None:
    server_tls, client_tls = contexts()
    loop = asyncio.get_running_loop()
    body = bytes(arguments.size)
    upstream = await aiofastnet.create_server(loop, lambda: Trivial(body), HOST, 0, ssl=server_tls)
    upstream_port = upstream.sockets[0].getsockname()[1]
    address = Address(host=HOST, port=upstream_port, tls=client_tls, tls_server_name=NAME)
    upstreams = Upstreams(address)
    own = Upstreams(address, credential=OwnCredential(token_file=token_file))
    gates = [
        await aiofastnet.create_server(
            loop, partial(Gated, upstreams, own, decide), HOST, 0, ssl=server_tls
        )
        for decide in (identity.decide, verified)
    ]
    ports = [gate.sockets[0].getsockname()[1] for gate in gates]
    names = ("directly", "through the gate", "and impersonated")
    for name, port in zip(names, (upstream_port, *ports), strict=True):
        line = await measure(port, client_tls, clients=arguments.clients, seconds=arguments.seconds)
        print(f"{name:18}{line}")
    await own.close()
    await upstreams.close()
    for gate in gates:
        gate.close()
    upstream.close()
    await asyncio.sleep(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--size", type=int, default=2048, help="bytes of an answer's body")
    with tempfile.NamedTemporaryFile("w", suffix=".token") as token:
        token.write("a" * 1000)
        token.flush()
        asyncio.run(main(parser.parse_args(), Path(token.name)))
