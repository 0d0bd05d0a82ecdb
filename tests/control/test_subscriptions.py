from tests.control.conftest import SUBSCRIPTION, TENANT, Plane, error_of


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
