"""The gate as a client and an apiserver see it: what passes, and how."""

import asyncio
import hashlib
import json
import os
import ssl

import pytest

from tests.agent import rig
from tests.agent.rig import OK, Peer, get, post
from towrope.agent.upstream import Address

END = b"\r\n\r\n"


async def test_a_request_and_its_answer() -> None:
    async with rig.running() as gate:
        client = await gate.connect()
        await client.send(get("Accept: application/json"))
        assert await client.read_until(b"ok") == OK
        assert (
            gate.reached
            == (
                b"GET /api/v1/pods HTTP/1.1\r\n"
                b"Host: 127.0.0.1:%d\r\n"
                b"Authorization: Bearer callers-own-token\r\n"
                b"Accept: application/json\r\n\r\n"
            )
            % gate.upstreams.address.port
        )


async def test_one_upstream_connection_for_each_client() -> None:
    async with rig.running() as gate:
        first, second = await gate.connect(), await gate.connect()
        for client in (first, second, first, second, first):
            await client.send(get())
            await client.read_until(b"ok")
        assert sorted(bytes(peer.seen).count(b"GET ") for peer in gate.peers) == [2, 3]


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def script(peer: Peer) -> None:
        while head := await peer.read_until(END):
            body = head.split()[1]
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(b"".join(get(target=f"/version/{n:03}") for n in range(200)))
        for n in range(200):
            assert await client.read_until(f"/version/{n:03}".encode())


async def test_an_upstream_that_closes_is_replaced() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    async with rig.running(script) as gate:
        client = await gate.connect()
        for _ in range(3):
            await client.send(get())
            answer = await client.read_until(b"ok")
            assert b"Connection" not in answer
        assert len(gate.peers) == 3


async def test_a_get_on_a_connection_that_was_just_closed_is_asked_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(OK)
        await peer.read_until(END)  # and hangs up on the second

    async with rig.running(script) as gate:
        client = await gate.connect()
        for _ in range(2):
            await client.send(get())
            assert await client.read_until(b"ok") == OK
        assert len(gate.peers) == 2


async def test_a_post_is_never_sent_twice() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(OK)
        await peer.read_until(b"body")

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(get())
        await client.read_until(b"ok")
        await client.send(post("Content-Length: 4", body=b"body"))
        assert b" 502 " in await client.read_until(END)
        assert gate.reached.count(b"POST ") == 1


async def test_ready_connections_are_used_and_replaced() -> None:
    async with rig.running(ready=2) as gate:
        for _ in range(4):
            assert (await gate.ask(get())).startswith(b"HTTP/1.1 200")
        # Four clients had one each; the others wait, and nothing was sent on them.
        assert sum(1 for peer in gate.peers if peer.seen) == 4


async def test_bodies_go_both_ways_whole() -> None:
    sent, answered = os.urandom(3_000_000), os.urandom(2_000_000)

    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        got = await peer.read_exactly(len(sent))
        assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        half = len(answered) // 2
        for part in (answered[:half], answered[half:]):
            head += b"%x\r\n%b\r\n" % (len(part), part)
        await peer.send(head + b"0\r\nX-Trailer: dropped\r\n\r\n")
        await peer.read_until(END)

    async with rig.running(script) as gate:
        client = await gate.connect()
        sending = asyncio.get_running_loop().create_task(
            client.send(post(f"Content-Length: {len(sent)}", body=sent))
        )
        head = await client.read_until(END)
        assert b"Transfer-Encoding: chunked\r\n" in head
        body = b""
        while (size := int(await client.read_until(b"\r\n"), 16)) > 0:
            body += (await client.read_exactly(size + 2))[:-2]
        assert await client.read_until(b"\r\n") == b"\r\n"
        assert body == answered
        await sending


async def test_a_chunked_request_is_framed_anew_without_its_trailers() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(b"\r\n0\r\n\r\n")
        await peer.send(OK)
        await peer.read_until(END)

    body = b"3\r\nabc\r\n3\r\ndef\r\n0\r\nAuthorization: Bearer evil\r\nImpersonate-User: x\r\n\r\n"
    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(post("Transfer-Encoding: chunked", body=body))
        assert await client.read_until(b"ok") == OK
        assert gate.reached.partition(END)[2] == b"6\r\nabcdef\r\n0\r\n\r\n"


async def test_an_answer_until_close_becomes_chunked() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(get())
        answer = await client.read_until(b"0\r\n\r\n")
        assert (
            answer
            == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n0\r\n\r\n"
        )


async def test_an_old_client_gets_an_end_by_close() -> None:
    async def script(peer: Peer) -> None:
        assert b"Connection" not in await peer.read_until(END)
        await peer.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        )
        await peer.read_until(END)

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(get().replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert await client.read_all() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
async def test_answers_without_a_body(method: str, answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        while await peer.read_until(END):
            await peer.send(answer)

    async with rig.running(script) as gate:
        client = await gate.connect()
        for _ in range(2):
            await client.send(get().replace(b"GET", method.encode()))
            assert await client.read_until(END) == answer


async def test_the_apiserver_asks_for_the_body() -> None:
    async def script(peer: Peer) -> None:
        assert b"\r\nExpect: 100-continue\r\n" in await peer.read_until(END)
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await peer.read_exactly(4) == b"body"
        await peer.send(OK)
        await peer.read_until(END)

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(post("Expect: 100-continue", "Content-Length: 4"))
        assert await client.read_until(END) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"body")
        assert await client.read_until(b"ok") == OK


async def test_an_early_refusal_reaches_a_client_that_still_sends() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await peer.read_all()

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(post("Content-Length: 1000000", body=b"x" * 1000))
        answer = await client.read_until(b"big")
        assert (
            answer == b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
        )
        assert await client.read_all() == b""


async def test_a_connection_is_switched_and_early_bytes_are_kept() -> None:
    async def script(peer: Peer) -> None:
        head = await peer.read_until(END)
        assert b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n" in head
        switch = (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
        )
        await peer.send(switch + b"from the server at once")
        assert await peer.read_exactly(22) == b"from the client early."
        await peer.send(b", and later")
        assert await peer.read_exactly(4) == b"more"
        await peer.send(b"!")

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(
            get("Connection: Upgrade", "Upgrade: SPDY/3.1") + b"from the client early."
        )
        head = await client.read_until(END)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n" in head
        assert await client.read_until(b"later") == b"from the server at once, and later"
        await client.send(b"more")
        assert await client.read_all() == b"!"
        event = await gate.event()
        assert event.status == 101


@pytest.mark.parametrize("upgrade", ["h2c", "TLS/1.0", "websocket, h2c", "spdy/3.1x"])
async def test_other_upgrades_are_ignored(upgrade: str) -> None:
    async with rig.running() as gate:
        lines = (
            "Connection: Upgrade, HTTP2-Settings",
            f"Upgrade: {upgrade}",
            "HTTP2-Settings: AAAA",
        )
        assert (await gate.ask(get(*lines))).startswith(b"HTTP/1.1 200")
        assert b"pgrade" not in gate.reached
        assert b"HTTP2" not in gate.reached


async def test_a_switch_that_nobody_asked_for_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        await peer.read_all()

    async with rig.running(script) as gate:
        assert b" 502 " in await gate.ask(get())


async def test_a_watch_is_passed_on_event_by_event() -> None:
    heard = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for n in range(3):
            await peer.send(b"2\r\ne%d\r\n" % n)
            await heard.wait()
            heard.clear()
        await peer.send(b"0\r\n\r\n")
        await peer.read_until(END)

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(get())
        for n in range(3):
            assert await client.read_until(b"e%d\r\n" % n)
            heard.set()
        assert await client.read_until(END)


async def test_a_client_that_leaves_ends_its_watch() -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ne0\r\n")
        try:
            await peer.read_all()
        finally:
            gone.set()

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(get())
        await client.read_until(b"e0")
        await client.close()
        async with asyncio.timeout(rig.WITHIN):
            await gone.wait()


async def test_a_slow_reader_holds_bounded_memory() -> None:
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.read_until(END)
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            peer.writer.write(bytes(100_000))
            await peer.writer.drain()
            written += 100_000

    async with rig.running(script) as gate:
        client = await gate.connect()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # of a ReadTransport
        await client.send(get())
        other = await gate.connect()
        before = -1
        while written != before:  # until nothing moves any more
            before = written
            await asyncio.sleep(0.3)
        gate.script = rig.answer_ok
        await other.send(get())
        assert (await other.read_until(END)).startswith(b"HTTP/1.1 200")
        assert 0 < written < 16_000_000  # the kernel's socket buffers are most of it


async def test_an_event_for_each_request() -> None:
    async with rig.running() as gate:
        await gate.ask(get(target="/api/v1/namespaces/prod/pods/web/log?follow=true"))
        event = await gate.event()
        assert (event.request.verb, event.request.resource) == ("get", "pods")
        assert (event.request.namespace, event.request.name) == ("prod", "web")
        assert event.request.subresource == "log"
        assert (event.status, event.principal) == (200, "unverified bearer")
        assert event.bytes_out == len(OK)
        assert event.bytes_in == len(gate.reached)
        assert "callers-own-token" not in repr(event)


async def test_an_apiserver_that_is_away() -> None:
    async with rig.running() as gate:
        gate.upstreams.address = _nowhere(gate.upstreams.address.tls)
        client = await gate.connect()
        await client.send(get())
        head = await client.read_until(END)
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1\r\n" in head
        status = json.loads(await client.read_all())
        assert (status["kind"], status["apiVersion"], status["status"]) == (
            "Status",
            "v1",
            "Failure",
        )
        assert status["code"] == 503
        assert "apiserver" in status["message"]
        assert status["details"]["causes"] == [{"reason": "TowropeHop", "message": "apiserver"}]


def _nowhere(tls: ssl.SSLContext) -> Address:
    return Address(host="127.0.0.1", port=1, tls=tls, tls_server_name="apiserver.test")


async def test_an_apiserver_with_another_certificate() -> None:
    async with rig.running() as gate:
        gate.upstreams.address = Address(
            host="127.0.0.1",
            port=gate.upstreams.address.port,
            tls=gate.upstreams.address.tls,
            tls_server_name="other.test",
        )
        client = await gate.connect()
        await client.send(get())
        assert b"certificate is not trusted" in await client.read_all()
        assert gate.reached == b""


async def test_a_gate_that_stops_ends_idle_connections_at_once() -> None:
    async with rig.running() as gate:
        client = await gate.connect()
        await client.send(get())
        await client.read_until(b"ok")
        gate.gates[0].stop()
        assert await client.read_all() == b""


async def test_a_gate_that_stops_finishes_the_answer() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        asked.set()
        await go.wait()
        await peer.send(OK)
        await peer.read_until(END)

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(get())
        async with asyncio.timeout(rig.WITHIN):
            await asked.wait()
        gate.gates[0].stop()
        go.set()
        assert await client.read_all() == OK


ANSWERS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + b"x" * 20,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n"
    + b"x" * 10
    + b"\r\na\r\n"
    + b"x" * 10
    + b"\r\n0\r\n\r\n",
    "close": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 20,
}


def cuts() -> list[tuple[str, int]]:
    """Each framing, cut at each place of its body and at a few of its head."""
    return [
        (name, at)
        for name, answer in ANSWERS.items()
        for at in (0, 10, *range(answer.index(END) + 2, len(answer), 3))
    ]


@pytest.mark.parametrize(("name", "at"), cuts())
async def test_an_answer_that_is_cut_never_ends_in_order(name: str, at: int) -> None:
    answer = ANSWERS[name]

    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(answer[:at])
        peer.abort()

    async with rig.running(script) as gate:
        client = await gate.connect()
        # A POST is never repeated, so the cut shows.
        await client.send(post("Content-Length: 0"))
        head = await client.read_until(END)
        if at < answer.index(END) + 4:
            assert head.startswith(b"HTTP/1.1 502 ")
            return
        assert head.startswith(b"HTTP/1.1 200 ")
        body = b""
        try:
            body = await client.read_all()
        except OSError:
            return  # cut as a cut
        # The standard library hides a missing close_notify: the framing must tell it.
        if b"Content-Length" in head:
            assert len(body) < 20
        else:
            assert not body.endswith(b"0\r\n\r\n")


async def test_a_request_that_is_cut_is_cut_upstream() -> None:
    begun = asyncio.Event()
    ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        await peer.read_until(b"part")
        begun.set()
        try:
            rest = await peer.read_all()
        except OSError:
            rest = b"cut"
        ended.set_result(rest)

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(post("Transfer-Encoding: chunked", body=b"4\r\npart\r\n"))
        async with asyncio.timeout(rig.WITHIN):
            await begun.wait()
            client.abort()
            assert b"0\r\n" not in await ended


async def test_a_head_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towrope.agent.gate.HEAD_WITHIN", 0.2)
    async with rig.running() as gate:
        client = await gate.connect()
        await client.send(b"GET /api HTT")
        assert (await client.read_until(END)).startswith(b"HTTP/1.1 408 ")
        assert gate.reached == b""


async def test_an_idle_connection_is_closed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towrope.agent.gate.IDLE_LIMIT", 0.2)
    async with rig.running() as gate:
        client = await gate.connect()
        assert await client.read_all() == b""


@pytest.mark.parametrize(
    "answer",
    [
        b"not HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 204 X\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * (1 << 20),
    ],
)
async def test_an_answer_that_is_none_is_a_502(answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(answer)
        await peer.read_all()

    async with rig.running(script) as gate:
        client = await gate.connect()
        await client.send(post("Content-Length: 0"))
        whole = await client.read_all()
        assert b"HTTP/1.1 502 Bad Gateway\r\n" in whole
        assert b'"message":"apiserver"' in whole


async def test_bytes_that_follow_an_answer_are_no_other_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        await peer.read_all()

    async with rig.running(script) as gate:
        client = await gate.connect()
        for _ in range(2):
            await client.send(get())
            assert await client.read_until(b"ok") == OK
        assert len(gate.peers) == 2
