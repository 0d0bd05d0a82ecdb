"""What a client could try: ambiguous messages, and headers that claim what is not its own."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent import rig
from tests.agent.rig import BEARER, get, post
from towrope.agent import identity
from towrope.agent.screening import screen
from towrope.wire.errors import Malformed, Unauthenticated
from towrope.wire.head import Fields, RequestHead, end_of_head, parse_request

END = b"\r\n\r\n"

AMBIGUOUS = {
    "two lengths": post("Content-Length: 3", "Content-Length: 30", body=b"abc"),
    "two equal lengths": post("Content-Length: 3", "Content-Length: 3", body=b"abc"),
    "a list of lengths": post("Content-Length: 3, 3", body=b"abc"),
    "a length and chunks": post(
        "Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "chunks and a length": post(
        "Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n"
    ),
    "a signed length": post("Content-Length: +3", body=b"abc"),
    "a hexadecimal length": post("Content-Length: 0x3", body=b"abc"),
    "a spaced length": post("Content-Length: 1 0", body=b"abc"),
    "a negative length": post("Content-Length: -1"),
    "an empty length": post("Content-Length: "),
    "a huge length": post("Content-Length: 9999999999999999999"),
    "a length in other digits": post("Content-Length: \xb2", body=b"abc"),
    "a coding twice": post("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "two codings": post("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "two coding fields": post(
        "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "a coding that is none": post("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "identity": post("Transfer-Encoding: identity", "Content-Length: 3", body=b"abc"),
    "a coding with a tab inside": post("Transfer-Encoding: chun\tked", body=b"0\r\n\r\n"),
    "chunks in HTTP/1.0": post("Transfer-Encoding: chunked", body=b"0\r\n\r\n").replace(
        b"HTTP/1.1", b"HTTP/1.0"
    ),
    "a folded field": get("X-A: b", " c: d"),
    "a folded length": post("Content-Length:", " 3", body=b"abc"),
    "a line of LF": get("X-A: b\nX-B: c"),
    "all lines of LF": get().replace(b"\r\n", b"\n"),
    "a bare CR": get("X-A: b\rX-B: c"),
    "all lines of CR": get().replace(b"\r\n", b"\r"),
    "a NUL": get("X-A: b\0c"),
    "a NUL in a name": get("X\0A: b"),
    "space before the colon": post("Content-Length : 3", body=b"abc"),
    "a tab before the colon": post("Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"),
    "no name": get(": b"),
    "no colon": get("X-A"),
    "a name with a bracket": get("X(A): b"),
    "two hosts": get("Host: elsewhere"),
    "no host": get().replace(b"Host: cluster\r\n", b""),
    "another host's target": get(target="http://elsewhere/api"),
    "no path": get(target="api/v1"),
    "an asterisk": get(target="*"),
    "an authority": get(target="cluster:443"),
    "CONNECT": get(target="cluster:443").replace(b"GET", b"CONNECT"),
    "CONNECT with a path": get().replace(b"GET", b"CONNECT"),
    "a fragment": get(target="/api#/../secrets"),
    "a space in the target": get(target="/api HTTP/1.1\r\nX-A: b"[:8] + " x"),
    "HTTP/2.0": get().replace(b"HTTP/1.1", b"HTTP/2.0"),
    "HTTP/1.2": get().replace(b"HTTP/1.1", b"HTTP/1.2"),
    "http/1.1": get().replace(b"HTTP/1.1", b"http/1.1"),
    "HTTP/0.9": b"GET /api\r\n\r\n",
    "two spaces": get().replace(b"GET ", b"GET  "),
    "an HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a head of a mebibyte": get("X-A: " + "a" * (1 << 20)),
    "ten thousand fields": get(*[f"X-{n}: 1" for n in range(10_000)]),
    "a body with an upgrade": get("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 3"),
    "two upgrades": get("Connection: Upgrade", "Upgrade: websocket", "Upgrade: SPDY/3.1"),
    "two content types": get("Content-Type: a/b", "Content-Type: c/d"),
    "another expectation": get("Expect: 200-ok"),
    "Connection: Authorization": get("Connection: Authorization"),
    "Connection: authorization among others": get("Connection: close,  aUTHORIZATION ,te"),
    "Connection: Impersonate-User": get("Connection: Impersonate-User", "Impersonate-User: a"),
    "Connection: Impersonate-Extra-x": get("Connection: Impersonate-Extra-x"),
    "Connection: Host": get("Connection: Host"),
    "Connection: Content-Length": post("Connection: Content-Length", "Content-Length: 0"),
    "Connection: Transfer-Encoding": get("Connection: Transfer-Encoding"),
    "Connection: X-Remote-User": get("Connection: X-Remote-User"),
    "Connection: Impersonate_User": get("Connection: Impersonate_User"),
    "Connection that is no list": get('Connection: "close"'),
    "Impersonate_User": get("Impersonate_User: admin"),
    "impersonate-user twice": get("Impersonate-User: a", "impersonate-user: b"),
    "Impersonate-Uid twice": get("Impersonate-Uid: a", "Impersonate-Uid: b"),
    "X_Remote_User": get("X_Remote_User: admin"),
    "X-Forwarded_For": get("X-Forwarded_For: 1.1.1.1"),
    "Content_Length": post("Content_Length: 3", body=b"abc"),
    "Transfer_Encoding": post("Transfer_Encoding: chunked", body=b"0\r\n\r\n"),
    "Authorization-2": get("Authorization-2: Bearer b"),
}
BAD_CHUNKS = {
    "a negative size": b"-1\r\nabc\r\n0\r\n\r\n",
    "a signed size": b"+3\r\nabc\r\n0\r\n\r\n",
    "a prefixed size": b"0x3\r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "a spaced size": b"3 \r\nabc\r\n0\r\n\r\n",
    "a size with a space before": b" 3\r\nabc\r\n0\r\n\r\n",
    "a size of LF": b"3\nabc\n0\n\n",
    "a size over 64 bits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a size without end": b"0" * 1000,
    "an extension": b"3;a=b\r\nabc\r\n0\r\n\r\n",
    "an extension with a LF": b"3;\nabc\r\n0\r\n\r\n",
    "more data than its size": b"2\r\nabc\r\n0\r\n\r\n",
    "data that ends with LF": b"3\r\nabc\n0\r\n\r\n",
    "a trailer that is no field": b"0\r\nx y\r\n\r\n",
    "a trailer with a LF": b"0\r\nX: a\nY: b\r\n\r\n",
    "trailers without end": b"0\r\n" + b"X: a\r\n" * 5000,
}


@pytest.mark.parametrize("attempt", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_an_ambiguous_request_gets_400_and_reaches_nothing(attempt: bytes) -> None:
    async with rig.running() as gate:
        client = await gate.connect()
        await client.send(attempt + get(target="/smuggled"))
        head = await client.read_until(END)
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"\r\nConnection: close\r\n" in head
        client.writer.close()
        assert gate.reached == b""


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
async def test_bad_chunks_get_400_and_reach_nothing(body: bytes) -> None:
    async with rig.running() as gate:
        client = await gate.connect()
        await client.send(post("Transfer-Encoding: chunked", body=body))
        assert (await client.read_until(END)).startswith(b"HTTP/1.1 400 ")
        assert gate.reached == b""


async def test_a_bad_chunk_after_good_ones_cuts_the_request() -> None:
    begun, cut = asyncio.Event(), asyncio.Event()

    async def script(peer: rig.Peer) -> None:
        await peer.read_until(b"abc\r\n")
        begun.set()
        await peer.read_all()
        cut.set()

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(post("Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"))
        async with asyncio.timeout(rig.WITHIN):
            await begun.wait()
            await client.send(b"zz\r\n")
            assert (await client.read_until(END)).startswith(b"HTTP/1.1 400 ")
            await cut.wait()
        assert gate.reached.endswith(b"abc\r\n")


NO_TOKEN = {
    "nothing": get(bearer=""),
    "an empty value": get(bearer="Authorization:\r\n"),
    "basic": get(bearer="Authorization: Basic YWRtaW46YWRtaW4=\r\n"),
    "negotiate": get(bearer="Authorization: Negotiate abc\r\n"),
    "the scheme alone": get(bearer="Authorization: Bearer\r\n"),
    "the scheme and spaces": get(bearer="Authorization: Bearer   \r\n"),
    "no space": get(bearer="Authorization: Bearerabc\r\n"),
    "a tab for the space": get(bearer="Authorization: Bearer\tabc\r\n"),
    "two tokens": get(bearer="Authorization: Bearer a b\r\n"),
    "a list": get(bearer="Authorization: Bearer a, Bearer b\r\n"),
    "two fields": get(bearer=BEARER + "authorization: Bearer b\r\n"),
    "two equal fields": get(bearer=BEARER + BEARER),
    "in the query": get(bearer="", target="/api?access_token=abc&token=abc"),
    "in a cookie": get("Cookie: Authorization=Bearer abc", bearer=""),
    "in a proxy's header": get("Proxy-Authorization: Bearer abc", bearer=""),
    "a remote user": get("X-Remote-User: admin", bearer=""),
    "an impersonated user": get("Impersonate-User: system:admin", bearer=""),
    "a browser's token too": get(
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Protocol: v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.YWJj",
    ),
    "a token that is none": get(bearer="Authorization: Bearer a\x80b\r\n"),
}


@pytest.mark.parametrize("attempt", NO_TOKEN.values(), ids=NO_TOKEN.keys())
async def test_without_exactly_one_bearer_token_it_gets_401(attempt: bytes) -> None:
    async with rig.running() as gate:
        client = await gate.connect()
        await client.send(attempt)
        head = await client.read_until(END)
        assert head.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
        status = json.loads(await client.read_until(b'"code":401}'))
        assert (status["kind"], status["reason"]) == ("Status", "Unauthorized")
        assert "abc" not in status["message"]
        client.writer.close()
        assert gate.reached == b""


async def test_the_scheme_has_no_case() -> None:
    async with rig.running() as gate:
        assert (await gate.ask(get(bearer="AUTHORIZATION: bEARER abc==\r\n"))).startswith(
            b"HTTP/1.1 200"
        )
        assert b"\r\nAUTHORIZATION: bEARER abc==\r\n" in gate.reached


async def test_claims_and_hop_by_hop_fields_go_no_further() -> None:
    dropped = [
        "X-Remote-User: admin",
        "x-remote-group: system:masters",
        "X-Remote-Extra-a: b",
        "X-Forwarded-For: 1.1.1.1",
        "X-Forwarded-Host: elsewhere",
        "Forwarded: for=1.1.1.1",
        "Via: 1.1 x",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic abc",
        "Keep-Alive: timeout=5",
        "TE: trailers",
        "Trailer: Expires",
        "X-Named: 1",
        "Connection: keep-alive, X-Named",
    ]
    async with rig.running() as gate:
        assert (await gate.ask(get(*dropped, "X-Kept: 1"))).startswith(b"HTTP/1.1 200")
        lines = gate.reached.removesuffix(END).split(b"\r\n")[1:]
        names = [line.partition(b":")[0] for line in lines]
        assert names == [b"Host", b"Authorization", b"X-Kept"]


async def test_impersonation_goes_with_the_callers_own_token() -> None:
    lines = ["Impersonate-User: jane", "Impersonate-Group: a", "Impersonate-Group: b"]
    async with rig.running() as gate:
        await gate.ask(get(*lines))
        for line in lines:
            assert line.encode() in gate.reached


NAMES = st.sampled_from(
    [
        *("Authorization", "authorization", "AUTHORIZATION", "Authorization ", "Authorization_"),
        *("Proxy-Authorization", "X-Authorization", "Impersonate-User", "impersonate_user"),
        *("Impersonate-Group", "X-Remote-User", "Connection", "Host", "Cookie", "Accept"),
    ]
)
VALUES = st.sampled_from(
    [
        *("Bearer a", "bearer b", "Bearer  c", "Bearer", "Basic a", "Bearer a\r\nX: y", "close"),
        *("authorization", "upgrade", "Impersonate-User", "system:masters", "", "Bearer a,b"),
    ]
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_the_credential_upstream_is_the_callers_one_or_none(
    headers: list[tuple[str, str]],
) -> None:
    raw = b"GET /api HTTP/1.1\r\n" + b"".join(
        f"{name}: {value}\r\n".encode() for name, value in headers
    )
    raw += b"\r\n"
    lines = [line.partition(b":") for line in raw.split(b"\r\n")]
    sent = [value.strip() for name, _, value in lines if name.lower() == b"authorization"]
    try:
        end = end_of_head(raw)
        assert end is not None
        head = parse_request(raw[:end])
        request, decision = screen(head), identity.as_it_came(head)
    except (Malformed, Unauthenticated):
        return
    written = parse_request(
        request.head(host=b"apiserver", credential=decision.credential).encode()
    )
    assert written.fields.all(b"authorization") == sent
    assert len(sent) == 1
    assert written.fields.all(b"x-remote-user") == []


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=5))
def test_any_head_is_refused_or_written_so_that_it_reads_the_same(
    headers: list[tuple[bytes, bytes]],
) -> None:
    fields = Fields(((b"Host", b"a"), *headers))
    try:
        head = parse_request(RequestHead(b"GET", b"/", fields).encode())
        request = screen(head)
    except (Malformed, AssertionError):
        return
    encoded = request.head(host=b"b", credential=()).encode()
    assert end_of_head(encoded) == len(encoded)
    assert parse_request(encoded).encode() == encoded


UPGRADE = ((b"Connection", b"Upgrade"), (b"Upgrade", b"SPDY/3.1"))


def upgrade_of(*items: tuple[bytes, bytes], minor: int = 1) -> bytes | None:
    fields = Fields(((b"Host", b"cluster"), *items))
    return screen(RequestHead(b"POST", b"/exec", fields, minor)).upgrade


def test_only_what_kubectl_switches_to_is_an_upgrade() -> None:
    assert upgrade_of(*UPGRADE) == b"SPDY/3.1"
    assert upgrade_of(*UPGRADE, (b"Content-Length", b"0")) == b"SPDY/3.1"
    assert upgrade_of((b"Connection", b"Upgrade"), (b"Upgrade", b"h2c")) is None
    assert upgrade_of((b"Upgrade", b"websocket")) is None, "Connection does not name it"
    assert upgrade_of(*UPGRADE, minor=0) is None, "HTTP/1.0 knows no upgrade"


def test_an_upgrade_with_a_body_is_refused() -> None:
    with pytest.raises(Malformed):
        upgrade_of(*UPGRADE, (b"Content-Length", b"3"))
