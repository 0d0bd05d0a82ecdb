"""What the tests of the local proxy share: agents that end TLS, a relay, a place for records."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.client.proxy.relay import SmallRelay, credential, fetching
from towrope.client.proxy.local import LocalProxy
from towrope.client.proxy.routes import Route
from towrope.client.proxy.sender import Sender

NAMES = ("one", "two")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A relay with two clusters, whose agents say who they are and then echo."""

    relay: SmallRelay
    authority: trustme.CA
    folder: Path

    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    authority = trustme.CA()
    async with contextlib.AsyncExitStack() as stack:
        ports = {}
        for name in NAMES:
            server = await stack.enter_async_context(_agent(name, authority))
            ports[name] = server.sockets[0].getsockname()[1]
        relay = await stack.enter_async_context(SmallRelay(ports).serving())
        yield World(relay=relay, authority=authority, folder=tmp_path / "proxy")


@contextlib.asynccontextmanager
async def _agent(name: str, authority: trustme.CA) -> AsyncIterator[asyncio.Server]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(f"{name}.clusters.test").configure_cert(tls)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{name}\n".encode())
        with contextlib.suppress(OSError):
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server


Started = Callable[..., AbstractAsyncContextManager[LocalProxy]]


class Notices(list[str]):
    """What a proxy said on its standard error."""


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.fixture
def started(world: World, notices: Notices) -> Started:
    """Starts a local proxy for a cluster, and ends it."""

    @contextlib.asynccontextmanager
    async def start(
        name: str, *, port: int = 0, sender: Sender | None = None
    ) -> AsyncIterator[LocalProxy]:
        fetch, _ = fetching()
        used = sender or Sender(credential(world.relay, name), fetch, tls=None)
        route = Route(server_name=f"{name}.clusters.test", dial=used.dial)
        proxy = LocalProxy(route, port=port, folder=world.folder, report=notices.append)
        try:
            await proxy.start()
            yield proxy
        finally:
            await proxy.close()

    return start


async def until(condition: Callable[[], object]) -> None:
    """Waits for what nobody tells, because it is only to be seen."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.01)


async def who_answers(world: World, port: int, name: str) -> str:
    """The agent that a TLS client reaches through the proxy; an echo proves both directions."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=world.tls(), server_hostname=f"{name}.clusters.test"
    )
    try:
        said = await reader.readline()
        writer.write(b"ping\n")
        assert await reader.readline() == b"ping\n"
        return said.decode().strip()
    finally:
        writer.close()
        await writer.wait_closed()
