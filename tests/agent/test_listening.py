"""The agent at a real relay: callers are joined at once, and none is lost when things break."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from tests.agent import rig
from tests.agent.callers import PATH, WITHIN, Agent, agent, line_to, read, tickets_of
from tests.fixtures.ends import End
from tests.fixtures.relay import RunningRelay
from towrope.agent import control_channel, standbys
from towrope.agent.listening import check_rendezvous
from towrope.agent.tickets import Tickets
from towrope.wire.address import Action
from towrope.wire.agent_api import TRUST, Listen
from towrope.wire.errors import Cut, Malformed, NotFound
from towrope.wire.messages import SUBPROTOCOL


async def standbys_of(running: Agent, count: int) -> None:
    """Waits until the pool holds that many."""
    pool = running.listening._standbys
    async with asyncio.timeout(WITHIN):
        while len(pool._idle) != count:  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0.01)


async def test_a_caller_is_answered(relay: RunningRelay) -> None:
    async with agent(relay) as running:
        assert await running.caller.get() == rig.OK
        event = await running.rig.event()
        assert event.status == 200
        assert event.stream


async def test_many_callers_at_once(relay: RunningRelay) -> None:
    async with agent(relay) as running:
        answers = await asyncio.gather(*(running.caller.get() for _ in range(40)))
        assert answers == [rig.OK] * 40


async def test_the_pool_is_filled_follows_demand_and_shrinks(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with agent(relay) as running:
        await standbys_of(running, 2)
        connect = running.caller.connect
        first, second = await asyncio.gather(connect(), connect())
        await standbys_of(running, 4)
        monkeypatch.setattr(standbys, "QUIET_FOR", 0.2)
        assert await running.caller.get() == rig.OK
        await standbys_of(running, 2)
        for client, _ in (first, second):
            client.write(rig.get())
            assert await read(client, len(rig.OK)) == rig.OK
            client.close()


async def test_without_a_standby_the_control_channel_serves(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standbys, "FEWEST", 0)
    async with agent(relay) as running:
        running.listening._standbys._wanted = 0
        await standbys_of(running, 0)
        assert await running.caller.get() == rig.OK


async def test_a_caller_without_our_subprotocol_is_served_too(relay: RunningRelay) -> None:
    async with agent(relay) as running:
        client, _ = await running.caller.connect(subprotocol=None)
        client.write(rig.get())
        assert await read(client, len(rig.OK)) == rig.OK
        client.close()


@pytest.mark.parametrize("name", ["other.clusters.test", None])
async def test_another_name_is_refused_in_the_handshake(
    relay: RunningRelay, name: str | None
) -> None:
    async with agent(relay) as running:
        with pytest.raises((OSError, Cut)):
            await running.caller.connect(server_name=name)
        assert running.rig.reached == b""


async def test_http_1_1_is_chosen(relay: RunningRelay) -> None:
    async with agent(relay) as running:
        client, _ = await running.caller.connect()
        tls = client.transport.get_extra_info("ssl_object")
        assert tls.selected_alpn_protocol() == "http/1.1"
        assert tls.version() == "TLSv1.3"
        client.close()


async def test_a_stream_that_is_cut_ends_the_request_upstream(relay: RunningRelay) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def script(peer: rig.Peer) -> None:
        await peer.read_until(b"\r\n\r\n")
        asked.set()
        try:
            await peer.read_all()
        finally:
            gone.set()

    async with agent(relay, script) as running:
        client, stream = await running.caller.connect()
        client.write(rig.get())
        async with asyncio.timeout(WITHIN):
            await asked.wait()
            stream.abort()
            await gone.wait()


async def test_an_apiserver_that_is_cut_cuts_the_stream(relay: RunningRelay) -> None:
    async def script(peer: rig.Peer) -> None:
        await peer.read_until(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
        peer.abort()

    async with agent(relay, script) as running:
        client, _ = await running.caller.connect()
        client.write(rig.get())
        async with asyncio.timeout(WITHIN):
            with pytest.raises(Cut):
                while await client.more():
                    pass
        assert client.buffer.endswith(b"part")


async def test_it_listens_again_soon_after_an_outage(relay: RunningRelay) -> None:
    async with line_to(relay.port) as line:
        tickets = tickets_of(relay, url=f"wss://127.0.0.1:{line.port}")
        async with agent(relay, tickets=tickets) as running:
            await standbys_of(running, 2)
            assert await running.caller.get() == rig.OK
            line.cut()
            await standbys_of(running, 0)
            assert not running.listening.is_up.is_set()
            await asyncio.sleep(1.5)
            line.heal()
            async with asyncio.timeout(5.0):
                await running.listening.is_up.wait()
                await standbys_of(running, 2)
                assert await running.caller.get() == rig.OK
            await standbys_of(running, 2)  # no dial is under way when the line goes


async def test_hints_are_passed_on(relay: RunningRelay) -> None:
    async with agent(relay) as running:
        assert await running.hints.next() == "missed"
        relay.relay.notify(PATH, TRUST)
        assert await running.hints.next() == TRUST
        relay.relay.notify(None, "of a later version")
        assert await running.hints.next() == "of a later version"
        assert running.hints.said.empty()
        await standbys_of(running, 2)  # no dial is under way when it stops


async def test_after_an_outage_hints_may_have_been_missed(relay: RunningRelay) -> None:
    async with line_to(relay.port) as line:
        tickets = tickets_of(relay, url=f"wss://127.0.0.1:{line.port}")
        async with agent(relay, tickets=tickets) as running:
            assert await running.hints.next() == "missed"
            await standbys_of(running, 2)
            line.cut()
            # At once, for callers may come by a standby before there is a control channel again.
            assert await running.hints.next() == "missed"
            await standbys_of(running, 0)
            assert running.hints.said.empty()
            line.heal()
            assert await running.hints.next() == "missed"
            await standbys_of(running, 2)  # no dial is under way when the line goes


async def test_a_refused_token_is_fetched_anew(relay: RunningRelay) -> None:
    good, fetched = tickets_of(relay), 0

    async def fetch() -> Listen:
        nonlocal fetched
        fetched += 1
        listen = await good.get()
        return listen if fetched > 1 else replace(listen, token="SharedAccessSignature none")

    async with agent(relay, tickets=Tickets(fetch)) as running:
        assert await running.caller.get() == rig.OK
        assert fetched == 2


async def test_a_cluster_that_is_unknown_is_tried_again_slowly(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_channel, "UNKNOWN_DELAY", 0.3)
    relay.paths.remove(PATH)
    started = time.monotonic()
    asyncio.get_running_loop().call_later(0.1, relay.paths.add, PATH)
    async with agent(relay) as running:
        assert time.monotonic() - started > 0.25
        assert await running.caller.get() == rig.OK


async def test_it_stops_taking_callers_and_ends_its_streams(relay: RunningRelay) -> None:
    async with agent(relay) as running:
        client, _ = await running.caller.connect()
        client.write(rig.get())
        assert await read(client, len(rig.OK)) == rig.OK
        await running.listening.stop()
        async with asyncio.timeout(WITHIN):
            await running.streams.stop()
            assert not await client.more()
        with pytest.raises(NotFound):
            await running.caller.stream()


async def test_the_token_is_renewed_on_the_channel(relay: RunningRelay) -> None:
    async with agent(relay, tickets=tickets_of(relay, expires_in=2.0)) as running:
        await asyncio.sleep(3.5)
        assert running.listening.is_up.is_set()
        assert await running.caller.get() == rig.OK
        assert (PATH, 0) not in relay.presence


@pytest.mark.parametrize(
    "url",
    [
        "ws://relay.test:443/$hc/a?x",
        "wss://relay.test:444/$hc/a?x",
        "wss://elsewhere.test:443/$hc/a?x",
        "wss://relay.test:443@elsewhere.test/$hc/a",
        "wss://user@relay.test:443/$hc/a",
        "wss://relay.test:443/other",
        "https://relay.test:443/$hc/a",
        "//relay.test:443/$hc/a",
        "wss://relay.test:port/$hc/a",
        "",
    ],
)
def test_a_rendezvous_elsewhere_is_not_dialled(url: str) -> None:
    with pytest.raises(Malformed):
        check_rendezvous(url, relay="wss://relay.test:443")
    check_rendezvous("wss://relay.test:443/$hc/a?b=c", relay="wss://relay.test:443")


async def test_a_caller_that_says_nothing_is_no_stream(relay: RunningRelay) -> None:
    async with agent(relay) as running:
        end = End()
        ws = await relay.dial(PATH, Action.CONNECT, end, subprotocol=SUBPROTOCOL)
        ws.send_binary(b"GET / HTTP/1.1\r\n\r\n")  # plain HTTP where TLS begins
        assert (await end.end()).code != 1000
        assert await running.caller.get() == rig.OK
