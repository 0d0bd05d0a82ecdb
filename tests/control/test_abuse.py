"""Requests that no honest client sends: refused in the API's own words, and nothing is changed.

What of it concerns one module alone is tested there; here every route is asked.
"""

import base64
import itertools
import re
from typing import Any

import anyio
import httpx2
import msgspec
import pytest
from sqlalchemy import select
from starlette.types import Message

from tests.control.callers import SUBSCRIPTION_SCOPE, Callers
from tests.control.callers import callers as callers
from tests.control.conftest import (
    API_VERSION,
    CLUSTERS,
    GROUP,
    GROUPS,
    SUBSCRIPTION,
    URL,
    OnboardingKey,
    Plane,
)
from tests.control.test_app import all_routes
from towrope.control import json_body
from towrope.control.routing import CaselessRoute
from towrope.control.store.tables import metadata

pytestmark = pytest.mark.both_databases

UNTOLD = "00000000-0000-4000-8000-000000000000"
WRITES = {"PUT", "PATCH", "POST", "DELETE"}
Content = dict[str, list[Any]]


@pytest.fixture
async def shop(plane: Plane, onboarding_key: OnboardingKey) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    await plane.make_hybrid_connection()


async def content(plane: Plane) -> Content:
    """All rows, but of the counts of what failed."""
    async with plane.control.services.database.reading() as connection:
        return {
            table.name: sorted(map(repr, await connection.execute(select(table))))
            for table in metadata.sorted_tables
        }


def guarded(plane: Plane) -> list[tuple[str, str]]:
    """Method and path of everything that needs a token; its path names what there is."""
    names = {"subscription": SUBSCRIPTION, "group": "shops", "cluster": "shop-17"}
    names |= {"namespace": "printers", "name": "label-printer", "scope": SUBSCRIPTION_SCOPE[1:]}
    return [
        (method, re.sub(r"{(\w+)(?::\w+)?}", lambda m: names.get(m[1], UNTOLD), route.path))
        for route in all_routes(plane.control.asgi.routes)
        if isinstance(route, CaselessRoute)
        for method, action in route.actions.items()
        if action and method != "HEAD"
    ]


def each_handler(plane: Plane) -> list[tuple[str, str]]:
    """As `guarded`, but what is served alike at several scopes only at one of them."""
    ends = {(method, *path.split("/")[-2:]): (method, path) for method, path in guarded(plane)}
    return list(ends.values())


def assert_refused(answer: httpx2.Response, *statuses: int) -> None:
    """In the envelope that ARM's and Graph's clients read."""
    told = (
        answer.request.method,
        str(answer.request.url)[:200],
        answer.status_code,
        answer.text[:300],
    )
    assert 400 <= answer.status_code < 500, told
    assert not statuses or answer.status_code in statuses, told
    error = answer.json()["error"]
    assert error["code"], told
    assert error["message"], told


async def test_nobody_gets_anything(plane: Plane, shop: None) -> None:
    before = await content(plane)
    for method, path in guarded(plane):
        answer = await plane.anonymous.request(
            method, path, params={"api-version": "1"}, content=b"{}"
        )
        assert_refused(answer, 401)
    assert await content(plane) == before


@pytest.mark.parametrize("roles", [{}, {"Reader": SUBSCRIPTION_SCOPE}], ids=["stranger", "reader"])
async def test_who_may_not_write_changes_nothing(
    plane: Plane, callers: Callers, shop: None, roles: dict[str, str]
) -> None:
    ada = await callers.user(**roles)
    before = await content(plane)
    for method, path in guarded(plane):
        if method in WRITES and "/me/" not in path:
            answer = await ada.api.request(method, path, content=b"{}")
            if answer.status_code >= 400:
                assert_refused(answer)
            else:  # a question that is asked by POST
                assert method == "POST", (method, path)
    assert await content(plane) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff\xfe{}",
        b'{"tags":{"a":"\xc3\x28"}}',
        b'{"a":"\\ud800"}',
        b"[" * 100_000,
        b'{"properties":' * 5_000 + b"{}" + b"}" * 5_000,
        b" " * (json_body.BODY_LIMIT + 1),
    ],
    ids=str,
)
async def test_a_body_that_is_none_is_refused_everywhere(
    plane: Plane, shop: None, body: bytes
) -> None:
    before = await content(plane)
    for method, path in each_handler(plane):
        if method in {"PUT", "PATCH"} and "owners" not in path:
            assert_refused(await plane.api.request(method, path, content=body))
    assert await content(plane) == before


TRICKS = [
    f"{GROUP}/%2e%2e/other",
    f"{GROUPS}/%00",
    f"{GROUPS}/a%0d%0ab",
    f"{GROUPS}/a%2fb",
    f"{GROUPS}/%ff",
    f"{GROUPS}/" + "a" * 3000,
    f"{GROUPS}/" + "a/" * 3000,
    f"{GROUPS}/%27%3b%20drop%20table%20users%3b--",
    f"{CLUSTERS}/a'%20or%20'1'='1",
    f"/subscriptions/{UNTOLD}/resourceGroups/shops",
    "/v1.0/users/'%20or%201=1--",
    f"/v1.0/groups/{UNTOLD}%00",
]


async def test_a_path_with_tricks(plane: Plane, shop: None) -> None:
    before = await content(plane)
    headers = {"authorization": plane.api.headers["authorization"]}
    for method, path in itertools.product(["GET", "PUT", "DELETE"], TRICKS):
        answer = await plane.anonymous.request(
            method,
            f"{URL}{path}?api-version={API_VERSION}",
            headers=headers,
            json={"location": "local"},
        )
        if answer.status_code != 204:  # there is none to delete
            assert_refused(answer)
        assert await content(plane) == before, path


def token(*keys: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(keys)).decode().rstrip("=")


FORGED = [
    "$top=-1",
    "$top=0",
    "$top=9" * 40,
    "$top=1e3",
    "$skipToken=x",
    "$skipToken=" + token("a", "b", "c"),
    "$skipToken=" + token("\0"),
    "$skipToken=" + token("a\0", "b"),
    "$skipToken=" + token({"a": 1}),
    "$skipToken=" + base64.urlsafe_b64encode(b"[" * 5000).decode(),
    "$filter=" + "(" * 3000,
    "$filter=name%20eq%20%27x%00%27",
]


async def test_a_forged_query(plane: Plane, shop: None) -> None:
    headers = {"authorization": plane.api.headers["authorization"]}
    paths = [path for method, path in each_handler(plane) if method == "GET"]
    for path, query in itertools.product(paths, FORGED):
        url = f"{URL}{path}?api-version={API_VERSION}&{query}"
        answer = await plane.anonymous.get(url, headers=headers)
        # Who knows no such parameter leaves it out.
        assert answer.status_code < 500, (url, answer.text)
        if answer.status_code >= 400:
            assert_refused(answer)


@pytest.mark.parametrize(
    "text", ["'; drop table users;--", '=cmd|"/c calc"!A0', "%_/*\\", "a\r\nb", "é\u202e", "\0"]
)
async def test_metacharacters_are_kept_as_they_are_or_refused(
    plane: Plane, shop: None, text: str
) -> None:
    made = await plane.api.put(GROUP, json={"location": "local", "tags": {text: text}})
    if made.status_code >= 400:
        assert_refused(made, 400)
        return
    assert (await plane.api.get(GROUP)).json()["tags"] == {text: text}
    for quoted in (text.replace("'", "''"), text):
        answer = await plane.api.get(
            "/v1.0/users", params={"$filter": f"displayName eq '{quoted}'"}
        )
        assert answer.status_code in (200, 400)


async def test_of_two_members_of_one_name_the_last_counts(plane: Plane) -> None:
    """As for most readers of JSON, and for Azure's; nothing is decided from the text before it."""
    body = b'{"location":"local","tags":{"a":"1"},"tags":{"a":"2"}}'
    made = await plane.api.put(GROUP, content=body)
    assert made.json()["tags"] == {"a": "2"}


async def test_a_body_that_does_not_come_is_not_waited_for(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_body, "BODY_TIMEOUT", 0.05)
    beginning: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}]
    answers: list[Message] = []

    async def receive() -> Message:
        if not beginning:
            await anyio.sleep_forever()
        return beginning.pop()

    async def send(message: Message) -> None:
        answers.append(message)

    token = plane.api.headers["authorization"].encode()
    scope = {
        "type": "http",
        "method": "PUT",
        "scheme": "https",
        "path": GROUP,
        "query_string": b"api-version=1",
        "headers": [(b"authorization", token)],
    }
    await plane.control.asgi(scope, receive, send)
    assert answers[0]["status"] == 408
