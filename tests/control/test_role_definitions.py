import uuid
from typing import Any

import httpx2
import pytest

from tests.control.callers import AUTHORIZATION, ROLES, SUBSCRIPTION_SCOPE, Callers, role_id
from tests.control.callers import callers as callers
from tests.control.conftest import GROUP, GROUPS, Plane, error_of
from towrope.wire import agent_api

GUID = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
READ_CRONTABS = "Microsoft.Kubernetes/connectedClusters/stable.example.com/crontabs/read"
STRANGER = "99999999-9999-4999-8999-999999999999"


def definitions(scope: str = SUBSCRIPTION_SCOPE) -> str:
    return f"{scope.rstrip('/')}{AUTHORIZATION}/roleDefinitions"


def body(*scopes: str, **change: Any) -> dict[str, Any]:
    properties = {
        "roleName": "Crontab reader",
        "description": "Reads crontabs",
        "type": "CustomRole",
        "assignableScopes": list(scopes or (SUBSCRIPTION_SCOPE,)),
        "permissions": [{"actions": ["*/read"], "dataActions": [READ_CRONTABS]}],
    }
    return {"properties": properties | change}


async def names(api: httpx2.AsyncClient, scope: str, condition: str = "") -> list[str]:
    query = {"$filter": condition} if condition else {}
    answer = await api.get(definitions(scope), params=query)
    assert answer.status_code == 200, answer.text
    return [each["properties"]["roleName"] for each in answer.json()["value"]]


# Who may.


@pytest.mark.parametrize(
    ("role", "scope", "scopes", "expected"),
    [
        ("Contributor", SUBSCRIPTION_SCOPE, [GROUP], 403),
        ("Owner", GROUP, [SUBSCRIPTION_SCOPE], 403),
        ("Owner", GROUP, [GROUP, f"{GROUPS}/elsewhere"], 403),
        ("Owner", SUBSCRIPTION_SCOPE, ["/"], 403),
        ("Owner", GROUP, [GROUP], 201),
        ("User Access Administrator", SUBSCRIPTION_SCOPE, [GROUP, SUBSCRIPTION_SCOPE], 201),
    ],
)
async def test_it_takes_the_right_at_every_assignable_scope(
    plane: Plane, callers: Callers, role: str, scope: str, scopes: list[str], expected: int
) -> None:
    await plane.make_group()
    ada = await callers.user()
    await callers.assign(role, ada.object_id, scope)
    path = f"{definitions(GROUP)}/{GUID}"
    assert (await ada.api.put(path, json=body(*scopes))).status_code == expected
    there = await plane.api.get(path)
    assert there.status_code == (200 if expected == 201 else 404)


async def test_a_role_cannot_be_taken_from_where_one_may_not_write(
    plane: Plane, callers: Callers
) -> None:
    """Who may write in one group must not change by it what a role allows in another."""
    await plane.make_group()
    await plane.make_group("elsewhere")
    ada = await callers.user()
    await callers.assign("Owner", ada.object_id, GROUP)
    there = f"{definitions(f'{GROUPS}/elsewhere')}/{GUID}"
    made = await plane.api.put(there, json=body(GROUP, f"{GROUPS}/elsewhere"))
    assert made.status_code == 201
    for answer in (
        await ada.api.put(f"{definitions(GROUP)}/{GUID}", json=body(GROUP)),
        await ada.api.delete(f"{definitions(GROUP)}/{GUID}"),
    ):
        assert error_of(answer) == (403, "AuthorizationFailed")
    assert (await plane.api.get(there)).json() == made.json()


async def test_a_custom_role_is_shown_to_who_may_read_where_it_can_be_assigned(
    plane: Plane, callers: Callers
) -> None:
    await plane.make_group()
    await plane.make_group("elsewhere")
    ada, bob = await callers.user(), await callers.user("bob")
    await callers.assign("Reader", ada.object_id, GROUP)
    await plane.api.put(f"{definitions()}/{GUID}", json=body(GROUP))
    await plane.api.put(
        f"{definitions()}/{OTHER}", json=body(f"{GROUPS}/elsewhere", roleName="Other")
    )
    built_in = sorted(ROLES)
    below = "atScopeAndBelow()"
    assert sorted(await names(bob.api, SUBSCRIPTION_SCOPE, below)) == built_in
    assert sorted(await names(ada.api, SUBSCRIPTION_SCOPE)) == built_in
    mine = ["Crontab reader"]
    assert await names(ada.api, SUBSCRIPTION_SCOPE, f"{below} and type eq 'CustomRole'") == mine
    assert await names(ada.api, GROUP, "type eq 'customrole'") == mine
    assert (await ada.api.get(f"{definitions()}/{GUID}")).status_code == 200
    for caller, role in ((ada, OTHER), (bob, GUID), (bob, OTHER), (bob, STRANGER)):
        answer = await caller.api.get(f"{definitions()}/{role}")
        assert error_of(answer) == (404, "RoleDefinitionDoesNotExist")
    assert (await bob.api.get(f"{definitions()}/{ROLES['Owner']}")).status_code == 200
    assert (await bob.api.get(definitions(GROUP))).status_code == 403


# What there is.


async def test_a_role_is_made_changed_shown_and_deleted(plane: Plane) -> None:
    path = f"{definitions()}/{GUID}"
    made = await plane.api.put(path, json=body())
    assert made.status_code == 201
    shown = made.json()
    by = shown["properties"].pop("createdBy")
    assert shown == {
        "id": path,
        "name": GUID,
        "type": "Microsoft.Authorization/roleDefinitions",
        "properties": {
            "roleName": "Crontab reader",
            "type": "CustomRole",
            "description": "Reads crontabs",
            "assignableScopes": [SUBSCRIPTION_SCOPE],
            "permissions": [
                {
                    "actions": ["*/read"],
                    "notActions": [],
                    "dataActions": [READ_CRONTABS],
                    "notDataActions": [],
                }
            ],
            "createdOn": "2027-01-15T08:00:00Z",
            "updatedOn": "2027-01-15T08:00:00Z",
            "updatedBy": by,
        },
    }
    plane.now += 60
    changed = await plane.api.put(path, json=body(description="More"))
    assert changed.status_code == 201
    properties = changed.json()["properties"]
    assert (properties["createdOn"], properties["createdBy"]) == ("2027-01-15T08:00:00Z", by)
    assert (properties["updatedOn"], properties["description"]) == ("2027-01-15T08:01:00Z", "More")
    assert (await plane.api.get(path.upper())).json() == changed.json()
    assert (await plane.api.delete(path)).json() == changed.json()
    assert (await plane.api.delete(path)).status_code == 204
    assert error_of(await plane.api.get(path)) == (404, "RoleDefinitionDoesNotExist")


async def test_ids_are_as_they_are_asked_for(plane: Plane) -> None:
    viewer = "Azure Arc Kubernetes Viewer"
    for scope, expected in (("/", role_id(viewer).removeprefix(SUBSCRIPTION_SCOPE)),):
        query = {"$filter": f"roleName eq '{viewer.upper()}'"}
        [found] = (await plane.api.get(definitions(scope), params=query)).json()["value"]
        assert found["id"] == expected
    await plane.make_group()
    query = {"$filter": f"roleName eq '{viewer}'"}
    [found] = (await plane.api.get(definitions(GROUP), params=query)).json()["value"]
    assert found["id"] == role_id(viewer)
    assert found["properties"]["type"] == "BuiltInRole"


async def test_a_role_that_is_assigned_stays(plane: Plane, callers: Callers) -> None:
    await plane.make_group()
    ada = await callers.user()
    path = f"{definitions()}/{GUID}"
    await plane.api.put(path, json=body())
    assigned = (await callers.assign(path, ada.object_id, GROUP)).json()["id"]
    answer = await plane.api.delete(path)
    assert error_of(answer) == (400, "RoleDefinitionHasAssignments")
    answer = await plane.api.put(path, json=body(f"{GROUPS}/elsewhere"))
    assert error_of(answer) == (400, "RoleDefinitionHasAssignments")
    await plane.api.delete(assigned)
    assert (await plane.api.delete(path)).status_code == 200


async def test_a_change_reaches_the_requests_and_the_agents(
    plane: Plane, callers: Callers, onboarding_key: Any
) -> None:
    await plane.make_group()
    cluster = (await plane.make_cluster(onboarding_key))["id"]
    ada = await callers.user()
    path = f"{definitions()}/{GUID}"
    await plane.api.put(path, json=body())
    await callers.assign(path, ada.object_id, cluster)
    assert (await ada.api.get(cluster)).status_code == 200
    plane.notified.clear()
    await plane.api.put(path, json=body(permissions=[{"dataActions": [READ_CRONTABS]}]))
    assert [kind for _, kind in plane.notified] == [agent_api.POLICY]
    assert (await ada.api.get(cluster)).status_code == 403


async def test_a_role_is_assigned_where_it_can_be(plane: Plane, callers: Callers) -> None:
    await plane.make_group()
    ada = await callers.user()
    path = f"{definitions()}/{GUID}"
    await plane.api.put(path, json=body(GROUP))
    answer = await callers.assign(path, ada.object_id, SUBSCRIPTION_SCOPE)
    assert error_of(answer) == (400, "RoleDefinitionNotAssignableAtScope")
    assert (await callers.assign(path, ada.object_id, GROUP)).status_code == 201


# What is refused.


async def test_names_are_given_once(plane: Plane) -> None:
    path = f"{definitions()}/{GUID}"
    assert (await plane.api.put(path, json=body())).status_code == 201
    assert (await plane.api.put(path, json=body(roleName="CRONTAB reader"))).status_code == 201
    for name in ("crontab READER", "owner"):
        answer = await plane.api.put(f"{definitions()}/{uuid.uuid4()}", json=body(roleName=name))
        assert error_of(answer) == (409, "RoleDefinitionWithSameNameExists")


async def test_built_in_roles_stay_as_they_are(plane: Plane) -> None:
    path = f"{definitions()}/{ROLES['Reader']}"
    for answer in (
        await plane.api.put(path, json=body()),
        await plane.api.put(f"{definitions()}/{GUID}", json=body(type="BuiltInRole")),
        await plane.api.delete(path),
    ):
        assert error_of(answer) == (400, "RoleDefinitionIsBuiltIn")


async def test_its_id_is_a_guid(plane: Plane) -> None:
    answer = await plane.api.put(f"{definitions()}/reader", json=body())
    assert error_of(answer) == (400, "InvalidRoleDefinitionId")


async def test_what_it_must_be_is_checked(plane: Plane) -> None:
    answer = await plane.api.put(f"{definitions()}/{GUID}", json=body(assignableScopes=[]))
    assert error_of(answer) == (400, "MissingAssignableScopes")
