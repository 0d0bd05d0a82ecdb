"""The agent's calls to the server, over real TLS to one that the test plays."""

import json
import ssl
import time

import pytest
from joserfc.jwk import ECKey

from tests.agent import rig
from tests.agent.rig import Peer, Rig
from towrope.agent.server_api import ServerApi
from towrope.wire import assertion
from towrope.wire.agent_api import (
    Configuration,
    FetchConfiguration,
    Heartbeat,
    ResolvedPrincipal,
    ResolvePrincipal,
    UnknownKey,
)
from towrope.wire.errors import (
    Forbidden,
    Hop,
    Malformed,
    NotFound,
    Refused,
    TowropeError,
    Unauthenticated,
    Unreachable,
)

KEY = ECKey.generate_key("P-256", private=True)
RESOURCE = "/subscriptions/s/x"


def answer(status: str, body: object) -> rig.Script:
    async def script(peer: Peer) -> None:
        await peer.read_until(b"\r\n\r\n")
        content = json.dumps(body).encode() if not isinstance(body, bytes) else body
        await peer.send(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
        )
        await peer.read_all()

    return script


def api_of(server: Rig) -> ServerApi:
    trust = ssl.create_default_context()
    server.ca.configure_trust(trust)
    trust.check_hostname = False  # the test's server has another name than its address
    return ServerApi(f"https://127.0.0.1:{server.upstreams.address.port}/", RESOURCE, tls=trust)


async def test_a_call_is_signed_for_this_server() -> None:
    configuration = {"resourceId": RESOURCE, "tlsServerName": "a.test", "later": 1}
    async with rig.running(answer("200 OK", configuration)) as server:
        api = api_of(server)
        found = await api.heartbeat(Heartbeat(agent_version="1"), key=KEY)
        await api.close()
        assert found == Configuration(resource_id=RESOURCE, tls_server_name="a.test")
        head, _, body = server.reached.partition(b"\r\n\r\n")
        assert head.startswith(b"POST /agent/v1/heartbeat HTTP/1.1\r\n")
        assert json.loads(body)["agentVersion"] == "1"
        signed = head.partition(b"Authorization: Bearer ")[2].partition(b"\r\n")[0].decode()
        url = f"https://127.0.0.1:{server.upstreams.address.port}"
        assertion.verify(signed, KEY, subject=RESOURCE, audience=url, now=time.time())


async def test_trust_is_fetched_and_principals_are_resolved() -> None:
    trust = {"issuers": [], "directoryChangedAt": 7}
    configuration = {"resourceId": RESOURCE, "tlsServerName": "a.test", "trust": trust}
    async with rig.running(answer("200 OK", configuration)) as server:
        api = api_of(server)
        unknown = UnknownKey(issuer="towrope", key_id="k")
        found = await api.configuration(FetchConfiguration(unknown_keys=(unknown,)), key=KEY)
        await api.close()
        assert found.trust.directory_changed_at == 7
        assert b"POST /agent/v1/configuration " in server.reached
        assert b'{"unknownKeys":[{"issuer":"towrope","keyId":"k"}]}' in server.reached
    question = ResolvePrincipal(
        issuer="towrope", object_id="o", is_application=False, issued_at=1, groups=("g",)
    )
    async with rig.running(answer("200 OK", {"isActive": True, "groups": ["g"]})) as server:
        api = api_of(server)
        resolved = await api.principal(question, key=KEY)
        await api.close()
        assert resolved == ResolvedPrincipal(is_active=True, groups=("g",))
        assert b"POST /agent/v1/principal " in server.reached


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("401 Unauthorized", Unauthenticated),
        ("403 Forbidden", Forbidden),
        ("404 Not Found", NotFound),
        ("409 Conflict", Refused),
        ("302 Found", Refused),
        ("500 Oops", Unreachable),
        ("503 Busy", Unreachable),
    ],
)
async def test_refusals(status: str, kind: type[TowropeError]) -> None:
    body = {"error": {"code": "X", "message": "because"}}
    async with rig.running(answer(status, body)) as server:
        api = api_of(server)
        with pytest.raises(kind, match=f"{status[:3]}: because") as refusal:
            await api.listen(key=KEY)
        await api.close()
        assert refusal.value.hop is Hop.SERVER


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"relay": 1}'])
async def test_an_answer_that_is_none(body: bytes) -> None:
    async with rig.running(answer("200 OK", body)) as server:
        api = api_of(server)
        with pytest.raises(Malformed):
            await api.listen(key=KEY)
        await api.close()


async def test_a_server_that_is_away() -> None:
    api = ServerApi("https://127.0.0.1:1", RESOURCE, tls=ssl.create_default_context())
    with pytest.raises(Unreachable, match="cannot be reached"):
        await api.listen(key=KEY)
    await api.close()


async def test_a_server_that_nobody_trusts() -> None:
    async with rig.running() as server:
        url = f"https://127.0.0.1:{server.upstreams.address.port}"
        api = ServerApi(url, RESOURCE, tls=ssl.create_default_context())
        with pytest.raises(Unreachable, match="certificate"):
            await api.listen(key=KEY)
        await api.close()
        assert server.reached == b""
