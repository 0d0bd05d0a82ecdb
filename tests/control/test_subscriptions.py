import pytest

from tests.control.callers import Callers
from tests.control.callers import callers as callers
from tests.control.conftest import GROUP, SUBSCRIPTION, TENANT, Plane, error_of


async def test_there_is_one_subscription_of_one_tenant(plane: Plane) -> None:
    shown = (await plane.api.get(f"/subscriptions/{SUBSCRIPTION}")).json()
    assert shown["id"] == f"/subscriptions/{SUBSCRIPTION}"
    assert shown["tenantId"] == TENANT
    assert (shown["state"], shown["displayName"]) == ("Enabled", "Towrope")
    assert (await plane.api.get("/subscriptions")).json() == {"value": [shown]}
    [tenant] = (await plane.api.get("/tenants")).json()["value"]
    assert tenant["tenantId"] == TENANT


async def test_another_subscription_is_not_found(plane: Plane) -> None:
    for path in ("/subscriptions/other", "/subscriptions/other/resourceGroups/shops"):
        assert error_of(await plane.api.get(path)) == (404, "SubscriptionNotFound")


async def test_its_id_is_compared_without_case(plane: Plane) -> None:
    assert (await plane.api.get(f"/SUBSCRIPTIONS/{SUBSCRIPTION.upper()}")).status_code == 200


@pytest.mark.parametrize("part", ["locations", "providers", "providers/Microsoft.Kubernetes"])
async def test_its_parts_are_shown_to_those_who_hold_something_in_it(
    plane: Plane, callers: Callers, part: str
) -> None:
    await plane.make_group()
    nobody = await callers.user("nobody")
    somebody = await callers.user("ada", Reader=GROUP)
    path = f"/subscriptions/{SUBSCRIPTION}/{part}"
    refused = await nobody.api.get(path)
    assert error_of(refused) == (403, "AuthorizationFailed")
    assert f"'{path}'" in refused.text
    assert (await somebody.api.get(path)).status_code == 200
