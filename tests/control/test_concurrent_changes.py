"""Many who change the same thing at once: as if they had come one after the other."""

import asyncio
from collections import Counter
from collections.abc import Awaitable

import httpx2
import pytest

from tests.control.callers import SUBSCRIPTION_SCOPE, Callers, assignments, role_id
from tests.control.callers import callers as callers
from tests.control.conftest import CLUSTERS, GROUP, GROUPS, OnboardingKey, Plane

pytestmark = pytest.mark.both_databases

CLUSTER = f"{CLUSTERS}/shop-17"
ROUNDS = 12


def cluster(key: OnboardingKey, tag: int) -> dict[str, object]:
    properties = {"agentPublicKeyCertificate": key.public}
    return {"location": "local", "tags": {"n": str(tag)}, "properties": properties}


async def together(*calls: Awaitable[httpx2.Response]) -> list[httpx2.Response]:
    return list(await asyncio.gather(*calls))


async def test_one_of_many_puts_creates_and_the_last_one_stays(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    puts = [plane.api.put(CLUSTER, json=cluster(onboarding_key, n)) for n in range(ROUNDS)]
    answers = await together(*puts)
    assert Counter(each.status_code for each in answers) == {201: 1, 200: ROUNDS - 1}
    shown = (await plane.api.get(CLUSTER)).json()
    [created] = [each.json() for each in answers if each.status_code == 201]
    assert shown["identity"] == created["identity"]
    assert shown["tags"] in [each.json()["tags"] for each in answers]


async def test_puts_and_deletes_are_as_one_after_the_other(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    calls = []
    for number in range(ROUNDS):
        calls.append(plane.api.put(CLUSTER, json=cluster(onboarding_key, number)))
        calls.append(plane.api.delete(CLUSTER))
    answers = await together(*calls)
    counted = Counter((each.request.method, each.status_code) for each in answers)
    created, deleted = counted["PUT", 201], counted["DELETE", 200] + counted["DELETE", 202]
    is_there = (await plane.api.get(CLUSTER)).status_code == 200
    assert created - deleted == is_there
    assert created + counted["PUT", 200] == ROUNDS
    assert deleted + counted["DELETE", 204] == ROUNDS
    assert len(plane.removed) == deleted


async def test_nothing_is_left_of_a_group_that_was_deleted_meanwhile(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    for number in range(ROUNDS):
        await plane.make_group()
        puts = [
            plane.api.put(f"{CLUSTERS}/c{n}", json=cluster(onboarding_key, number))
            for n in range(3)
        ]
        answers = await together(*puts, plane.api.delete(GROUP))
        assert {each.status_code for each in answers} <= {200, 201, 202, 404}
        listed = await plane.api.get(f"{SUBSCRIPTION_SCOPE}/resources")
        assert listed.json()["value"] == []


async def test_changes_of_different_members_are_all_kept(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    patches = [{"tags": {"a": "1"}}, {"properties": {"distribution": "k0s"}}]
    answers = await together(*(plane.api.patch(CLUSTER, json=each) for each in patches * ROUNDS))
    assert {each.status_code for each in answers} <= {200, 202}
    shown = (await plane.api.get(CLUSTER)).json()
    assert (shown["tags"], shown["properties"]["distribution"]) == ({"a": "1"}, "k0s")


async def test_the_same_assignment_is_made_once(plane: Plane, callers: Callers) -> None:
    ada = await callers.user()
    body = {"properties": {"roleDefinitionId": role_id("Reader"), "principalId": ada.object_id}}
    path = assignments(SUBSCRIPTION_SCOPE)
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(ROUNDS)]
    answers = await together(*(plane.api.put(f"{path}/{each}", json=body) for each in ids))
    assert Counter(each.status_code for each in answers) == {201: 1, 409: ROUNDS - 1}
    listed = await plane.api.get(path, params={"$filter": f"principalId eq '{ada.object_id}'"})
    assert len(listed.json()["value"]) == 1


async def test_the_same_user_is_made_once(plane: Plane) -> None:
    body = {
        "accountEnabled": True,
        "displayName": "Ada",
        "userPrincipalName": "ada@example.org",
        "passwordProfile": {"password": "correct horse battery staple"},
    }
    answers = await together(*(plane.api.post("/v1.0/users", json=body) for _ in range(4)))
    assert Counter(each.status_code for each in answers) == {201: 1, 409: 3}


async def test_one_of_many_groups_of_one_name_is_created(plane: Plane) -> None:
    puts = [
        plane.api.put(f"{GROUPS}/{name}", json={"location": "local"}) for name in ("a", "A") * 6
    ]
    answers = await together(*puts)
    assert Counter(each.status_code for each in answers) == {201: 1, 200: ROUNDS - 1}
    assert len({each.json()["name"] for each in answers}) == 1
