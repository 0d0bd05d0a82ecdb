"""A relay node as its peers see it: accept addresses, rejections, standbys, presence, the end."""

import asyncio
import contextlib
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable

import pytest
import structlog

from tests.fixtures.ends import End, read_all, write_all
from tests.fixtures.relay import HANDSHAKE, HOST, RULE, RunningRelay
from tests.relay.conversation import accept, accept_at, join, listening
from towrope.ops import tasks
from towrope.relay import listeners
from towrope.tunnel.websocket import WebSocket
from towrope.wire import messages, rendezvous
from towrope.wire.address import Action
from towrope.wire.errors import Forbidden, NotFound, Refused, TowropeError, Unreachable
from towrope.wire.sas import Right

V1 = messages.SUBPROTOCOL


async def test_accept_addresses_that_are_not_good(relay: RunningRelay) -> None:
    async with listening(relay) as (control, _), listening(relay, "beta"):
        sender = End()
        async with asyncio.TaskGroup() as group:
            dialling = group.create_task(relay.dial("alpha", Action.CONNECT, sender))
            offer = await control.accept_message()
            place = offer.address
            for guess in (
                re.sub(r"sb-hc-id=[^&]*", "sb-hc-id=guess", place),
                re.sub(r"&sb-hc-id=[^&]*", "", place),
                re.sub(r"sb-hc-id=[^&]*", f"sb-hc-id={offer.id}", place),
                place.replace("/alpha?", "/beta?"),
                place.replace("/alpha?", "/alpha/more?"),
            ):
                assert guess != place
                with pytest.raises(Forbidden, match="unknown, used or too old"):
                    await accept_at(relay, guess)
            assert not dialling.done()
            listener, _ = await accept_at(relay, place)
        with pytest.raises(Forbidden, match="unknown, used or too old"):
            await accept_at(relay, place)
        dialling.result().close()
        await listener.end()
        await sender.end()


async def test_ids_of_accept_addresses_are_long_and_differ(relay: RunningRelay) -> None:
    async with listening(relay) as (control, _):
        ids = set()
        for _ in range(5):
            dialling = tasks.spawn(relay.dial("alpha", Action.CONNECT, End()), name="sender")
            place = (await control.accept_message()).address
            ids.update(re.findall(r"sb-hc-id=([\w-]{32})$", place))
            await tasks.cancel(dialling)
        assert len(ids) == 5


async def test_a_sender_that_nobody_accepts_is_told(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendezvous, "ACCEPT_WITHIN", 0.1)
    async with listening(relay) as (control, _):
        with pytest.raises(Unreachable, match="did not accept in time"):
            await relay.dial("alpha", Action.CONNECT, End())
        place = (await control.accept_message()).address
        with pytest.raises(Forbidden, match="too old"):
            await accept_at(relay, place)


async def test_a_sender_may_be_rejected(relay: RunningRelay) -> None:
    async with listening(relay) as (control, _):

        async def reject() -> None:
            place = (await control.accept_message()).address
            for wrong in ("200", "99999", "x", "-400", "٤٠٠"):
                with pytest.raises(Refused, match="must be a number"):
                    await accept_at(relay, f"{place}&sb-hc-statusCode={wrong}")
            with pytest.raises(Refused, match="The sender was rejected"):
                text = "not%20today%0d%0aX:%20y"
                await accept_at(
                    relay, f"{place}&sb-hc-statusCode=409&sb-hc-statusDescription={text}"
                )

        async with asyncio.TaskGroup() as group:
            group.create_task(reject())
            with pytest.raises(Refused, match=r"^not today..X: y TrackingId:") as caught:
                await relay.dial("alpha", Action.CONNECT, End())
        assert caught.type is Refused


async def test_what_a_listener_learns_of_a_sender(relay: RunningRelay) -> None:
    async with listening(relay) as (control, _):
        private = {"Authorization": "Bearer x", "Cookie": "session=x", "Proxy-Authorization": "x"}
        async with asyncio.TaskGroup() as group:
            dialling = group.create_task(
                relay.dial(
                    "alpha",
                    Action.CONNECT,
                    sender := End(),
                    headers=private | {"X-Mine": "y"},
                    subprotocol="a, b",
                )
            )
            offer = await control.accept_message()
            listener, ws = await accept_at(relay, offer.address, subprotocol="b")
        names = {name.lower(): value for name, value in offer.connect_headers.items()}
        assert names["x-mine"] == "y"
        assert names["host"] == relay.host
        assert names["sec-websocket-protocol"] == "a, b"
        assert len(names["sec-websocket-key"]) == 24
        assert not names.keys() & {"servicebusauthorization", "authorization", "cookie"}
        assert "proxy-authorization" not in names
        assert "sig=" not in offer.address + str(names)
        assert offer.remote_endpoint.address == "127.0.0.1"
        assert ws.subprotocol == dialling.result().subprotocol == "b"
        ws.close()
        await sender.end()
        await listener.end()


@pytest.mark.parametrize(("offered", "chosen"), [(None, None), ("a", None), ("a", "z")])
async def test_a_subprotocol_that_both_do_not_want_is_none(
    relay: RunningRelay, offered: str | None, chosen: str | None
) -> None:
    async with listening(relay) as (control, _):
        sender = End()
        async with asyncio.TaskGroup() as group:
            dialling = group.create_task(
                relay.dial("alpha", Action.CONNECT, sender, subprotocol=offered)
            )
            listener, ws = await accept(relay, control, subprotocol=chosen)
        assert ws.subprotocol is None
        assert dialling.result().subprotocol is None
        ws.close()
        await sender.end()
        await listener.end()


async def test_headers_of_a_sender_are_bounded(relay: RunningRelay) -> None:
    async with listening(relay):
        with pytest.raises(Refused, match="headers are over"):
            await relay.dial("alpha", Action.CONNECT, End(), headers={"X": "x" * 33_000})


async def test_listeners_of_a_path_are_bounded_and_counted(relay: RunningRelay) -> None:
    ends = [End() for _ in range(rendezvous.LISTENER_LIMIT)]
    sockets = [await relay.dial("alpha", Action.LISTEN, end) for end in ends]
    with pytest.raises(Refused, match="as many listeners"):
        await relay.dial("Alpha", Action.LISTEN, End())
    sockets.pop().close()
    await ends.pop().end()
    await relay.presence_is("alpha", rendezvous.LISTENER_LIMIT - 1)
    for ws, end in zip(sockets, ends, strict=True):
        ws.close()
        await end.end()
    await relay.presence_is("alpha", 0)
    assert [count for _, count in relay.presence] == [*range(1, 26), *range(24, -1, -1)]


async def test_senders_are_spread_over_listeners(relay: RunningRelay) -> None:
    seen = {"first": 0, "second": 0}

    async def reject_all(control: End, name: str) -> None:
        while True:
            place = (await control.accept_message()).address
            seen[name] += 1
            await outcome(accept_at(relay, f"{place}&sb-hc-statusCode=400"))

    async with listening(relay) as (first, _), listening(relay) as (second, _):
        rejecting = [
            tasks.spawn(reject_all(first, "first"), name="first"),
            tasks.spawn(reject_all(second, "second"), name="second"),
        ]
        for _ in range(25):
            assert isinstance(await outcome(relay.dial("alpha", Action.CONNECT, End())), Refused)
        await tasks.cancel(*rejecting)
    assert sum(seen.values()) == 25
    assert min(seen.values()) > 0


# What goes wrong on the way.


async def test_a_failure_of_ours_is_a_500_that_says_nothing(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def knows(_: str) -> bool:
        raise RuntimeError("the store's password is wrong")

    monkeypatch.setattr(relay.relay._admission, "_knows", knows)
    with (
        structlog.testing.capture_logs() as logs,
        pytest.raises(Unreachable, match=r"^The relay failed\. TrackingId"),
    ):
        await relay.dial("alpha", Action.LISTEN, End())
    assert [line["event"] for line in logs] == ["task failed"]


async def test_a_sender_that_has_gone_costs_its_listener_a_cut(relay: RunningRelay) -> None:
    async with listening(relay) as (control, _):
        dialling = tasks.spawn(relay.dial("alpha", Action.CONNECT, End()), name="sender")
        place = (await control.accept_message()).address
        await tasks.cancel(dialling)
        listener, _ = await accept_at(relay, place)
        assert (await listener.end()).code == 1011


async def test_waiting_senders_are_bounded(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendezvous, "WAITING_LIMIT", 0)
    async with listening(relay):
        with pytest.raises(Unreachable, match="Too many senders"):
            await relay.dial("alpha", Action.CONNECT, End())


async def test_a_listener_that_does_not_read_is_not_told_more(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "WRITE_HIGH_WATER", -1)
    async with listening(relay) as (control, _):
        with pytest.raises(Unreachable, match="does not read its control channel"):
            await relay.dial("alpha", Action.CONNECT, End())
        assert control.messages.empty()


async def test_the_relay_may_stop_while_a_token_is_looked_at(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def knows(_: str) -> bool:
        asked.set()
        await go_on.wait()
        return True

    monkeypatch.setattr(relay.relay._admission, "_knows", knows)
    actions = (Action.LISTEN, Action.STANDBY, Action.CONNECT)
    async with asyncio.TaskGroup() as group:
        dialling = []
        for action in actions:
            dialling.append(
                group.create_task(outcome(relay.dial("alpha", action, End(), subprotocol=V1)))
            )
            await asked.wait()
            asked.clear()
        await relay.relay.close()
        go_on.set()
    for task in dialling:
        assert "The relay is stopping" in str(task.result())
    assert relay.presence == []


async def test_a_relay_that_stops_does_not_wait_for_those_that_do_not_read(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("towrope.relay.relay.STOP_WITHIN", 0.1)
    reader, writer = await asyncio.open_connection(HOST, relay.port, ssl=relay.tls)
    token = relay.mint("alpha", Right.LISTEN)
    lines = (
        "GET /$hc/alpha?sb-hc-action=listen HTTP/1.1",
        f"Host: {relay.host}",
        *HANDSHAKE,
        f"ServiceBusAuthorization: {token}",
    )
    writer.write("\r\n".join((*lines, "", "")).encode())
    await reader.readuntil(b"\r\n\r\n")
    await relay.presence_is("alpha", 1)
    await relay.relay.close()
    await relay.presence_is("alpha", 0)
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


# Standbys.


async def standby(relay: RunningRelay, path: str = "alpha") -> tuple[End, WebSocket]:
    end = End()
    ws = await relay.dial(path, Action.STANDBY, end, subprotocol=V1)
    assert ws.subprotocol == V1
    return end, ws


async def test_a_sender_is_joined_to_a_standby_at_once(relay: RunningRelay) -> None:
    waiting, waiting_ws = await standby(relay)
    sender = End()
    ws = await relay.dial("alpha", Action.CONNECT, sender, subprotocol=V1)
    assert ws.subprotocol == V1
    ws.send_binary(b"first")
    accepted = await waiting.accept_message()
    assert accepted.address == ""
    assert accepted.remote_endpoint.address == "127.0.0.1"
    assert "ServiceBusAuthorization" not in accepted.connect_headers
    assert await waiting.receive() == b"first"
    waiting_ws.send_binary(b"second")
    assert await sender.receive() == b"second"
    waiting_ws.close()
    assert (await sender.end()).is_normal
    await waiting.end()
    with pytest.raises(NotFound, match="no listeners"):
        await relay.dial("alpha", Action.CONNECT, End(), subprotocol=V1)


async def test_others_do_not_get_a_standby(relay: RunningRelay) -> None:
    waiting, waiting_ws = await standby(relay)
    async with listening(relay) as (control, _):
        await (await join(relay, control)).finish()
    with pytest.raises(NotFound, match="no listeners"):
        await relay.dial("beta", Action.CONNECT, End(), subprotocol=V1)
    assert waiting.messages.empty()
    waiting_ws.close()
    await waiting.end()


def leaving_standby(relay: RunningRelay) -> ssl.SSLSocket:
    """Says that it closes and reads the answer, but leaves the TLS session as it is."""
    lines = (
        "GET /$hc/alpha?sb-hc-action=standby HTTP/1.1",
        f"Host: {relay.host}",
        *HANDSHAKE,
        f"Sec-WebSocket-Protocol: {V1}",
        f"ServiceBusAuthorization: {relay.mint('alpha', Right.LISTEN)}",
    )
    sock = relay.tls.wrap_socket(
        socket.create_connection((HOST, relay.port), timeout=10), server_hostname=HOST
    )
    sock.sendall("\r\n".join((*lines, "", "")).encode())
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        received += sock.recv(1)
    sock.sendall(b"\x88\x80\x00\x00\x00\x00")
    assert sock.recv(4) == b"\x88\x02\x03\xe8"
    return sock


async def test_a_standby_that_is_leaving_is_passed_over(relay: RunningRelay) -> None:
    with await asyncio.to_thread(leaving_standby, relay):
        staying, staying_ws = await standby(relay)
        sender = End()
        ws = await relay.dial("alpha", Action.CONNECT, sender, subprotocol=V1)
        ws.send_binary(b"x")
        await staying.accept_message()
        assert await staying.receive() == b"x"
        staying_ws.close()
        await staying.end()
        await sender.end()


async def test_a_stream_outlives_the_token_of_its_standby(relay: RunningRelay) -> None:
    token = relay.mint("alpha", Right.LISTEN, expires_in=2.0)
    waiting, late = End(), End()
    await relay.dial("alpha", Action.STANDBY, waiting, subprotocol=V1, token=token)
    sender = End()
    ws = await relay.dial("alpha", Action.CONNECT, sender, subprotocol=V1)
    await waiting.accept_message()
    await relay.dial("alpha", Action.STANDBY, late, subprotocol=V1, token=token)
    assert (await late.end()).code == 1008
    ws.send_binary(b"x")
    assert await waiting.receive() == b"x"
    ws.close()
    await sender.end()
    await waiting.end()


async def test_a_standby_must_speak_the_protocol(relay: RunningRelay) -> None:
    with pytest.raises(Refused, match=r"A standby speaks 'towrope\.v1'"):
        await relay.dial("alpha", Action.STANDBY, End())


async def test_a_standby_says_nothing_first(relay: RunningRelay) -> None:
    waiting, ws = await standby(relay)
    ws.send_binary(b"too early")
    assert (await waiting.end()).code == 1002


async def test_standbys_of_a_path_are_bounded(relay: RunningRelay) -> None:
    relay.relay._rendezvous.standbys._limit = 2
    first, second = await standby(relay), await standby(relay)
    with pytest.raises(Refused, match="as many standbys"):
        await standby(relay)
    for end, ws in (first, second):
        ws.close()
        await end.end()


# Tokens that end, and hybrid connections that do.


async def test_a_listener_lives_as_long_as_its_token(relay: RunningRelay) -> None:
    token = relay.mint("alpha", Right.LISTEN, expires_in=2.0)
    async with listening(relay, token=token) as (control, _):
        closing = await control.end()
        assert (closing.code, closing.reason) == (1008, "The token expired.")


async def test_a_renewed_token_lets_it_live_on(relay: RunningRelay) -> None:
    token = relay.mint("alpha", Right.LISTEN, expires_in=2.0)
    async with listening(relay, token=token) as (control, ws):
        ws.send_text(renewal(relay.mint("alpha", Right.LISTEN)))
        await asyncio.sleep(2.2)
        assert not control.closing.done()
        await (await join(relay, control)).finish()


@pytest.mark.parametrize(
    "make",
    [
        lambda relay: relay.mint("beta", Right.LISTEN),
        lambda relay: relay.mint("alpha", Right.SEND),
        lambda relay: relay.mint("alpha", Right.LISTEN, expires_in=-1),
        lambda relay: "garbage",
    ],
    ids=["foreign", "wrong right", "expired", "malformed"],
)
async def test_a_bad_renewal_ends_a_listener(
    relay: RunningRelay, make: Callable[[RunningRelay], str]
) -> None:
    async with listening(relay) as (control, ws):
        ws.send_text(renewal(make(relay)))
        assert (await control.end()).code == 1008
    await relay.presence_is("alpha", 0)


async def test_a_deleted_rule_renews_nothing(relay: RunningRelay) -> None:
    async with listening(relay) as (control, ws):
        relay.deleted_rules.add(("alpha", RULE))
        ws.send_text(renewal(relay.mint("alpha", Right.LISTEN)))
        assert (await control.end()).code == 1008


async def test_renewals_do_not_pile_up(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may ask the control plane, so a flood of them must not."""
    asked = 0

    async def never(_path: str, _rule: str) -> bool:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()
        return True

    async with listening(relay) as (control, ws):
        monkeypatch.setattr(relay.relay._admission, "_has_rule", never)
        for _ in range(10):
            ws.send_text(renewal(relay.mint("alpha", Right.LISTEN)))
        assert (await control.end()).code == 1008
    assert asked == 1


def renewal(token: str) -> str:
    message = messages.ControlMessage(renew_token=messages.RenewToken(token=token))
    return messages.encode(message)


@pytest.mark.parametrize("text", ["{", '{"renewToken": 1}', "x" * 70_000])
async def test_a_malformed_message_ends_a_listener(relay: RunningRelay, text: str) -> None:
    async with listening(relay) as (control, ws):
        ws.send_text(text)
        assert (await control.end()).code == 1002


async def test_messages_that_we_do_not_know_are_ignored(relay: RunningRelay) -> None:
    async with listening(relay) as (control, ws):
        ws.send_text('{"response": {"requestId": "x"}}')
        ws.send_binary(b"its body")
        ws.send_text("{}")
        await (await join(relay, control)).finish()


async def test_a_deleted_hybrid_connection_ends_with_1001(relay: RunningRelay) -> None:
    waiting, _ = await standby(relay)
    async with listening(relay) as (control, _), listening(relay, "beta") as (other, _):
        joined = await join(relay, control)
        async with asyncio.TaskGroup() as group:
            dialling = group.create_task(outcome(relay.dial("alpha", Action.CONNECT, End())))
            await control.accept_message()
            relay.paths.discard("alpha")
            relay.relay.forget("Alpha")
        assert isinstance(dialling.result(), NotFound)
        for end in (control, waiting, joined.listener, joined.sender):
            assert (await end.end()).code == 1001
        assert not other.closing.done()


async def outcome(dialling: Awaitable[object]) -> TowropeError | None:
    try:
        await dialling
    except TowropeError as error:
        return error
    return None


async def test_a_relay_that_stops_lets_what_was_sent_arrive(relay: RunningRelay) -> None:
    data = os.urandom(2_000_000)
    waiting, _ = await standby(relay)
    async with listening(relay) as (control, _):
        joined = await join(relay, control)
        async with asyncio.TaskGroup() as group:
            dialling = group.create_task(outcome(relay.dial("alpha", Action.CONNECT, End())))
            await control.accept_message()
            await write_all(joined.sender, joined.sender_ws, data)
            assert await read_all(joined.listener, len(data)) == data
            await relay.relay.close()
        error = dialling.result()
        assert isinstance(error, Unreachable)
        assert "stopping" in str(error)
        for end in (control, waiting, joined.listener, joined.sender):
            closing = await end.end()
            assert (closing.code, closing.reason) == (1001, "The relay is stopping.")
    with pytest.raises(Unreachable):
        await relay.dial("alpha", Action.LISTEN, End())
    await relay.presence_is("alpha", 0)


# Logs.


async def test_a_stream_is_logged_twice_and_a_refusal_once(relay: RunningRelay) -> None:
    with structlog.testing.capture_logs() as logs:
        with pytest.raises(NotFound):
            await relay.dial("alpha", Action.CONNECT, End())
        async with listening(relay) as (control, _):
            joined = await join(relay, control)
            joined.sender_ws.send_binary(b"12345")
            await joined.listener.receive()
            joined.listener_ws.send_binary(b"123")
            await joined.sender.receive()
            await joined.finish()
    refused, started, ended = logs
    assert (refused["event"], refused["status"]) == ("tunnel request refused", 404)
    assert (refused["path"], refused["action"]) == ("alpha", "connect")
    assert (started["event"], ended["event"]) == ("stream started", "stream ended")
    assert started["stream"] == ended["stream"]
    assert (started["by"], ended["ended_by"], ended["code"]) == ("accept", "sender", 1000)
    assert (ended["bytes_to_listener"], ended["bytes_to_sender"]) == (5, 3)
    assert "Shared" not in str(logs)
    assert "sig=" not in str(logs)
