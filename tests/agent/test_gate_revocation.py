"""What is revoked at the gate: cut at once on both sides, and never as if it had ended."""

import asyncio
import ssl

import aiofastnet
import pytest

from tests.agent import rig
from tests.agent.rig import WITHIN, Peer, Rig, get
from towrope.agent.connection import Connection
from towrope.agent.live_requests import LiveRequest
from towrope.wire.errors import Cut, Hop

END = b"\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b"3\r\n{}\n\r\n"
SWITCH = b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
WATCH = "/api/v1/pods?watch=1"
EXEC = "/api/v1/namespaces/a/pods/b/exec"


def the_one(gate: Rig) -> LiveRequest:
    (request,) = gate.live.lasting()
    return request


async def connect(gate: Rig) -> Connection:
    """A client that can tell a cut from an end."""
    context = ssl.create_default_context()
    gate.ca.configure_trust(context)
    _, client = await aiofastnet.create_connection(
        asyncio.get_running_loop(),
        lambda: Connection(hop=Hop.AGENT),
        "127.0.0.1",
        gate.port,
        ssl=context,
        server_hostname="gate.test",
    )
    return client


async def asking(gate: Rig, request: bytes, *, until: bytes) -> Connection:
    client = await connect(gate)
    client.write(request)
    async with asyncio.timeout(WITHIN):
        while until not in client.buffer:
            assert await client.more()
    return client


async def is_cut(client: Connection) -> bool:
    try:
        async with asyncio.timeout(WITHIN):
            while await client.more():
                pass
    except Cut:
        return True
    return False


async def watch(peer: Peer) -> None:
    while await peer.read_until(END):
        await peer.send(HEAD + EVENT)


async def test_a_watch_is_cut_and_says_why() -> None:
    async with rig.running(watch) as gate:
        client = await asking(gate, get(target=WATCH), until=EVENT)
        gate.live.cut(the_one(gate), "no longer")
        assert await is_cut(client)
        event = await gate.event()
        assert (event.status, event.revoked) == (200, "no longer")
        assert gate.live.lasting() == []


@pytest.mark.parametrize("upgrade", ["websocket", "SPDY/3.1"])
async def test_a_switched_connection_is_cut(upgrade: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(SWITCH.replace(b"websocket", upgrade.encode()) + b"prompt")
        await peer.read_some()  # nothing more: the caller's half is gone too
        ended.set()

    ended = asyncio.Event()
    async with rig.running(script) as gate:
        wanted = get("Connection: Upgrade", f"Upgrade: {upgrade}", target=EXEC)
        client = await asking(gate, wanted, until=b"prompt")
        gate.live.cut(the_one(gate), "no longer")
        assert await is_cut(client)
        event = await gate.event()
        assert (event.status, event.revoked) == (101, "no longer")
        async with asyncio.timeout(WITHIN):
            await ended.wait()


async def test_a_request_without_an_answer_is_cut_and_not_asked_again() -> None:
    """On a connection that was used before, a lost GET is asked again; but not this one."""

    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(rig.OK)
        await peer.read_until(END)
        asked.set()
        await peer.read_some()

    asked = asyncio.Event()
    async with rig.running(script) as gate:
        client = await asking(gate, get(), until=b"ok")
        await gate.event()
        client.write(get(target=WATCH))
        async with asyncio.timeout(WITHIN):
            await asked.wait()
        gate.live.cut(the_one(gate), "no longer")
        assert await is_cut(client)
        assert (await gate.event()).revoked == "no longer"
        assert gate.reached.count(b"GET /api/v1/pods?watch=1 ") == 1


async def test_one_that_is_revoked_before_it_is_sent_never_is() -> None:
    async with rig.running() as gate:
        gate.live.on_begin = lambda request: gate.live.cut(request, "no longer")
        client = await asking(gate, get(target=WATCH), until=b"")
        assert await is_cut(client)
        assert (await gate.event()).revoked == "no longer"
        assert gate.reached == b""


async def test_each_is_there_from_before_the_apiserver_sees_it_until_its_end() -> None:
    async def script(peer: Peer) -> None:
        while await peer.read_until(END):
            seen.append(len(gate.live.lasting()))
            await peer.send(HEAD + EVENT + b"0\r\n\r\n")

    seen: list[int] = []
    async with rig.running(script) as gate:
        client = await gate.connect()
        for _ in range(2):
            await client.send(get(target=WATCH))
            await client.read_until(b"0\r\n\r\n")
            assert (await gate.event()).revoked == ""
            assert gate.live.lasting() == []
        assert seen == [1, 1]
