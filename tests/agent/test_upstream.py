"""Which connection, and with whose credential: the agent's goes with verified callers alone."""

import json
import os
from pathlib import Path

import pytest

from tests.agent import rig
from tests.agent.rig import AGENTS_TOKEN, OK, Peer, get
from towrope.agent.gate import Gate
from towrope.agent.identity import Decision, as_it_came
from towrope.agent.own_credential import OwnCredential
from towrope.agent.upstream import Upstreams
from towrope.wire.head import RequestHead

END = b"\r\n\r\n"
ALICE = ((b"Impersonate-User", b"alice"),)
VERIFIED = "Authorization: Bearer verified-token\r\n"
OWN = b"Authorization: Bearer callers-own-token\r\n"
AGENTS = f"Authorization: Bearer {AGENTS_TOKEN}\r\n".encode()


async def decide(head: RequestHead) -> Decision:
    """Verifies one token, and leaves others to the apiserver."""
    if head.fields.first(b"authorization") == b"Bearer verified-token":
        return Decision(principal="alice", credential=ALICE, is_impersonated=True)
    return as_it_came(head, hint="The issuer is not known here.")


def answering(answer: bytes) -> rig.Script:
    async def script(peer: Peer) -> None:
        while await peer.read_until(END):
            await peer.send(answer)

    return script


def answer(code: int, body: bytes = b"", *more: bytes) -> bytes:
    lines = b"".join(line + b"\r\n" for line in more)
    return b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (code, lines, len(body), body)


async def test_a_verified_callers_request_has_the_agents_credential_and_no_other() -> None:
    async with rig.running(decide=decide) as gate:
        await gate.ask(get(bearer=VERIFIED))
        assert gate.reached.count(b"uthorization") == 1
        assert AGENTS + b"Impersonate-User: alice\r\n" in gate.reached
        assert b"verified-token" not in gate.reached


async def test_a_callers_own_credential_goes_alone() -> None:
    async with rig.running(decide=decide) as gate:
        await gate.ask(get("Impersonate-User: jane", "Impersonate-Group: g"))
        assert OWN in gate.reached
        assert AGENTS_TOKEN.encode() not in gate.reached
        assert b"Impersonate-User: jane\r\n" in gate.reached
        assert b"alice" not in gate.reached


async def test_both_kinds_never_share_a_connection() -> None:
    async with rig.running(decide=decide, ready=1) as gate:
        client = await gate.connect()
        kinds = [VERIFIED, VERIFIED, rig.BEARER, VERIFIED, rig.BEARER, rig.BEARER, VERIFIED]
        for bearer in kinds:
            await client.send(get(bearer=bearer))
            assert await client.read_until(b"ok") == OK
        used = [bytes(peer.seen) for peer in gate.peers if peer.seen]
        assert all((AGENTS in seen) != (OWN in seen) for seen in used)
        assert sorted(seen.count(b"GET ") for seen in used) == [1, 1, 1, 2, 2]
        assert sum(seen.count(AGENTS) for seen in used) == 4


async def test_pipelined_requests_of_both_kinds_are_kept_apart() -> None:
    async with rig.running(decide=decide) as gate:
        client = await gate.connect()
        await client.send(b"".join(get(bearer=b) for b in [VERIFIED, rig.BEARER] * 10))
        for _ in range(20):
            assert await client.read_until(b"ok") == OK
        assert all((AGENTS in peer.seen) != (OWN in peer.seen) for peer in gate.peers)


@pytest.mark.parametrize("bearer", [VERIFIED, rig.BEARER])
async def test_an_upgrade_has_one_credential_too(bearer: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(
            b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nswitched"
        )
        await peer.read_until(END)
        await peer.send(b"!")

    async with rig.running(script, decide=decide) as gate:
        client = await gate.connect()
        lines = ["Connection: Upgrade", "Upgrade: SPDY/3.1"]
        await client.send(get(*lines, bearer=bearer))
        await client.read_until(b"switched")
        # What follows is the switched protocol's, whatever it looks like.
        await client.send(get(bearer=rig.BEARER))
        assert await client.read_until(b"!") == b"!"
        (peer,) = gate.peers
        assert (AGENTS in peer.seen) == (bearer == VERIFIED)


async def test_a_request_that_is_repeated_keeps_its_kind() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(OK)
        await peer.read_until(END)  # and hangs up on the second

    async with rig.running(script, decide=decide) as gate:
        client = await gate.connect()
        for _ in range(2):
            await client.send(get(bearer=VERIFIED))
            assert await client.read_until(b"ok") == OK
        assert len(gate.peers) == 2
        assert all(OWN not in peer.seen for peer in gate.peers)


@pytest.mark.parametrize(
    "credential",
    [
        (),
        ((b"Impersonate-User", b""),),
        ((b"Impersonate-Group", b"g"),),
        ((b"Impersonate-User", b"a"), (b"impersonate-user", b"b")),
        ((b"Impersonate-User", b"a"), (b"Authorization", b"Bearer x")),
        ((b"Impersonate-User", b"a"), (b"X-Remote-User", b"b")),
    ],
)
async def test_an_impersonation_of_nobody_reaches_nothing(
    credential: tuple[tuple[bytes, bytes], ...],
) -> None:
    """Whatever a decision says: the agent's own rights are never a caller's."""

    async def unsound(_: RequestHead) -> Decision:
        return Decision(principal="x", credential=credential, is_impersonated=True)

    async with rig.running(decide=unsound) as gate:
        client = await gate.connect()
        await client.send(get(bearer=VERIFIED))
        assert await client.read_all() == b""
        assert gate.reached == b""


async def test_an_agent_without_a_credential_of_its_own() -> None:
    async with rig.running(decide=decide) as gate:
        gate.own.credential = None
        client = await gate.connect()
        await client.send(get(bearer=VERIFIED))
        assert (await client.read_until(END)).startswith(b"HTTP/1.1 503 ")
        assert gate.reached == b""


async def test_callers_never_get_connections_with_the_agents_credential() -> None:
    async with rig.running() as gate:
        with pytest.raises(AssertionError):
            Gate(None, Upstreams(gate.own.address, credential=gate.credential))  # type: ignore[arg-type]  # unused


# What the apiserver says of the agent is not the caller's fault.


async def test_a_token_that_is_not_taken_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("stale")

    async def script(peer: Peer) -> None:
        while head := await peer.read_until(END):
            await peer.send(OK if b"Bearer fresh" in head else answer(401, b"Unauthorized"))

    async with rig.running(script, decide=decide) as gate:
        gate.own.credential = OwnCredential(token_file=path)
        client = await gate.connect()
        await client.send(get(bearer=VERIFIED))
        head = await client.read_until(END)
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in head
        assert b"WWW-Authenticate" not in head
        status = json.loads(await client.read_all())
        assert status["details"]["causes"][0]["message"] == "agent"
        assert "agent's own credential" in status["message"]
        assert "stale" not in status["message"]
        assert (await gate.event()).status == 503
        before = path.stat()
        path.write_text("fresh")
        # Even where nothing shows that the file is another one.
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (await gate.ask(get(bearer=VERIFIED))).startswith(b"HTTP/1.1 200")


async def test_a_right_that_the_agent_lacks_is_told() -> None:
    body = (
        b'{"kind":"Status","message":"users \\"alice\\" is forbidden: User \\"system:serviceaccount'
        b':towrope:towrope-agent\\" cannot impersonate resource \\"users\\" in API group \\"\\" at'
        b' the cluster scope","code":403}'
    )
    async with rig.running(answering(answer(403, body)), decide=decide) as gate:
        client = await gate.connect()
        await client.send(get(bearer=VERIFIED))
        assert (await client.read_until(END)).startswith(b"HTTP/1.1 403 ")
        status = json.loads(await client.read_all())
        assert "cannot 'impersonate' the resource 'users'" in status["message"]


async def test_the_callers_own_denial_is_passed_on_whole() -> None:
    body = b'{"message":"pods is forbidden: User \\"alice\\" cannot list"}' + b" " * 100_000
    async with rig.running(answering(answer(403, body)), decide=decide) as gate:
        client = await gate.connect()
        for _ in range(2):
            await client.send(get(bearer=VERIFIED))
            assert (await client.read_until(END)).startswith(b"HTTP/1.1 403 X\r\n")
            assert await client.read_exactly(len(body)) == body


async def test_a_denial_in_chunks_is_passed_on_whole() -> None:
    denial = (
        b"HTTP/1.1 403 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfor\r\n6\r\nbidden\r\n0\r\n\r\n"
    )
    async with rig.running(answering(denial), decide=decide) as gate:
        client = await gate.connect()
        await client.send(get(bearer=VERIFIED))
        await client.read_until(END)
        assert await client.read_until(b"0\r\n\r\n") == b"9\r\nforbidden\r\n0\r\n\r\n"


async def test_a_denial_until_the_end_is_passed_on_whole() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(b"HTTP/1.1 403 X\r\n\r\nforbidden")

    async with rig.running(script, decide=decide) as gate:
        client = await gate.connect()
        await client.send(get(bearer=VERIFIED))
        await client.read_until(END)
        assert b"forbidden" in await client.read_until(b"0\r\n\r\n")


async def test_a_denial_that_is_cut_is_no_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(END)
        await peer.send(b"HTTP/1.1 403 X\r\nContent-Length: 100\r\n\r\nforb")

    async with rig.running(script, decide=decide) as gate:
        assert (await gate.ask(get(bearer=VERIFIED))).startswith(b"HTTP/1.1 502 ")


async def test_a_hint_goes_with_the_apiservers_401() -> None:
    async with rig.running(answering(answer(401, b"Unauthorized")), decide=decide) as gate:
        client = await gate.connect()
        await client.send(get())
        head = await client.read_until(END)
        assert head.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nWWW-Authenticate: Bearer\r\n" in head
        assert json.loads(await client.read_all())["message"] == "The issuer is not known here."


async def test_without_a_hint_the_apiservers_401_is_passed_on() -> None:
    async with rig.running(answering(answer(401, b"Unauthorized"))) as gate:
        client = await gate.connect()
        await client.send(get())
        await client.read_until(END)
        assert await client.read_exactly(12) == b"Unauthorized"


async def test_the_apiservers_audit_id_is_in_the_event() -> None:
    audited = answering(answer(200, b"ok", b"Audit-Id: 5cb1"))
    async with rig.running(audited, decide=decide) as gate:
        await gate.ask(get(bearer=VERIFIED))
        event = await gate.event()
        assert (event.principal, event.audit_id) == ("alice", "5cb1")
