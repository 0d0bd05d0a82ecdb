"""What the gate takes for an apiserver's answer, h11 takes for the same, and ends where we do."""

import h11

from towrope.wire import body
from towrope.wire.body import Decoder, Kind
from towrope.wire.errors import Malformed
from towrope.wire.head import end_of_head, parse_response

SEEDS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\nrest",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
    b"HTTP/1.0 200\r\nA: b\r\n\r\nuntil the end",
]
WORDS = [
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b"204", b"100", b"HTTP/1.0", b"0"),
    *(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n"),
    *(b"3\r\nabc\r\n", b"0\r\n\r\n", b";a=b", b"+3", b"\r\n "),
]


def check(data: bytes) -> None:
    try:
        end = end_of_head(data)
        if end is None:
            return
        head = parse_response(data[:end])
        framing = body.response_framing(head, method=b"GET")
        decoder = Decoder(framing)
        pieces, used = decoder.feed(data[end:])
    except Malformed:
        return
    if head.status < 200 or (framing.kind is Kind.NONE and head.status != 304):
        return
    oracle = h11.Connection(h11.CLIENT)
    oracle.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    oracle.send(h11.EndOfMessage())
    oracle.receive_data(data)
    event = oracle.next_event()
    assert isinstance(event, h11.Response)
    assert event.status_code == head.status
    read = b""
    while isinstance(event := oracle.next_event(), h11.Data):
        read += event.data
    assert read == b"".join(pieces)
    assert isinstance(event, h11.EndOfMessage) == decoder.is_complete
    if decoder.is_complete:
        assert oracle.trailing_data[0] == data[end + used :]
