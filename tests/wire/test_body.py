"""Message bodies: what is accepted h11 reads the same, byte by byte as whole; the rest refused."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from towrope.wire import body
from towrope.wire.body import CHUNKED, NONE, UNTIL_CLOSE, Decoder, Encoder, Framing, Kind
from towrope.wire.errors import Cut, Malformed
from towrope.wire.head import Fields, RequestHead, ResponseHead, end_of_head, parse_request

HOST = (b"Host", b"a")


def request(*fields: tuple[bytes, bytes], minor: int = 1) -> RequestHead:
    return RequestHead(b"POST", b"/", Fields((HOST, *fields)), minor)


def response(status: int, *fields: tuple[bytes, bytes], minor: int = 1) -> ResponseHead:
    return ResponseHead(status, Fields(fields), b"X", minor)


def length(value: bytes) -> tuple[bytes, bytes]:
    return (b"content-LENGTH", value)


def coding(value: bytes) -> tuple[bytes, bytes]:
    return (b"Transfer-Encoding", value)


def test_how_a_requests_body_is_delimited() -> None:
    assert body.request_framing(request()) == NONE
    assert body.request_framing(request(length(b"0"))) == Framing(Kind.LENGTH, 0)
    assert body.request_framing(request(length(b"0042"))) == Framing(Kind.LENGTH, 42)
    assert body.request_framing(request(length(b"9" * 18))).length == 10**18 - 1
    assert body.request_framing(request(coding(b"Chunked"))) == CHUNKED


@pytest.mark.parametrize(
    "value",
    [b"", b"+1", b"-1", b"0x1", b"1 ", b" 1", b"1_0", b"1,1", b"1, 1", b"1.0", b"\xb2", b"9" * 19],
)
def test_a_length_that_is_none(value: bytes) -> None:
    with pytest.raises(Malformed):
        body.request_framing(request(length(value)))
    with pytest.raises(Malformed):
        body.response_framing(response(200, length(value)), method=b"GET")


@pytest.mark.parametrize(
    "value",
    [b"", b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked,", b"chunked;q=1"],
)
def test_a_coding_that_is_not_chunked(value: bytes) -> None:
    with pytest.raises(Malformed):
        body.request_framing(request(coding(value)))


@pytest.mark.parametrize(
    "fields",
    [
        (length(b"1"), length(b"1")),
        (length(b"1"), length(b"2")),
        (length(b"1"), coding(b"chunked")),
        (coding(b"chunked"), length(b"1")),
        (coding(b"chunked"), coding(b"chunked")),
    ],
)
def test_two_announcements(fields: tuple[tuple[bytes, bytes], ...]) -> None:
    with pytest.raises(Malformed):
        body.request_framing(request(*fields))
    with pytest.raises(Malformed):
        body.response_framing(response(200, *fields), method=b"GET")
    with pytest.raises(Malformed):
        body.response_framing(response(200, *fields), method=b"HEAD")


def test_chunks_are_none_of_http_1_0() -> None:
    with pytest.raises(Malformed):
        body.request_framing(request(coding(b"chunked"), minor=0))
    with pytest.raises(Malformed):
        body.response_framing(response(200, coding(b"chunked"), minor=0), method=b"GET")


@pytest.mark.parametrize(
    ("head", "method", "framing"),
    [
        (response(200), b"GET", UNTIL_CLOSE),
        (response(200, length(b"3")), b"GET", Framing(Kind.LENGTH, 3)),
        (response(200, coding(b"chunked")), b"GET", CHUNKED),
        (response(200, length(b"3")), b"HEAD", NONE),
        (response(200, coding(b"chunked")), b"HEAD", NONE),
        (response(200), b"HEAD", NONE),
        (response(304, length(b"3")), b"GET", NONE),
        (response(204), b"DELETE", NONE),
        (response(204, length(b"0")), b"DELETE", NONE),
        (response(100), b"POST", NONE),
        (response(101), b"GET", NONE),
    ],
)
def test_how_a_responses_body_is_delimited(
    head: ResponseHead, method: bytes, framing: Framing
) -> None:
    assert body.response_framing(head, method=method) == framing


@pytest.mark.parametrize("status", [100, 101, 199, 204])
@pytest.mark.parametrize("field", [length(b"3"), coding(b"chunked")])
def test_a_body_where_none_can_be(status: int, field: tuple[bytes, bytes]) -> None:
    with pytest.raises(Malformed):
        body.response_framing(response(status, field), method=b"GET")


def feed_whole(framing: Framing, data: bytes) -> tuple[bytes, int, bool]:
    decoder = Decoder(framing)
    pieces, used = decoder.feed(data)
    return b"".join(pieces), used, decoder.is_complete


def feed_by_byte(framing: Framing, data: bytes) -> tuple[bytes, int, bool]:
    decoder, buffer, taken, total = Decoder(framing), bytearray(), b"", 0
    for byte in data:
        buffer.append(byte)
        pieces, used = decoder.feed(buffer)
        taken += b"".join(pieces)
        del buffer[:used]
        total += used
        assert len(buffer) <= body.TRAILER_LIMIT
    return taken, total, decoder.is_complete


@pytest.mark.parametrize("feed", [feed_whole, feed_by_byte])
@pytest.mark.parametrize(
    ("framing", "data", "taken", "used", "complete"),
    [
        (NONE, b"next", b"", 0, True),
        (Framing(Kind.LENGTH, 0), b"next", b"", 0, True),
        (Framing(Kind.LENGTH, 3), b"abcnext", b"abc", 3, True),
        (Framing(Kind.LENGTH, 3), b"ab", b"ab", 2, False),
        (UNTIL_CLOSE, b"abc", b"abc", 3, False),
        (CHUNKED, b"3\r\nabc\r\n0\r\n\r\nnext", b"abc", 13, True),
        (CHUNKED, b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", 20, True),
        (CHUNKED, b"00000000000003\r\nabc\r\n000\r\n\r\n", b"abc", 28, True),
        (CHUNKED, b"1\r\na\r\n1\r\nb\r\n0\r\nX: y\r\nZ: \r\n\r\nnext", b"ab", 28, True),
        (CHUNKED, b"3\r\nab", b"ab", 5, False),
        (CHUNKED, b"3\r\nabc\r", b"abc", 6, False),
        (CHUNKED, b"0\r\n\r", b"", 3, False),
    ],
)
def test_bodies_are_taken_out_and_nothing_beyond(
    feed: object, framing: Framing, data: bytes, taken: bytes, used: int, complete: bool
) -> None:
    assert callable(feed)
    assert feed(framing, data) == (taken, used, complete)


BROKEN = [
    *(
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"1 \r\n",
        b" 1\r\n",
        b"1\n",
        b"1;a=b\r\n",
    ),
    *(b"1;\r\n", b"1\t\r\n", b"1" * 17 + b"\r\n", b"0" * 40, b"\n", b"1\r1\r\n", b"\x00\r\n"),
    *(b"1\r\nab", b"1\r\na\n", b"1\r\na\rb", b"1\r\n\r\nx\r\n"),
    *(b"0\r\nx\r\n\r\n", b"0\r\nX: a\nY: b\r\n\r\n", b"0\r\n: a\r\n\r\n", b"0\r\n X: a\r\n\r\n"),
    *(b"0\r\nContent-Length: 3\r\n\r\n", b"0\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"),
    b"0\r\n" + b"X: y\r\n" * 2000,
]


@pytest.mark.parametrize("feed", [feed_whole, feed_by_byte])
@pytest.mark.parametrize("data", BROKEN)
def test_broken_chunks_are_refused(feed: object, data: bytes) -> None:
    assert callable(feed)
    with pytest.raises(Malformed):
        feed(CHUNKED, data)


def test_a_refusal_leaves_the_callers_buffer_free() -> None:
    buffer = bytearray(b"3\r\nabcX")
    with pytest.raises(Malformed) as refusal:
        Decoder(CHUNKED).feed(buffer)
    buffer += b"more"  # a view that the traceback still holds would forbid it
    assert refusal.value.__traceback__ is not None


@pytest.mark.parametrize("framing", [Framing(Kind.LENGTH, 3), CHUNKED])
def test_an_end_within_the_body_is_a_cut(framing: Framing) -> None:
    with pytest.raises(Cut):
        Decoder(framing).end()


def test_an_end_where_it_may_be() -> None:
    decoder = Decoder(UNTIL_CLOSE)
    decoder.feed(b"abc")
    decoder.end()
    assert decoder.is_complete
    Decoder(NONE).end()


def test_bodies_are_framed_anew() -> None:
    chunked = Encoder(CHUNKED)
    assert chunked.encode([b"ab", b"c" * 14]) == b"10\r\nab" + b"c" * 14 + b"\r\n"
    assert chunked.encode([]) == b""
    assert chunked.end() == b"0\r\n\r\n"
    fixed = Encoder(Framing(Kind.LENGTH, 3))
    assert fixed.encode([b"a", b"bc"]) + fixed.end() == b"abc"
    assert CHUNKED.fields() == ((b"Transfer-Encoding", b"chunked"),)
    assert Framing(Kind.LENGTH, 3).fields() == ((b"Content-Length", b"3"),)
    assert UNTIL_CLOSE.fields() == NONE.fields() == ()


def test_a_short_body_is_never_ended() -> None:
    with pytest.raises(AssertionError):
        Encoder(Framing(Kind.LENGTH, 3)).end()
    with pytest.raises(AssertionError):
        Encoder(NONE).encode([b"a"])


HEADERS = st.sampled_from(
    [
        *(
            b"Content-Length: 3",
            b"Content-Length: 0",
            b"Content-Length: 03",
            b"Content-Length: 3,3",
        ),
        *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"content-length: 4"),
        *(b"Transfer-Encoding: CHUNKED", b"Content-Length: +3", b"Transfer-Encoding: chunked, x"),
    ]
)
PARTS = st.sampled_from(
    [
        *(
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"abc",
            b"\r\n",
            b"\n",
            b"\r",
            b"0",
            b"3",
            b"a",
            b";",
            b" ",
        ),
        *(b"1\r\n\r\r\n", b"0\r\nX: y\r\n\r\n", b"0\r\nX : y\r\n\r\n", b"GET / HTTP/1.1\r\n"),
    ]
)


@given(
    st.lists(HEADERS, max_size=2),
    st.lists(PARTS, max_size=8).map(b"".join),
    st.sampled_from([0, 1]),
)
def test_what_we_accept_h11_reads_the_same(headers: list[bytes], rest: bytes, minor: int) -> None:
    lines = [b"POST / HTTP/1.%d" % minor, b"Host: a", *headers]
    raw = b"\r\n".join(lines) + b"\r\n\r\n" + rest
    end = end_of_head(raw)
    assert end is not None
    try:
        framing = body.request_framing(parse_request(raw[:end]))
        taken, used, complete = feed_whole(framing, raw[end:])
    except Malformed:
        return
    assert feed_by_byte(framing, raw[end:]) == (taken, used, complete)
    theirs = h11.Connection(h11.SERVER)
    theirs.receive_data(raw)
    assert isinstance(theirs.next_event(), h11.Request)
    read = b""
    while isinstance(event := theirs.next_event(), h11.Data):
        read += event.data
    assert read == taken
    assert (type(event) is h11.EndOfMessage) == complete
    if complete:
        assert theirs.trailing_data[0] == raw[end + used :]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 50))
def test_what_we_write_is_read_back(pieces: list[bytes], step: int) -> None:
    encoder = Encoder(CHUNKED)
    raw = b"".join(encoder.encode([piece]) for piece in pieces) + encoder.end()
    decoder, buffer, taken = Decoder(CHUNKED), bytearray(), b""
    for start in range(0, len(raw), step):
        buffer += raw[start : start + step]
        found, used = decoder.feed(buffer)
        taken += b"".join(found)
        del buffer[:used]
    assert decoder.is_complete
    assert taken == b"".join(pieces)
    assert not buffer


@given(st.binary(max_size=100))
def test_any_bytes_by_byte_as_whole(data: bytes) -> None:
    results: list[object] = []
    for feed in (feed_whole, feed_by_byte):
        try:
            results.append(feed(CHUNKED, data))
        except Malformed:
            results.append(Malformed)
    assert results[0] == results[1]
