"""What a caller reads who is denied something where role assignments decide."""

import json
from dataclasses import replace

import pytest

from tests.agent import rig
from tests.agent.rig import Peer, get
from towrope.agent import denials
from towrope.agent.caller import Caller
from towrope.agent.denials import OUTSIDE
from towrope.agent.identity import Decision
from towrope.wire.head import Fields, RequestHead, ResponseHead

DENIED = 'nodes is forbidden: User "u@t" cannot list resource "nodes" in API group ""'
ALICE = Decision(
    principal="alice",
    credential=((b"Impersonate-User", b"alice"),),
    is_impersonated=True,
    denial=OUTSIDE,
)
JSON = (b"Content-Type", b"application/json")


def status(message: str, **more: object) -> bytes:
    body = {"kind": "Status", "apiVersion": "v1", "code": 403, "reason": "Forbidden", **more}
    return json.dumps({**body, "message": message}).encode()


def explained(content: bytes, *, decision: Decision = ALICE, code: int = 403) -> bytes | None:
    return denials.explained(decision, ResponseHead(code, Fields((JSON,)), b"x"), content)


def test_arcs_sentence_stands_beside_that_of_kubernetes() -> None:
    told = explained(status(DENIED, details={"kind": "nodes"}))
    assert told is not None
    assert json.loads(told) == {
        **json.loads(status(DENIED, details={"kind": "nodes"})),
        "message": f"{DENIED}: {OUTSIDE}",
    }


@pytest.mark.parametrize(
    "message",
    [
        'forbidden: User "u@t" cannot get path "/metrics"',
        'pods "a" is forbidden: User "a\\"b\nc" cannot get resource "pods" in the namespace "n"',
    ],
)
def test_other_denials_of_the_authorizer(message: str) -> None:
    told = explained(status(message))
    assert told is not None
    assert json.loads(told)["message"] == f"{message}: {OUTSIDE}"


@pytest.mark.parametrize(
    "content",
    [
        status('admission webhook "w" denied the request: forbidden'),
        status('roles "r" is forbidden: user "u" is attempting to grant RBAC permissions'),
        b"",
        b"[]",
        b"no json",
        b'{"kind": "Status"}',
        b'{"message": 7}',
        b"k8s\0" + DENIED.encode(),
    ],
)
def test_any_other_answer_is_passed_on(content: bytes) -> None:
    assert explained(content) is None


def test_only_where_it_is_the_callers_and_a_denial() -> None:
    assert explained(status(DENIED), decision=replace(ALICE, denial="")) is None
    assert explained(status(DENIED), code=200) is None
    for fields in (
        Fields(((b"Content-Type", b"application/vnd.kubernetes.protobuf"),)),
        Fields((JSON, (b"Content-Encoding", b"gzip"))),
        Fields(()),
    ):
        head = ResponseHead(403, fields, b"x")
        assert denials.explained(ALICE, head, status(DENIED)) is None


@pytest.mark.parametrize(
    ("is_enforced", "subject", "denial"),
    [(True, "", OUTSIDE), (False, "", ""), (True, "bob", "")],
)
async def test_a_decision_says_so_where_assignments_decide(
    is_enforced: bool, subject: str, denial: str
) -> None:
    async def impersonate(_: Caller, __: RequestHead) -> Decision:
        return replace(ALICE, denial="", subject=subject)

    decide = denials.explaining(impersonate, lambda: is_enforced)
    head = RequestHead(b"GET", b"/", Fields(()), 1)
    assert (await decide(Caller(username="alice"), head)).denial == denial


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_the_connection_goes_on_after_a_denial(is_chunked: bool) -> None:
    content = status(DENIED)
    framed, sized = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content), b"Content-Length: %d"
    head = b"Transfer-Encoding: chunked" if is_chunked else sized % len(content)
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n" + head + b"\r\n\r\n"

    async def script(peer: Peer) -> None:
        while await peer.read_until(b"\r\n\r\n"):
            await peer.send(answer + (framed if is_chunked else content))

    async with rig.running(script, decide=decided) as gate:
        client = await gate.connect()
        for _ in range(2):
            assert (await asked(client))["message"] == f"{DENIED}: {OUTSIDE}"
            assert (await gate.event()).status == 403
        assert len(gate.peers) == 1


async def test_a_denial_until_close_is_passed_on_as_it_came() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_until(b"\r\n\r\n")
        head = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n\r\n"
        await peer.send(head + status(DENIED))
        await peer.close()

    async with rig.running(script, decide=decided) as gate:
        client = await gate.connect()
        await client.send(get())
        assert status(DENIED) in await client.read_until(b"\r\n0\r\n\r\n")


async def decided(_: RequestHead) -> Decision:
    return ALICE


async def asked(client: Peer) -> dict[str, str]:
    await client.send(get())
    head = await client.read_until(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    found: dict[str, str] = json.loads(await client.read_exactly(size))
    return found
