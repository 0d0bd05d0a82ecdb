from typing import Any

import pytest

from tests.control.callers import Callers
from tests.control.callers import callers as callers
from tests.control.conftest import (
    CLUSTERS,
    GROUP,
    GROUPS,
    SUBSCRIPTION,
    OnboardingKey,
    Plane,
    error_of,
)

RESOURCES = f"/subscriptions/{SUBSCRIPTION}/resources"


@pytest.fixture
async def shops(plane: Plane, onboarding_key: OnboardingKey) -> Plane:
    """Five clusters in one resource group, each odd one with a tag, and one in another."""
    await plane.make_group("Shops")
    await plane.make_group("mills")
    for number in range(5):
        await plane.make_cluster(onboarding_key, f"shop-{number}")
        if number % 2:
            tags = {"tags": {"Owner": "Ada"}}
            await plane.api.patch(f"{CLUSTERS}/shop-{number}", json=tags)
    body = {
        "location": "local",
        "properties": {"agentPublicKeyCertificate": onboarding_key.public},
    }
    mills = CLUSTERS.replace("/shops/", "/mills/")
    (await plane.api.put(f"{mills}/mill-0", json=body)).raise_for_status()
    return plane


async def names(plane: Plane, path: str, **query: str) -> list[str]:
    answer = await plane.api.get(path, params=query)
    return [each["name"] for each in answer.raise_for_status().json()["value"]]


async def test_its_shape_is_arms(plane: Plane, onboarding_key: OnboardingKey) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    shape: dict[str, Any] = {
        "id": f"{CLUSTERS}/shop-17",
        "name": "shop-17",
        "type": "Microsoft.Kubernetes/connectedClusters",
        "location": "local",
        "tags": {},
    }
    assert (await plane.api.get(RESOURCES)).json() == {"value": [shape]}
    query = {"$expand": "createdTime,changedTime,provisioningState"}
    shape |= {"createdTime": "2027-01-15T08:00:00Z", "provisioningState": "Succeeded"}
    assert (await plane.api.get(f"{GROUP}/resources", params=query)).json() == {"value": [shape]}


async def test_they_are_those_of_a_subscription_or_of_a_group(shops: Plane) -> None:
    pages = await shops.pages(RESOURCES)
    assert [len(page) for page in pages] == [3, 3]
    assert [each["name"] for page in pages for each in page][:2] == ["mill-0", "shop-0"]
    assert await names(shops, f"{GROUPS}/mills/resources") == ["mill-0"]
    answer = await shops.api.get(f"{GROUPS}/others/resources")
    assert error_of(answer) == (404, "ResourceGroupNotFound")


async def test_a_caller_sees_those_that_it_may_read(shops: Plane, callers: Callers) -> None:
    nobody = await callers.user("nobody")
    reader = await callers.user("ada", Reader=f"{CLUSTERS}/shop-3")
    owner = await callers.user("bob", Owner=f"{GROUPS}/mills")
    for caller, expected in ((nobody, []), (reader, ["shop-3"]), (owner, ["mill-0"])):
        listed = (await caller.api.get(RESOURCES)).raise_for_status().json()
        assert [each["name"] for each in listed["value"]] == expected
        assert "nextLink" not in listed
    in_group = (await owner.api.get(f"{GROUP}/resources")).raise_for_status().json()
    assert in_group == {"value": []}


async def test_a_filter_holds_on_every_page(shops: Plane) -> None:
    query = {"$filter": "resourceGroup eq 'shops' and startswith(name, 'shop')", "$top": "2"}
    first = (await shops.api.get(RESOURCES, params=query)).json()
    link, seen = first["nextLink"], first["value"]
    headers = {"authorization": shops.api.headers["authorization"]}
    while link:
        following = (await shops.anonymous.get(link, headers=headers)).raise_for_status().json()
        assert len(following["value"]) <= 2
        seen += following["value"]
        link = following.get("nextLink")
    assert [each["name"] for each in seen] == [f"shop-{number}" for number in range(5)]


async def test_a_tag_chooses(shops: Plane) -> None:
    tagged = {"$filter": "tagname eq 'owner' and tagvalue eq 'Ada'"}
    assert await names(shops, RESOURCES, **tagged) == ["shop-1", "shop-3"]
    other = {"$filter": "tagname eq 'owner' and tagvalue eq 'Bob'"}
    assert await names(shops, RESOURCES, **other) == []


async def test_a_filter_that_is_not_understood_shows_nothing(shops: Plane) -> None:
    answer = await shops.api.get(RESOURCES, params={"$filter": "name like 'a'"})
    assert error_of(answer) == (400, "InvalidFilterInQueryString")


@pytest.mark.parametrize("top", ["0", "-1", "all", "1.5", "", "9" * 40, "²"])
async def test_an_odd_top_is_refused(plane: Plane, top: str) -> None:
    answer = await plane.api.get(RESOURCES, params={"$top": top})
    assert error_of(answer) == (400, "InvalidQueryParameterValue")
