"""Messages of control channels and streams."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towrope.wire import messages
from towrope.wire.errors import Malformed
from towrope.wire.messages import (
    Accept,
    ControlMessage,
    Eof,
    RemoteEndpoint,
    RenewToken,
    Reset,
    StreamMessage,
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "1",
        "{",
        '{"accept": 1}',
        '{"accept": {}}',
        '{"accept": {"address": "a", "id": 1}}',
        '{"renewToken": {}}',
        '{"renewToken": {"token": null}}',
        b"\xff\xfe",
        "\ud800",
        '{"x": ' + "[" * 60_000,
        '{"x": "' + "a" * messages.MESSAGE_LIMIT + '"}',
    ],
)
def test_what_is_no_message_is_refused(text: str | bytes) -> None:
    with pytest.raises(Malformed, match="control message"):
        messages.decode_control(text)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", '{"eof": {}}', '{"eof": {"offset": "1"}}', '{"reset": {}}']
)
def test_what_is_no_message_of_a_stream_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        messages.decode_stream(text)


@given(st.binary() | st.text())
def test_anything_is_read_or_refused(data: bytes | str) -> None:
    for decode in (messages.decode_control, messages.decode_stream):
        with contextlib.suppress(Malformed):
            decode(data)


def test_accept_is_written_as_clients_of_azure_relay_read_it() -> None:
    accept = Accept(
        address="wss://node/$hc/alpha?sb-hc-action=accept&sb-hc-id=x",
        id="x",
        connect_headers={"Sec-WebSocket-Key": "k"},
        remote_endpoint=RemoteEndpoint(address="192.0.2.1", port=1),
    )
    written = messages.encode(ControlMessage(accept=accept))
    assert json.loads(written) == {
        "accept": {
            "address": "wss://node/$hc/alpha?sb-hc-action=accept&sb-hc-id=x",
            "id": "x",
            "connectHeaders": {"Sec-WebSocket-Key": "k"},
            "remoteEndpoint": {"address": "192.0.2.1", "port": 1},
        }
    }
    assert messages.decode_control(written).accept == accept


def test_renew_token_is_read_as_they_write_it() -> None:
    message = messages.decode_control('{"renewToken": {"token": "t"}}')
    assert message == ControlMessage(renew_token=RenewToken(token="t"))


def test_unknown_members_and_kinds_are_ignored() -> None:
    assert messages.decode_control('{"request": {"id": "x"}}') == ControlMessage()
    assert messages.decode_stream('{"eof": {"offset": 1, "more": 2}, "ack": {}}').eof == Eof(
        offset=1
    )


@pytest.mark.parametrize(
    "message", [StreamMessage(eof=Eof(offset=2**40)), StreamMessage(reset=Reset(reason="r"))]
)
def test_messages_of_a_stream_are_read_again(message: StreamMessage) -> None:
    assert messages.decode_stream(messages.encode(message)) == message
