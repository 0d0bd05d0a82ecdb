import pytest

from tests.control.conftest import error_of
from tests.control.graph.conftest import NOBODY, V1, Directory


async def test_somebody_else_makes_no_owner(directory: Directory) -> None:
    group = await directory.add_group("tills")
    body = {"@odata.id": f"https://towrope.example.org/v1.0/directoryObjects/{directory.ada_id}"}
    for client in (directory.ada, directory.api):
        answer = await client.post(f"{V1}/groups/{group}/owners/$ref", json=body)
        assert error_of(answer) == (403, "Authorization_RequestDenied")
    assert (await directory.api.get(f"{V1}/groups/{group}/owners")).json()["value"] == []


async def test_no_object_has_an_owner(directory: Directory) -> None:
    group = await directory.add_group("tills")
    application = await directory.add_application("till")
    for path in (
        f"/groups/{group}",
        f"/servicePrincipals/{application.object_id}",
        f"/servicePrincipals(appId='{application.app_id}')",
        f"/applications/{application.application_object_id}",
    ):
        answer = await directory.ada.get(f"{V1}{path}/owners")
        assert answer.json()["value"] == [], path
        await directory.refusal("GET", f"{path}/owners", **{"$filter": "id eq 'x'"})


@pytest.mark.parametrize("collection", ["groups", "servicePrincipals", "applications"])
async def test_what_is_not_there_has_no_list_of_owners(
    directory: Directory, collection: str
) -> None:
    answer = await directory.api.get(f"{V1}/{collection}/{NOBODY}/owners")
    assert error_of(answer) == (404, "Request_ResourceNotFound")


async def test_a_user_owns_nothing_and_an_application_has_no_me(directory: Directory) -> None:
    assert (await directory.ada.get(f"{V1}/me/ownedObjects")).json()["value"] == []
    answer = await directory.api.get(f"{V1}/me/ownedObjects")
    assert error_of(answer) == (400, "Request_BadRequest")
