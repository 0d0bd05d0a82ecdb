"""Requests made from the OpenAPI document, good ones and bad ones, and the answers held to it.

They are the same in each run. Nothing of it ends in a 5xx, a status that is not in the document or
a body that is not of its schema, whoever asks and whatever keeps the data.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

import anyio.from_thread
import anyio.to_thread
import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.control.callers import ROLES, SUBSCRIPTION_SCOPE, Callers, role_id
from tests.control.callers import callers as callers
from tests.control.conftest import API_VERSION, SUBSCRIPTION, URL, OnboardingKey, Plane

EXAMPLES = 2
"""Of each operation, for each mode."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
PATHS = {
    "subscription": (SUBSCRIPTION,),
    "group": ("shops", "Fuzzed", "none"),
    "cluster": ("shop-17", "Fuzzed", "none"),
    "namespace": ("printers", "Microsoft.Kubernetes"),
    "name": ("label-printer", "fuzzed"),
    "scope": (SUBSCRIPTION_SCOPE.strip("/"),),
    "role": (ROLES["Reader"], str(UUID(int=1))),
    "assignment": (str(UUID(int=2)), str(UUID(int=3))),
    "rule": ("sender", "listener"),
    "app_id": (str(UUID(int=4)),),
}
BODIES = {
    "location": ("local",),
    "displayName": ("Fuzzed", "Façade"),
    "mailNickname": ("fuzzed",),
    "userPrincipalName": ("fuzzed@example.org", "other@example.org"),
    "password": ("correct horse battery staple",),
    "mail": ("fuzzed@example.org",),
    "roleDefinitionId": (role_id("Reader"),),
    "scope": (SUBSCRIPTION_SCOPE,),
    "authenticationMethod": ("AAD",),
}
"""What there is, or can be, so that good requests get further than to the first rule."""

pytestmark = pytest.mark.timeout(300)

Send = Callable[[requests.PreparedRequest], httpx2.Response]


def explore(send: Send, document: dict[str, Any], ids: Sequence[str]) -> list[str]:
    """What was wrong, of all operations, in a thread of its own; `ids` are of the directory."""
    faults: list[str] = []
    schema = schemathesis.openapi.from_dict(document)
    seen: set[str] = set()
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    # What ends the caller's own sign-in comes last.
    for operation in sorted(operations, key=lambda each: "revoke" in each.label):
        if _route(operation.label) in seen:
            continue
        seen.add(_route(operation.label))
        for mode in GenerationMode:
            faults += _explore_operation(operation, mode, send, ids)
    return faults


def _route(label: str) -> str:
    """Method and path, the same for the scopes of a resource, and for the two forms of a key."""
    method, path = label.split(" ", 1)
    path = re.sub(r"\((\w+=)?'({\w+})'\)", "/{id}", path)
    return f"{method} {re.sub(r'.*(?=/providers/Microsoft.Authorization/)', '', path)}"


def _explore_operation(
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    send: Send,
    ids: Sequence[str],
) -> list[str]:
    faults: list[str] = []

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE:
            _make_sensible(case, ids)
        prepared = requests.Request(**case.as_transport_kwargs(base_url=URL)).prepare()
        answer = send(prepared)
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            faults.extend(f"{operation.label}: {each}: {answer.text}" for each in group.exceptions)

    with suppress(Unsatisfiable):  # a request with nothing in it has no bad form
        ask()
    return faults


def _make_sensible(case: Case[Any], ids: Sequence[str]) -> None:
    """Puts what is known in the place of what was generated; always the same for the same."""
    paths = {**PATHS, "id": ids, "member": ids}
    case.path_parameters = {
        name: _one_of(paths[name], given) if name in paths else given
        for name, given in case.path_parameters.items()
    }
    case.query = {"api-version": API_VERSION}
    _make_sensible_body(case.body, {**BODIES, "principalId": ids, "groupIds": ids, "ids": ids})


def _make_sensible_body(body: Any, known: Mapping[str, Sequence[str]]) -> None:
    for name, value in body.items() if isinstance(body, dict) else ():
        if isinstance(value, list) and name in known:
            body[name] = [_one_of(known[name], each) for each in value]
        elif isinstance(value, str) and name in known:
            body[name] = _one_of(known[name], value)
        else:
            _make_sensible_body(value, known)


def _one_of(known: Sequence[str], given: Any) -> str:
    return known[sum(map(ord, str(given))) % len(known)]


@pytest.fixture
async def shop(plane: Plane, onboarding_key: OnboardingKey) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    await plane.make_hybrid_connection()


@pytest.mark.both_databases
async def test_every_answer_to_an_administrator_is_as_documented(
    plane: Plane, callers: Callers, shop: None
) -> None:
    await assert_as_documented(plane, callers, plane.api)


async def test_every_answer_to_a_reader_is_as_documented(
    plane: Plane, callers: Callers, shop: None
) -> None:
    reader = await callers.user(Reader=SUBSCRIPTION_SCOPE)
    await assert_as_documented(plane, callers, reader.api)


async def assert_as_documented(plane: Plane, callers: Callers, api: httpx2.AsyncClient) -> None:
    people = [await callers.user("bob"), await callers.user("eve")]
    ids = [person.object_id for person in people] + [await callers.group("g", people[0].object_id)]

    def send(asked: requests.PreparedRequest) -> httpx2.Response:
        assert asked.method
        assert asked.url
        assert asked.body is None or isinstance(asked.body, (str, bytes))
        headers = {name: str(value) for name, value in asked.headers.items()}
        headers["Authorization"] = api.headers["authorization"]
        call = partial(
            plane.anonymous.request,
            asked.method,
            asked.url,
            headers=headers,
            content=asked.body,
        )
        answer: httpx2.Response = anyio.from_thread.run(call)
        answers[answer.status_code] += 1
        return answer

    answers = Counter[int]()
    document = (await plane.anonymous.get("/openapi.json")).json()
    faults = await anyio.to_thread.run_sync(explore, send, document, ids)
    assert faults == []
    assert answers[401] < answers[200] > 30, answers
