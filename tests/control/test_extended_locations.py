import pytest

from tests.control.conftest import GROUP, GROUPS, SUBSCRIPTION, Plane, error_of

COLLECTION = "/providers/Microsoft.ExtendedLocation/customLocations"


async def test_there_are_none(plane: Plane) -> None:
    await plane.make_group()
    for path in (f"/subscriptions/{SUBSCRIPTION}{COLLECTION}", GROUP + COLLECTION):
        assert (await plane.api.get(path)).json() == {"value": []}
    for request in (plane.api.get, plane.api.patch):
        answer = await request(f"{GROUP}{COLLECTION}/shop")
        assert error_of(answer) == (404, "ResourceNotFound")
    assert (await plane.api.delete(f"{GROUP}{COLLECTION}/shop")).status_code == 204


async def test_who_would_make_one_is_told_why_not(plane: Plane) -> None:
    await plane.make_group()
    answer = await plane.api.put(f"{GROUP}{COLLECTION}/shop", json={"location": "local"})
    assert error_of(answer) == (409, "CustomLocationsNotAvailable")
    assert "no custom locations yet" in answer.text


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_they_need_their_resource_group(plane: Plane, method: str) -> None:
    path = f"{GROUPS}/others{COLLECTION}"
    one = await plane.api.request(method, f"{path}/shop")
    assert error_of(one) == (404, "ResourceGroupNotFound")
    assert error_of(await plane.api.get(path)) == (404, "ResourceGroupNotFound")
