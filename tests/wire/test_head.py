"""HTTP heads: what is accepted h11 accepts too, with the same meaning; the rest is refused."""

import time

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from towrope.wire.errors import Malformed
from towrope.wire.head import (
    FIELD_LIMIT,
    HEAD_LIMIT,
    Fields,
    RequestHead,
    ResponseHead,
    end_of_head,
    parse_request,
    parse_response,
)

REQUEST = b"GET /api HTTP/1.1\r\nHost: a\r\nAccept:\t b c \t\r\nEmpty:\r\n\r\n"


def test_a_request_head_is_read() -> None:
    head = parse_request(REQUEST)
    assert (head.method, head.target, head.minor) == (b"GET", b"/api", 1)
    assert head.fields.items == ((b"Host", b"a"), (b"Accept", b"b c"), (b"Empty", b""))
    assert head.encode() == b"GET /api HTTP/1.1\r\nHost: a\r\nAccept: b c\r\nEmpty: \r\n\r\n"


def test_a_response_head_is_read() -> None:
    head = parse_response(b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n")
    assert (head.status, head.reason, head.minor) == (404, b"Not Found", 0)
    assert head.encode() == b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n"
    assert parse_response(b"HTTP/1.1 200\r\n\r\n").reason == b""


def test_fields_are_found_without_case() -> None:
    fields = Fields(((b"Connection", b"Close, TE"), (b"CONNECTION", b"upgrade,,")))
    assert fields.all(b"connection") == [b"Close, TE", b"upgrade,,"]
    assert fields.first(b"connection") == b"Close, TE"
    assert fields.first(b"host") is None
    assert fields.tokens(b"connection") == [b"close", b"te", b"upgrade"]
    assert fields.without([b"connection"]).items == ()
    assert list(fields.plus((b"a", b"b")))[-1] == (b"a", b"b")


def test_the_end_is_found_byte_by_byte_as_in_one() -> None:
    buffer, seen = bytearray(), 0
    for byte in REQUEST[:-1]:
        buffer.append(byte)
        assert end_of_head(buffer, start=seen) is None
        seen = len(buffer)
    assert end_of_head(buffer + REQUEST[-1:] + b"rest", start=seen) == len(REQUEST)
    assert end_of_head(REQUEST + b"rest\n") == len(REQUEST)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"\n",
        b"GET /\rx",
        b"GET / HTTP/1.1\r\r\n",
        b"a\r\n\n\r\n\r\n",
    ],
)
def test_a_bare_cr_or_lf_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(Malformed):
        end_of_head(data)
    with pytest.raises(Malformed):
        for end in range(1, len(data) + 1):
            end_of_head(data[:end], start=end - 1)


def test_a_head_has_a_limit() -> None:
    assert end_of_head(b"a" * (HEAD_LIMIT - 1)) is None
    with pytest.raises(Malformed):
        end_of_head(b"a" * HEAD_LIMIT)
    fits = b"a" * (HEAD_LIMIT - 4) + b"\r\n\r\n"
    assert end_of_head(fits) == HEAD_LIMIT
    with pytest.raises(Malformed):
        end_of_head(b"a" + fits)


def test_fields_have_a_limit() -> None:
    line = b"A: b\r\n"
    head = b"GET / HTTP/1.0\r\n%b\r\n"
    assert len(parse_request(head % (line * FIELD_LIMIT)).fields.items) == FIELD_LIMIT
    with pytest.raises(Malformed):
        parse_request(head % (line * (FIELD_LIMIT + 1)))


@pytest.mark.parametrize(
    "first",
    [
        *(b"", b"GET", b"GET /", b"GET / HTTP/1.1 ", b" GET / HTTP/1.1", b"GET  / HTTP/1.1"),
        *(b"GET / HTTP/1.2", b"GET / HTTP/2.0", b"GET / http/1.1", b"GET / HTTP/1.1\r\nHost: b"),
        *(b"GET /\x7f HTTP/1.1", b"GET /\x80 HTTP/1.1", b"G(T / HTTP/1.1", b"GET /\t HTTP/1.1"),
    ],
)
def test_a_request_line_that_is_none(first: bytes) -> None:
    with pytest.raises(Malformed):
        parse_request(first + b"\r\nHost: a\r\n\r\n")


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"A", b": b", b"A : b", b"A\t: b", b" A: b", b"\tA: b", b"A: b\0", b"A: b\x1f"),
        *(b"A: b\x7f", b"A: b\rc", b"A: b\nc", b"A\0: b", b"A(: b", b"A\x80: b", b'"A": b'),
    ],
)
def test_a_field_that_is_none(line: bytes) -> None:
    with pytest.raises(Malformed):
        parse_request(b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % line)
    with pytest.raises(Malformed):
        parse_response(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % line)


@pytest.mark.parametrize(
    "first",
    [
        *(b"", b"HTTP/1.1", b"HTTP/1.1 20", b"HTTP/1.1 099 X", b"HTTP/1.1 2000 X", b"HTTP/2 200"),
        *(b"HTTP/1.1  200 OK", b"HTTP/1.1 200 O\0K", b"http/1.1 200 OK", b"HTTP/1.1 20a OK"),
    ],
)
def test_a_status_line_that_is_none(first: bytes) -> None:
    with pytest.raises(Malformed):
        parse_response(first + b"\r\n\r\n")


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("hosts", [0, 1, 2])
def test_there_is_one_host(version: int, hosts: int) -> None:
    head = b"GET / HTTP/1.%d\r\n%b\r\n" % (version, b"Host: a\r\n" * hosts)
    if hosts == 1 or (hosts == 0 and version == 0):
        parse_request(head)
    else:
        with pytest.raises(Malformed):
            parse_request(head)


def test_a_hostile_field_takes_linear_time() -> None:
    started = time.process_time()
    for value in (b" " * 60_000 + b"\0", b"a " * 30_000 + b"\0", b"\t" * 60_000 + b"a" + b" " * 9):
        try:
            parse_request(b"GET / HTTP/1.0\r\nA:%b\r\n\r\n" % value)
        except Malformed:
            continue
    assert time.process_time() - started < 1.0


# What both are to agree on. h11 also takes what we do not, which is the point of ours.

PARTS = st.sampled_from(
    [
        *(b"GET", b"POST", b" ", b"  ", b"/", b"/a?b=c", b"*", b"HTTP/1.1", b"HTTP/1.0", b"\r\n"),
        *(b"\n", b"\r", b"Host: a", b"Host", b":", b": ", b"A", b"A: b", b"\t", b"\0", b"\x80"),
        *(b"Content-Length: 3", b"Transfer-Encoding: chunked", b"GET / HTTP/1.1\r\nHost: a\r\n"),
    ]
)


@given(st.lists(PARTS, max_size=12).map(b"".join))
def test_what_we_accept_h11_accepts_with_the_same_meaning(start: bytes) -> None:
    raw = start + b"\r\n\r\n"
    try:
        end = end_of_head(raw)
        assert end is not None
        ours = parse_request(raw[:end])
    except Malformed:
        return
    theirs = h11.Connection(h11.SERVER)
    theirs.receive_data(raw[:end])
    try:
        event = theirs.next_event()
    except h11.RemoteProtocolError:
        # The framing of the body is judged by `wire.body`, after the head.
        assert ours.fields.all(b"content-length") or ours.fields.all(b"transfer-encoding")
        return
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (ours.method, ours.target)
    assert list(event.headers) == [(name.lower(), value) for name, value in ours.fields]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_malformed(data: bytes) -> None:
    for parse in (parse_request, parse_response):
        try:
            head = parse(data + b"\r\n\r\n")
        except Malformed:
            continue
        assert isinstance(head, RequestHead | ResponseHead)
        again = parse(head.encode())
        assert again.fields == head.fields
