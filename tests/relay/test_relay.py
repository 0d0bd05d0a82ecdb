"""A relay node as its peers see it: listeners, senders, and those that may not be either."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fixtures.ends import End, read_all, write_all
from tests.fixtures.relay import RunningRelay
from towrope.tunnel import websocket
from towrope.tunnel.websocket import WebSocket
from towrope.wire.address import Action
from towrope.wire.errors import Hop


@asynccontextmanager
async def listening(
    relay: RunningRelay, path: str = "alpha"
) -> AsyncIterator[tuple[End, WebSocket]]:
    """A listener's control channel."""
    end = End()
    ws = await relay.dial(path, Action.LISTEN, end)
    yield end, ws
    ws.close()
    await end.end()


async def accept(
    relay: RunningRelay, control: End, *, subprotocol: str | None = None
) -> tuple[End, WebSocket]:
    """Accepts the next sender."""
    offer = await control.accept_message()
    end = End()
    ws = await websocket.dial(
        offer.address, end, hop=Hop.RELAY, headers={}, subprotocol=subprotocol, tls=relay.tls
    )
    return end, ws


async def test_a_sender_and_a_listener_are_joined(relay: RunningRelay) -> None:
    data = os.urandom(3_000_000)
    async with listening(relay) as (control, _):
        sender = End()
        async with asyncio.TaskGroup() as group:
            dialling = group.create_task(relay.dial("alpha", Action.CONNECT, sender))
            accepting = group.create_task(accept(relay, control))
        (listener, listener_ws), sender_ws = accepting.result(), dialling.result()
        async with asyncio.TaskGroup() as group:
            group.create_task(write_all(sender, sender_ws, data))
            group.create_task(write_all(listener, listener_ws, data[::-1]))
            upwards = group.create_task(read_all(listener, len(data)))
            downwards = group.create_task(read_all(sender, len(data)))
        assert upwards.result() == data
        assert downwards.result() == data[::-1]
        listener_ws.close(1000, "done")
        closing = await sender.end()
        assert (closing.code, closing.reason) == (1000, "done")
        assert (await listener.end()).is_normal
