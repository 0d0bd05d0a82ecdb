from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest

from tests.control.conftest import (
    CLUSTERS,
    GROUP,
    SUBSCRIPTION,
    URL,
    OnboardingKey,
    Plane,
    error_of,
    sign_in,
)
from towrope.control.app import ControlPlane
from towrope.control.settings import parse_location

LOCATIONS = f"/subscriptions/{SUBSCRIPTION}/locations"
NORTH = "northpole=North Pole=relay1.example:443,relay2.example:8443,[2001:db8::1]"
SOUTH = "southpole=South Pole=relay3.example,relay1.example"


@pytest.fixture
async def polar(plane: Plane) -> AsyncIterator[httpx2.AsyncClient]:
    """The administrator's client of the same installation with other locations than local."""
    locations = (parse_location(NORTH), parse_location(SOUTH))
    control = ControlPlane(replace(plane.settings, locations=locations), clock=lambda: plane.now)
    await control.start()
    headers = {"authorization": f"Bearer {await sign_in(plane)}"}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=control.asgi),
        base_url=URL,
        headers=headers,
        params={"api-version": "2022-12-01"},
    ) as client:
        yield client
    await control.stop()


async def test_one_is_there_by_default(plane: Plane) -> None:
    assert (await plane.api.get(LOCATIONS)).json() == {
        "value": [
            {
                "id": f"{LOCATIONS}/local",
                "name": "local",
                "type": "Region",
                "displayName": "Local",
                "regionalDisplayName": "Local",
                "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
            }
        ]
    }


async def test_those_that_are_configured_are_listed(polar: httpx2.AsyncClient) -> None:
    listed = (await polar.get(LOCATIONS)).json()["value"]
    assert [(each["name"], each["displayName"]) for each in listed] == [
        ("northpole", "North Pole"),
        ("southpole", "South Pole"),
    ]


@pytest.mark.parametrize(
    ("location", "hosts"),
    [
        ("northpole", ["towrope.example.org", "relay1.example", "relay2.example", "2001:db8::1"]),
        ("South Pole", ["towrope.example.org", "relay3.example", "relay1.example"]),
        (
            None,
            [
                "towrope.example.org",
                "relay1.example",
                "relay2.example",
                "2001:db8::1",
                "relay3.example",
            ],
        ),
    ],
)
async def test_the_allowlist_has_what_must_be_reachable(
    polar: httpx2.AsyncClient, location: str | None, hosts: list[str]
) -> None:
    query = {"api-version": "2020-01-01"} | ({"location": location} if location else {})
    assert (await polar.get("/urls/allowlist", params=query)).json() == hosts


async def test_the_allowlist_of_an_unknown_location_is_an_error(plane: Plane) -> None:
    answer = await plane.anonymous.get("/urls/allowlist?location=atlantis")
    assert error_of(answer) == (404, "LocationNotFound")
    assert "'atlantis'" in answer.text
    assert "local" in answer.text


async def test_nothing_is_made_where_there_is_no_location(
    polar: httpx2.AsyncClient, onboarding_key: OnboardingKey
) -> None:
    refused = await polar.put(GROUP, json={"location": "local"})
    assert error_of(refused) == (400, "LocationNotAvailableForResourceGroup")
    assert "List of available regions is 'northpole,southpole'." in refused.text
    assert (await polar.put(GROUP, json={"location": "North Pole"})).status_code == 201
    known = {"agentPublicKeyCertificate": onboarding_key.public}
    body = {"location": "local", "properties": known}
    refused = await polar.put(f"{CLUSTERS}/shop-17", json=body)
    assert error_of(refused) == (400, "LocationNotAvailableForResourceType")
    made = await polar.put(f"{CLUSTERS}/shop-17", json=body | {"location": "southpole"})
    assert (made.status_code, made.json()["location"]) == (201, "southpole")


async def test_what_is_in_a_location_that_is_no_more_stays_usable(
    plane: Plane, polar: httpx2.AsyncClient, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    known = {"agentPublicKeyCertificate": onboarding_key.public}
    body = {"location": "local", "properties": known, "tags": {"a": "b"}}
    again = await polar.put(f"{CLUSTERS}/shop-17", json=body)
    assert (again.status_code, again.json()["tags"]) == (200, {"a": "b"})
    assert (await polar.put(GROUP, json={"location": "local"})).status_code == 200
