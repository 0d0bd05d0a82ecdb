import uuid
from typing import Any

import httpx2
import pytest

from tests.control.callers import (
    AUTHORIZATION,
    ROLES,
    SUBSCRIPTION_SCOPE,
    Callers,
    assignments,
    role_id,
)
from tests.control.callers import callers as callers
from tests.control.conftest import (
    CLUSTERS,
    GROUP,
    GROUPS,
    OnboardingKey,
    Plane,
    error_of,
)
from towrope.control.roles.scope import ROOT
from towrope.control.store import role_assignments
from towrope.wire import agent_api

CLUSTER = f"{CLUSTERS}/shop-17"
NAMESPACE = f"{CLUSTER}/namespaces/web"
VIEWER = "Azure Arc Kubernetes Viewer"
CLUSTER_USER = "Azure Arc Enabled Kubernetes Cluster User Role"
STRANGER = "99999999-9999-4999-8999-999999999999"
GUID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
async def shop(plane: Plane, onboarding_key: OnboardingKey) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)


def body(principal_id: str, role: str = VIEWER, **properties: Any) -> dict[str, Any]:
    given = {"roleDefinitionId": role_id(role), "principalId": principal_id, **properties}
    return {"properties": given}


def names(answer: httpx2.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {each["name"] for each in answer.json()["value"]}


# Who may.


@pytest.mark.parametrize(
    ("role", "scope", "expected"),
    [
        ("Reader", SUBSCRIPTION_SCOPE, 403),
        ("Contributor", SUBSCRIPTION_SCOPE, 403),
        (VIEWER, SUBSCRIPTION_SCOPE, 403),
        ("Owner", f"{GROUPS}/elsewhere", 403),
        ("Owner", NAMESPACE, 403),
        ("Owner", CLUSTER, 201),
        ("User Access Administrator", GROUP, 201),
    ],
)
async def test_who_may_assign(
    plane: Plane, callers: Callers, shop: None, role: str, scope: str, expected: int
) -> None:
    await plane.make_group("elsewhere")
    ada, bob = await callers.user(), await callers.user("bob")
    await callers.hold(role, ada.object_id, scope)
    answer = await ada.api.put(f"{assignments(CLUSTER)}/{GUID}", json=body(bob.object_id))
    assert answer.status_code == expected
    made = await plane.api.get(f"{assignments(CLUSTER)}/{GUID}")
    assert made.status_code == (200 if expected == 201 else 404)
    deleted = await ada.api.delete(f"{assignments(CLUSTER)}/{GUID}")
    assert deleted.status_code == (200 if expected == 201 else 403)


async def test_who_may_not_read_does_not_learn_what_there_is(
    plane: Plane, callers: Callers, shop: None
) -> None:
    ada = await callers.user()
    there = (await callers.assign(VIEWER, ada.object_id, NAMESPACE)).json()["id"]
    for path in (
        there,
        f"{assignments(CLUSTER)}/{GUID}",
        assignments(CLUSTER),
        assignments(f"{CLUSTERS}/none"),
        assignments(GROUP),
        assignments(f"{GROUPS}/none"),
    ):
        assert error_of(await ada.api.get(path)) == (403, "AuthorizationFailed")
        assert error_of(await ada.api.delete(f"{path}/{GUID}"))[0] in (403, 404)
    for scope in ("", SUBSCRIPTION_SCOPE):
        assert (await ada.api.get(assignments(scope))).json() == {"value": []}


async def test_an_assignment_is_found_and_deleted_at_its_own_scope_alone(
    plane: Plane, callers: Callers, shop: None
) -> None:
    """Who may delete in one place must not delete by it what is in another."""
    ada = await callers.user(Owner=CLUSTER)
    await callers.assign("Reader", ada.object_id, SUBSCRIPTION_SCOPE)
    above = (await callers.assign(VIEWER, STRANGER, GROUP, principalType="User")).json()["name"]
    assert (await ada.api.delete(f"{assignments(CLUSTER)}/{above}")).status_code == 204
    answer = await ada.api.get(f"{assignments(CLUSTER)}/{above}")
    assert error_of(answer) == (404, "RoleAssignmentNotFound")
    assert (await plane.api.get(f"{assignments(GROUP)}/{above}")).status_code == 200


async def test_roles_of_this_servers_own_are_assigned_by_administrators_alone(
    plane: Plane, callers: Callers
) -> None:
    ada = await callers.user(Owner="/")
    custom = f"{AUTHORIZATION}/roleDefinitions/{GUID}"
    properties = {
        "roleName": "Directory writer",
        "assignableScopes": ["/"],
        "permissions": [{"actions": ["Towrope.Directory/*"]}],
    }
    answer = await ada.api.put(custom, json={"properties": properties})
    assert error_of(answer) == (403, "AuthorizationFailed")
    assert (await plane.api.put(custom, json={"properties": properties})).status_code == 201
    given = {"roleDefinitionId": custom, "principalId": ada.object_id}
    path = f"{assignments('/')}/{GUID}"
    answer = await ada.api.put(path, json={"properties": given})
    assert error_of(answer) == (403, "AuthorizationFailed")
    assert (await ada.api.post("/v1.0/groups", json={})).status_code == 403
    assert (await plane.api.put(path, json={"properties": given})).status_code == 201
    assert (await ada.api.post("/v1.0/groups", json={})).status_code == 400


# What there is.


async def test_an_assignment_is_made_shown_and_deleted(
    plane: Plane, callers: Callers, shop: None
) -> None:
    ada = await callers.user()
    plane.notified.clear()
    path = f"{assignments(CLUSTER)}/{GUID}"
    made = await plane.api.put(path, json=body(ada.object_id, description="For the shop"))
    assert made.status_code == 201
    shown = made.json()
    by = shown["properties"].pop("createdBy")
    assert shown == {
        "id": path,
        "name": GUID,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "scope": CLUSTER,
            "roleDefinitionId": role_id(VIEWER),
            "principalId": ada.object_id,
            "principalType": "User",
            "description": "For the shop",
            "condition": None,
            "conditionVersion": None,
            "delegatedManagedIdentityResourceId": None,
            "createdOn": "2027-01-15T08:00:00Z",
            "updatedOn": "2027-01-15T08:00:00Z",
            "updatedBy": by,
        },
    }
    assert [kind for _, kind in plane.notified] == [agent_api.POLICY]
    assert (await plane.api.get(path.upper())).json() == made.json()
    plane.notified.clear()
    assert (await plane.api.delete(path)).json() == made.json()
    assert [kind for _, kind in plane.notified] == [agent_api.POLICY]
    assert (await plane.api.delete(path)).status_code == 204
    assert error_of(await plane.api.get(path)) == (404, "RoleAssignmentNotFound")


async def test_it_holds_from_the_next_request_on(
    plane: Plane, callers: Callers, shop: None
) -> None:
    ada = await callers.user()
    assert (await ada.api.get(CLUSTER)).status_code == 403
    made = (await callers.assign("Reader", ada.object_id, CLUSTER)).json()
    assert (await ada.api.get(CLUSTER)).status_code == 200
    await plane.api.delete(made["id"])
    assert (await ada.api.get(CLUSTER)).status_code == 403


async def test_a_groups_assignment_is_its_members(plane: Plane, callers: Callers) -> None:
    await plane.make_group()
    ada = await callers.user()
    devs = await callers.group("devs", ada.object_id)
    assert (await ada.api.get(GROUP)).status_code == 403
    await callers.assign("Reader", devs, GROUP)
    assert (await ada.api.get(GROUP)).status_code == 200


@pytest.mark.parametrize(
    "scope", ["/", SUBSCRIPTION_SCOPE, GROUP, CLUSTER, NAMESPACE, CLUSTER.upper()]
)
async def test_every_scope(plane: Plane, callers: Callers, shop: None, scope: str) -> None:
    ada = await callers.user()
    made = await callers.assign(VIEWER, ada.object_id, scope)
    assert made.status_code == 201
    shown = made.json()
    assert shown["properties"]["scope"].lower() == scope.lower()
    assert shown["properties"]["scope"] in ("/", SUBSCRIPTION_SCOPE, GROUP, CLUSTER, NAMESPACE)
    assert (await plane.api.get(shown["id"])).json() == shown
    at_root = {"roleDefinitionId": f"{AUTHORIZATION}/roleDefinitions/{ROLES[VIEWER]}"}
    expected = at_root if scope == "/" else {"roleDefinitionId": role_id(VIEWER)}
    assert expected.items() <= shown["properties"].items()


async def test_azures_other_path_of_a_namespace(plane: Plane, callers: Callers, shop: None) -> None:
    ada = await callers.user()
    other = f"{CLUSTER}/providers/Microsoft.KubernetesConfiguration/namespaces/Web"
    made = await callers.assign(VIEWER, ada.object_id, other)
    assert made.json()["properties"]["scope"] == NAMESPACE
    again = await callers.assign(VIEWER, ada.object_id, NAMESPACE)
    assert error_of(again) == (409, "RoleAssignmentExists")


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (f"{GROUPS}/none", (404, "ResourceGroupNotFound")),
        (f"{CLUSTERS}/none", (404, "ResourceNotFound")),
        (f"{CLUSTERS}/none/namespaces/web", (404, "ResourceNotFound")),
        (f"{CLUSTER}/namespaces/a_b", (400, "InvalidScope")),
        (f"{CLUSTER}/namespaces/-a", (400, "InvalidScope")),
        (f"/subscriptions/{STRANGER}", (404, "SubscriptionNotFound")),
        (f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm", (404, "NotFound")),
    ],
)
async def test_a_scope_that_is_none(
    plane: Plane, callers: Callers, shop: None, scope: str, expected: tuple[int, str]
) -> None:
    assert error_of(await callers.assign(VIEWER, STRANGER, scope)) == expected


# What is refused.


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"roleDefinitionId": "Reader"}, (400, "InvalidRoleDefinitionId")),
        ({"roleDefinitionId": role_id(VIEWER) + "x"}, (400, "InvalidRoleDefinitionId")),
        (
            {"roleDefinitionId": role_id(VIEWER).replace(SUBSCRIPTION_SCOPE, "/subscriptions/x")},
            (400, "InvalidRoleDefinitionId"),
        ),
        (
            {"roleDefinitionId": f"{AUTHORIZATION}/roleDefinitions/{GUID}"},
            (404, "RoleDefinitionDoesNotExist"),
        ),
        ({"principalId": "ada"}, (400, "InvalidPrincipalId")),
        ({"principalId": STRANGER}, (400, "PrincipalNotFound")),
        ({"principalType": "Group"}, (400, "UnmatchedPrincipalType")),
        ({"principalType": "Device"}, (400, "InvalidRequestContent")),
        ({"condition": "true"}, (400, "RoleAssignmentPropertyNotSupported")),
        (
            {"delegatedManagedIdentityResourceId": "/x"},
            (400, "RoleAssignmentPropertyNotSupported"),
        ),
        ({"description": "x" * 1025}, (400, "RoleAssignmentDescriptionTooLong")),
    ],
    ids=str,
)
async def test_what_is_refused(
    plane: Plane, callers: Callers, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    ada = await callers.user()
    given = body(ada.object_id)["properties"] | change
    path = f"{assignments(SUBSCRIPTION_SCOPE)}/{GUID}"
    assert error_of(await plane.api.put(path, json={"properties": given})) == expected
    assert (await plane.api.get(path)).status_code == 404


async def test_its_name_must_be_a_guid(plane: Plane) -> None:
    path = f"{assignments(SUBSCRIPTION_SCOPE)}/mine"
    answer = await plane.api.put(path, json=body(STRANGER, principalType="User"))
    assert error_of(answer) == (400, "InvalidRoleAssignmentId")


async def test_a_role_that_gives_nothing_in_a_namespace(
    plane: Plane, callers: Callers, shop: None
) -> None:
    ada = await callers.user()
    answer = await callers.assign(CLUSTER_USER, ada.object_id, NAMESPACE)
    assert error_of(answer) == (400, "RoleNotAssignableInNamespace")


async def test_principals_of_every_kind(plane: Plane, callers: Callers) -> None:
    devs = await callers.group("devs")
    robot = (await plane.api.get("/v1.0/servicePrincipals")).json()["value"][0]["id"]
    for principal, kind in ((devs, "Group"), (robot, "ServicePrincipal")):
        made = await callers.assign(VIEWER, principal.upper(), SUBSCRIPTION_SCOPE)
        properties = made.json()["properties"]
        assert (properties["principalId"], properties["principalType"]) == (principal, kind)
    known_elsewhere = await callers.assign(
        VIEWER, STRANGER, SUBSCRIPTION_SCOPE, principalType="Group"
    )
    assert known_elsewhere.json()["properties"]["principalType"] == "Group"


async def test_the_same_again(plane: Plane, callers: Callers, shop: None) -> None:
    ada, bob = await callers.user(), await callers.user("bob")
    path = f"{assignments(CLUSTER)}/{GUID}"
    made = await plane.api.put(path, json=body(ada.object_id))
    again = await plane.api.put(path, json=body(ada.object_id))
    assert (again.status_code, again.json()) == (200, made.json())
    other = f"{assignments(CLUSTER)}/{uuid.uuid4()}"
    answer = await plane.api.put(other, json=body(ada.object_id))
    assert error_of(answer) == (409, "RoleAssignmentExists")
    assert GUID in answer.json()["error"]["message"]
    for path_, given in (
        (path, body(bob.object_id)),
        (path, body(ada.object_id, "Reader")),
        (f"{assignments(GROUP)}/{GUID}", body(ada.object_id)),
    ):
        answer = await plane.api.put(path_, json=given)
        assert error_of(answer) == (400, "RoleAssignmentUpdateNotPermitted")


async def test_its_description_can_be_changed(plane: Plane, callers: Callers) -> None:
    ada = await callers.user()
    path = f"{assignments(SUBSCRIPTION_SCOPE)}/{GUID}"
    made = (await plane.api.put(path, json=body(ada.object_id))).json()
    plane.now += 60
    changed = await plane.api.put(path, json=body(ada.object_id, description="Why"))
    assert changed.status_code == 200
    assert changed.json()["properties"]["description"] == "Why"
    assert changed.json()["properties"]["createdOn"] == made["properties"]["createdOn"]
    assert changed.json()["properties"]["updatedOn"] == "2027-01-15T08:01:00Z"
    assert (await plane.api.get(path)).json() == changed.json()


# Lists.


async def test_lists_by_scope_and_principal(plane: Plane, callers: Callers, shop: None) -> None:
    ada, bob = await callers.user(), await callers.user("bob")
    devs = await callers.group("devs", ada.object_id)
    made: dict[str, str] = {}
    for name, principal, scope in (
        ("root", bob.object_id, "/"),
        ("group", devs, GROUP),
        ("cluster", ada.object_id, CLUSTER),
        ("namespace", ada.object_id, NAMESPACE),
    ):
        made[name] = (await callers.assign(VIEWER, principal, scope)).json()["name"]

    async def listed(scope: str, condition: str = "") -> set[str]:
        found: set[str] = set()
        query = {"$filter": condition} if condition else {}
        answer = await plane.api.get(assignments(scope), params={"$top": 2, **query})
        while True:
            found |= names(answer)
            if "nextLink" not in answer.json():
                return {name for name, guid in made.items() if guid in found}
            headers = {"authorization": plane.api.headers["authorization"]}
            answer = await plane.anonymous.get(answer.json()["nextLink"], headers=headers)

    everything = {"root", "group", "cluster", "namespace"}
    assert await listed("/") == everything
    assert await listed(GROUP) == await listed(CLUSTER) == everything
    assert await listed(GROUP.upper(), "atScope()") == {"root", "group"}
    assert await listed(CLUSTER, "atScope()") == {"root", "group", "cluster"}
    of_ada = f"'{ada.object_id}'"
    assert await listed(SUBSCRIPTION_SCOPE, f"principalId eq {of_ada}") == {"cluster", "namespace"}
    assert await listed("/", f"principalId eq {ada.object_id}") == {"cluster", "namespace"}
    assert await listed("/", f"assignedTo({of_ada})") == {"group", "cluster", "namespace"}
    assert await listed(GROUP, f"atScope() and assignedTo({of_ada})") == {"group"}
    assert await listed("/", f"principalId eq {of_ada} and assignedTo('{devs}')") == set()


async def test_a_list_shows_what_may_be_read(plane: Plane, callers: Callers, shop: None) -> None:
    await plane.make_group("elsewhere")
    ada = await callers.user()
    here = (await callers.assign("Reader", ada.object_id, GROUP)).json()["name"]
    for scope in ("/", f"{GROUPS}/elsewhere"):
        await callers.assign(VIEWER, STRANGER, scope, principalType="User")
    below = (await callers.assign(VIEWER, STRANGER, CLUSTER, principalType="User")).json()["name"]
    assert names(await ada.api.get(assignments(SUBSCRIPTION_SCOPE))) == {here, below}
    # What holds where it may read is shown, wherever it was assigned.
    assert len(names(await ada.api.get(assignments(GROUP)))) == 3


@pytest.mark.parametrize(
    "text", ["principalId eq", "atScope() or x", "roleName eq 'x'", "x" * 1025]
)
async def test_a_filter_that_is_not_supported(plane: Plane, text: str) -> None:
    answer = await plane.api.get(assignments("/"), params={"$filter": text})
    assert error_of(answer) == (400, "InvalidFilterInQueryString")


# What ends with its scope.


async def test_assignments_end_with_what_they_are_at(
    plane: Plane, callers: Callers, shop: None, onboarding_key: OnboardingKey
) -> None:
    ada = await callers.user()
    for scope in (SUBSCRIPTION_SCOPE, GROUP, CLUSTER, NAMESPACE):
        await callers.assign(VIEWER, ada.object_id, scope)
    await plane.make_cluster(onboarding_key, "shop-1")
    await callers.assign(VIEWER, ada.object_id, f"{CLUSTERS}/shop-1")

    async def scopes() -> set[str]:
        async with plane.control.services.database.reading() as connection:
            return {a.scope.path for a in await role_assignments.touching(connection, ROOT)}

    await plane.api.delete(f"{CLUSTERS}/shop-1")
    assert await scopes() == {SUBSCRIPTION_SCOPE, GROUP, CLUSTER, NAMESPACE}
    await plane.api.delete(CLUSTER)
    assert await scopes() == {SUBSCRIPTION_SCOPE, GROUP}
    await plane.api.delete(GROUP)
    assert await scopes() == {SUBSCRIPTION_SCOPE}
