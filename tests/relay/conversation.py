"""What listeners and senders do in the tests of the relay."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.fixtures.ends import End
from tests.fixtures.relay import RunningRelay
from towrope.tunnel import websocket
from towrope.tunnel.websocket import WebSocket
from towrope.wire.address import Action
from towrope.wire.errors import Hop


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Both ends of a stream."""

    listener: End
    listener_ws: WebSocket
    sender: End
    sender_ws: WebSocket

    async def finish(self) -> None:
        self.sender_ws.close()
        await self.sender.end()
        await self.listener.end()


@asynccontextmanager
async def listening(
    relay: RunningRelay, path: str = "alpha", *, token: str | None = None
) -> AsyncIterator[tuple[End, WebSocket]]:
    """A listener's control channel."""
    end = End()
    ws = await relay.dial(path, Action.LISTEN, end, token=token)
    yield end, ws
    ws.close()
    await end.end()


async def accept(
    relay: RunningRelay, control: End, *, subprotocol: str | None = None
) -> tuple[End, WebSocket]:
    """Accepts the next sender."""
    offer = await control.accept_message()
    return await accept_at(relay, offer.address, subprotocol=subprotocol)


async def accept_at(
    relay: RunningRelay, place: str, *, subprotocol: str | None = None
) -> tuple[End, WebSocket]:
    end = End()
    ws = await websocket.dial(
        place, end, hop=Hop.RELAY, headers={}, subprotocol=subprotocol, tls=relay.tls
    )
    return end, ws


async def join(relay: RunningRelay, control: End, path: str = "alpha") -> Joined:
    """A sender and the listener that accepts it."""
    sender = End()
    async with asyncio.TaskGroup() as group:
        dialling = group.create_task(relay.dial(path, Action.CONNECT, sender))
        accepting = group.create_task(accept(relay, control))
    listener, listener_ws = accepting.result()
    return Joined(
        listener=listener,
        listener_ws=listener_ws,
        sender=sender,
        sender_ws=dialling.result(),
    )
