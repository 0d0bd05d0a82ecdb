"""The connections that a listener keeps at the relay: its control channel, and its standbys.

Both last no longer than the listener's token. Neither knows how senders find them.
"""

import asyncio
from collections.abc import Callable

from towrope.ops import tasks
from towrope.relay.admission import Admission, Admitted
from towrope.tunnel.websocket import WRITE_HIGH_WATER, Closing, Kind, Receiver, WebSocket
from towrope.wire import messages
from towrope.wire.errors import Hop, Malformed, TowropeError
from towrope.wire.sas import Right

POLICY = 1008
"""RFC 6455 §7.4.1; what Azure Relay closes with when a token has expired."""


class Listener(Receiver):
    """A listener's connection, open from `opened` on."""

    ws: WebSocket

    def __init__(
        self, admitted: Admitted, admission: Admission, *, ended: Callable[[], None]
    ) -> None:
        self.path = admitted.path
        self._admission = admission
        self._ended = ended
        self._expiry: asyncio.TimerHandle | None = None
        self._admitted = admitted

    def opened(self, ws: WebSocket) -> None:
        self.ws = ws
        self._expire_with(self._admitted)
        ws.resume_reading()

    def _expire_with(self, admitted: Admitted) -> None:
        self._forget_expiry()
        self._expiry = asyncio.get_running_loop().call_later(
            self._admission.seconds_left(admitted),
            self.ws.close,
            POLICY,
            "The token expired.",
        )

    def _forget_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()

    def closed(self, closing: Closing) -> None:
        self._forget_expiry()
        self._ended()


class Standby(Listener):
    """A connection opened ahead of need. Its listener says nothing before it is joined."""

    def frame_received(self, kind: Kind, payload: memoryview, *, fin: bool) -> None:
        self.ws.close(1002, "A standby waits for the accept message before it sends.")

    def release(self) -> WebSocket:
        """It is a sender's from here on."""
        self._forget_expiry()
        return self.ws


class ControlChannel(Listener):
    """Tells a listener of senders, and takes its next token."""

    def __init__(
        self, admitted: Admitted, admission: Admission, *, ended: Callable[[], None]
    ) -> None:
        super().__init__(admitted, admission, ended=ended)
        self._text = bytearray()
        self._in_text = False
        self._renewing = False

    def offer(self, accept: messages.Accept) -> bool:
        """Tells the listener of a sender; False where it does not read what it was told before."""
        if not self.ws.is_open or self.ws.write_buffer_size() > WRITE_HIGH_WATER:
            return False
        self.ws.send_text(messages.encode(messages.ControlMessage(accept=accept)))
        return True

    def notify(self, kind: str) -> None:
        """A listener that does not read is cut: it must not miss a hint and stay connected."""
        if not self.ws.is_open:
            return
        if self.ws.write_buffer_size() > WRITE_HIGH_WATER:
            self.ws.close(POLICY, "The listener does not read its messages.")
            return
        hint = messages.Notify(kind=kind)
        self.ws.send_text(messages.encode(messages.ControlMessage(notify=hint)))

    def frame_received(self, kind: Kind, payload: memoryview, *, fin: bool) -> None:
        self._in_text = kind is Kind.TEXT or (kind is Kind.CONTINUATION and self._in_text)
        if not self._in_text:
            return
        self._text += payload
        try:
            if len(self._text) > messages.MESSAGE_LIMIT:
                raise Malformed("A control message is too long.", hop=Hop.RELAY)
            if fin:
                self._message_received(bytes(self._text))
                self._text.clear()
        except TowropeError as error:
            self.ws.close(error.close_code, str(error))

    def _message_received(self, text: bytes) -> None:
        message = messages.decode_control(text)
        if message.renew_token is not None:
            if self._renewing:  # each may ask the control plane; one at a time is enough
                self.ws.close(POLICY, "A token is being renewed already.")
                return
            self._renewing = True
            tasks.spawn(self._renew(message.renew_token.token), name="renew token")

    async def _renew(self, token: str) -> None:
        try:
            renewed = await self._admission.admit(self.path, token, Right.LISTEN)
        except TowropeError as error:
            self.ws.close(error.close_code, str(error))
            return
        finally:
            self._renewing = False
        if self.ws.is_open:
            self._expire_with(renewed)
