from typing import Any

import pytest

from tests.control.conftest import (
    CLUSTERS,
    GROUP,
    GROUPS,
    SUBSCRIPTION,
    OnboardingKey,
    Plane,
    error_of,
)


async def test_a_group_is_created_shown_listed_and_deleted(plane: Plane) -> None:
    made = await plane.api.put(GROUP, json={"location": "Local", "tags": {"a": "b"}})
    assert made.status_code == 201
    assert made.json() == {
        "id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shops",
        "name": "shops",
        "type": "Microsoft.Resources/resourceGroups",
        "location": "local",
        "tags": {"a": "b"},
        "properties": {"provisioningState": "Succeeded"},
    }
    assert (await plane.api.get(GROUP)).json() == made.json()
    assert (await plane.api.get(GROUPS)).json() == {"value": [made.json()]}
    assert (await plane.api.head(GROUP)).status_code == 204
    assert (await plane.api.delete(GROUP)).status_code == 200
    assert (await plane.api.head(GROUP)).status_code == 404
    assert error_of(await plane.api.get(GROUP)) == (404, "ResourceGroupNotFound")
    assert error_of(await plane.api.delete(GROUP)) == (404, "ResourceGroupNotFound")


async def test_names_are_compared_without_case_and_kept(plane: Plane) -> None:
    await plane.make_group("Shops")
    again = await plane.api.put(f"{GROUPS}/SHOPS", json={"location": "local", "tags": {"a": "b"}})
    assert again.status_code == 200
    shown = (await plane.api.get(f"{GROUPS.lower()}/sHOPS")).json()
    assert (shown["name"], shown["tags"]) == ("Shops", {"a": "b"})


async def test_a_patch_changes_its_tags_alone(plane: Plane) -> None:
    await plane.make_group("Shops")
    change = {"tags": {"a": "b"}, "location": "elsewhere", "name": "mills"}
    changed = await plane.api.patch(GROUP, json=change)
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["location"]) == ("Shops", "local")
    assert changed.json()["tags"] == {"a": "b"}
    assert (await plane.api.patch(GROUP, json={})).json() == changed.json()
    assert (await plane.api.get(GROUP)).json() == changed.json()
    refused = await plane.api.patch(f"{GROUPS}/others", json={"tags": {}})
    assert error_of(refused) == (404, "ResourceGroupNotFound")


async def test_it_cannot_move(plane: Plane) -> None:
    await plane.make_group()
    answer = await plane.api.put(GROUP, json={"location": "elsewhere"})
    assert error_of(answer) == (409, "InvalidResourceGroupLocation")


@pytest.mark.parametrize("name", ["a" * 91, "a.", "a b", "a'b", "a;b", "a%22"])
async def test_a_bad_name_is_refused(plane: Plane, name: str) -> None:
    answer = await plane.api.put(f"{GROUPS}/{name}", json={"location": "local"})
    assert error_of(answer) == (400, "InvalidResourceName")


@pytest.mark.parametrize("name", ["a", "A-b_c.(d)", "läden", "a" * 90])
async def test_a_good_name_is_kept(plane: Plane, name: str) -> None:
    assert (await plane.api.put(f"{GROUPS}/{name}", json={"location": "local"})).status_code == 201
    assert (await plane.api.get(f"{GROUPS}/{name}")).json()["name"] == name


@pytest.mark.parametrize("body", [{}, {"location": None}, {"location": 5}, [], None])
async def test_a_bad_body_is_refused(plane: Plane, body: Any) -> None:
    assert (await plane.api.put(GROUP, json=body)).status_code == 400


async def test_lists_come_in_pages(plane: Plane) -> None:
    for number in range(4):
        await plane.make_group(f"group-{number}")
    pages = await plane.pages(GROUPS)
    assert [[group["name"] for group in page] for page in pages] == [
        ["group-0", "group-1", "group-2"],
        ["group-3"],
    ]


@pytest.mark.parametrize(
    "token", ["", "!", "bm90IGpzb24", "WzFd", "W10", "WyJhIiwiYiJd", "Ww" * 2000]
)
async def test_a_link_that_is_not_ours_is_refused(plane: Plane, token: str) -> None:
    query = {"api-version": "1", "$SkipToken": token}
    answer = await plane.api.get(GROUPS, params=query)
    assert error_of(answer) == (400, "InvalidSkipToken")


async def test_deleting_it_deletes_what_is_in_it(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    await plane.make_group("others")
    await plane.make_cluster(onboarding_key)
    await plane.make_hybrid_connection()
    await plane.api.delete(GROUP)
    await plane.make_group()
    assert (await plane.api.get(CLUSTERS)).json() == {"value": []}
    assert len(plane.removed) == 2
    assert (await plane.api.head(f"{GROUPS}/others")).status_code == 204
