"""The JSON text messages of a control channel and of a stream.

A message is an object with one member, named for its kind. Those of the control channel are Azure
Relay's, but for `notify`. Those of a stream are spoken between its two ends on a WebSocket that
negotiated `towrope.v1`; the relay passes them on unread. Members that we do not know are ignored,
so that either side may be older.
"""

from typing import Any

import msgspec

from towrope.wire.errors import Hop, Malformed, foreign

SUBPROTOCOL = "towrope.v1"
MESSAGE_LIMIT = 64 * 1024


class RemoteEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    address: str = ""
    port: int = 0


class Accept(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A sender waits at `address`, for 30 s at most; the listener dials it to be joined."""

    address: str
    id: str
    connect_headers: dict[str, str] = {}
    remote_endpoint: RemoteEndpoint = RemoteEndpoint()


class RenewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A listener's next token, before the last one expires. There is no reply."""

    token: str


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """A hint to the agent that something of this kind changed at the control plane; it fetches."""

    kind: str = ""


class ControlMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One message of a control channel: exactly one member is set, or none that we know."""

    accept: Accept | None = None
    renew_token: RenewToken | None = None
    notify: Notify | None = None


class Eof(msgspec.Struct, frozen=True, kw_only=True):
    """The sending end has no more bytes; it sent `offset` in all."""

    offset: int


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """The sending end gave the stream up. What came before may be incomplete."""

    reason: str


class StreamMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One text message of a stream: exactly one member is set, or none that we know."""

    eof: Eof | None = None
    reset: Reset | None = None


_control = msgspec.json.Decoder(ControlMessage)
_stream = msgspec.json.Decoder(StreamMessage)


def encode(message: ControlMessage | StreamMessage) -> str:
    return msgspec.json.encode(message).decode()


def decode_control(text: str | bytes) -> ControlMessage:
    """Raises `Malformed`."""
    decoded: ControlMessage = _decode(_control, text)
    return decoded


def decode_stream(text: str | bytes) -> StreamMessage:
    """Raises `Malformed`."""
    decoded: StreamMessage = _decode(_stream, text)
    return decoded


def _decode(decoder: "msgspec.json.Decoder[Any]", text: str | bytes) -> Any:
    if len(text) > MESSAGE_LIMIT:
        raise Malformed(f"A control message is over {MESSAGE_LIMIT} bytes.", hop=Hop.RELAY)
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Malformed(
            f"A control message is not valid: {foreign(str(error))}", hop=Hop.RELAY
        ) from None
