"""What the gate sends upstream, h11 reads as the gate did, with the caller's credential or none.

Also: each message fed byte by byte reads as it does whole, and nothing but `Malformed` and
`Unauthenticated` is ever raised.
"""

import h11

from towrope.agent import identity
from towrope.agent.screening import Request, screen
from towrope.wire.body import Decoder, Encoder
from towrope.wire.errors import Malformed, Unauthenticated
from towrope.wire.head import end_of_head, parse_request

HOST = b"apiserver"
SEEDS = [
    b"GET /api HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\n\r\n",
    b"POST /api HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\nContent-Length: 3\r\n\r\nabc",
    (
        b"PUT / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
    ),
    (
        b"GET /exec HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\nConnection: Upgrade\r\n"
        b"Upgrade: SPDY/3.1\r\nImpersonate-User: jane\r\nX-Stream-Protocol-Version: v4\r\n\r\n"
    ),
]
WORDS = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b",",
        b";",
        b"\r\n ",
        b"\r\n\r\n",
        b"0",
        b"_",
    ),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"),
    *(b"Authorization: Bearer x\r\n", b"authorization", b"Impersonate-User: admin\r\n", b"chunked"),
    *(b"Connection: Authorization\r\n", b"X-Remote-User: admin\r\n", b"HTTP/1.0", b"Host: b\r\n"),
    *(b"3\r\nabc\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b";a=b", b"Upgrade: websocket\r\n"),
]


def check(data: bytes) -> None:
    whole, by_byte = _read(data, step=len(data) or 1), _read(data, step=1)
    assert whole == by_byte, "byte by byte reads otherwise than whole"
    if whole is None:
        return
    written, body, request = whole
    _agrees(written, body, request)
    credentials = parse_request(written[: end_of_head(written)]).fields.all(b"authorization")
    assert len(credentials) == 1
    assert any(
        name.strip().lower() == b"authorization" and value.strip() == credentials[0]
        for name, _, value in (line.partition(b":") for line in data.split(b"\r\n"))
    ), "a credential that the caller did not send"


def _read(data: bytes, *, step: int) -> tuple[bytes, bytes, Request] | None:
    """What goes upstream of the first request in `data`, and its body; None where it is refused."""
    buffer, at = bytearray(), 0
    try:
        while (end := end_of_head(buffer, start=max(0, len(buffer) - step))) is None:
            if at >= len(data):
                return None
            buffer += data[at : at + step]
            at += step
        head = parse_request(bytes(buffer[:end]))
        del buffer[:end]
        request, decision = screen(head), identity.as_it_came(head)
        decoder, encoder = Decoder(request.framing), Encoder(request.framing)
        body, framed = b"", b""
        while True:
            pieces, used = decoder.feed(buffer)
            del buffer[:used]
            body += b"".join(pieces)
            if decoder.is_complete:
                break
            if at >= len(data):
                return None
            buffer += data[at : at + step]
            at += step
        framed = encoder.encode([body]) + encoder.end()
    except (Malformed, Unauthenticated):
        return None
    upstream = request.head(host=HOST, credential=decision.credential).encode()
    return upstream + framed, body, request


def _agrees(written: bytes, body: bytes, request: Request) -> None:
    oracle = h11.Connection(h11.SERVER)
    oracle.receive_data(written)
    event = oracle.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (request.method, request.target)
    assert dict(event.headers)[b"host"] == HOST
    read = b""
    while isinstance(event := oracle.next_event(), h11.Data):
        read += event.data
    assert isinstance(event, h11.EndOfMessage), "the message does not end where it should"
    assert read == body
    assert oracle.trailing_data[0] == b"", "bytes follow the message"
