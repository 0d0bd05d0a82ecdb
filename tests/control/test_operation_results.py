import httpx2
import pytest

from tests.control.callers import Callers
from tests.control.callers import callers as callers
from tests.control.conftest import (
    CLUSTERS,
    SUBSCRIPTION,
    URL,
    OnboardingKey,
    Plane,
    error_of,
)

CLUSTER = f"{CLUSTERS}/shop-17"
POLLING = {"prefer": "return=minimal, Respond-Async; wait=10"}


async def follow(plane: Plane, link: str) -> httpx2.Response:
    """The answer at a link, which is followed as it is."""
    assert link.startswith(f"{URL}/subscriptions/{SUBSCRIPTION}/")
    headers = {"authorization": plane.api.headers["authorization"]}
    return await plane.anonymous.get(link, headers=headers)


@pytest.fixture
async def shops(plane: Plane) -> Plane:
    await plane.make_group()
    return plane


async def create(plane: Plane, key: OnboardingKey, **headers: str) -> httpx2.Response:
    known = {"agentPublicKeyCertificate": key.public}
    body = {"location": "local", "properties": known}
    return await plane.api.put(CLUSTER, json=body, headers=headers)


async def test_a_creation_is_polled_by_its_status(
    shops: Plane, onboarding_key: OnboardingKey
) -> None:
    made = await create(shops, onboarding_key, **POLLING)
    assert made.status_code == 201
    assert made.headers["preference-applied"] == "respond-async"
    link = made.headers["azure-asyncoperation"]
    status = await follow(shops, link)
    assert status.status_code == 200
    shown = status.json()
    assert link.startswith(f"{URL}{shown['id']}?")
    assert shown["id"].endswith(f"/operationStatuses/{shown['name']}")
    assert shown["status"] == "Succeeded"
    assert shown["startTime"] == shown["endTime"] == "2027-01-15T08:00:00Z"


async def test_a_change_is_polled_by_its_location(
    shops: Plane, onboarding_key: OnboardingKey
) -> None:
    await create(shops, onboarding_key)
    changed = await shops.api.patch(CLUSTER, json={"tags": {"a": "b"}}, headers=POLLING)
    assert (changed.status_code, changed.content) == (202, b"")
    assert changed.headers["retry-after"] == "0"
    found = await follow(shops, changed.headers["location"])
    assert (found.status_code, found.json()["tags"]) == (200, {"a": "b"})


async def test_a_deletion_is_polled_by_its_location(
    shops: Plane, onboarding_key: OnboardingKey
) -> None:
    await create(shops, onboarding_key)
    deleted = await shops.api.delete(CLUSTER, headers=POLLING)
    assert (deleted.status_code, deleted.content) == (202, b"")
    assert (await follow(shops, deleted.headers["location"])).status_code == 204
    assert (await shops.api.get(CLUSTER)).status_code == 404


async def test_who_does_not_ask_is_answered_at_once(
    shops: Plane, onboarding_key: OnboardingKey
) -> None:
    made = await create(shops, onboarding_key, prefer="respond-asynchronously")
    changed = await shops.api.patch(CLUSTER, json={})
    deleted = await shops.api.delete(CLUSTER)
    assert [each.status_code for each in (made, changed, deleted)] == [201, 200, 200]
    for each in (made, changed, deleted):
        assert not {"azure-asyncoperation", "location", "retry-after"} & set(each.headers)


@pytest.mark.parametrize("kind", ["operationStatuses", "operationResults"])
async def test_a_name_that_was_not_given_to_the_caller_is_not_found(
    shops: Plane, onboarding_key: OnboardingKey, kind: str
) -> None:
    made = await create(shops, onboarding_key, **POLLING)
    path, _, query = made.headers["azure-asyncoperation"].partition("?")
    place, _, name = path.replace("operationStatuses", kind).rpartition("/")
    assert (await follow(shops, f"{place}/{name}?{query}")).is_success
    started, mac = name.split("-")
    others = ["x", name.upper(), f"{started}-{'0' * 32}", f"{int(started, 16) + 1:x}-{mac}"]
    others += [f"{'f' * 40}-{mac}", f"zz-{mac}", f"é-{mac}", name + "0"]
    for other in others:
        answer = await follow(shops, f"{place}/{other}?{query}")
        assert error_of(answer) == (404, "OperationNotFound"), other


async def test_an_operation_is_its_callers_alone(
    shops: Plane, callers: Callers, onboarding_key: OnboardingKey
) -> None:
    made = await create(shops, onboarding_key, **POLLING)
    path = made.headers["azure-asyncoperation"].removeprefix(URL)
    other = await callers.user(Owner=f"/subscriptions/{SUBSCRIPTION}")
    assert error_of(await other.api.get(path)) == (404, "OperationNotFound")
