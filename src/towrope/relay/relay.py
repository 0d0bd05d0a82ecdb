"""One relay node: what it does for listeners and senders. It holds no state that another needs."""

import asyncio
import random
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import aiofastnet
import msgspec
import structlog

from towrope.ops import tasks
from towrope.relay.admission import Admission, Admitted
from towrope.relay.doorman import Doorman, Http
from towrope.relay.listeners import ControlChannel, Listener, Standby
from towrope.relay.pair import INTERNAL_ERROR, Pair
from towrope.relay.refusal import Refusal
from towrope.relay.visitor import Visitor
from towrope.tunnel.websocket import Receiver, WebSocket
from towrope.wire import address, messages
from towrope.wire.address import Action
from towrope.wire.errors import Forbidden, Hop, Malformed, NotFound, TowropeError, foreign
from towrope.wire.rendezvous import Rendezvous
from towrope.wire.sas import Right

GOING_AWAY = 1001
STOP_WITHIN = 5.0
"""Seconds that peers have to take their leave when the relay stops."""
TLS_HANDSHAKE_WITHIN = 10.0
BACKLOG = 1024

_log = structlog.get_logger()
_UNKNOWN = Refusal(status=404, text="Endpoint does not exist.")
_STOPPING = Refusal(status=503, text="The relay is stopping. Connect again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A sender that waits, and the hybrid connection that it waits at."""

    visitor: Visitor
    path: str


class Relay:
    """A relay node on one public port.

    `address` (`wss://host:port`) is given to listeners as the place of the rendezvous. `knows` says
    whether a hybrid connection exists, `has_rule` whether it has a rule of that name. `presence` is
    called with a path and its number of listeners, on every change of that. `clock` gives Unix
    seconds.
    """

    def __init__(
        self,
        *,
        master: bytes,
        address: str,
        knows: Callable[[str], Awaitable[bool]],
        has_rule: Callable[[str, str], Awaitable[bool]],
        presence: Callable[[str, int], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._address = address
        self._presence = presence
        self._knows = knows
        self._admission = Admission(
            master=master, knows=self._exists, has_rule=has_rule, clock=clock
        )
        self._rendezvous: Rendezvous[ControlChannel, Standby, Guest] = Rendezvous(
            choose=random.SystemRandom().choice, new_id=partial(secrets.token_urlsafe, 24)
        )
        self._doormen: set[Doorman] = set()
        self._listeners: set[Listener] = set()
        self._pairs: set[Pair] = set()
        self._servers: list[asyncio.Server] = []
        self._stopping = False
        self._all_gone = asyncio.Event()
        self._actions: dict[Action, Callable[[Visitor], Awaitable[Refusal | None]]] = {
            Action.LISTEN: self._listen,
            Action.STANDBY: self._standby,
            Action.CONNECT: self._connect,
            Action.ACCEPT: self._accept,
        }

    async def serve(
        self, *, host: str, port: int, tls: ssl.SSLContext | None, http: Http
    ) -> asyncio.Server:
        """Listens. `http` makes the protocol that takes over what is not tunnel traffic."""
        server = await aiofastnet.create_server(
            asyncio.get_running_loop(),
            lambda: Doorman(http=http, tunnel=self._visited, waiting=self._doormen),
            host,
            port,
            ssl=tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=TLS_HANDSHAKE_WITHIN if tls is not None else None,
        )
        self._servers.append(server)
        return server

    async def close(self) -> None:
        """Refuses what waits, ends what runs after what was sent has gone, and then leaves."""
        self._stopping = True
        for server in self._servers:
            server.close()
        for guest in self._rendezvous.withdraw_all(lambda _: True):
            guest.visitor.refuse(_STOPPING)
        for doorman in tuple(self._doormen):
            doorman.abort()
        self._end(lambda _: True, "The relay is stopping.")
        try:
            async with asyncio.timeout(STOP_WITHIN):
                while self._listeners or self._pairs:
                    self._all_gone.clear()
                    await self._all_gone.wait()
        except TimeoutError:
            for pair in tuple(self._pairs):
                pair.abort()
            for listener in tuple(self._listeners):
                listener.ws.abort()

    def notify(self, path: str | None, kind: str) -> None:
        """Gives the listeners of a path, or of all, a hint that something of this kind changed."""
        for listener in tuple(self._listeners):
            if isinstance(listener, ControlChannel) and (
                path is None or _is_same(listener.path, path)
            ):
                listener.notify(kind)

    def forget(self, path: str) -> None:
        """The hybrid connection was deleted: its listeners and its streams end with 1001."""
        for guest in self._rendezvous.withdraw_all(lambda guest: _is_same(guest.path, path)):
            guest.visitor.refuse(_UNKNOWN)
        self._end(lambda other: _is_same(other, path), "The endpoint was deleted.")

    def _end(self, concerns: Callable[[str], bool], reason: str) -> None:
        for listener in tuple(self._listeners):
            if concerns(listener.path):
                listener.ws.close(GOING_AWAY, reason)
        for pair in tuple(self._pairs):
            if concerns(pair.path):
                pair.close(GOING_AWAY, reason)

    # Requests.

    def _visited(self, visitor: Visitor) -> None:
        tasks.spawn(self._answer(visitor), name=f"{visitor.target.action} {visitor.tracking_id}")

    async def _answer(self, visitor: Visitor) -> None:
        try:
            refusal = await self._actions[visitor.target.action](visitor)
        except TowropeError as error:
            refusal = Refusal(status=error.status, text=str(error))
        except BaseException:
            visitor.refuse(Refusal(status=500, text="The relay failed."))
            raise
        if refusal is not None:
            visitor.refuse(refusal)
            _log.info(
                "tunnel request refused",
                path=visitor.target.path,
                action=visitor.target.action.value,
                status=int(refusal.status),
                tracking_id=visitor.tracking_id,
            )

    async def _exists(self, path: str) -> bool:
        # Whoever listens was admitted when the path existed, and `forget` ends them with it. So the
        # way of a stream costs no look-up, and needs no store that answers.
        return self._rendezvous.has_members(path) or await self._knows(path)

    async def _admit(self, visitor: Visitor, right: Right) -> Admitted | None:
        """None where the relay stops."""
        admitted = await self._admission.admit(visitor.target.path, visitor.token, right)
        return None if self._stopping else admitted

    # Listeners.

    async def _listen(self, visitor: Visitor) -> Refusal | None:
        admitted = await self._admit(visitor, Right.LISTEN)
        if admitted is None:
            return _STOPPING
        channel = ControlChannel(admitted, self._admission, ended=lambda: self._unlisten(channel))
        if not self._rendezvous.listeners.add(admitted.path, channel):
            return Refusal(status=429, text="The endpoint has as many listeners as it may have.")
        if self._open(visitor, channel):
            self._tell_presence(admitted.path)
        else:
            self._rendezvous.listeners.discard(admitted.path, channel)
        return None

    def _unlisten(self, channel: ControlChannel) -> None:
        self._gone(channel)
        self._rendezvous.listeners.discard(channel.path, channel)
        self._tell_presence(channel.path)

    def _tell_presence(self, path: str) -> None:
        self._presence(path, self._rendezvous.listeners.count(path))

    async def _standby(self, visitor: Visitor) -> Refusal | None:
        admitted = await self._admit(visitor, Right.LISTEN)
        if admitted is None:
            return _STOPPING
        if messages.SUBPROTOCOL not in visitor.subprotocols:
            raise Malformed(f"A standby speaks '{messages.SUBPROTOCOL}'.", hop=Hop.RELAY)
        standby = Standby(admitted, self._admission, ended=lambda: self._unstandby(standby))
        if not self._rendezvous.standbys.add(admitted.path, standby):
            return Refusal(status=429, text="The endpoint has as many standbys as it may have.")
        if not self._open(visitor, standby, subprotocol=messages.SUBPROTOCOL):
            self._rendezvous.standbys.discard(admitted.path, standby)
        return None

    def _unstandby(self, standby: Standby) -> None:
        self._gone(standby)
        self._rendezvous.standbys.discard(standby.path, standby)

    def _open(
        self, visitor: Visitor, listener: Listener, *, subprotocol: str | None = None
    ) -> bool:
        ws = visitor.welcome(listener, subprotocol=subprotocol)
        if ws is None:
            return False
        self._listeners.add(listener)
        listener.opened(ws)
        return True

    def _gone(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        self._all_gone.set()

    # Senders.

    async def _connect(self, visitor: Visitor) -> Refusal | None:
        admitted = await self._admit(visitor, Right.SEND)
        if admitted is None:
            return _STOPPING
        accept = messages.Accept(
            address="",
            id=visitor.tracking_id,
            connect_headers=visitor.connect_headers,
            remote_endpoint=visitor.remote_endpoint,
        )
        if messages.SUBPROTOCOL in visitor.subprotocols:
            while standby := self._rendezvous.take_standby(admitted.path):
                if standby.ws.is_open:
                    return self._join_standby(standby, visitor, accept)
        return self._offer(Guest(visitor=visitor, path=admitted.path), accept)

    def _join_standby(
        self, standby: Standby, visitor: Visitor, accept: messages.Accept
    ) -> Refusal | None:
        self._gone(standby)
        listener = standby.release()
        sender = visitor.welcome(Receiver(), subprotocol=messages.SUBPROTOCOL)
        if sender is None:
            listener.close(GOING_AWAY, "The sender has gone.")
            return None
        listener.send_text(messages.encode(messages.ControlMessage(accept=accept)))
        self._join(listener, sender, path=standby.path, stream_id=accept.id, by="standby")
        return None

    def _join(
        self, listener: WebSocket, sender: WebSocket, *, path: str, stream_id: str, by: str
    ) -> None:
        pair = Pair(listener, sender, path=path, stream_id=stream_id, by=by, ended=self._pair_ended)
        self._pairs.add(pair)

    def _pair_ended(self, pair: Pair) -> None:
        self._pairs.discard(pair)
        self._all_gone.set()

    def _offer(self, guest: Guest, accept: messages.Accept) -> Refusal | None:
        listener = self._rendezvous.choose_listener(guest.path)
        if listener is None:
            raise NotFound("There are no listeners connected for the endpoint.", hop=Hop.RELAY)
        loop = asyncio.get_running_loop()
        target = guest.visitor.target
        waiting = self._rendezvous.wait(target.path, guest, now=loop.time())
        if waiting is None:
            return Refusal(status=503, text="Too many senders wait for listeners.")
        place = address.build(
            self._address, target.path, Action.ACCEPT, {"id": waiting.id}, target.query
        )
        if not listener.offer(msgspec.structs.replace(accept, address=place)):
            self._rendezvous.withdraw(waiting.id)
            return Refusal(status=503, text="The listener does not read its control channel.")
        loop.call_at(waiting.deadline, self._too_late, waiting.id)
        return None

    def _too_late(self, waiting_id: str) -> None:
        guest = self._rendezvous.withdraw(waiting_id)
        if guest is not None:
            guest.visitor.refuse(Refusal(status=504, text="The listener did not accept in time."))

    async def _accept(self, visitor: Visitor) -> Refusal | None:
        reserved = visitor.target.reserved
        rejection = _rejection(reserved.get("statuscode"), reserved.get("statusdescription", ""))
        now = asyncio.get_running_loop().time()
        guest = self._rendezvous.take(reserved.get("id", ""), visitor.target.path, now=now)
        if guest is None:
            raise Forbidden("This accept address is unknown, used or too old.", hop=Hop.RELAY)
        if rejection is not None:
            guest.visitor.refuse(rejection)
            return Refusal(status=410, text="The sender was rejected.")
        return self._meet(visitor, guest)

    def _meet(self, visitor: Visitor, guest: Guest) -> Refusal | None:
        offered = guest.visitor.subprotocols
        subprotocol = next((name for name in visitor.subprotocols if name in offered), None)
        sender = guest.visitor.welcome(Receiver(), subprotocol=subprotocol)
        if sender is None:
            raise NotFound("The sender has gone.", hop=Hop.RELAY)
        listener = visitor.welcome(Receiver(), subprotocol=subprotocol)
        if listener is None:
            sender.close(INTERNAL_ERROR, "The listener has gone.")
            return None
        stream_id = guest.visitor.tracking_id
        self._join(listener, sender, path=guest.path, stream_id=stream_id, by="accept")
        return None


def _is_same(path: str, other: str) -> bool:
    return path.lower() == other.lower()


def _rejection(status: str | None, text: str) -> Refusal | None:
    if status is None:
        return None
    if not (status.isascii() and status.isdigit() and 400 <= int(status[:4]) < 600):
        raise Malformed("sb-hc-statusCode must be a number from 400 to 599.", hop=Hop.RELAY)
    return Refusal(status=int(status), text=foreign(text) or "The listener rejected the sender.")
