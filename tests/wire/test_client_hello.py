"""The server name of a ClientHello: real hellos, hellos cut anywhere, and what is none."""

import socket
import ssl
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towrope.wire.client_hello import HELLO_LIMIT, Alert, ClientHello, alert, parse
from towrope.wire.errors import Malformed

NAME = "0123456789abcdef0123456789abcdef.clusters.example.org"


def hello_of(server_name: str | None, *, maximum: ssl.TLSVersion | None = None) -> bytes:
    """What Python's own TLS client opens with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if maximum is not None:
        context.maximum_version = maximum
    sent = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


def vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content


def extension(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, body)


def server_name(*names: bytes, kind: int = 0) -> bytes:
    listed = b"".join(bytes((kind,)) + vector(2, name) for name in names)
    return extension(0, vector(2, listed))


GREASE = extension(0x0A0A, b"") + extension(0xFAFA, b"\0")


def message(extensions: bytes | None, *, tail: bytes = b"") -> bytes:
    """A ClientHello, handshake header and all, with GREASE (RFC 8701) among its cipher suites."""
    body = b"\3\3" + bytes(32) + vector(1, bytes(32)) + vector(2, b"\x0a\x0a\x13\x01")
    body += vector(1, b"\0")
    if extensions is not None:
        body += vector(2, extensions)
    return b"\1" + vector(3, body + tail)


def records(content: bytes, *sizes: int) -> bytes:
    """`content` in TLS records of these sizes, and the rest in a last one."""
    out, at = b"", 0
    for size in (*sizes, len(content)):
        part = content[at : at + size]
        at += size
        if part:
            out += b"\x16\3\1" + vector(2, part)
    return out


HELLO = records(message(GREASE + server_name(NAME.encode()) + GREASE))


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_reads_the_name_from_a_real_hello(maximum: ssl.TLSVersion) -> None:
    assert parse(hello_of(NAME, maximum=maximum)) == ClientHello(server_name=NAME)


def test_a_real_hello_may_name_nobody() -> None:
    assert parse(hello_of(None)) == ClientHello(server_name=None)


def capture(command: list[str]) -> bytes:
    """What a program opens with when it connects to 127.0.0.1 (`PORT` in its arguments)."""
    received = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def take() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(20)
                while parse(received) is None:
                    part = connection.recv(4096)
                    assert part, "closed before its ClientHello was whole"
                    received.extend(part)

        taking = threading.Thread(target=take)
        taking.start()
        port = str(server.getsockname()[1])
        subprocess.run(
            [part.replace("PORT", port) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            check=False,
        )
        taking.join()
    return bytes(received)


@pytest.mark.parametrize(
    "command",
    [
        ["openssl", "s_client", "-connect", "127.0.0.1:PORT", "-servername", NAME],
        [
            "kubectl",
            "--kubeconfig=/dev/null",
            "--server=https://127.0.0.1:PORT",
            f"--tls-server-name={NAME}",
            "--request-timeout=5s",
            "get",
            "--raw=/",
        ],
    ],
    ids=lambda command: command[0],
)
def test_reads_the_name_from_a_real_client(command: list[str]) -> None:
    assert parse(capture(command)) == ClientHello(server_name=NAME)


def test_needs_the_whole_hello_and_no_byte_more() -> None:
    for length in range(len(HELLO)):
        assert parse(HELLO[:length]) is None
    assert parse(HELLO) == ClientHello(server_name=NAME)
    assert parse(HELLO + b"\x17\3\3\0\1x") == ClientHello(server_name=NAME)


@given(st.lists(st.integers(1, 120), max_size=8))
def test_reads_a_hello_in_any_records(sizes: list[int]) -> None:
    split = records(message(server_name(NAME.encode())), *sizes)
    assert parse(split) == ClientHello(server_name=NAME)
    assert parse(split[:-1]) is None


@given(st.integers(0, len(HELLO) - 1), st.integers(0, 255))
def test_a_changed_byte_never_makes_it_fail_otherwise(at: int, value: int) -> None:
    changed = HELLO[:at] + bytes((value,)) + HELLO[at + 1 :]
    try:
        result = parse(changed)
    except Malformed:
        return
    assert result is None or isinstance(result, ClientHello)


@given(st.binary(min_size=1, max_size=600))
def test_anything_after_a_record_header_is_read_or_refused(body: bytes) -> None:
    for data in (body, records(b"\1" + vector(3, body)), records(message(body))):
        try:
            parse(data)
        except Malformed:
            continue


def test_names_are_compared_without_case() -> None:
    upper = records(message(server_name(NAME.upper().encode())))
    assert parse(upper) == ClientHello(server_name=NAME)


def test_a_hello_without_extensions_names_nobody() -> None:
    assert parse(records(message(None))) == ClientHello(server_name=None)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x17\3\3\0\1x",
        b"\x16\2\0\0\1\1",
        b"\x16\3\1\0\0",  # RFC 8446 §5.1: no empty handshake records
        b"\x16\3\1\x40\1" + bytes(16),
        records(b"\2" + vector(3, bytes(40))),
        records(b"\1\xff\xff\xff"),
        records(message(server_name(b"a", b"b"))),
        records(message(server_name(b"a") + server_name(b"a"))),
        records(message(server_name(b"a", kind=1))),
        records(message(server_name(b""))),
        records(message(server_name(b"a..b"))),
        records(message(server_name(b"a\0b"))),
        records(message(server_name("ü".encode()))),
        records(message(server_name(b"a." * 150 + b"a"))),
        records(message(extension(0, vector(2, b"\0\0\1a") + b"x"))),
        records(message(b"\0\0\0\xff")),
        records(message(GREASE, tail=b"x")),
        records(b"\1" + vector(3, b"\3\3")),
    ],
)
def test_refuses_what_is_no_hello(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)


def test_refuses_one_that_does_not_end() -> None:
    long = records(b"\1" + (HELLO_LIMIT - 4).to_bytes(3, "big") + bytes(HELLO_LIMIT), *[200] * 200)
    assert parse(long[: HELLO_LIMIT - 1]) is None
    with pytest.raises(Malformed):
        parse(long)


def test_an_alert_is_a_fatal_one_and_python_understands_it() -> None:
    assert alert(Alert.ACCESS_DENIED) == bytes.fromhex("15030300020231")
    answer = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client = context.wrap_bio(answer, ssl.MemoryBIO(), server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    answer.write(alert(Alert.UNRECOGNIZED_NAME))
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        client.do_handshake()
