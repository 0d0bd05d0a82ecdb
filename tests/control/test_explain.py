from typing import Any

import httpx2
import pytest

from tests.control.conftest import (
    CLUSTERS,
    GROUPS,
    SUBSCRIPTION,
    TENANT,
    URL,
    OnboardingKey,
    Plane,
    error_of,
)
from towrope.agent.policy_objects import Key, Kind, wanted
from towrope.control import policy
from towrope.control.roles.built_in import BUILT_IN_ROLES, CLUSTER_USER, OWNER
from towrope.control.roles.definition import Permission, RoleDefinition
from towrope.control.roles.scope import Scope
from towrope.control.store import clusters, groups, role_assignments, role_definitions, users
from towrope.control.store.groups import ADMINISTRATORS, Group, Member, MemberKind
from towrope.control.store.role_assignments import RoleAssignment
from towrope.control.store.role_definitions import Authorship, CustomRole
from towrope.control.store.users import User
from towrope.wire import names, policy_names
from towrope.wire.data_actions import PREFIX

EXPLAIN = "/providers/Towrope.Authorization/explain"
CLUSTER = f"{CLUSTERS}/shop-17"
NOBODY = Authorship(created_on=0, created_by="", updated_on=0, updated_by="")
ANN = "aaaaaaaa-0000-4000-8000-000000000001"
TEAM = "bbbbbbbb-0000-4000-8000-000000000001"
STAFF = "bbbbbbbb-0000-4000-8000-000000000002"
STRANGER = "cccccccc-0000-4000-8000-000000000001"
VIEWER = next(role for role in BUILT_IN_ROLES if role.name == "Azure Arc Kubernetes Viewer")
READ = "Microsoft.Kubernetes/connectedClusters/read"
GET_PODS = {"verb": "get", "resource": "pods"}


def guid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


async def assign(
    plane: Plane,
    number: int,
    role: RoleDefinition,
    principal: str,
    *,
    scope: str = CLUSTER,
    kind: MemberKind = MemberKind.USER,
    is_external: bool = False,
) -> None:
    async with plane.control.services.database.writing() as connection:
        await role_assignments.add(
            connection,
            RoleAssignment(
                id=guid(number),
                scope=Scope(path=scope),
                role_id=role.id,
                principal_id=principal,
                principal_kind=kind,
                is_external=is_external,
                authorship=NOBODY,
            ),
        )


async def ask(
    plane: Plane, scope: str = CLUSTER, *, principal: str = ANN, **question: str
) -> dict[str, Any]:
    answer = await plane.api.post(scope + EXPLAIN, json={"principalId": principal, **question})
    told: dict[str, Any] = answer.raise_for_status().json()
    return told


async def switch(plane: Plane, *, on: bool) -> None:
    async with plane.control.services.database.writing() as connection:
        cluster = await clusters.find(connection, "shops", "shop-17")
        assert cluster is not None
        properties = {"aadProfile": {"enableAzureRBAC": on}}
        await clusters.change(connection, cluster, properties=properties)


@pytest.fixture
async def shop(plane: Plane, onboarding_key: OnboardingKey) -> Plane:
    """A cluster in mode rbac; Ann, who is in the group `team`, which is in the group `staff`."""
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    await switch(plane, on=True)
    async with plane.control.services.database.writing() as connection:
        ann = User(
            object_id=ANN, user_principal_name="ann@x.example", display_name="Ann", created=0
        )
        await users.add(connection, ann)
        for object_id, name in ((TEAM, "team"), (STAFF, "staff")):
            group = Group(object_id=object_id, display_name=name, mail_nickname=name, created=0)
            await groups.add(connection, group)
        await groups.add_member(connection, TEAM, Member(object_id=ANN, kind=MemberKind.USER))
        await groups.add_member(connection, STAFF, Member(object_id=TEAM, kind=MemberKind.GROUP))
    return plane


async def test_nobody_else_may_ask(shop: Plane) -> None:
    answer = await shop.anonymous.post(CLUSTER + EXPLAIN, params={"api-version": "1"}, json={})
    assert error_of(answer) == (401, "AuthenticationFailed")


@pytest.mark.parametrize(
    ("scope", "body", "expected"),
    [
        (CLUSTER, {"principalId": "ann", **GET_PODS}, "a GUID"),
        (CLUSTER, {"principalId": ANN}, "Expected either 'action'"),
        (CLUSTER, {"principalId": ANN, "verb": "get"}, "Expected either 'action'"),
        (CLUSTER, {"principalId": ANN, "resource": "pods"}, "Expected either 'action'"),
        (CLUSTER, {"principalId": ANN, "action": READ, **GET_PODS}, "Expected either 'action'"),
        ("", {"principalId": ANN, **GET_PODS}, "is no connected cluster"),
        (f"{GROUPS}/shops", {"principalId": ANN, **GET_PODS}, "is no connected cluster"),
    ],
)
async def test_what_is_no_question(
    shop: Plane, scope: str, body: dict[str, str], expected: str
) -> None:
    answer = await shop.api.post(scope + EXPLAIN, json=body)
    assert error_of(answer) == (400, "InvalidRequestContent")
    assert expected in answer.text


async def test_what_is_not_there_cannot_be_asked_about(shop: Plane) -> None:
    answer = await shop.api.post(f"{CLUSTERS}/shop-18{EXPLAIN}", json={"principalId": ANN})
    assert error_of(answer) == (404, "ResourceNotFound")


async def test_without_an_assignment_it_names_the_nearest_role(shop: Plane) -> None:
    told = await ask(shop, **GET_PODS)
    assert told["accessDecision"] == "NotAllowed"
    assert told["findings"] == []
    assert told["action"] == f"{PREFIX}pods/read"
    assert told["nearestRoles"][0]["roleName"] == VIEWER.name
    assert told["nearestRoles"][0]["id"].endswith(f"/roleDefinitions/{VIEWER.id}")
    assert told["principal"]["name"] == "ann@x.example"
    assert told["mayListClusterUserCredential"] is False
    assert CLUSTER_USER.name in told["reason"]


@pytest.mark.both_databases
async def test_through_nested_groups_to_the_native_rule(shop: Plane) -> None:
    await assign(shop, 1, VIEWER, STAFF, kind=MemberKind.GROUP)
    await assign(shop, 2, CLUSTER_USER, ANN)
    told = await ask(shop, **GET_PODS)
    assert told["accessDecision"] == "Allowed"
    assert told["mayListClusterUserCredential"] is True
    assert told["nearestRoles"] == []
    found, other = told["findings"]
    path = f"{CLUSTER}/providers/Microsoft.Authorization/roleAssignments"
    assert found["roleAssignmentId"] == f"{path}/{guid(1)}"
    assert f"{path}/{guid(1)}" in told["reason"]
    assert [each["displayName"] for each in found["through"]] == ["team", "staff"]
    assert (found["allows"], found["lacks"]) == (True, None)
    assert found["pattern"] == f"{PREFIX}pods/read"
    native = found["native"]
    assert native["clusterRole"] == policy_names.cluster_role(VIEWER.id)
    assert (native["bindingKind"], native["namespace"]) == ("ClusterRoleBinding", "")
    assert [native["binding"]] == list(policy_names.bindings(VIEWER.id, [STAFF]))
    assert native["rule"]["verbs"] == ["get", "list", "watch"]
    assert (other["lacks"], other["through"], other["native"]) == ("NotNamed", [], None)


async def test_the_binding_is_named_as_the_agent_splits_it(shop: Plane) -> None:
    for number in range(300):
        await assign(shop, 1000 + number, VIEWER, guid(number), scope="/")
    await assign(shop, 1, VIEWER, ANN, scope=f"{CLUSTER}/namespaces/web")
    await assign(shop, 2, VIEWER, ANN)
    told = await ask(shop, f"{CLUSTER}/namespaces/web", **GET_PODS)
    in_namespace, in_all = (each["native"] for each in told["findings"])
    async with shop.control.services.database.reading() as connection:
        cluster = await clusters.find(connection, "shops", "shop-17")
        assert cluster is not None
        told_to_agent = await policy.of(connection, cluster, subscription=SUBSCRIPTION)
    made = wanted(told_to_agent, ()).objects
    assert len([key for key in made if key.kind is Kind.CLUSTER_ROLE_BINDING]) > 1
    for native in (in_namespace, in_all):
        kind = Kind(native["bindingKind"].lower() + "s")
        key = Key(kind=kind, name=native["binding"], namespace=native["namespace"])
        subjects = {subject.name for subject in made[key].subjects}
        assert names.object_id_group(ANN) in subjects
        assert Key(kind=Kind.CLUSTER_ROLE, name=native["clusterRole"]) in made
    assert (in_namespace["bindingKind"], in_namespace["namespace"]) == ("RoleBinding", "web")


@pytest.mark.parametrize(
    ("scope", "question", "decision"),
    [
        (CLUSTER, GET_PODS, "NotAllowed"),
        (CLUSTER, {**GET_PODS, "namespace": "shop"}, "NotAllowed"),
        (CLUSTER, {**GET_PODS, "namespace": "Web"}, "Allowed"),
        (f"{CLUSTER}/namespaces/WEB", GET_PODS, "Allowed"),
        (f"{CLUSTER}/namespaces/shop", {**GET_PODS, "namespace": "web"}, "NotAllowed"),
        (CLUSTER, {"verb": "get", "resource": "namespaces", "name": "web"}, "Allowed"),
        (CLUSTER, {"verb": "get", "resource": "namespaces", "name": "shop"}, "NotAllowed"),
        (CLUSTER, {"verb": "get", "resource": "pods", "name": "web"}, "NotAllowed"),
        (CLUSTER, {"verb": "get", "resource": "pods/log", "namespace": "web"}, "Allowed"),
        (CLUSTER, {"verb": "get", "resource": "pods/exec", "namespace": "web"}, "NotAllowed"),
        (CLUSTER, {**GET_PODS, "subresource": "exec", "namespace": "web"}, "NotAllowed"),
        (
            CLUSTER,
            {"verb": "GET", "group": "Apps", "resource": "Deployments", "namespace": "web"},
            "Allowed",
        ),
    ],
)
async def test_what_holds_in_one_namespace(
    shop: Plane, scope: str, question: dict[str, str], decision: str
) -> None:
    await assign(shop, 1, VIEWER, ANN, scope=f"{CLUSTER}/namespaces/web")
    assert (await ask(shop, scope, **question))["accessDecision"] == decision


async def test_a_cluster_that_decides_by_its_own_rbac(shop: Plane) -> None:
    await assign(shop, 1, VIEWER, ANN)
    await switch(shop, on=False)
    told = await ask(shop, **GET_PODS)
    assert (told["accessDecision"], told["azureRbacEnabled"]) == ("NoOpinion", False)
    assert "enable-features" in told["reason"]
    assert told["findings"][0]["allows"]
    assert told["findings"][0]["native"] is None


async def test_an_operation_of_the_resource_api(shop: Plane) -> None:
    denied = await ask(shop, action=READ)
    assert denied["accessDecision"] == "NotAllowed"
    assert denied["reason"] == f"No role assignment allows '{READ}'."
    assert denied["nearestRoles"][0]["roleName"] != OWNER.name
    await assign(shop, 1, OWNER, TEAM, scope="/", kind=MemberKind.GROUP)
    told = await ask(shop, action=READ)
    assert told["accessDecision"] == "Allowed"
    [finding] = told["findings"]
    assert (finding["pattern"], finding["native"]) == ("*", None)
    assert finding["roleAssignmentId"] == (
        f"/providers/Microsoft.Authorization/roleAssignments/{guid(1)}"
    )
    assert (told["azureRbacEnabled"], told["mayListClusterUserCredential"]) == (None, None)


async def test_what_takes_no_assignment(shop: Plane) -> None:
    reading = "Towrope.Directory/users/read"
    told = await ask(shop, "", action=reading)
    assert (told["accessDecision"], told["findings"], told["nearestRoles"]) == ("Allowed", [], [])
    assert told["reason"] == f"'{reading}' takes no role assignment here."
    stranger = await ask(shop, "", principal=STRANGER, action=reading)
    assert stranger["accessDecision"] == "NotAllowed"


async def test_an_administrator_needs_none(shop: Plane) -> None:
    writing = "Towrope.Directory/users/write"
    async with shop.control.services.database.writing() as connection:
        member = Member(object_id=TEAM, kind=MemberKind.GROUP)
        await groups.add_member(connection, ADMINISTRATORS, member)
    told = await ask(shop, action=READ)
    assert told["accessDecision"] == "Allowed"
    [finding] = told["findings"]
    assert (finding["roleAssignmentId"], finding["role"]["roleName"]) == (None, "Owner")
    assert [each["id"] for each in finding["through"]] == [TEAM, ADMINISTRATORS]
    assert (await ask(shop, action=writing))["accessDecision"] == "Allowed"
    assert (await ask(shop, **GET_PODS))["accessDecision"] == "NotAllowed"


async def test_a_custom_role_that_takes_away(shop: Plane) -> None:
    permission = Permission(data_actions=("*",), not_data_actions=(f"{PREFIX}secrets/*",))
    custom = RoleDefinition(id=guid(7), name="Most", permissions=(permission,))
    async with shop.control.services.database.writing() as connection:
        await role_definitions.add(connection, CustomRole(role=custom, authorship=NOBODY))
    await assign(shop, 1, custom, ANN)
    told = await ask(shop, verb="list", resource="secrets")
    [finding] = told["findings"]
    assert (finding["lacks"], finding["pattern"]) == ("TakenAway", f"{PREFIX}secrets/*")
    assert finding["native"]["rule"] is None
    assert (await ask(shop, **GET_PODS))["accessDecision"] == "Allowed"


async def test_of_a_role_that_is_no_more_nothing_is_told(shop: Plane) -> None:
    await assign(shop, 1, RoleDefinition(id=guid(9), name="Gone"), ANN)
    assert (await ask(shop, **GET_PODS))["findings"] == []


@pytest.mark.parametrize(
    ("principal", "kind"),
    [(ANN, "User"), (TEAM, "Group"), (STRANGER, None), ("administrator", "ServicePrincipal")],
)
async def test_who_is_asked_about(shop: Plane, principal: str, kind: str | None) -> None:
    if principal == "administrator":
        shown: httpx2.Response = await shop.api.get("/v1.0/servicePrincipals")
        principal = shown.json()["value"][0]["id"]
    await assign(shop, 1, VIEWER, principal, is_external=kind is None)
    told = await ask(shop, principal=principal.upper(), **GET_PODS)
    assert told["accessDecision"] == "Allowed"
    assert (told["principal"]["id"], told["principal"]["type"]) == (principal, kind)
    assert ("not in this server's directory" in told["reason"]) is (kind is None)


async def test_what_is_assigned_to_a_stranger_is_nothing_of_the_directorys_own(shop: Plane) -> None:
    await assign(shop, 1, VIEWER, ANN, is_external=True)
    assert (await ask(shop, **GET_PODS))["accessDecision"] == "NotAllowed"


async def test_an_account_that_is_disabled_is_said_to_be(shop: Plane) -> None:
    async with shop.control.services.database.writing() as connection:
        await users.change(connection, ANN, account_enabled=False)
    told = await ask(shop, f"/subscriptions/{SUBSCRIPTION}", action=READ)
    assert told["principal"]["accountEnabled"] is False
    assert "disabled" in told["reason"]


async def test_a_reader_of_the_scope_may_ask_and_nobody_else(shop: Plane) -> None:
    made = await shop.api.post("/v1.0/applications", json={"displayName": "asker"})
    app_id = made.raise_for_status().json()["appId"]
    principal = await shop.api.post("/v1.0/servicePrincipals", json={"appId": app_id})
    object_id = principal.raise_for_status().json()["id"]
    secret = await shop.api.post(f"/v1.0/applications(appId='{app_id}')/addPassword", json={})
    form = {
        "grant_type": "client_credentials",
        "client_id": app_id,
        "client_secret": secret.raise_for_status().json()["secretText"],
        "scope": f"{URL}/.default",
    }
    signed = await shop.anonymous.post(f"/{TENANT}/oauth2/v2.0/token", data=form)
    headers = {"authorization": f"Bearer {signed.raise_for_status().json()['access_token']}"}

    async def answer(scope: str) -> int:
        body = {"principalId": ANN, "action": READ}
        asked = await shop.api.post(scope + EXPLAIN, json=body, headers=headers)
        return asked.status_code

    assert await answer(CLUSTER) == 403
    await assign(shop, 1, VIEWER, object_id, kind=MemberKind.SERVICE_PRINCIPAL)
    assert await answer(CLUSTER) == 200
    assert await answer(f"{GROUPS}/shops") == 403
    assert await answer("") == 403
