from tests.control.callers import AUTHORIZATION, SUBSCRIPTION_SCOPE, Callers
from tests.control.callers import callers as callers
from tests.control.conftest import CLUSTERS, GROUP, GROUPS, Plane

PERMISSIONS = f"{AUTHORIZATION}/permissions"


async def test_who_holds_nothing_sees_nothing(plane: Plane, callers: Callers) -> None:
    await plane.make_group()
    ada = await callers.user()
    for scope in ("", SUBSCRIPTION_SCOPE, GROUP, f"{GROUPS}/none", f"{CLUSTERS}/none"):
        assert (await ada.api.get(scope + PERMISSIONS)).json() == {"value": []}


async def test_everybody_sees_what_holds_there(plane: Plane, callers: Callers) -> None:
    await plane.make_group()
    ada = await callers.user()
    await callers.assign("Reader", ada.object_id, GROUP)
    expected = {
        "actions": ["*/read"],
        "notActions": [],
        "dataActions": [],
        "notDataActions": [],
    }
    for scope in (GROUP, GROUP.upper(), f"{CLUSTERS}/any", f"{CLUSTERS}/any/namespaces/web"):
        assert (await ada.api.get(scope + PERMISSIONS)).json() == {"value": [expected]}
    for scope in (SUBSCRIPTION_SCOPE, f"{GROUPS}/other"):
        assert (await ada.api.get(scope + PERMISSIONS)).json() == {"value": []}


async def test_administrators_are_owners_everywhere(plane: Plane) -> None:
    [shown] = (await plane.api.get(SUBSCRIPTION_SCOPE + PERMISSIONS)).json()["value"]
    assert shown["actions"] == ["*"]
