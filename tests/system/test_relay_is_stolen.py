"""A thief of the relay records, replays, alters, reorders, ends and re-routes streams: for nothing.

The thief has the relay's certificate and its master key. What runs through it are records of a TLS
session whose ends are kubectl and the agent, so all that it can do is to end it.
"""

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from tests.fixtures.cluster import Cluster
from tests.fixtures.database import rows
from tests.fixtures.frames import APPLICATION_DATA, TEXT, Frame
from tests.fixtures.hostile import Detour, Direction, HostileRelay
from tests.fixtures.installation import Installation, Proxy, installed
from tests.fixtures.raw import raw_connection
from towrope.wire import messages

MARKER = "a-name-that-the-answer-holds"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
LARGE = "large"
ENDS = (ssl.SSLError, ConnectionError)  # a deadline that passes is none


@pytest.fixture(scope="module")
def stolen(
    second_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation whose link is the relay, as far as anybody can tell."""
    folder = tmp_path_factory.mktemp("stolen")
    with installed(
        second_cluster, folder, name="shop-18", watched=True, link_kind=HostileRelay
    ) as made:
        yield made
        made.delete()


@pytest.fixture(scope="module")
def thief(stolen: Installation) -> HostileRelay:
    assert isinstance(stolen.link, HostileRelay)
    return stolen.link


@pytest.fixture(scope="module")
def caller(stolen: Installation) -> Iterator[Proxy]:
    with stolen.proxy() as proxy:
        yield proxy


@pytest.fixture
def honest(thief: HostileRelay) -> Iterator[None]:
    """Whatever a test had the thief do, the next one begins without."""
    yield
    thief.tamper = thief.detour = None


@pytest.fixture(scope="module")
def large(second_cluster: Cluster) -> bytes:
    """The answer to a request for something that fills many records."""
    content = {f"key-{number}": str(number) * 12_000 for number in range(10, 40)}
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": LARGE}, "data": content}
    second_cluster.kubectl("create", "-f", "-", input=json.dumps(made))
    return second_cluster.kubectl("get", "--raw", f"{CONFIGMAPS}/{LARGE}").stdout.encode()


def request(token: str, first: str, body: bytes = b"") -> bytes:
    lines = [f"{first} HTTP/1.1", "Host: cluster", f"Authorization: Bearer {token}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def events(cluster: Cluster, marker: str) -> list[Any]:
    """What the apiserver did for a request with this marker in its path."""
    lines = cluster.audit_log.read_text().splitlines()
    return [json.loads(line) for line in lines if marker in line]


def read_to_the_end(session: ssl.SSLSocket) -> bytes:
    received = bytearray()
    while data := session.recv(65536):
        received += data
    return bytes(received)


def dechunked(body: bytes) -> bytes:
    """What a part of a chunked body holds (RFC 9112 §7.1)."""
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        end = int(size, 16) if body else 0
        content, body = content + body[:end], body[end + 2 :]
    return content


# It records.


def test_it_sees_neither_token_nor_answer(
    stolen: Installation, caller: Proxy, thief: HostileRelay, second_cluster: Cluster
) -> None:
    second_cluster.kubectl("create", "configmap", MARKER, "--from-literal=key=value")
    thief.recorded.clear()
    answer = caller.out("get", "configmap", MARKER, "-o", "json")
    assert json.loads(answer)["metadata"]["name"] == MARKER
    seen = bytes(thief.recorded)
    # The recording is no empty shell: the relay does see the rendezvous, and TLS records in it.
    assert b"sb-hc-action=connect" in seen
    assert len(seen) > len(answer)
    payloads = [
        b"".join(direction.records)
        for stream in thief.streams
        for direction in (stream.to_agent, stream.to_client)
    ]
    assert max(map(len, payloads)) > len(answer)
    for secret in (stolen.token, MARKER, '"kind"', "apiVersion", "Authorization: Bearer ey"):
        assert secret.encode() not in seen
        assert not any(secret.encode() in payload for payload in payloads)


def test_what_it_recorded_cannot_be_sent_again(
    stolen: Installation, caller: Proxy, thief: HostileRelay, second_cluster: Cluster
) -> None:
    name = "made-once"
    body = json.dumps({"metadata": {"name": name}}).encode()
    with raw_connection(caller) as session:
        session.sendall(request(stolen.token, f"POST {CONFIGMAPS}?fieldManager={name}", body))
        assert session.recv(65536).startswith(b"HTTP/1.1 201 ")
    recorded = b"".join(thief.streams[-1].to_agent.records)
    second_cluster.kubectl("delete", "configmap", name)
    with socket.create_connection(("127.0.0.1", caller.port), timeout=30) as plain:
        # An agent that knows the first ClientHello answers with another key of its own.
        plain.sendall(recorded)
        with pytest.raises(ConnectionError):
            while plain.recv(65536):
                pass
            raise ConnectionError
    assert len(thief.streams[-1].to_client.records) < 10
    assert name not in second_cluster.kubectl("get", "configmaps", "-o", "name").stdout
    assert len(events(second_cluster, f"fieldManager={name}")) == 1


# It alters.


def altered(direction: Direction, record: bytes) -> list[bytes | Frame]:
    return [record[:-1] + bytes([record[-1] ^ 1])]


def repeated(direction: Direction, record: bytes) -> list[bytes | Frame]:
    return [record, record]


def dropped(direction: Direction, record: bytes) -> list[bytes | Frame]:
    return []


def reordered(direction: Direction, record: bytes) -> list[bytes | Frame]:
    """This record goes after the next one."""
    direction.held.append(record)
    return []


def ended(direction: Direction, record: bytes) -> list[bytes | Frame]:
    """In order, as it claims: with the number of bytes that the end was sent."""
    eof = messages.StreamMessage(eof=messages.Eof(offset=direction.sent))
    return [
        Frame(
            opcode=TEXT,
            payload=messages.encode(eof).encode(),
            is_masked=direction.is_of_client,
        )
    ]


HANDS = [altered, repeated, dropped, reordered, ended]
Hand = Callable[[Direction, bytes], list[bytes | Frame]]


def at(number: int, hand: Hand, *, of_client: bool) -> Callable[..., list[bytes | Frame]]:
    """Does it to the encrypted record of this number in one direction of the next stream."""
    seen = 0

    def tamper(direction: Direction, record: bytes) -> list[bytes | Frame]:
        nonlocal seen
        if direction.is_of_client is not of_client or record[0] != APPLICATION_DATA:
            return [record]
        seen += 1
        if seen == number:
            return hand(direction, record)
        held, direction.held = direction.held, []
        return [record, *held]

    return tamper


@pytest.mark.usefixtures("honest")
@pytest.mark.parametrize("hand", HANDS)
def test_an_answer_that_it_touches_ends_in_an_error(
    stolen: Installation, caller: Proxy, thief: HostileRelay, large: bytes, hand: Hand
) -> None:
    received = bytearray()
    with raw_connection(caller) as session:
        thief.tamper = at(6, hand, of_client=False)
        session.sendall(request(stolen.token, f"GET {CONFIGMAPS}/{LARGE}"))
        with pytest.raises(ENDS):
            while data := session.recv(65536):
                received += data
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    content = dechunked(body)
    assert content
    assert large.startswith(content), "what came was not what the apiserver said"
    assert len(content) < len(large)


@pytest.mark.usefixtures("honest")
@pytest.mark.parametrize("hand", HANDS)
def test_a_request_that_it_touches_changes_nothing(
    stolen: Installation,
    caller: Proxy,
    thief: HostileRelay,
    second_cluster: Cluster,
    hand: Hand,
) -> None:
    name = f"touched-{hand.__name__}"
    body = json.dumps({"metadata": {"name": name}}).encode()
    whole = request(stolen.token, f"POST {CONFIGMAPS}?fieldManager={name}", body)
    with raw_connection(caller) as session, pytest.raises(ENDS):
        thief.tamper = at(1, hand, of_client=True)
        session.sendall(whole[:100])
        session.sendall(whole[100:-10])
        session.sendall(whole[-10:])
        read_to_the_end(session)
    assert not events(second_cluster, f"fieldManager={name}")


# It re-routes.


@pytest.mark.usefixtures("honest")
def test_a_stream_that_it_leads_to_another_cluster_fails_by_the_name(
    caller: Proxy,
    thief: HostileRelay,
    installation: Installation,
) -> None:
    """The other cluster's relay is the thief's too, and its agent takes the stream."""
    found = rows(installation, "select name, hybrid_connection from connected_clusters")
    thief.detour = Detour(
        state=installation.folder / "server",
        port=installation.port,
        netloc=f"localhost:{installation.link.port}",
        hybrid_connection=dict(found)[installation.name],
    )
    before = len(thief.streams)
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"), raw_connection(caller):
        pass
    stream = thief.streams[before]
    # The agent answered, so the detour was one; and was sent nothing but a ClientHello, whose
    # server name is under the handshake's signature.
    assert stream.to_client.records
    assert not any(record[0] == APPLICATION_DATA for record in stream.to_agent.records)
    failed = caller.kubectl("get", "pods", check=False)
    assert b"unrecognized name" in failed.stderr


# What is left behind.


def test_no_log_holds_a_secret(stolen: Installation) -> None:
    administrator = json.loads((stolen.folder / "administrator.json").read_text())
    logs = list(stolen.folder.glob("*.log"))
    assert logs
    for log in logs:
        text = log.read_text(errors="replace")
        for secret in (stolen.token, administrator["password"], "SharedAccessSignature", "eyJ"):
            assert secret not in text, log.name


@pytest.mark.usefixtures("caller")
def test_no_process_has_a_secret_in_its_arguments(stolen: Installation) -> None:
    administrator = json.loads((stolen.folder / "administrator.json").read_text())
    commands = [
        " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    ]
    assert any("connectedk8s proxy" in command for command in commands)
    for command in commands:
        assert stolen.token not in command
        assert administrator["password"] not in command


def test_no_file_of_a_secret_can_be_read_by_others(stolen: Installation) -> None:
    administrator = json.loads((stolen.folder / "administrator.json").read_text())
    secrets = (stolen.token.encode(), administrator["password"].encode(), b"PRIVATE KEY")
    for file in stolen.folder.rglob("*"):
        if file.is_file() and any(secret in file.read_bytes() for secret in secrets):
            assert file.stat().st_mode & 0o077 == 0, file.name
