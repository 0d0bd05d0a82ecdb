"""A tunnel request: what is read from its head."""

import asyncio
from typing import cast

import pytest

from tests.fixtures.relay import HANDSHAKE
from towrope.relay.refusal import Refusal
from towrope.relay.visitor import Visitor
from towrope.tunnel.websocket import Receiver
from towrope.wire import head
from towrope.wire.errors import Malformed, Unauthenticated
from towrope.wire.messages import RemoteEndpoint

TARGET = "/$hc/alpha?sb-hc-action=connect"


def visitor(*fields: str, target: str = TARGET) -> Visitor:
    lines = [f"GET {target} HTTP/1.1", "Host: h", *HANDSHAKE, *fields, "", ""]
    request = "\r\n".join(lines).encode("latin-1")
    return Visitor(NoTransport(), head.parse_request(request), request)


class NoTransport(asyncio.Transport):
    """Its peer has gone."""

    def is_closing(self) -> bool:
        return True

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default


def test_repeated_headers_are_one_for_the_listener() -> None:
    headers = visitor("X-A: 1", "x-a: 2", "X-B: é").connect_headers
    assert headers["X-A"] == "1, 2"
    assert "x-a" not in headers
    assert headers["X-B"] == "é"


def test_a_header_may_have_a_number_for_a_name() -> None:
    assert visitor("0: Sec-WebSocket-Extensions: x").connect_headers["0"].endswith(": x")


def test_the_token_is_no_header_of_a_listener() -> None:
    seen = visitor("serviceBusAuthorization: SharedAccessSignature x")
    assert seen.token == "SharedAccessSignature x"
    assert "SharedAccessSignature" not in str(seen.connect_headers)


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("Authorization: Bearer x",),
        ("ServiceBusAuthorization: a", "ServiceBusAuthorization: b"),
        ("Authorization: SharedAccessSignature a", "Authorization: SharedAccessSignature b"),
    ],
)
def test_there_is_exactly_one_token(fields: tuple[str, ...]) -> None:
    with pytest.raises(Unauthenticated, match="Expected one token"):
        _ = visitor(*fields).token


def test_subprotocols_come_from_all_their_fields() -> None:
    seen = visitor("Sec-WebSocket-Protocol: a , b,,", "sec-websocket-protocol: c")
    assert seen.subprotocols == ["a", "b", "c"]


def test_what_is_no_handshake_is_no_visitor() -> None:
    request = f"GET {TARGET} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    with pytest.raises(Malformed):
        Visitor(cast("asyncio.Transport", None), head.parse_request(request), request)


def test_one_that_has_gone_gets_no_answer() -> None:
    gone = visitor()
    assert gone.welcome(Receiver()) is None
    gone.refuse(Refusal(status=404, text="x"))
    assert gone.remote_endpoint == RemoteEndpoint(address="", port=0)
