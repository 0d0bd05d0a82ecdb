"""The `websockets` library as listener and as sender: an implementation that is not ours."""

import asyncio
import json
from urllib.parse import quote

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.fixtures.ends import End
from tests.fixtures.relay import RIGHT_OF, RunningRelay
from tests.relay.conversation import accept, listening
from towrope.wire import address
from towrope.wire.address import Action


def dial(relay: RunningRelay, action: Action, *subprotocols: str) -> connect:
    """Its token stands in the query, as where no header can be set."""
    token = relay.mint("alpha", RIGHT_OF[action])
    url = address.build(relay.url, "alpha", action) + f"&sb-hc-token={quote(token, safe='')}"
    return connect(url, ssl=relay.tls, subprotocols=[Subprotocol(name) for name in subprotocols])


async def test_as_listener_and_as_sender(relay: RunningRelay) -> None:
    async with dial(relay, Action.LISTEN) as control, asyncio.TaskGroup() as group:

        async def serve() -> None:
            offer = json.loads(await control.recv())["accept"]
            async with connect(offer["address"], ssl=relay.tls) as peer:
                async for message in peer:
                    await peer.send(message)
                assert (peer.close_code, peer.close_reason) == (1000, "bye")

        group.create_task(serve())
        async with dial(relay, Action.CONNECT) as sender:
            for message in ("é", b"x" * 100_000):
                await sender.send(message)
                assert await sender.recv() == message
            await sender.close(1000, "bye")


async def test_as_sender_to_our_listener(relay: RunningRelay) -> None:
    async with listening(relay) as (control, _), asyncio.TaskGroup() as group:
        accepting = group.create_task(accept(relay, control, subprotocol="b"))
        async with dial(relay, Action.CONNECT, "a", "b") as sender:
            end, ws = await accepting
            assert sender.subprotocol == ws.subprotocol == "b"
            await sender.send(["in ", "parts"])
            assert await end.receive() == "in parts"
            ws.send_binary(b"back")
            assert await sender.recv() == b"back"
        assert (await end.end()).is_normal


async def test_as_listener_to_our_sender(relay: RunningRelay) -> None:
    async with dial(relay, Action.LISTEN) as control, asyncio.TaskGroup() as group:
        sender = End()
        dialling = group.create_task(relay.dial("alpha", Action.CONNECT, sender))
        offer = json.loads(await control.recv())["accept"]
        async with connect(offer["address"], ssl=relay.tls) as listener:
            ws = await dialling
            ws.send_text("é")
            assert await listener.recv() == "é"
            await listener.send(b"first" * 100_000)
            assert await sender.receive() == b"first" * 100_000
        assert (await sender.end()).is_normal
