"""A cluster's credential is renewed in time, and dials outlast a relay that restarts."""

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import AsyncIterator

import pytest

from tests.client.proxy.conftest import until
from tests.client.proxy.relay import SmallRelay, credential, fetching
from towrope.client.api import ClusterUserCredential
from towrope.client.proxy import sender as senders
from towrope.client.proxy.sender import Sender
from towrope.tunnel.stream import StreamTransport
from towrope.wire.errors import Hop, NotFound, Unauthenticated, Unreachable


@pytest.fixture
async def relay() -> AsyncIterator[SmallRelay]:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with (
        await asyncio.start_server(hold, "127.0.0.1", 0) as backend,
        SmallRelay({"c": backend.sockets[0].getsockname()[1]}).serving() as relay,
    ):
        yield relay


async def ended(stream: StreamTransport) -> None:
    """Gives a stream up and waits until it has gone."""
    gone = asyncio.Event()

    class Waiting(asyncio.Protocol):
        def connection_lost(self, exc: BaseException | None) -> None:
            gone.set()

    stream.set_protocol(Waiting())
    stream.abort()
    async with asyncio.timeout(10):
        await gone.wait()


async def unavailable() -> ClusterUserCredential:
    raise Unreachable("The server cannot be reached.", hop=Hop.SERVER)


async def test_a_refused_token_is_replaced_once_and_the_dial_goes_on(relay: SmallRelay) -> None:
    fetch, left = fetching(credential(relay, "c"), credential(relay, "c"))
    sender = Sender(credential(relay, "c", token="old"), fetch, tls=None)
    dials = await asyncio.gather(*(sender.dial() for _ in range(5)))
    assert len(left) == 1
    for stream in dials:
        await ended(stream)


async def test_a_token_that_has_ended_is_not_tried(relay: SmallRelay) -> None:
    fetch, left = fetching(credential(relay, "c"))
    old = credential(relay, "c", token="old", expires_at=1)
    stream = await Sender(old, fetch, tls=None).dial()
    assert left == []
    assert relay.attempts == 1
    await ended(stream)


async def test_a_server_that_is_away_does_not_hide_why_a_dial_failed(relay: SmallRelay) -> None:
    missing = Sender(credential(relay, "other"), unavailable, tls=None, patience=0)
    with pytest.raises(NotFound, match="no listeners"):
        await missing.dial()
    refused = Sender(credential(relay, "c", token="old"), unavailable, tls=None, patience=0)
    with pytest.raises(Unreachable, match="server cannot"):
        await refused.dial()


async def test_a_refusal_does_not_ask_for_credentials_again_and_again(relay: SmallRelay) -> None:
    bad = credential(relay, "c", token="bad")
    fetch, left = fetching(bad, bad, bad)
    sender = Sender(bad, fetch, tls=None)
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await sender.dial()
    assert len(left) == 2


async def test_a_dial_outlasts_a_relay_that_restarts(relay: SmallRelay) -> None:
    relay.refuse_with = 503
    sender = Sender(credential(relay, "c"), unavailable, tls=None, patience=20)
    async with asyncio.TaskGroup() as group:
        dialling = group.create_task(sender.dial())
        await until(lambda: relay.attempts >= 2)
        relay.refuse_with = None
    await ended(dialling.result())


async def test_after_a_failure_dials_fail_at_once(relay: SmallRelay) -> None:
    relay.refuse_with = 503
    sender = Sender(credential(relay, "c"), unavailable, tls=None, patience=0.2)
    with pytest.raises(Unreachable):
        await sender.dial()
    before = relay.attempts
    with pytest.raises(Unreachable):
        await sender.dial()
    assert relay.attempts == before + 1
    relay.refuse_with = None
    await ended(await sender.dial())


async def test_a_credential_is_renewed_before_its_end(relay: SmallRelay) -> None:
    now = 1000.0
    renewed = asyncio.Event()

    async def fetch() -> ClusterUserCredential:
        renewed.set()
        return credential(relay, "c", expires_at=20_000)

    sender = Sender(credential(relay, "c", expires_at=10_000), fetch, tls=None, clock=lambda: now)
    assert 10_000 - 360 <= sender._renew_at(1.0) < sender._renew_at(0.0) == 10_000 - 300
    now = 9_710.0
    keeping = asyncio.get_running_loop().create_task(sender.keep_fresh(pytest.fail))
    async with asyncio.timeout(10):
        await renewed.wait()
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
    assert sender._credential.expiration_time == 20_000


async def test_a_renewal_that_fails_is_told_and_repeated(
    relay: SmallRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "LOOK_EVERY", 0.01)
    told: list[str] = []
    now = 1000.0
    sender = Sender(
        credential(relay, "c", expires_at=1100), unavailable, tls=None, clock=lambda: now
    )
    now = 1060.0
    keeping = asyncio.get_running_loop().create_task(sender.keep_fresh(told.append))
    await until(lambda: told)
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
    assert "The server cannot be reached." in told[0]


async def test_a_short_lived_credential_is_not_renewed_all_the_time(relay: SmallRelay) -> None:
    short = Sender(
        credential(relay, "c", expires_at=1100), unavailable, tls=None, clock=lambda: 1000.0
    )
    assert short._renew_at(1.0) == 1050
    # A clock that runs ahead of the server's, by more than a credential lives.
    ahead = Sender(
        credential(relay, "c", expires_at=500), unavailable, tls=None, clock=lambda: 1000.0
    )
    assert ahead._renew_at(1.0) > 1000


async def test_an_http_proxy_is_gone_through_with_its_credentials(
    relay: SmallRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[bytes] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(65536):
                writer.write(part)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        there_reader, there = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, there), pump(there_reader, writer))

    async with await asyncio.start_server(connect, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setattr(
            senders, "http_proxy_for", lambda _: f"http://user:word@127.0.0.1:{port}"
        )
        await ended(await Sender(credential(relay, "c"), unavailable, tls=None).dial())
    assert heads[0].startswith(f"CONNECT 127.0.0.1:{relay.port} ".encode())
    assert b64encode(b"user:word") in heads[0]
    assert b"good" not in heads[0]
