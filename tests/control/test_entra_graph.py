"""Microsoft Graph as the server asks it, against an HTTPS server that checks what it is sent."""

import json
import uuid
from itertools import chain
from typing import Any

import msgspec
import pytest

from tests.control.trusting import entra_properties, graph
from tests.fixtures.entra import ADA, ROBOT, EntraServer
from tests.fixtures.https_stub import Answer
from towrope.control import entra_graph
from towrope.control.entra_graph import (
    CHECKED_AT_ONCE,
    MOST_CHECKS,
    TOKENS_LIMIT,
    Application,
    EntraGraph,
    Question,
)
from towrope.control.issuer_settings import Given, checked
from towrope.wire.errors import Unreachable

NOW = 1_800_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def application(server: EntraServer, **change: Any) -> Application:
    properties = entra_properties(server, graph=graph(server))
    known: dict[str, Any] = {
        "settings": checked("contoso", msgspec.convert(properties, Given)),
        "client_id": server.client_id,
        "endpoint": server.url,
        "secret": server.secret,
    }
    return Application(**(known | change))


def ids(count: int) -> list[str]:
    return [str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))) for number in range(count)]


def question(groups: list[str], **change: Any) -> Question:
    known: dict[str, Any] = {"object_id": ADA, "is_application": False, "groups": groups}
    return Question(**(known | change))


async def ask(client: EntraGraph, server: EntraServer, asked: Question) -> set[str] | None:
    found = await client.groups_of(application(server), asked)
    return None if found is None else set(found)


@pytest.fixture
def client() -> EntraGraph:
    return EntraGraph(clock=Clock())


async def failed(server: EntraServer, sentence: str, **change: Any) -> None:
    with pytest.raises(Unreachable, match=sentence) as found:
        await EntraGraph(clock=Clock()).groups_of(application(server, **change), question(ids(1)))
    assert server.secret not in found.value.message
    assert server.access_token not in found.value.message


async def test_what_is_asked_and_how(entra: EntraServer, client: EntraGraph) -> None:
    groups = ids(3)
    entra.put_groups(ADA, {groups[1], ids(9)[8]})
    assert await ask(client, entra, question(groups)) == {groups[1]}
    token, check = entra.asked
    assert token.path == f"/{entra.tokens.tenant}/oauth2/v2.0/token"
    assert token.form["scope"] == f"{entra.url}/.default"
    assert check.path == f"/v1.0/users/{ADA}/checkMemberGroups"
    assert json.loads(check.body) == {"groupIds": groups}
    assert check.headers["content-type"] == "application/json"


async def test_an_application_is_a_service_principal(
    entra: EntraServer, client: EntraGraph
) -> None:
    entra.put_groups(ROBOT, set(ids(1)), kind="servicePrincipals")
    asked = question(ids(2), object_id=ROBOT, is_application=True)
    assert await ask(client, entra, asked) == set(ids(1))


async def test_many_groups_are_checked_twenty_at_a_time(
    entra: EntraServer, client: EntraGraph
) -> None:
    groups = ids(CHECKED_AT_ONCE * MOST_CHECKS)
    entra.put_groups(ADA, {groups[0], groups[-1]})
    found = await ask(client, entra, question(groups))
    assert found == {groups[0], groups[-1]}
    checks = [json.loads(asked.body)["groupIds"] for asked in entra.asked[1:]]
    assert [len(each) for each in checks] == [CHECKED_AT_ONCE] * MOST_CHECKS
    assert list(chain.from_iterable(checks)) == groups


async def test_for_more_than_that_all_groups_are_asked_for(
    entra: EntraServer, client: EntraGraph
) -> None:
    everything, groups = set(ids(10_000)), ids(CHECKED_AT_ONCE * MOST_CHECKS + 1)
    entra.put_groups(ADA, everything - {groups[0]})
    found = await ask(client, entra, question(groups))
    assert found == set(groups[1:])
    assert entra.paths()[1:] == [f"/v1.0/users/{ADA}/getMemberGroups"]


async def test_what_is_no_id_of_entra_is_not_sent(entra: EntraServer, client: EntraGraph) -> None:
    [group] = ids(1)
    entra.put_groups(ADA, {group})
    names = ["devs", "system:authenticated", group.upper(), f"{group}\n", ""]
    assert await ask(client, entra, question(names)) == set()
    assert entra.asked == []
    assert await ask(client, entra, question([*names, group])) == {group}
    assert json.loads(entra.asked[-1].body) == {"groupIds": [group]}
    for object_id in ("", "me", "../me", ADA.upper(), f"{ADA}/x"):
        asked = question([group], object_id=object_id)
        assert await ask(client, entra, asked) is None
    assert len(entra.asked) == 2


async def test_somebody_who_is_not_there(entra: EntraServer, client: EntraGraph) -> None:
    assert await ask(client, entra, question(ids(1))) is None


async def test_what_graph_says_beyond_the_question_is_not_heard(
    entra: EntraServer, client: EntraGraph
) -> None:
    path = f"/v1.0/users/{ADA}/checkMemberGroups"
    entra.answers[path] = Answer(body={"value": ids(5)})
    assert await ask(client, entra, question(ids(2))) == set(ids(2))


async def test_a_token_is_kept_until_shortly_before_its_end(entra: EntraServer) -> None:
    clock = Clock()
    client = EntraGraph(clock=clock)
    entra.put_groups(ADA, set())
    for after, tokens in ((0, 1), (3599 - 121, 1), (2, 2)):
        clock.now += after
        await ask(client, entra, question(ids(1)))
        asked = [path for path in entra.paths() if path.endswith("/token")]
        assert len(asked) == tokens


async def test_a_token_that_is_not_taken_is_forgotten(
    entra: EntraServer, client: EntraGraph
) -> None:
    entra.put_groups(ADA, set(ids(1)))
    assert await ask(client, entra, question(ids(1)))
    entra.access_token = "another one"
    with pytest.raises(Unreachable, match="it answers 401"):
        await ask(client, entra, question(ids(1)))
    assert await ask(client, entra, question(ids(1)))


async def test_tokens_are_few(
    entra: EntraServer, client: EntraGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entra_graph, "TOKENS_LIMIT", 1)
    assert TOKENS_LIMIT > 1
    entra.put_groups(ADA, set())
    wrong = application(entra, client_id="another")
    with pytest.raises(Unreachable, match="gets no token"):
        await client.groups_of(wrong, question(ids(1)))
    await ask(client, entra, question(ids(1)))
    entra.client_id = "another"
    await client.groups_of(wrong, question(ids(1)))
    assert len(client._tokens) == 1


@pytest.mark.parametrize("status", [400, 403, 429, 500, 503, 302])
async def test_graph_that_refuses(entra: EntraServer, status: int) -> None:
    headers = {"location": "https://evil.example/"}
    refusal = Answer(status=status, headers=headers)
    entra.answers[f"/v1.0/users/{ADA}/checkMemberGroups"] = refusal
    await failed(entra, f"Microsoft Graph does not tell them: it answers {status}")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff", {}, {"value": "x"}, {"value": [1]}, b"x" * (4 * 1024 * 1024 + 1)],
    ids=["empty", "html", "bytes", "object", "text", "number", "long"],
)
async def test_graph_that_is_not_understood(entra: EntraServer, body: Any) -> None:
    entra.answers[f"/v1.0/users/{ADA}/checkMemberGroups"] = Answer(body=body)
    await failed(entra, "its answer is not understood")


async def test_graph_that_says_a_part(entra: EntraServer) -> None:
    body = {"value": [], "@odata.nextLink": "https://evil.example/"}
    entra.answers[f"/v1.0/users/{ADA}/checkMemberGroups"] = Answer(body=body)
    await failed(entra, "does not say all groups at once")


async def test_a_secret_that_is_wrong(entra: EntraServer) -> None:
    await failed(entra, r"application gets no token \(401\)", secret="wrong")


@pytest.mark.parametrize("body", [b"x", {}, {"access_token": 1, "expires_in": 1}], ids=str)
async def test_a_token_endpoint_that_is_not_understood(entra: EntraServer, body: Any) -> None:
    entra.answers[f"/{entra.tokens.tenant}/oauth2/v2.0/token"] = Answer(body=body)
    await failed(entra, "its answer is not understood")


async def test_graph_that_is_not_there(entra: EntraServer) -> None:
    elsewhere = checked(
        "contoso",
        msgspec.convert(entra_properties(entra, issuerUrl="https://127.0.0.1:1"), Given),
    )
    await failed(entra, "it cannot be reached", settings=elsewhere)


async def test_graph_that_does_not_answer_in_time(
    entra: EntraServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entra_graph, "WITHIN", 0.0)
    await failed(entra, "does not answer in time")


def test_a_secret_is_not_printed(entra: EntraServer) -> None:
    assert entra.secret not in repr(application(entra))
