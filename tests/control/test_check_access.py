from typing import Any

import pytest

from tests.control.callers import AUTHORIZATION, SUBSCRIPTION_SCOPE, Callers, role_id
from tests.control.callers import callers as callers
from tests.control.conftest import CLUSTERS, OnboardingKey, Plane, error_of
from towrope.control.store.groups import ADMINISTRATORS

CLUSTER = f"{CLUSTERS}/shop-17"
NAMESPACE = f"{CLUSTER}/namespaces/web"
READ_PODS = "Microsoft.Kubernetes/connectedClusters/pods/read"
EXEC = "Microsoft.Kubernetes/connectedClusters/pods/exec/action"
READ = "Microsoft.Kubernetes/connectedClusters/read"
VIEWER = "Azure Arc Kubernetes Viewer"
STRANGER = "99999999-9999-4999-8999-999999999999"


def path(scope: str) -> str:
    return f"{scope}{AUTHORIZATION}/checkaccess"


def body(object_id: str, *actions: str, is_data: bool = True, groups: Any = ()) -> dict[str, Any]:
    return {
        "Subject": {"Attributes": {"ObjectId": object_id, "Groups": list(groups)}},
        "Actions": [{"Id": action, "IsDataAction": is_data} for action in actions],
        "Resource": {"Id": "heeded is the path alone"},
    }


async def decisions(plane: Plane, scope: str, asked: dict[str, Any]) -> list[str]:
    answer = await plane.api.post(path(scope), json=asked)
    assert answer.status_code == 200, answer.text
    return [each["accessDecision"] for each in answer.json()]


@pytest.fixture
async def shop(plane: Plane, onboarding_key: OnboardingKey) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)


async def test_who_may_not_read_assignments_may_not_ask(
    plane: Plane, callers: Callers, shop: None
) -> None:
    ada = await callers.user()
    answer = await ada.api.post(path(CLUSTER), json=body(ada.object_id, READ_PODS))
    assert error_of(answer) == (403, "AuthorizationFailed")
    reader = "Connected Cluster Managed Identity CheckAccess Reader"
    await callers.assign(reader, ada.object_id, CLUSTER)
    answer = await ada.api.post(path(NAMESPACE), json=body(ada.object_id, READ_PODS))
    assert answer.status_code == 200


async def test_what_is_allowed_where(plane: Plane, callers: Callers, shop: None) -> None:
    ada = await callers.user()
    allowed, denied = ["Allowed", "NotAllowed"], ["NotAllowed", "NotAllowed"]
    asked = body(ada.object_id, READ_PODS, EXEC)
    assert await decisions(plane, CLUSTER, asked) == denied
    await callers.assign(VIEWER, ada.object_id, NAMESPACE)
    assert await decisions(plane, CLUSTER, asked) == denied
    assert await decisions(plane, NAMESPACE, asked) == allowed
    assert await decisions(plane, f"{CLUSTER}/namespaces/other", asked) == denied
    made = await callers.assign(VIEWER, ada.object_id, SUBSCRIPTION_SCOPE)
    assert await decisions(plane, CLUSTER, asked) == allowed
    [first, second] = (await plane.api.post(path(CLUSTER), json=asked)).json()
    assert first == {
        "accessDecision": "Allowed",
        "actionId": READ_PODS,
        "isDataAction": True,
        "roleAssignment": {
            "id": made.json()["name"],
            "roleDefinitionId": role_id(VIEWER),
            "scope": SUBSCRIPTION_SCOPE,
        },
        "denyAssignment": None,
        "timeToLiveInMs": 60000,
    }
    assert second["roleAssignment"] is None
    plain = body(ada.object_id, READ_PODS, is_data=False)
    assert await decisions(plane, CLUSTER, plain) == ["NotAllowed"]


async def test_groups_are_the_directorys_and_those_that_are_given(
    plane: Plane, callers: Callers, shop: None
) -> None:
    ada = await callers.user()
    devs = await callers.group("devs", ada.object_id)
    await callers.assign(VIEWER, devs, CLUSTER)
    assert await decisions(plane, CLUSTER, body(ada.object_id, READ_PODS)) == ["Allowed"]
    eve = await callers.user("eve")
    given = body(eve.object_id, READ_PODS, groups=["no GUID", devs.upper()])
    assert await decisions(plane, CLUSTER, given) == ["Allowed"]
    assert await decisions(plane, CLUSTER, body(eve.object_id, READ_PODS)) == ["NotAllowed"]


async def test_a_stranger_is_in_none_of_the_directorys_groups(
    plane: Plane, callers: Callers, shop: None
) -> None:
    """Whatever another issuer may say."""
    devs = await callers.group("devs")
    await callers.assign(VIEWER, devs, CLUSTER)
    asked = body(STRANGER, READ_PODS, groups=[devs])
    assert await decisions(plane, CLUSTER, asked) == ["NotAllowed"]
    asked = body(STRANGER, READ, is_data=False, groups=[ADMINISTRATORS])
    assert await decisions(plane, CLUSTER, asked) == ["NotAllowed"]


async def test_administrators_are_owners(plane: Plane, callers: Callers, shop: None) -> None:
    ada = await callers.user()
    asked = body(ada.object_id, READ, is_data=False, groups=[ADMINISTRATORS])
    assert await decisions(plane, CLUSTER, asked) == ["Allowed"]
    asked = body(ada.object_id, READ_PODS, groups=[ADMINISTRATORS])
    assert await decisions(plane, CLUSTER, asked) == ["NotAllowed"]


@pytest.mark.parametrize(
    "asked",
    [
        body(STRANGER),
        body(STRANGER, *[READ_PODS] * 201),
        body(STRANGER, "x" * 513),
        body("nobody", READ_PODS),
        body(STRANGER, READ_PODS, groups=["x"] * 11_001),
    ],
)
async def test_what_cannot_be_asked(plane: Plane, asked: dict[str, Any]) -> None:
    answer = await plane.api.post(path(SUBSCRIPTION_SCOPE), json=asked)
    assert error_of(answer) == (400, "InvalidRequestContent")
