"""A tunnel request whose connection waits, unread, for its answer: a WebSocket or a refusal."""

import asyncio
import uuid

from towrope.relay.refusal import Refusal, refuse
from towrope.tunnel import websocket
from towrope.tunnel.websocket import Receiver, WebSocket
from towrope.wire import address
from towrope.wire.errors import Hop, Malformed, Unauthenticated
from towrope.wire.head import RequestHead
from towrope.wire.messages import RemoteEndpoint
from towrope.wire.sas import SCHEME

HEADERS_LIMIT = 32 * 1024
# Credentials of a sender: for the relay or for the server that it is part of, never for listeners.
PRIVATE_FIELDS = (
    b"servicebusauthorization",
    b"authorization",
    b"proxy-authorization",
    b"cookie",
)


class Visitor:
    """Answer it once, by `welcome` or by `refuse`."""

    def __init__(self, transport: asyncio.Transport, head: RequestHead, request: bytes) -> None:
        """`request` is the head as it came, and what was read after it. Raises `Malformed`."""
        self.tracking_id = str(uuid.uuid4())
        self._transport = transport
        self._head = head
        self._request = request
        self.target = address.parse(head.target.decode("ascii"))
        websocket.handshake_key(head)

    @property
    def has_gone(self) -> bool:
        return self._transport.is_closing()

    @property
    def subprotocols(self) -> list[str]:
        """What it offers, in its order of preference."""
        offered = self._head.fields.all(b"sec-websocket-protocol")
        names = [name.strip() for value in offered for name in value.decode("latin-1").split(",")]
        return [name for name in names if name]

    @property
    def token(self) -> str:
        """Its token, from the header, the query or `Authorization`. Raises `Unauthenticated`."""
        fields = self._head.fields
        tokens = [value.decode("latin-1") for value in fields.all(b"servicebusauthorization")]
        if "token" in self.target.reserved:
            tokens.append(self.target.reserved["token"])
        if not tokens:
            others = (value.decode("latin-1") for value in fields.all(b"authorization"))
            tokens = [value for value in others if value.startswith(SCHEME)]
        if len(tokens) != 1:
            raise Unauthenticated(
                f"Expected one token, found {len(tokens)}. Send it in the header"
                " 'ServiceBusAuthorization'.",
                hop=Hop.RELAY,
            )
        return tokens[0]

    @property
    def connect_headers(self) -> dict[str, str]:
        """The headers that its listener may see. Raises `Malformed` where they are too many."""
        headers: dict[str, str] = {}
        for name, value in self._head.fields.without(PRIVATE_FIELDS):
            key, text = name.decode("ascii"), value.decode("latin-1")
            known = next((other for other in headers if other.lower() == key.lower()), None)
            if known is None:
                headers[key] = text
            else:
                headers[known] += f", {text}"  # RFC 9110 §5.3
        if sum(len(key) + len(text) for key, text in headers.items()) > HEADERS_LIMIT:
            raise Malformed(f"The headers are over {HEADERS_LIMIT} bytes.", hop=Hop.RELAY)
        return headers

    @property
    def remote_endpoint(self) -> RemoteEndpoint:
        peer = self._transport.get_extra_info("peername") or ("", 0)
        return RemoteEndpoint(address=str(peer[0]), port=int(peer[1]))

    def welcome(self, receiver: Receiver, *, subprotocol: str | None = None) -> WebSocket | None:
        """Answers 101. The WebSocket reads once it is told to; None where the peer has gone."""
        if self.has_gone:
            return None
        return websocket.accept(self._transport, self._request, receiver, subprotocol=subprotocol)

    def refuse(self, refusal: Refusal) -> None:
        if not self.has_gone:
            refuse(self._transport, refusal, tracking_id=self.tracking_id)
