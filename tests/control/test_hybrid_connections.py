from typing import Any

import pytest

from tests.control.conftest import (
    GROUP,
    GROUPS,
    HYBRID_CONNECTIONS,
    NOW,
    SUBSCRIPTION,
    Plane,
    error_of,
)


async def test_one_is_created_shown_and_deleted(plane: Plane) -> None:
    await plane.make_group("Shops")
    body = {"properties": {"userMetadata": "in the back", "requiresClientAuthorization": True}}
    path = f"{HYBRID_CONNECTIONS}/Label-Printer"
    made = (await plane.api.put(path, json=body)).raise_for_status().json()
    assert made == {
        "id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/Shops/providers/Microsoft.Relay"
        "/namespaces/printers/hybridConnections/Label-Printer",
        "name": "Label-Printer",
        "type": "Microsoft.Relay/Namespaces/HybridConnections",
        "properties": {
            "createdAt": "2027-01-15T08:00:00Z",
            "updatedAt": "2027-01-15T08:00:00Z",
            "listenerCount": 0,
            "userMetadata": "in the back",
            "requiresClientAuthorization": True,
        },
    }
    assert (await plane.api.get(path.lower())).json() == made
    plane.now = NOW + 60
    changed = (await plane.api.put(path, json={})).json()["properties"]
    assert (changed["userMetadata"], changed["updatedAt"]) == ("", "2027-01-15T08:01:00Z")
    assert changed["createdAt"] == "2027-01-15T08:00:00Z"
    assert (await plane.api.delete(path)).status_code == 200
    assert (await plane.api.delete(path)).status_code == 204
    assert plane.removed == ["Label-Printer"]
    assert error_of(await plane.api.get(path)) == (404, "ResourceNotFound")


async def test_it_tells_how_many_listen(plane: Plane) -> None:
    await plane.make_group()
    await plane.make_hybrid_connection()
    plane.control.presence("label-printer", 2)
    shown = (await plane.api.get(f"{HYBRID_CONNECTIONS}/label-printer")).json()
    assert shown["properties"]["listenerCount"] == 2


@pytest.mark.parametrize(
    "name",
    [
        "microsoft.kubernetes",
        "Microsoft.Kubernetes",
        "microsoft.kubernetes%2Fconnectedclusters",
        "microsoft.kubernetes%2Fconnectedclusters%2Fx%2F1",
        "a%2F%2Fb",
        "a%2F..%2Fb",
        "%2Fa",
        "a%2F",
        "-a",
        "a.",
        "a b",
        "a" * 261,
    ],
)
async def test_a_name_that_is_not_free_to_take_is_refused(plane: Plane, name: str) -> None:
    """Above all those over the clusters' paths: their keys would be good for each cluster."""
    await plane.make_group()
    answer = await plane.api.put(f"{HYBRID_CONNECTIONS}/{name}", json={})
    assert error_of(answer) == (400, "InvalidResourceName")


async def test_a_name_is_one_on_the_whole_server(plane: Plane) -> None:
    await plane.make_group()
    await plane.make_group("others")
    await plane.make_hybrid_connection("label-printer")
    elsewhere = f"{GROUPS}/others/providers/Microsoft.Relay/namespaces/printers/hybridConnections"
    for path in (elsewhere, HYBRID_CONNECTIONS.replace("printers", "scanners")):
        one = f"{path}/LABEL-printer"
        assert error_of(await plane.api.put(one, json={})) == (409, "Conflict")
        assert error_of(await plane.api.get(one)) == (404, "ResourceNotFound")
        assert (await plane.api.delete(one)).status_code == 204
    assert await plane.control.knows("label-printer")


@pytest.mark.parametrize("second", ["a%2Fb", "A%2FB%2FC%2Fd", "a"])
async def test_no_name_is_above_or_below_another(plane: Plane, second: str) -> None:
    await plane.make_group()
    made = await plane.make_hybrid_connection("a%2Fb%2Fc")
    assert made["name"] == "a/b/c"
    answer = await plane.api.put(f"{HYBRID_CONNECTIONS}/{second}", json={})
    assert error_of(answer) == (409, "Conflict")


@pytest.mark.parametrize("second", ["a%2Fb%2Fcc", "aa", "a_", "a%2Fx"])
async def test_names_beside_another_are_free(plane: Plane, second: str) -> None:
    await plane.make_group()
    await plane.make_hybrid_connection("a%2Fb%2Fc")
    await plane.make_hybrid_connection("_%2Fb".replace("_", "ab"))
    if second != "a_":
        await plane.make_hybrid_connection(second)


@pytest.mark.parametrize("namespace", ["short", "1abcdef", "abcdef-", "a" * 51, "abc_def"])
async def test_a_bad_namespace_is_refused(plane: Plane, namespace: str) -> None:
    await plane.make_group()
    path = HYBRID_CONNECTIONS.replace("printers", namespace)
    answer = await plane.api.put(f"{path}/label-printer", json={})
    assert error_of(answer) == (400, "InvalidResourceName")


@pytest.mark.parametrize(
    "properties",
    [
        {"requiresClientAuthorization": False},
        {"userMetadata": "x" * 1025},
        {"userMetadata": 5},
    ],
)
async def test_what_cannot_be_is_refused(plane: Plane, properties: dict[str, Any]) -> None:
    await plane.make_group()
    body = {"properties": properties}
    answer = await plane.api.put(f"{HYBRID_CONNECTIONS}/label-printer", json=body)
    assert error_of(answer) == (400, "InvalidRequestContent")


async def test_it_needs_its_resource_group(plane: Plane) -> None:
    path = f"{HYBRID_CONNECTIONS}/label-printer"
    for answer in (
        await plane.api.put(path, json={}),
        await plane.api.get(path),
        await plane.api.get(HYBRID_CONNECTIONS),
    ):
        assert error_of(answer) == (404, "ResourceGroupNotFound")


async def test_lists_come_in_pages(plane: Plane) -> None:
    await plane.make_group()
    for number in range(4):
        await plane.make_hybrid_connection(f"printer-{number}")
    pages = await plane.pages(HYBRID_CONNECTIONS)
    assert [len(page) for page in pages] == [3, 1]
    other = HYBRID_CONNECTIONS.replace("printers", "scanners")
    assert (await plane.api.get(other)).json() == {"value": []}
    assert (await plane.api.get(f"{GROUP}/nothing")).status_code == 404
